"""Temperature scaling: confidence that fits accuracy, without another prediction.

N samples, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from carscale import stats
from carscale.types import ROUNDING, Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray


COLDEST, HOTTEST = 0.05, 20.0
"""Bounds of a temperature: without them one without mistakes would be 0."""

SURE_ENOUGH = 1e-7
MAX_STEPS = 100
TOLERANCE = 1e-7  # of the temperature, relative
ROWS_AT_ONCE = 1 << 22
"""Numbers, in float64, that are processed together."""


def fit_temperature(log_probs_NK: NDArray[np.floating], labels_N: NDArray[np.int64]) -> float:
    """Return the temperature whose scaled probabilities have the smallest mean loss.

    The loss is convex in ``1 / T``: Newton's method, inside a bracket that only shrinks.

    Args:
        log_probs_NK: Log-probabilities or logits, float ``[N, K]``, finite.
        labels_N: True classes, int64 ``[N]`` in ``[0, K)``; of samples that trained nothing.

    Returns:
        T in [0.05, 20]: above 1 the model was overconfident; 1 when it does not matter (K is 1).

    Raises:
        ValueError: There are no samples, a score is not finite, or a label is not in ``[0, K)``.

    Reference:
        Guo et al. 2017, https://arxiv.org/abs/1706.04599, section 4.2.

    Example:
        >>> scores = np.log(np.array([[0.99, 0.01], [0.99, 0.01], [0.99, 0.01], [0.99, 0.01]]))
        >>> labels = np.array([0, 0, 0, 1])
        >>> round(fit_temperature(scores, labels), 3)  # 0.99 becomes 0.75: log(99) / log(3)
        4.183
    """
    if len(log_probs_NK) == 0 or not np.isfinite(log_probs_NK).all():
        raise ValueError(f"log_probs_NK must be finite and not empty, got {log_probs_NK.shape}")
    if not ((labels_N >= 0) & (labels_N < log_probs_NK.shape[1])).all():
        raise ValueError(f"labels_N must lie in [0, {log_probs_NK.shape[1]})")
    low, high = 1 / HOTTEST, 1 / COLDEST  # of beta, the inverse of T
    beta = 1.0
    for _ in range(MAX_STEPS):
        slope, curvature = _slopes(log_probs_NK, labels_N, beta)
        if slope == 0:
            break
        low, high = (low, beta) if slope > 0 else (beta, high)
        step = beta - slope / curvature if curvature > 0 else -1.0
        new = step if low < step < high else float(np.sqrt(low * high))
        is_near = abs(new - beta) <= TOLERANCE * beta
        beta = new
        if is_near or high / low - 1 <= TOLERANCE:
            break
    return 1 / beta


def with_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """Return predictions with their probabilities at another temperature.

    Probabilities, loss and margin change; classes and their order do not. A probability below
    1e-38, which float32 can't hold, counts as that much.

    Args:
        predictions: With all probabilities (``keep_probs``).
        temperature: T, > 0; 1 changes nothing but rounding.

    Raises:
        ValueError: ``probs_NK`` is missing or holds what is no probability, or T is not positive
            and finite.
    """
    if predictions.probs_NK is None:
        raise ValueError("predictions must hold probs_NK to change their temperature")
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be > 0 and finite, got {temperature}")
    scaled_NK = floored_log(predictions.probs_NK) / temperature
    changed = with_scores(predictions, scaled_NK, predictions.top5_NT)
    return replace(changed, about=predictions.about | {"temperature": temperature})


def averaged(parts: Sequence[Predictions]) -> Predictions:
    """Return the geometric mean of what several models said of the same samples.

    A probability below 1e-7 counts as that much: no model's certainty decides alone.

    Args:
        parts: Of the same samples, with all probabilities.

    Returns:
        The first one with other probabilities, classes, loss and margin.

    Raises:
        ValueError: Nothing to average, probabilities that are missing or no numbers, or other
            samples.

    Reference:
        Hinton 2002, https://doi.org/10.1162/089976602760128018: a product of experts.
    """
    if not parts:
        raise ValueError("an average needs predictions of one model at least")
    first = parts[0]
    logs_NK: NDArray[np.float64] | None = None
    for part in parts:
        if part.probs_NK is None:
            raise ValueError("predictions must hold probs_NK to be averaged")
        if not np.array_equal(part.ids_N, first.ids_N):
            raise ValueError("predictions must be of the same samples to be averaged")
        own_NK = np.log(np.maximum(_probabilities(part.probs_NK), SURE_ENOUGH)) / len(parts)
        logs_NK = own_NK if logs_NK is None else logs_NK + own_NK
    assert logs_NK is not None
    order_NK = np.argsort(-logs_NK, axis=1, kind="stable")
    return with_scores(first, logs_NK, order_NK[:, : first.top5_NT.shape[1]])


def with_scores(
    predictions: Predictions, scores_NK: NDArray[np.float64], top5_NT: NDArray[np.int64]
) -> Predictions:
    """Return predictions with the softmax of other scores.

    Args:
        predictions: Of the samples.
        scores_NK: Logits, or log-probabilities that need not sum to one.
        top5_NT: The best classes by them, best first.
    """
    scores_NK = scores_NK - scores_NK.max(axis=1, keepdims=True)
    log_probs_NK = scores_NK - np.log(np.exp(scores_NK).sum(axis=1, keepdims=True))
    probs_NK = np.exp(log_probs_NK)
    rows_N = np.arange(len(predictions))
    prob_label_N = probs_NK[rows_N, predictions.labels_N]
    others_NK = probs_NK.copy()
    others_NK[rows_N, predictions.labels_N] = 0.0
    top5_prob_NT = np.take_along_axis(probs_NK, top5_NT, axis=1).astype(np.float32)
    return replace(
        predictions,
        prediction_N=top5_NT[:, 0],
        top5_NT=top5_NT,
        top5_prob_NT=top5_prob_NT,
        prob_prediction_N=top5_prob_NT[:, 0],
        prob_label_N=prob_label_N.astype(np.float32),
        loss_N=-log_probs_NK[rows_N, predictions.labels_N].astype(np.float32),
        margin_N=(prob_label_N - others_NK.max(axis=1)).astype(np.float32),
        probs_NK=probs_NK.astype(np.float32),
    )


def floored_log(probs_NK: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return finite logarithms; 0 counts as float32's smallest normal number.

    Raises:
        ValueError: One is no number in [0, 1].
    """
    return np.log(np.maximum(_probabilities(probs_NK), np.finfo(np.float32).tiny))


def _probabilities(probs_NK: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return probabilities as float64; raise where one is none."""
    return stats.finite("probs_NK", probs_NK, low=-ROUNDING, high=1 + ROUNDING)


def _slopes(
    log_probs_NK: NDArray[np.floating], labels_N: NDArray[np.int64], beta: float
) -> tuple[float, float]:
    """Return first and second derivative of the summed loss by the inverse temperature."""
    slope = curvature = 0.0
    num_rows = max(1, ROWS_AT_ONCE // log_probs_NK.shape[1])
    for start in range(0, len(labels_N), num_rows):
        scores_NK = log_probs_NK[start : start + num_rows].astype(np.float64)
        part_N = labels_N[start : start + num_rows]
        scores_NK -= scores_NK[np.arange(len(part_N)), part_N][:, None]  # the label's is 0
        scaled_NK = beta * scores_NK
        probs_NK = np.exp(scaled_NK - scaled_NK.max(axis=1, keepdims=True))
        probs_NK /= probs_NK.sum(axis=1, keepdims=True)
        mean_N = (probs_NK * scores_NK).sum(axis=1)
        slope += float(mean_N.sum())
        curvature += float((probs_NK * (scores_NK - mean_N[:, None]) ** 2).sum())
    return slope, curvature
