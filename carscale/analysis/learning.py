"""How many train photos a class lacks, by a learning curve. K classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carscale import stats
from carscale.analysis.result import LearningRow

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from carscale.analysis.result import Evidence


Slope = tuple[float, float, float]
"""Exponent of the learning curve ``error ~ photos**-slope``, and its 95 % interval."""

PRIOR = 5.0
"""Photos at the mean error that each class is given: small classes are pulled to the mean."""

MAX_FACTOR = 10
MIN_CLASSES = 8


def class_errors(evidence: Evidence) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return mistakes and photos of each class, of the split and, with folds, of train."""
    num_classes = len(evidence.classes)
    parts = [evidence.predictions]
    if evidence.train is not None and evidence.train.folds is not None:
        parts.append(evidence.train.folds)
    wrong_K = sum(
        np.bincount(part.labels_N[part.labels_N != part.prediction_N], minlength=num_classes)
        for part in parts
    )
    support_K = sum(np.bincount(part.labels_N, minlength=num_classes) for part in parts)
    return np.asarray(wrong_K), np.asarray(support_K)


def slope_of_classes(counts_K: ArrayLike, wrong_K: ArrayLike, support_K: ArrayLike) -> Slope | None:
    """Return the exponent of ``error ~ photos**-slope`` over classes, by weighted least squares.

    It takes classes to be equally hard on average whatever their number of photos.

    Args:
        counts_K: Train photos.
        wrong_K: Mistakes on photos that were not trained on.
        support_K: Those photos.

    Returns:
        ``None`` with fewer than 8 classes, or where the counts hardly differ.

    Reference:
        Hestness et al. 2017, https://arxiv.org/abs/1712.00409, for the power law.

    Example:
        >>> photos = np.array([10, 20, 40, 80, 10, 20, 40, 80])
        >>> slope, low, high = slope_of_classes(photos, 1000 / photos**0.5, np.full(8, 1000))
        >>> round(slope, 2)
        0.5
    """
    counts, wrong = np.asarray(counts_K, dtype=float), np.asarray(wrong_K, dtype=float)
    support = np.asarray(support_K, dtype=float)
    kept = (counts > 0) & (support > 0)
    counts, wrong, support = counts[kept], wrong[kept], support[kept]
    if len(counts) < MIN_CLASSES or wrong.sum() == 0 or np.log(counts).std() < 0.1:
        return None
    share = (wrong + 0.5) / (support + 1)
    y, x = np.log(share), -np.log(counts)
    slope, error = _fit_line(x, y, (1 - share.mean()) / (support * share.mean()))
    for _ in range(5):  # the chance in a class's count, by its fitted share and not the seen one
        fitted = np.exp(np.clip(y.mean() + slope * (x - x.mean()), -9, -0.05))
        slope, error = _fit_line(x, y, (1 - fitted) / (support * fitted))
    reach = float(stats.t_quantile(0.95, len(x) - 2)) * error
    return slope, slope - reach, slope + reach


def _fit_line(
    x_K: NDArray[np.float64], y_K: NDArray[np.float64], noise_K: NDArray[np.float64]
) -> tuple[float, float]:
    """Return a line's slope and its standard error.

    Points scatter by known noise and, besides, by how hard classes are, which the rest tells.
    """
    plain = np.polyfit(x_K, y_K, 1)
    rest_K = y_K - np.polyval(plain, x_K)
    between = max(0.0, float((rest_K**2).sum() / (len(x_K) - 2) - noise_K.mean()))
    weights_K = 1 / (between + noise_K)
    centre = np.average(x_K, weights=weights_K)
    spread = float((weights_K * (x_K - centre) ** 2).sum())
    slope = float((weights_K * (x_K - centre) * y_K).sum() / spread)
    rest_K = y_K - np.average(y_K, weights=weights_K) - slope * (x_K - centre)
    excess = max(1.0, float((weights_K * rest_K**2).sum() / (len(x_K) - 2)))
    return slope, float(np.sqrt(excess / spread))


def photos_needed(
    counts_K: NDArray[np.int64],
    wrong_K: NDArray[np.int64],
    support_K: NDArray[np.int64],
    slope: Slope,
) -> tuple[LearningRow, ...]:
    """Return how many photos bring each worse class to the mean error, the highest error first.

    Args:
        counts_K: Train photos.
        wrong_K: Mistakes on photos that were not trained on.
        support_K: Those photos.
        slope: Of the learning curve, with its interval.

    Returns:
        Rows of the classes whose error, pulled to the mean by five photos' worth, exceeds it.

    Example:
        >>> rows = photos_needed(
        ...     np.array([10, 100]), np.array([60, 20]), np.array([100, 100]), (0.5, 0.5, 0.5)
        ... )
        >>> [(row.number, row.more) for row in rows]
        [(0, 12)]
    """
    has_K = support_K > 0
    if not has_K.any() or slope[0] <= 0:
        return ()
    target = float((wrong_K[has_K] / support_K[has_K]).mean())
    if target == 0:
        return ()
    error_K = (wrong_K + PRIOR * target) / (support_K + PRIOR)
    rows = []
    for k in np.flatnonzero(has_K & (error_K > target)).tolist():
        count = int(counts_K[k])
        ratio = float(error_K[k] / target)
        more, high, low = (_more(count, ratio, exponent) for exponent in slope)
        rows.append(LearningRow(k, count, float(error_K[k]), target, more, low, high))
    return tuple(sorted(rows, key=lambda row: (-row.error, row.number)))


def _more(count: int, ratio: float, exponent: float) -> int | None:
    """Return the photos to add; ``None`` where it is more than ten times what is there."""
    if exponent <= 0:
        return None
    log_factor = np.log(ratio) / exponent
    if log_factor > np.log(MAX_FACTOR + 1):
        return None
    return int(np.ceil(max(1, count) * np.expm1(log_factor) - 1e-9))
