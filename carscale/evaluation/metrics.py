"""Numbers from predictions. N samples, K classes, R bootstrap replicates."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import stats
from carscale.types import ROUNDING, CarClass, Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray


NUM_BINS = 15
NUM_RESAMPLES = 1000
MAX_DRAWS = 200_000_000
"""Bootstrap replicates times samples: beyond a million samples fewer replicates do."""

LOW_RECALL_RULE = (
    "A class has low recall when the upper end of its recall's 95 % interval lies below the mean "
    "recall of all classes."
)


def confusion_matrix(
    labels_N: NDArray[np.int64], prediction_N: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """Return counts ``[K, K]``: row the true class, column the predicted one.

    Raises:
        ValueError: A label or prediction is not in ``[0, K)``.

    Example:
        >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2).tolist()
        [[1, 1], [0, 1]]
    """
    for name, numbers_N in (("labels_N", labels_N), ("prediction_N", prediction_N)):
        _check_classes(name, numbers_N, num_classes)
    cells_N = labels_N * num_classes + prediction_N
    return np.bincount(cells_N, minlength=num_classes**2).reshape(num_classes, num_classes)


def calibration_error(
    confidence_N: NDArray[np.float32], is_correct_N: NDArray[np.bool_], num_bins: int = NUM_BINS
) -> float:
    """Return the expected calibration error: how far confidence lies from accuracy, bin by bin.

    Args:
        confidence_N: Probability of the predicted class, in [0, 1].
        is_correct_N: Whether the prediction is the label.
        num_bins: Bins ``(0, 1/n], (1/n, 2/n] ...``.

    Returns:
        ``sum over bins of |sum(confidence) - sum(correct)| / N``, in [0, 1]; NaN for no samples.

    Raises:
        ValueError: A confidence is not a number in [0, 1].

    Reference:
        Guo et al. 2017, https://arxiv.org/abs/1706.04599, eq. 3.
    """
    if len(confidence_N) == 0:
        return math.nan
    bins_N = confidence_bins(confidence_N, num_bins)
    gaps = np.bincount(bins_N, confidence_N - is_correct_N.astype(np.float64), minlength=num_bins)
    return float(np.abs(gaps).sum() / len(confidence_N))


def confidence_bins(
    confidence_N: NDArray[np.floating], num_bins: int = NUM_BINS
) -> NDArray[np.int64]:
    """Return the bin of each confidence, ``(0, 1/n], (1/n, 2/n] ...``; 0 is in the first.

    Raises:
        ValueError: A confidence is not a number in [0, 1], up to rounding.

    Example:
        >>> confidence_bins(np.array([0.0, 0.5, 0.51, 1.0]), 2).tolist()
        [0, 0, 1, 1]
    """
    sure_N = stats.finite("confidence_N", confidence_N, low=-ROUNDING, high=1 + ROUNDING)
    return np.clip(np.ceil(sure_N * num_bins).astype(np.int64) - 1, 0, num_bins - 1)


def scores(predictions: Predictions, num_classes: int) -> dict[str, float]:
    """Return top-1, top-5, macro-F1, balanced accuracy, ECE and the mean loss.

    Macro-F1 and balanced accuracy average over the classes that the split holds.

    Raises:
        ValueError: There are no predictions, or they hold a number that can't be.
    """
    _check(predictions, num_classes)
    if len(predictions) == 0:
        raise ValueError("metrics need predictions of one photo at least, got none")
    rows_N = np.arange(len(predictions))
    values = _resampled_scores(predictions, num_classes, rows_N)
    return values | {"loss": float(predictions.loss_N.astype(np.float64).mean())}


def per_class(
    predictions: Predictions,
    classes: tuple[CarClass, ...],
    train_counts_K: NDArray[np.int64] | None = None,
) -> list[dict[str, Any]]:
    """Return one row per class: support, precision, recall and F1 with intervals, low recall.

    A number that does not exist (recall without photos, precision without predictions) is ``None``.

    Raises:
        ValueError: A label or prediction is not in ``[0, K)``.
    """
    counts_KK = confusion_matrix(predictions.labels_N, predictions.prediction_N, len(classes))
    correct_K, support_K, predicted_K = (
        counts_KK.diagonal(),
        counts_KK.sum(axis=1),
        counts_KK.sum(axis=0),
    )
    recall_low, recall_high = stats.jeffreys(correct_K, support_K)
    precision_low, precision_high = stats.jeffreys(correct_K, predicted_K)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall_K, precision_K = correct_K / support_K, correct_K / predicted_K
        f1_K = 2 * correct_K / (support_K + predicted_K)
    has_support = support_K > 0
    mean_recall = recall_K[has_support].mean() if has_support.any() else math.nan
    columns: dict[str, NDArray[Any]] = {
        "support": support_K,
        "recall": recall_K,
        "recall_low": recall_low,
        "recall_high": recall_high,
        "precision": precision_K,
        "precision_low": precision_low,
        "precision_high": precision_high,
        "f1": np.where(has_support, f1_K, np.nan),
        "has_low_recall": has_support & (recall_high < mean_recall),
    }
    if train_counts_K is not None:
        columns["train_count"] = train_counts_K
    return [
        {"class": car_class.name}
        | {name: _plain(column[index]) for name, column in columns.items()}
        for index, car_class in enumerate(classes)
    ]


def summary(
    predictions: Predictions,
    classes: tuple[CarClass, ...],
    train_counts_K: NDArray[np.int64] | None = None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Return all metrics of a split as plain data for ``metrics.json``.

    Args:
        predictions: Of every sample of the split.
        classes: The class list.
        train_counts_K: Train photos of each class.
        seed: Of the bootstrap.

    Returns:
        Values with 95 % intervals (bootstrap inside each class), rows a class, and the classes
        without photos.

    Raises:
        ValueError: There are no predictions, or they hold a number that can't be.
    """
    values = scores(predictions, len(classes))
    intervals = _bootstrap(predictions, len(classes), seed)
    rows = per_class(predictions, classes, train_counts_K)
    return {
        "num_samples": len(predictions),
        "loss": values.pop("loss"),
        **{name: {"value": value, **intervals[name]} for name, value in values.items()},
        "per_class": rows,
        "without_support": [row["class"] for row in rows if row["support"] == 0],
        "low_recall_classes": [row["class"] for row in rows if row["has_low_recall"]],
        "low_recall_rule": LOW_RECALL_RULE,
        "about": predictions.about,
    }


