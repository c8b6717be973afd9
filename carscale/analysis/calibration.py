"""Calibration and selective prediction. N samples, R bins, S steps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from carscale import evaluation, stats
from carscale.analysis.result import Calibration, Reliability

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Predictions


NUM_BINS = 15
MAX_STEPS = 200
MAX_LOGS = 1 << 25
"""Probabilities that the temperature is fitted to: 256 MiB of logarithms."""


def calibrate(predictions: Predictions) -> Calibration:
    """Return calibration errors, the temperature that would help, and the coverage curve."""
    is_correct_N = predictions.prediction_N == predictions.labels_N
    confidence_N = predictions.prob_prediction_N
    coverage_S, accuracy_S, confidence_S = coverage_curve(confidence_N, is_correct_N)
    temperature = None
    if predictions.probs_NK is not None and len(predictions):
        step = -(-predictions.probs_NK.size // MAX_LOGS)
        logs_NK = evaluation.floored_log(predictions.probs_NK[::step])
        temperature = evaluation.fit_temperature(logs_NK, predictions.labels_N[::step])
    return Calibration(
        ece=evaluation.calibration_error(confidence_N, is_correct_N),
        adaptive_ece=adaptive_error(confidence_N, is_correct_N),
        temperature=temperature,
        coverage_S=coverage_S,
        accuracy_S=accuracy_S,
        confidence_S=confidence_S,
    )


def reliability(predictions: Predictions, num_bins: int = NUM_BINS) -> Reliability:
    """Return accuracy by confidence in bins of equal width, each closed above.

    Raises:
        ValueError: A confidence is not a number in [0, 1].

    Reference:
        Guo et al. 2017, https://arxiv.org/abs/1706.04599, eq. 3.
    """
    confidence_N = predictions.prob_prediction_N.astype(np.float64)
    is_correct_N = predictions.prediction_N == predictions.labels_N
    bin_N = evaluation.confidence_bins(confidence_N, num_bins)
    counts_R = np.bincount(bin_N, minlength=num_bins)
    correct_R = np.bincount(bin_N, weights=is_correct_N, minlength=num_bins)
    total_R = np.where(counts_R, counts_R, np.nan)
    low_R, high_R = stats.jeffreys(correct_R, counts_R)
    return Reliability(
        counts_R=counts_R,
        confidence_R=np.bincount(bin_N, weights=confidence_N, minlength=num_bins) / total_R,
        accuracy_R=correct_R / total_R,
        low_R=low_R,
        high_R=high_R,
    )


def adaptive_error(
    confidence_N: NDArray[np.floating], is_correct_N: NDArray[np.bool_], num_bins: int = NUM_BINS
) -> float:
    """Return the calibration error over bins that hold equally many samples.

    Equal widths put most samples of a confident model into one bin; equal counts do not.

    Args:
        confidence_N: Probability of the predicted class, in [0, 1].
        is_correct_N: Whether the prediction is the label.
        num_bins: As equal in size as can be.

    Returns:
        In [0, 1]; NaN for no samples.

    Raises:
        ValueError: A confidence is not finite.

    Reference:
        Nixon et al. 2019, https://arxiv.org/abs/1904.01685 (of the predicted class alone).

    Example:
        >>> adaptive_error(np.array([0.6, 0.6, 1.0, 1.0]), np.array([True, False, True, True]), 2)
        0.04999999999999999
    """
    if len(confidence_N) == 0:
        return math.nan
    order_N = np.argsort(confidence_N, kind="stable")
    gap_N = stats.finite("confidence_N", confidence_N)[order_N] - is_correct_N[order_N]
    parts = np.array_split(gap_N, min(num_bins, len(gap_N)))
    return float(sum(abs(part.sum()) for part in parts) / len(gap_N))


def coverage_curve(
    confidence_N: NDArray[np.floating], is_correct_N: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return accuracy against coverage when predictions below some confidence are rejected.

    Args:
        confidence_N: Probability of the predicted class.
        is_correct_N: Whether it is correct.

    Returns:
        Coverage, accuracy and confidence threshold, each ``[S]``, from all samples down; samples
        of equal confidence are kept together.

    Raises:
        ValueError: A confidence is not finite.

    Reference:
        El-Yaniv, Wiener 2010, https://jmlr.org/papers/v11/el-yaniv10a.html.

    Example:
        >>> shares, right, _ = coverage_curve(np.array([0.9, 0.5]), np.array([True, False]))
        >>> shares.tolist(), right.tolist()
        ([1.0, 0.5], [0.5, 1.0])
    """
    if len(confidence_N) == 0:
        return np.empty(0), np.empty(0), np.empty(0)
    sure_N = stats.finite("confidence_N", confidence_N)
    order_N = np.argsort(-sure_N, kind="stable")
    sure_N = sure_N[order_N]
    wins_N = np.cumsum(is_correct_N[order_N])
    ends = np.flatnonzero(np.append(sure_N[:-1] != sure_N[1:], True))
    if len(ends) > MAX_STEPS:
        ends = ends[np.linspace(0, len(ends) - 1, MAX_STEPS).round().astype(int)]
    ends = ends[::-1]
    return (ends + 1) / len(sure_N), wins_N[ends] / (ends + 1), sure_N[ends]
