"""From correct and wrong predictions to verdicts: helps, hurts, no difference, inconclusive.

The rule, for each arm against the baseline, on the same photos with the same seeds:

1. The difference of a seed is the weighted mean over photos of (arm correct) - (baseline correct);
   top-1 weighs photos equally, balanced accuracy weighs classes equally.
2. Its interval is the wider of the t-interval over seeds and the bootstrap over photos of the
   means over seeds; its p the larger of theirs, corrected for the number of arms (Holm).
3. ``helps`` and ``hurts``: the 95 % interval excludes 0 and the corrected p is below 0.05.
   ``no difference``: else, the interval lies within the margin. All else ``inconclusive``, with
   what would settle it. One seed never settles anything.

Axes: S seeds, N photos, K classes, A arms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from carscale import stats
from carscale.verdicts.power import SampleSize, Spread, sample_size, spread_of
from carscale.verdicts.text import p_text, points

if TYPE_CHECKING:
    from numpy.typing import NDArray


LEVEL = 0.95
METRICS = {"top1": "top-1", "balanced_accuracy": "balanced accuracy"}
MIN_SEEDS = 3
"""Seeds that are asked for where there is one; two make an interval 3 times as wide as three."""

Word = Literal["helps", "hurts", "no difference", "inconclusive", "no finished run"]


@dataclass(frozen=True, eq=False)
class Pair:
    """Whether an arm and the baseline predicted each photo correctly.

    Attributes:
        correct_SN, base_SN: Of the arm, of the baseline; bool, row for row the same seed, column
            for column the same photo.
        seeds: The seed of each row.
    """

    correct_SN: NDArray[np.bool_]
    base_SN: NDArray[np.bool_]
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Difference:
    """A mean difference with its interval, as shares (0.01 is one point).

    Attributes:
        value: Mean over seeds.
        per_seed: Of each seed.
        interval: The wider of the next two.
        by_seeds: Paired t-interval; ``None`` with one seed.
        by_photos: Paired bootstrap.
        spread: The variance by source.
    """

    value: float
    per_seed: tuple[float, ...]
    interval: stats.Interval
    by_seeds: stats.Interval | None
    by_photos: stats.Interval
    spread: Spread

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval shows a direction; never by one seed."""
        return self.by_seeds is not None and (self.interval.low > 0 or self.interval.high < 0)


@dataclass(frozen=True)
class SeedChange:
    """One seed of an arm against the same seed of the baseline.

    Attributes:
        seed: Which.
        difference: As a share.
        num_gained, num_lost: Photos that only the arm, only the baseline predicted correctly.
        mcnemar_p: Exact, two-sided; of this pair of runs only.
    """

    seed: int
    difference: float
    num_gained: int
    num_lost: int
    mcnemar_p: float


@dataclass(frozen=True)
class ClassChange:
    """The change of one class's recall; not corrected for multiple comparisons.

    Attributes:
        label: The class's number.
        support: Photos of it.
        difference, low, high: As shares.
        stands_out: The interval excludes 0; of 20 unchanged classes about one does by chance.
    """

    label: int
    support: int
    difference: float
    low: float
    high: float
    stands_out: bool


@dataclass(frozen=True)
class Verdict:
    """The verdict on an arm.

    Attributes:
        word: The verdict.
        text: The word with what would settle it, as tables show it.
        sentence: With difference, interval and p.
        difference: ``None`` without a pair of runs.
        p_holm: Corrected for the number of arms.
        seeds: A row per seed.
        classes: A row per class with photos.
        sample_size: What would settle it; only where the word is ``inconclusive``.
    """

    word: Word
    text: str
    sentence: str
    difference: Difference | None = None
    p_holm: float | None = None
    seeds: tuple[SeedChange, ...] = ()
    classes: tuple[ClassChange, ...] = ()
    sample_size: SampleSize | None = None


