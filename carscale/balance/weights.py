"""Weights from class counts. K classes, N samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.config import Balance
    from carscale.types import Split

__all__ = [
    "CLASS_WEIGHTS",
    "SAMPLINGS",
    "class_weights",
    "double_compensation",
    "sampling_weights",
]

CLASS_WEIGHTS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "none": np.ones_like,
    "inverse": lambda counts_K: 1 / counts_K,
    "sqrt": lambda counts_K: 1 / np.sqrt(counts_K),
}
"""Raw weights from counts of at least 1; ``class_weights`` scales them."""

SAMPLINGS: dict[str, float] = {"natural": 1.0, "sqrt": 0.5, "balanced": 0.0}
"""The power q of a class's share: it is drawn with probability ``n^q / sum n^q``."""


def class_weights(counts_K: NDArray[np.int64], method: str) -> NDArray[np.float32]:
    """Return loss weights whose mean over the samples is 1.

    Args:
        counts_K: Train samples of each class, ``>= 0``; a class without any gets weight 0.
        method: ``none``, ``inverse`` (1/n, scikit-learn's ``balanced``) or ``sqrt`` (1/sqrt(n)).

    Returns:
        float32 ``[K]``; ``sum(counts * weights) == sum(counts)``.

    Raises:
        ValueError: Unknown method, or no samples at all.

    Reference:
        King and Zeng 2001, https://doi.org/10.1093/oxfordjournals.pan.a004868 (inverse);
        Mahajan et al. 2018, https://arxiv.org/abs/1805.00932, section 2.2 (square root).

    Example:
        >>> class_weights(np.array([10, 30]), "inverse")
        array([2.       , 0.6666667], dtype=float32)
    """
    if method not in CLASS_WEIGHTS:
        raise ValueError(f"method must be one of {sorted(CLASS_WEIGHTS)}, got {method!r}")
    counts = counts_K.astype(np.float64)
    if counts.sum() <= 0:
        raise ValueError("counts_K holds no samples")
    raw_K = CLASS_WEIGHTS[method](np.maximum(counts, 1)) * (counts > 0)
    return (raw_K * counts.sum() / (raw_K * counts).sum()).astype(np.float32)


def sampling_weights(cfg: Balance, split: Split) -> NDArray[np.float64] | None:
    """Return the probability of each sample at every draw; ``None`` for each once an epoch.

    Args:
        cfg: ``cfg.sampling`` is ``natural``, ``sqrt`` or ``balanced``.
        split: The train split.

    Returns:
        float64 ``[N]`` that sums to 1, or ``None`` for ``natural``.

    Reference:
        Kang et al. 2020, https://arxiv.org/abs/1910.09217, section 3 (q = 1, 1/2, 0).
    """
    if cfg.sampling == "natural":
        return None
    counts_K = split.counts_K.astype(np.float64)
    share_K = np.where(counts_K > 0, np.maximum(counts_K, 1) ** SAMPLINGS[cfg.sampling], 0)
    share_K /= share_K.sum()
    return (share_K / np.maximum(counts_K, 1))[split.labels_N]


def double_compensation(cfg: Balance) -> str | None:
    """Say so when rare classes are favoured more than once; ``None`` when they are not.

    Example:
        >>> from carscale.config import Balance
        >>> double_compensation(Balance(sampling="balanced", class_weights="inverse"))
        'rare classes are favoured twice: balance.sampling=balanced, balance.class_weights=inverse;
        ...'
    """
    means = [f"balance.sampling={cfg.sampling}"] if cfg.sampling != "natural" else []
    means += [f"balance.class_weights={cfg.class_weights}"] if cfg.class_weights != "none" else []
    if len(means) < 2:
        return None
    means += (
        [f"balance.loss=focal, gamma={cfg.gamma:g}"] if cfg.loss == "focal" and cfg.gamma else []
    )
    times = {2: "twice", 3: "three times"}[len(means)]
    return (
        f"rare classes are favoured {times}: {', '.join(means)}; "
        "they will be predicted too often. Keep one, or compare the arms"
    )
