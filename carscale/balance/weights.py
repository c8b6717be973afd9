"""Weights from class counts. K classes, N samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.config import Balance


CLASS_WEIGHTS: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.float64]]] = {
    "none": lambda counts_K, _: np.ones_like(counts_K),
    "inverse": lambda counts_K, _: 1 / counts_K,
    "sqrt": lambda counts_K, _: 1 / np.sqrt(counts_K),
    "effective": lambda counts_K, beta: (1 - beta) / (1 - beta**counts_K),
}
"""Raw weights from counts of at least 1; ``class_weights`` scales them."""


def class_weights(
    counts_K: NDArray[np.int64], method: str, *, beta: float = 0.999
) -> NDArray[np.float32]:
    """Return loss weights whose mean over the samples is 1.

    Args:
        counts_K: Train samples of each class, ``>= 0``; a class without any gets weight 0.
        method: ``none``, ``inverse`` (1/n, scikit-learn's ``balanced``), ``sqrt`` (1/sqrt(n)) or
            ``effective`` (1 over the effective number of samples).
        beta: Of ``effective``, in [0, 1): 0 weighs all classes alike, towards 1 it is ``inverse``.

    Returns:
        float32 ``[K]``; ``sum(counts * weights) == sum(counts)``.

    Raises:
        ValueError: Unknown method, or no samples at all.

    References:
        King and Zeng 2001, https://doi.org/10.1093/oxfordjournals.pan.a004868 (inverse);
        Mahajan et al. 2018, https://arxiv.org/abs/1805.00932, section 2.2 (square root);
        Cui et al. 2019, https://arxiv.org/abs/1901.05555, eq. 8 (effective).

    Example:
        >>> class_weights(np.array([10, 30]), "inverse")
        array([2.       , 0.6666667], dtype=float32)
    """
    if method not in CLASS_WEIGHTS:
        raise ValueError(f"method must be one of {sorted(CLASS_WEIGHTS)}, got {method!r}")
    counts = counts_K.astype(np.float64)
    if counts.sum() <= 0:
        raise ValueError("counts_K holds no samples")
    raw_K = CLASS_WEIGHTS[method](np.maximum(counts, 1), beta) * (counts > 0)
    return (raw_K * counts.sum() / (raw_K * counts).sum()).astype(np.float32)


COMPENSATING_LOSSES = ("class-balanced-focal", "ldam", "logit-adjusted", "balanced-softmax")
"""Losses that favour rare classes by themselves."""


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
    means += [f"balance.loss={cfg.loss}"] if cfg.loss in COMPENSATING_LOSSES else []
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
