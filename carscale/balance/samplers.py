"""How often a sample is drawn: explicit lists of rows, one pass after another.

Axes: N samples of the split, K classes, L draws of a pass.

Chosen: whatever the sampling, an epoch is N draws, so that arms of a comparison take the same
number of steps; a pass (one whole list) may be shorter or longer. Rejected: an epoch as long as the
list: oversampling would train five times as long, and look better for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from carscale import data, stats
from carscale.balance.selected import read_selected, replay_weights
from carscale.balance.synthetic import synthetic_rates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.config import Balance, Recipe
    from carscale.types import Split


BLOCK = 4096
"""Independent draws are made in passes of this many."""


@dataclass(frozen=True)
class Sampler:
    """Passes over the samples, one after another without end.

    Attributes:
        length: Draws in one pass, L.
        draw: Takes a pass's own random generator and its number, from 0; returns rows, int64
            ``[L]`` in ``[0, N)``. Pure: the same generator state and number, the same rows.
    """

    length: int
    draw: Callable[[np.random.Generator, int], NDArray[np.int64]]


def natural(num_samples: int) -> Sampler:
    """Return each sample once a pass, shuffled."""
    return Sampler(num_samples, lambda rng, _: rng.permutation(num_samples).astype(np.int64))


def weighted(weights_N: NDArray[np.float64]) -> Sampler:
    """Return independent draws with replacement: a weighted sampler.

    Args:
        weights_N: Probability of each sample, in any scale, ``>= 0``.

    Raises:
        ValueError: A weight is negative or not finite, or none is above 0.
    """
    cumulative_N = _cumulative(weights_N)

    def draw(rng: np.random.Generator, _: int) -> NDArray[np.int64]:
        return np.searchsorted(cumulative_N, rng.random(BLOCK), side="right").astype(np.int64)

    return Sampler(BLOCK, draw)


def listed(labels_N: NDArray[np.int64], draws_K: NDArray[np.int64]) -> Sampler:
    """Return passes that show each class an exact number of times.

    The photos of a class are shown equally often, give or take one; whose turn it is to be shown
    once more is drawn anew in each pass.

    Args:
        labels_N: Class of each sample.
        draws_K: Draws of each class in a pass, ``>= 0``; 0 for a class without samples.

    Example:
        >>> sampler = listed(np.array([0, 0, 0, 1]), np.array([3, 3]))
        >>> np.sort(sampler.draw(np.random.default_rng(0), 0)).tolist()
        [0, 1, 2, 3, 3, 3]
    """
    by_class_N = np.argsort(labels_N, kind="stable")
    rows_of_K = np.split(by_class_N, np.cumsum(np.bincount(labels_N, minlength=len(draws_K)))[:-1])

    def draw(rng: np.random.Generator, _: int) -> NDArray[np.int64]:
        parts = []
        for rows, num_draws in zip(rows_of_K, draws_K.tolist(), strict=True):
            if num_draws:
                whole, rest = divmod(num_draws, len(rows))
                extra = rng.choice(len(rows), rest, replace=False, shuffle=False)
                parts += [np.tile(rows, whole), rows[extra]]
        return rng.permutation(np.concatenate(parts)).astype(np.int64)

    return Sampler(int(draws_K.sum()), draw)


def progressive(weights_N: NDArray[np.float64], num_draws: int) -> Sampler:
    """Return draws that go from each sample alike to each class alike over ``num_draws``.

    Args:
        weights_N: Of each sample when all classes count alike, in any scale.
        num_draws: Of the whole run.

    Reference:
        Kang et al. 2020, https://arxiv.org/abs/1910.09217, eq. 3.
    """
    cumulative_N = _cumulative(weights_N)

    def draw(rng: np.random.Generator, number: int) -> NDArray[np.int64]:
        done_L = (number * BLOCK + np.arange(BLOCK)) / num_draws
        is_balanced_L, at_L = rng.random(BLOCK) < done_L, rng.random(BLOCK)
        by_class_L = np.searchsorted(cumulative_N, at_L, side="right")
        return np.where(is_balanced_L, by_class_L, (at_L * len(weights_N)).astype(np.int64))

    return Sampler(BLOCK, draw)


def _cumulative(weights_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return running shares that end at 1, so that no draw lies beyond the last sample."""
    cumulative_N = np.cumsum(stats.finite("weights_N", weights_N, low=0))
    if not len(cumulative_N) or not 0 < cumulative_N[-1] < np.inf:
        raise ValueError("weights_N must have a sum above 0")
    return cumulative_N / cumulative_N[-1]