def _check(predictions: Predictions, num_classes: int) -> None:
    """Raise unless every number is one that a metric can be computed of."""
    if predictions.fault:
        raise ValueError(f"predictions must hold numbers: {predictions.fault}")
    for name in ("labels_N", "prediction_N"):
        _check_classes(name, getattr(predictions, name), num_classes)


def _check_classes(name: str, numbers_N: NDArray[np.int64], num_classes: int) -> None:
    """Raise unless class numbers are in ``[0, K)``."""
    num_bad = int(((numbers_N < 0) | (numbers_N >= num_classes)).sum())
    if num_bad:
        raise ValueError(
            f"{name} must lie in [0, {num_classes}), {num_bad} of {len(numbers_N)} do not"
        )


def _resampled_scores(
    predictions: Predictions, num_classes: int, rows_N: NDArray[np.int64]
) -> dict[str, float]:
    """Return the scores of some rows, a row perhaps several times."""
    labels_N, guess_N = predictions.labels_N[rows_N], predictions.prediction_N[rows_N]
    is_correct_N = labels_N == guess_N
    correct_K = np.bincount(labels_N[is_correct_N], minlength=num_classes)
    support_K = np.bincount(labels_N, minlength=num_classes)
    predicted_K = np.bincount(guess_N, minlength=num_classes)
    has_support_K = support_K > 0
    in_top5_N = (predictions.top5_NT[rows_N] == labels_N[:, None]).any(axis=1)
    return {
        "top1": float(is_correct_N.mean()),
        "top5": float(in_top5_N.mean()),
        "macro_f1": float(
            (2 * correct_K[has_support_K] / (support_K + predicted_K)[has_support_K]).mean()
        ),
        "balanced_accuracy": float((correct_K[has_support_K] / support_K[has_support_K]).mean()),
        "ece": calibration_error(predictions.prob_prediction_N[rows_N], is_correct_N),
    }


def _bootstrap(
    predictions: Predictions, num_classes: int, seed: int, *, num_resamples: int = NUM_RESAMPLES
) -> dict[str, dict[str, float]]:
    """Return 95 % intervals of the scores.

    Resamples are worse calibrated than the sample is: each photo that is drawn twice makes a bin
    noisier. That bias is taken off the interval of the calibration error (Efron and Tibshirani
    1993, An Introduction to the Bootstrap, chapter 10).
    """
    affordable = max(100, MAX_DRAWS // max(1, len(predictions)))
    resamples = stats.stratified_resamples(
        predictions.labels_N, num_resamples=min(num_resamples, affordable), seed=seed
    )
    replicates = [_resampled_scores(predictions, num_classes, rows_N) for rows_N in resamples]
    intervals = {}
    for name in replicates[0]:
        values_R = np.array([values[name] for values in replicates])
        low, high = stats.percentile_interval(values_R)
        if name == "ece":
            value = _resampled_scores(predictions, num_classes, np.arange(len(predictions)))[name]
            bias = float(values_R.mean()) - value
            low, high = max(0.0, low - bias), min(1.0, high - bias)
        intervals[name] = {"low": low, "high": high}
    return intervals


def _plain(value: Any) -> int | float | bool | None:  # noqa: ANN401 - numpy scalars of any kind
    """Return a number that JSON can hold; NaN is ``None``."""
    plain = value.item()
    return None if isinstance(plain, float) and math.isnan(plain) else plain