def judge_pairs(
    pairs: Mapping[str, Pair | None],
    labels_N: NDArray[np.int64],
    *,
    metric: str = "top1",
    margin: float = 0.01,
    split: str = "val",
) -> dict[str, Verdict]:
    """Return a verdict per arm, by the rule above.

    Args:
        pairs: Arm by name; ``None`` has no run that could be paired yet.
        labels_N: True classes of the photos.
        metric: ``top1`` or ``balanced_accuracy``.
        margin: Smaller differences count as none, as a share.
        split: Its name, for the words.

    Raises:
        ValueError: An unknown metric, a margin that is not above 0, or shapes that do not fit.
    """
    if not margin > 0:
        raise ValueError(f"margin must be > 0, got {margin}")
    found = {
        name: measure(_minus(pair, labels_N), labels_N, metric=metric)
        for name, pair in pairs.items()
        if pair is not None
    }
    adjusted = stats.holm([difference.interval.p for difference in found.values()])
    p_holm = dict(zip(found, adjusted.tolist(), strict=True))
    verdicts = {}
    for name, pair in pairs.items():
        if pair is None:
            words = "No finished run yet that could be paired with the baseline."
            verdicts[name] = Verdict("no finished run", "no finished run", words)
            continue
        difference = found[name]
        word, text, more = _word(difference, p_holm[name], len(found), margin, split)
        verdicts[name] = Verdict(
            word,
            text,
            _sentence(difference, text, p_holm[name], METRICS[metric]),
            difference,
            p_holm[name],
            _seed_changes(pair, difference),
            _class_changes(_minus(pair, labels_N), labels_N),
            more,
        )
    return verdicts


def measure(
    differences_SN: NDArray[np.float64], labels_N: NDArray[np.int64], *, metric: str = "top1"
) -> Difference:
    """Return the mean difference of a metric and its interval.

    Args:
        differences_SN: Arm minus baseline of each seed and photo, or a sum of such; float.
        labels_N: True classes of the photos.
        metric: ``top1`` or ``balanced_accuracy``.

    Raises:
        ValueError: No seeds or no photos, or a difference that is not finite.
    """
    stats.finite("differences_SN", differences_SN)
    if len(differences_SN) == 0:
        raise ValueError("a comparison needs a seed that both have")
    weights_N, strata_N = _weigh(labels_N, metric)
    per_seed_S = differences_SN @ weights_N
    by_photos = stats.photo_interval(differences_SN.mean(axis=0), weights_N, strata_N, level=LEVEL)
    by_seeds = stats.seed_interval(per_seed_S, level=LEVEL) if len(per_seed_S) > 1 else None
    return Difference(
        value=float(per_seed_S.mean()),
        per_seed=tuple(per_seed_S.tolist()),
        interval=by_photos if by_seeds is None else stats.wider(by_seeds, by_photos),
        by_seeds=by_seeds,
        by_photos=by_photos,
        spread=spread_of(differences_SN, weights_N, by_photos.error),
    )


def score(correct_N: NDArray[np.bool_], labels_N: NDArray[np.int64], metric: str) -> float:
    """Return one run's metric, as a share."""
    return float(correct_N @ _weigh(labels_N, metric)[0])