def _power(counts_K: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return shares ``n^q / sum n^q`` of the classes that have samples."""
    raw_K = np.where(counts_K > 0, np.maximum(counts_K, 1) ** power, 0)
    return raw_K / raw_K.sum()


def _repeated(counts_K: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
    """Return draws a pass with repeat factors ``max(1, sqrt(t / share))``, rounded by class.

    Reference:
        Gupta et al. 2019, https://arxiv.org/abs/1908.03195, section 4.1. Differs: the number of
        draws of a class is rounded once, not by a coin for each photo.
    """
    share_K = np.maximum(counts_K, 1) / counts_K.sum()
    wanted = threshold or 1 / np.count_nonzero(counts_K)
    return np.rint(counts_K * np.maximum(1, np.sqrt(wanted / share_K)))


SAMPLINGS: dict[str, Callable[[NDArray[np.float64], Balance], NDArray[np.float64]]] = {
    "natural": lambda counts_K, _: counts_K,
    "sqrt": lambda counts_K, _: _power(counts_K, 0.5),
    "balanced": lambda counts_K, _: _power(counts_K, 0.0),
    "repeat-factor": lambda counts_K, cfg: _repeated(counts_K, cfg.repeat_threshold),
    "oversample": lambda counts_K, _: (counts_K > 0) * counts_K.max(),
    "undersample": lambda counts_K, _: (counts_K > 0) * counts_K[counts_K > 0].min(),
    "progressive": lambda counts_K, _: (_power(counts_K, 1.0) + _power(counts_K, 0.0)) / 2,
}
"""How often each class is drawn; whole numbers where a pass is an explicit list."""

LISTED = ("repeat-factor", "oversample", "undersample")


def draws_per_epoch(cfg: Balance, counts_K: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how often an epoch draws each class, on average over the run.

    Args:
        cfg: ``cfg.sampling`` and its settings.
        counts_K: Train samples of each class.

    Returns:
        float64 ``[K]`` that sums to N; 0 for a class without samples.

    References:
        Kang et al. 2020, https://arxiv.org/abs/1910.09217, section 3 (sqrt, balanced: q = 1/2, 0;
        progressive: their mean over the run); Gupta et al. 2019, https://arxiv.org/abs/1908.03195
        (repeat-factor).

    Example:
        >>> from carscale.config import Balance
        >>> draws_per_epoch(Balance(sampling="undersample"), np.array([30, 10])).tolist()
        [20.0, 20.0]
    """
    counts = counts_K.astype(np.float64)
    raw_K = SAMPLINGS[cfg.sampling](counts, cfg).astype(np.float64)
    return raw_K * counts.sum() / raw_K.sum()


def sampler(cfg: Recipe, split: Split) -> Sampler:
    """Return the sampler that the settings name.

    Args:
        cfg: ``cfg.balance.sampling`` and its settings; the length of the run, for ``progressive``;
            ``cfg.finetune``.
        split: The train split.
    """
    sampling, labels_N = cfg.balance.sampling, split.labels_N
    if cfg.finetune.select is not None:
        selected = read_selected(Path(cfg.finetune.select), split)
        rates_L = label_rates(draws_per_epoch(cfg.balance, split.counts_K), split)
        return weighted(replay_weights(selected, rates_L[labels_N], cfg.finetune.replay))
    if cfg.data.synthetic_share is not None:
        rates_L = label_rates(draws_per_epoch(cfg.balance, split.counts_K), split)
        is_made_N = data.synthetic_ids(split.root)[split.ids_N]
        return weighted(
            rates_L[labels_N] * synthetic_rates(split, is_made_N, cfg.data.synthetic_share)
        )
    if sampling == "natural":
        return natural(len(labels_N))
    if sampling == "progressive":
        rates_L = label_rates(np.ones(len(split.classes)), split)
        return progressive(
            rates_L[labels_N], cfg.num_steps(len(labels_N)) * cfg.loader.global_batch_size
        )
    counts = split.counts_K.astype(np.float64)
    if sampling in LISTED:
        draws_K = SAMPLINGS[sampling](counts, cfg.balance)
        partial_M = np.bincount(labels_N, minlength=len(counts) + len(split.class_sets))[
            len(counts) :
        ]
        rates_M = label_rates(draws_K, split)[len(counts) :]
        draws_L = np.concatenate([draws_K, np.rint(partial_M * rates_M)])
        return listed(labels_N, stats.finite("draws", draws_L, low=0).astype(np.int64))
    return weighted(label_rates(draws_per_epoch(cfg.balance, split.counts_K), split)[labels_N])


def label_rates(draws_K: NDArray[np.float64], split: Split) -> NDArray[np.float64]:
    """Return how often a photo of each label is drawn.

    A partial label, that leaves several classes open, is drawn as their photos are on average.

    Args:
        draws_K: How often each class is.
        split: The train split.

    Returns:
        float64 ``[K + M]`` for K classes and M partial labels; 0 for a class without photos.
    """
    counts_K = split.counts_K
    sets = [[k] for k in range(len(counts_K))] + [list(one) for one in split.class_sets]
    return np.array([draws_K[one].sum() / max(1, counts_K[one].sum()) for one in sets])
