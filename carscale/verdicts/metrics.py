"""A metric as a sum over photos, so that one rule judges all of them. S runs, N photos, K classes.

Each photo's *term* is its part of the metric: the terms of a run add up to the metric's value, and
their variance over photos is that of the metric. Top-1, balanced accuracy and log loss are such
sums; macro F1 is not, and is linearised: its terms are the influence of each photo.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, get_args

import numpy as np

from carscale.config import StudyMetric
from carscale.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


METRICS: dict[str, str] = {
    "top1": "top-1",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "log_loss": "log loss",
}
"""Key and name. Log loss is negated, so that more is better; 0.01 of it counts as a point."""
assert set(METRICS) == set(get_args(StudyMetric))

OF_CLASSES = ("balanced_accuracy", "macro_f1")
"""Means over classes: a class without photos would be missing from them unseen."""


def terms_of(
    predictions_SN: NDArray[np.int64],
    losses_SN: NDArray[np.floating],
    labels_N: NDArray[np.int64],
    metric: str,
) -> NDArray[np.float64]:
    """Return each photo's part of the metric ``[S, N]``; a row's sum is the run's value.

    Args:
        predictions_SN: Predicted classes.
        losses_SN: ``-log p(true class)``; read for ``log_loss`` alone.
        labels_N: True classes.
        metric: A key of ``METRICS``.

    Raises:
        ValueError: An unknown metric, no photos, or shapes that do not fit.

    Reference:
        Influence of a photo on a class's F1 ``2 TP / (n + p)``: the delta method; see Efron and
        Tibshirani 1993, An Introduction to the Bootstrap, chapter 21.

    Example:
        >>> labels, said = np.array([0, 0, 1]), np.array([[0, 1, 1]])
        >>> terms_of(said, np.zeros((1, 3)), labels, "balanced_accuracy").tolist()
        [[0.25, 0.0, 0.5]]
    """
    if predictions_SN.shape[1:] != labels_N.shape or losses_SN.shape != predictions_SN.shape:
        raise ValueError(
            f"predictions and losses must be of shape (seeds, {len(labels_N)}), got "
            f"{predictions_SN.shape} and {losses_SN.shape}"
        )
    weights_N = weights_of(labels_N, metric)
    if metric == "log_loss":
        return np.asarray(-losses_SN.astype(np.float64) * weights_N)
    if metric == "macro_f1":
        return np.stack([_f1_terms(row, labels_N) for row in predictions_SN])
    return np.asarray((predictions_SN == labels_N) * weights_N)


def weights_of(labels_N: NDArray[np.int64], metric: str) -> NDArray[np.float64]:
    """Return the share of each photo in a metric; they add up to 1.

    Raises:
        ValueError: An unknown metric, or no photos.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be of {', '.join(METRICS)}, got {metric!r}")
    if len(labels_N) == 0:
        raise ValueError("a comparison needs photos")
    if metric not in OF_CLASSES:
        return np.full(len(labels_N), 1 / len(labels_N))
    counts_K = np.bincount(labels_N)
    return np.asarray(1 / ((counts_K > 0).sum() * counts_K[labels_N]))


def strata_of(labels_N: NDArray[np.int64], metric: str) -> NDArray[np.int64]:
    """Return the groups that photos vary within: classes where the metric is a mean over them.

    Classes of one photo are one group together: alone they would not vary.
    """
    if metric not in OF_CLASSES:
        return np.zeros(len(labels_N), dtype=np.int64)
    counts_K = np.bincount(labels_N)
    few_N = counts_K[labels_N] == 1
    return np.unique(np.where(few_N, -1, labels_N), return_inverse=True)[1].astype(np.int64)


def check_support(support: Mapping[str, int], split: str, metric: str) -> None:
    """Raise where a metric is a mean over classes and a class has no photos in the split.

    Raises:
        DataError: Names the first of them.
    """
    missing = [name for name, count in support.items() if not count]
    if metric in OF_CLASSES and missing:
        raise DataError(
            f"{metric}: {split} has no photos of {len(missing)} of {len(support)} classes "
            f"(first: {missing[0]}), so their part of the mean can't be measured",
            "compare by another metric (top1, log_loss), or freeze with more photos of them",
        )


def _f1_terms(predictions_N: NDArray[np.int64], labels_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return one run's macro F1 as terms: a photo's influence, and its share of the value."""
    size = int(max(labels_N.max(), predictions_N.max())) + 1
    support_K = np.bincount(labels_N, minlength=size)
    correct_N = predictions_N == labels_N
    total_K = support_K + np.bincount(predictions_N, minlength=size)
    held_K = support_K > 0
    f1_K = 2 * np.bincount(labels_N[correct_N], minlength=size) / np.maximum(1, total_K)
    scale_K = held_K / (held_K.sum() * np.maximum(1, total_K))  # 0 for classes without photos
    lost_K = f1_K * scale_K
    influence_N = 2 * correct_N * scale_K[labels_N] - lost_K[labels_N] - lost_K[predictions_N]
    value = float(f1_K[held_K].mean())
    return np.asarray(influence_N + value * weights_of(labels_N, "macro_f1"))