def _minus(pair: Pair, labels_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return arm minus baseline; -1, 0 or 1."""
    wanted = (len(pair.seeds), len(labels_N))
    if pair.correct_SN.shape != wanted or pair.base_SN.shape != wanted:
        shapes = f"{pair.correct_SN.shape} and {pair.base_SN.shape}"
        raise ValueError(f"predictions must be of shape {wanted} (seeds, photos), got {shapes}")
    return pair.correct_SN.astype(np.float64) - pair.base_SN


def _weigh(
    labels_N: NDArray[np.int64], metric: str
) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
    """Return the photos' weights in a metric, and the strata they are resampled within.

    Classes of one photo are resampled together: alone they would not vary.
    """
    if len(labels_N) == 0:
        raise ValueError("a comparison needs photos")
    if metric == "top1":
        return np.full(len(labels_N), 1 / len(labels_N)), None
    if metric != "balanced_accuracy":
        raise ValueError(f"metric must be of {', '.join(METRICS)}, got {metric!r}")
    counts_K = np.bincount(labels_N)
    count_N = counts_K[labels_N]
    return 1 / ((counts_K > 0).sum() * count_N), np.where(count_N == 1, -1, labels_N)


def _word(
    found: Difference, p_holm: float, num_arms: int, margin: float, split: str
) -> tuple[Word, str, SampleSize | None]:
    """Return the verdict, its text, and what would settle it."""
    if found.by_seeds is None:
        more = SampleSize(MIN_SEEDS - 1, None)
        return "inconclusive", f"inconclusive: needs at least {more.seeds} more seeds", more
    if found.excludes_zero and p_holm < 1 - LEVEL:
        word: Word = "helps" if found.value > 0 else "hurts"
        return word, word, None
    reach = max(abs(found.interval.low), abs(found.interval.high))
    if reach <= margin:
        shown = math.ceil(1000 * reach - 1e-9) / 10  # rounded up, so that it holds
        return "no difference", f"no difference beyond ±{shown:.1f} points", None
    more = _needed(found, num_arms, margin)
    return "inconclusive", f"inconclusive: {more.words(split)}", more


def _needed(found: Difference, num_arms: int, margin: float) -> SampleSize:
    """Return the sample size that settles it, by whichever is nearer: a direction or no difference.

    A direction must pass the correction for arms too, here by the level of its strictest step.
    """
    to_zero, to_margin = abs(found.value), margin - abs(found.value)
    if to_zero < to_margin:
        return sample_size(found.spread, half_width=to_margin, level=LEVEL)
    return sample_size(found.spread, half_width=to_zero, level=1 - (1 - LEVEL) / num_arms)


def _sentence(found: Difference, text: str, p_holm: float, metric: str) -> str:
    """Return a verdict with its numbers."""
    low, high = points(found.interval.low), points(found.interval.high)
    other = "photos" if found.interval.source == "seeds" else "seeds"
    where = f"over {found.interval.source}, wider than over {other}"
    if found.by_seeds is None:
        where = "over photos only: one seed shows no variation over seeds"
    return (
        f"{text[0].upper()}{text[1:]}. {points(found.value)} points of {metric}, "
        f"95 % interval {low} to {high} ({where}), p {p_text(p_holm)}."
    )


def _seed_changes(pair: Pair, found: Difference) -> tuple[SeedChange, ...]:
    """Return a row per seed."""
    gained_S = (pair.correct_SN & ~pair.base_SN).sum(axis=1).tolist()
    lost_S = (~pair.correct_SN & pair.base_SN).sum(axis=1).tolist()
    return tuple(
        SeedChange(seed, difference, gained, lost, stats.mcnemar(gained, lost))
        for seed, difference, gained, lost in zip(
            pair.seeds, found.per_seed, gained_S, lost_S, strict=True
        )
    )


def _class_changes(
    differences_SN: NDArray[np.float64], labels_N: NDArray[np.int64]
) -> tuple[ClassChange, ...]:
    """Return the change of each class's recall: the wider of two t-intervals, seeds and photos."""
    num_seeds = len(differences_SN)
    support_K = np.bincount(labels_N)
    held_K = np.flatnonzero(support_K)
    size_K = support_K[held_K]
    sums_SK = np.stack([np.bincount(labels_N, row)[held_K] for row in differences_SN])
    recall_SK, mean_N = sums_SK / size_K, differences_SN.mean(axis=0)
    mean_K = recall_SK.mean(axis=0)
    squares_K = np.bincount(labels_N, np.square(mean_N))[held_K] - size_K * np.square(mean_K)
    few_K = np.maximum(2, size_K)
    error_K = np.sqrt(np.maximum(0, squares_K) / (few_K - 1) / few_K + 1 / np.square(size_K))
    reach_K = np.where(size_K > 1, stats.t_quantile(LEVEL, few_K) * error_K, 2.0)
    if num_seeds > 1:
        by_seeds_K = recall_SK.std(axis=0, ddof=1) / math.sqrt(num_seeds)
        reach_K = np.maximum(reach_K, stats.t_quantile(LEVEL, num_seeds) * by_seeds_K)
    low_K, high_K = np.maximum(-1, mean_K - reach_K), np.minimum(1, mean_K + reach_K)
    out_K = ((low_K > 0) | (high_K < 0)) & (num_seeds > 1)
    columns = (held_K, size_K, mean_K, low_K, high_K, out_K)
    return tuple(
        ClassChange(*row) for row in zip(*(column.tolist() for column in columns), strict=True)
    )
