"""Labels that are probably wrong: confident learning, from out-of-sample probabilities.

Axes: N samples, K classes, T classes with a known probability (the best few and the label),
R samples of the review list. Of a pair of classes: G and H samples
labelled the one or the other, S rates of exchanged labels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import evaluation
from carscale.analysis import neighbours
from carscale.analysis.result import Review

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Predictions


TEMPERATURES = np.geomspace(0.5, 4.0, 25)
USUAL_SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
PRIOR_ERRORS, PRIOR_RIGHT = 1.0, 30.0
"""What is taken as seen before: about 3 % wrong labels, as in ten common test sets.

Northcutt et al. 2021, https://arxiv.org/abs/2103.14749. Without it a temperature explains the
errors of a small set away.
"""
EXCHANGED = 0.2
"""Prior: so many classes have labels that were exchanged with one other class."""
EXCHANGED_RATES = (0.02, 0.05, 0.1, 0.2, 0.3)
"""Then such a share of a class's labels is wrong, each share as likely as the others."""
MIN_EXCHANGED, MIN_CLASS, FREEDOM, MIN_SCALE = 3, 8, 4, 0.1
"""Confused photos of a pair, photos of either class; tails of a cloud, and its least width."""
MAX_PROBS, MAX_SAMPLES = 1 << 22, 30_000
"""Probabilities and samples that the grid is fitted on; so many probabilities are held at once."""


@dataclass(frozen=True, eq=False)
class Suspicion:
    """What confident learning says of each sample.

    Attributes:
        suggested_N: The class it is confidently counted to, else the best other class.
        prob_suggested_N: Its probability.
        is_suspect_N: Whether the sample is counted to another class than its label.
        likely_N: How probable a wrong label is, by ``expected_errors``.
        is_likely_N: Suspects among the first ``2 n`` by that, ``n`` being the sum of it.
        num_expected: Label errors among all, from the calibrated joint of labels and classes.
    """

    suggested_N: NDArray[np.int64]
    prob_suggested_N: NDArray[np.float64]
    is_suspect_N: NDArray[np.bool_]
    likely_N: NDArray[np.float64]
    is_likely_N: NDArray[np.bool_]
    num_expected: float


def confident_thresholds(
    labels_N: NDArray[np.int64], prob_label_N: NDArray[np.floating], num_classes: int
) -> NDArray[np.float64]:
    """Return each class's mean probability among the samples labelled so; infinite without any.

    Reference:
        Northcutt et al. 2021, https://arxiv.org/abs/1911.00068, eq. 2.

    Example:
        >>> confident_thresholds(np.array([0, 0, 2]), np.array([0.5, 1.0, 0.25]), 3).tolist()
        [0.75, inf, 0.25]
    """
    count_K = np.bincount(labels_N, minlength=num_classes)
    sum_K = np.bincount(labels_N, prob_label_N.astype(np.float64), num_classes)
    return np.where(count_K > 0, sum_K / np.maximum(1, count_K), np.inf)


def suspect(
    predictions: Predictions, num_classes: int, *, hard_ids: NDArray[np.int64] | None = None
) -> Suspicion:
    """Count each sample to the class that is confidently its own.

    A class is confident where its probability reaches the class's threshold; of several, the most
    probable counts. Only the top-5 classes and the label are considered (all, when all are
    kept); a less probable class can be the confident one only where none of these is.

    Args:
        predictions: Out of sample: of a model that did not train on them.
        num_classes: K.
        hard_ids: Low-quality samples.

    Reference:
        Northcutt et al. 2021, https://arxiv.org/abs/1911.00068, eq. 1 and 3.
    """
    labels_N = predictions.labels_N
    thresholds_K = confident_thresholds(labels_N, predictions.prob_label_N, num_classes)
    counted_N, suggested_N = np.full(len(labels_N), -1), np.empty(len(labels_N), dtype=np.int64)
    prob_suggested_N = np.empty(len(labels_N))
    for part in _parts(predictions):
        labels_B = labels_N[part]
        classes_BT, probs_BT = _known(predictions, part)
        rows_B = np.arange(len(labels_B))
        is_confident_BT = probs_BT >= thresholds_K[classes_BT] - 1e-6
        best_B = np.where(is_confident_BT, probs_BT, -1.0).argmax(axis=1)
        is_counted_B = is_confident_BT[rows_B, best_B]
        counted_N[part] = np.where(is_counted_B, classes_BT[rows_B, best_B], -1)
        other_B = np.where(classes_BT == labels_B[:, None], -1.0, probs_BT).argmax(axis=1)
        is_suspect_B = is_counted_B & (classes_BT[rows_B, best_B] != labels_B)
        chosen_B = np.where(is_suspect_B, best_B, other_B)
        suggested_N[part] = classes_BT[rows_B, chosen_B]
        prob_suggested_N[part] = probs_BT[rows_B, chosen_B]
    is_suspect_N = (counted_N >= 0) & (counted_N != labels_N)
    is_hard_N = None if hard_ids is None else np.isin(predictions.ids_N, hard_ids)
    likely_N = expected_errors(predictions, num_classes, is_hard_N=is_hard_N)
    return Suspicion(
        suggested_N=suggested_N,
        prob_suggested_N=prob_suggested_N,
        is_suspect_N=is_suspect_N,
        likely_N=likely_N,
        is_likely_N=_first_suspects(likely_N, is_suspect_N),
        num_expected=_calibrated(labels_N, counted_N >= 0, is_suspect_N, num_classes),
    )


def _parts(predictions: Predictions) -> list[slice]:
    """Return blocks of rows whose probabilities fit in memory many times."""
    width = 1 if predictions.probs_NK is None else predictions.probs_NK.shape[1]
    step = max(1, MAX_PROBS // width)
    return [slice(start, start + step) for start in range(0, len(predictions), step)]


def _known(predictions: Predictions, part: slice) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the classes with a known probability, and these."""
    if predictions.probs_NK is not None:
        probs_BT = predictions.probs_NK[part].astype(np.float64)
        return np.broadcast_to(np.arange(probs_BT.shape[1]), probs_BT.shape), probs_BT
    labels_B, prob_label_B = predictions.labels_N[part], predictions.prob_label_N[part]
    probs_BT = np.column_stack([predictions.top5_prob_NT[part], prob_label_B])
    return np.column_stack([predictions.top5_NT[part], labels_B]), probs_BT.astype(np.float64)


def _calibrated(
    labels_N: NDArray[np.int64],
    is_counted_N: NDArray[np.bool_],
    is_suspect_N: NDArray[np.bool_],
    num_classes: int,
) -> float:
    """Return the label errors in the joint of labels and classes, scaled to all labels (eq. 3)."""
    counts_K = np.bincount(labels_N, minlength=num_classes)
    joint_K = np.bincount(labels_N[is_counted_N], minlength=num_classes)
    off_K = np.bincount(labels_N[is_suspect_N], minlength=num_classes)
    return float((counts_K * off_K / np.maximum(1, joint_K)).sum())


def expected_errors(
    predictions: Predictions, num_classes: int, *, is_hard_N: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Return each sample's probability of a wrong label.

    A label is correct with probability ``1 - eta``, else uniformly any other class. The probability
    of a correct label is the model's (where all probabilities are kept, at the temperature that
    fits the labels best), mixed with how often photos of the same prediction carry that label:
    look-alikes are confused with high confidence, and that is no label error. For a low-quality
    photo half of it is a uniform guess.
    Temperature, mixture and ``eta`` are those of the largest posterior, by expectation
    maximisation over a grid. Labels that two classes have exchanged look like look-alikes to this;
    where all probabilities are kept, ``exchanged_labels`` adds them.

    Confident learning counts a model's own confusions as label errors where it is weak. This comes
    nearer to the number of real errors, but of a small set and a weak model it is still off by a
    factor of up to 4.

    Args:
        predictions: Out of sample.
        num_classes: K.
        is_hard_N: Photos that are dark, blurred, tiny, ...

    Returns:
        Float64 ``[N]`` in [0, 1].
    """
    if num_classes < 2 or len(predictions) == 0:
        return np.zeros(len(predictions))
    usual_N = _usual_share(predictions, num_classes)
    hard_N = np.zeros(len(predictions), bool) if is_hard_N is None else is_hard_N
    num = len(predictions)
    step = max(1, num * num_classes // MAX_PROBS, num // MAX_SAMPLES)
    some = _every(predictions, step)
    temperatures = [1.0] if predictions.probs_NK is None else TEMPERATURES.tolist()
    fits = []
    for temperature in temperatures:
        prob_M = _prob_label(some, temperature)
        for share in USUAL_SHARES:
            mixed_M = _mixed(prob_M, usual_N[::step], share, hard_N[::step], num_classes)
            fits.append((*_fit_noise(mixed_M, num_classes), temperature, share))
    _, eta, temperature, share = max(fits)
    prob_N = _prob_label(predictions, temperature)
    blind_N = _posterior(_mixed(prob_N, usual_N, share, hard_N, num_classes), eta, num_classes)
    return np.maximum(blind_N, exchanged_labels(predictions, num_classes))


def exchanged_labels(predictions: Predictions, num_classes: int) -> NDArray[np.float64]:
    """Return each label's probability of being one that was exchanged with another class.

    Two classes are two clouds of log-odds of one against the other. Look-alikes are confused where
    the clouds overlap; a photo amid the other class's cloud, with few between, has a wrong label.
    A cloud is a t-distribution about the median, as wide as the median deviation of both says, so
    that wrong labels do not move it. Of each ordered pair of classes, the rates of
    ``EXCHANGED_RATES`` are weighed against no exchange (``EXCHANGED``); pairs that more likely have
    none are left out. Zeros where only the best probabilities are kept.

    Rejected: noise by pair of classes in the mixture of ``expected_errors``. Why: a network trained
    on exchanged labels learns their share, and a calibrated probability can't tell it from a
    look-alike: of 564 demo photos it expected 24 wrong labels where two look-alikes had none.

    Args:
        predictions: Out of sample.
        num_classes: K.

    Returns:
        Float64 ``[N]`` in [0, 1].
    """
    likely_N = np.zeros(len(predictions))
    if predictions.probs_NK is None or num_classes < 2:
        return likely_N
    labels_N, prediction_N = predictions.labels_N, predictions.prediction_N
    by_class = neighbours.rows_by_class(labels_N, num_classes)
    codes_W = (labels_N * num_classes + prediction_N)[labels_N != prediction_N]
    codes_P, count_P = np.unique(codes_W, return_counts=True)
    prior = EXCHANGED / (num_classes - 1)
    rates_S1 = np.array(EXCHANGED_RATES)[:, None]
    for code in codes_P[count_P >= MIN_EXCHANGED].tolist():
        label, other = divmod(code, num_classes)
        rows_G, rows_H = by_class[label], by_class[other]
        if min(len(rows_G), len(rows_H)) < MIN_CLASS:
            continue
        odds_G, odds_H = (
            _log_odds(predictions.probs_NK[rows], other, label) for rows in (rows_G, rows_H)
        )
        ratio_G = _cloud_ratio(odds_G, odds_H)
        fits_S = np.log1p(rates_S1 * (ratio_G - 1)).sum(axis=1)
        weights_S = np.exp(fits_S - fits_S.max())
        evidence = fits_S.max() + np.log(weights_S.mean())
        is_exchanged = 1 / (1 + (1 - prior) / prior * np.exp(-np.clip(evidence, -500, 500)))
        if is_exchanged < 0.5:
            continue
        wrong_SG = rates_S1 * ratio_G / (1 + rates_S1 * (ratio_G - 1))
        wrong_G = weights_S @ wrong_SG / weights_S.sum()
        likely_N[rows_G] = np.maximum(likely_N[rows_G], is_exchanged * wrong_G)
    return likely_N


def _log_odds(probs_GK: NDArray[np.floating], other: int, label: int) -> NDArray[np.float64]:
    """Return the logarithm of one class's probability over another's."""
    logs_G2 = evaluation.floored_log(probs_GK[:, [other, label]])
    return logs_G2[:, 0] - logs_G2[:, 1]


def _cloud_ratio(odds_G: NDArray[np.float64], odds_H: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much better each of the first values fits among the second than its own."""
    centres = [float(np.median(odds)) for odds in (odds_G, odds_H)]
    widths = [
        max(MIN_SCALE, 1.4826 * float(np.median(np.abs(odds - centre))))
        for odds, centre in zip((odds_G, odds_H), centres, strict=True)
    ]
    width = float(np.sqrt(np.mean(np.square(widths))))
    own_G, other_G = (np.log1p(((odds_G - one) / width) ** 2 / FREEDOM) for one in centres)
    return np.exp((FREEDOM + 1) / 2 * (own_G - other_G))


def _mixed(
    prob_N: NDArray[np.float64],
    usual_N: NDArray[np.float64],
    share: float,
    is_hard_N: NDArray[np.bool_],
    num_classes: int,
) -> NDArray[np.float64]:
    """Return how probable each label is if it is right."""
    mixed_N = (1 - share) * prob_N + share * usual_N
    return np.where(is_hard_N, (mixed_N + 1 / num_classes) / 2, mixed_N)


def review_labels(
    predictions: Predictions,
    num_classes: int,
    split: str,
    *,
    found: Suspicion | None = None,
    conflicting_ids: NDArray[np.int64] | None = None,
) -> Review:
    """Return all samples, the most suspicious label first, by ``expected_errors``.

    Suspects are those that confident learning counts to another class, among the first twice as
    many as errors are expected: of a weak model it counts every other photo so. Photos that have a
    near duplicate with another label are marked where they stand: the page shows them as pairs in
    a list of their own, where a person sees which is wrong.

    Chosen: no preference for what confident learning counts to another class. Why: with 3 % of
    labels of Stanford Cars swapped and a weak model (41 % right out of sample), 69 of the first
    100 are swapped, against 62 with its suspects first and 28 by the margin.

    Args:
        predictions: Out of sample.
        num_classes: K.
        split: Whose labels, for the page.
        found: Of the same predictions by ``suspect``, where it is known already.
        conflicting_ids: Samples with a near duplicate of another label.
    """
    found = suspect(predictions, num_classes) if found is None else found
    likely_N = found.likely_N
    conflicts_N = np.zeros(len(likely_N), dtype=bool)
    if conflicting_ids is not None:
        conflicts_N = np.isin(predictions.ids_N, conflicting_ids)
    order_R = np.lexsort((predictions.ids_N, -likely_N))

    def column(values_N: NDArray[Any]) -> NDArray[Any]:
        return values_N[order_R]

    return Review(
        split=split,
        ids_R=column(predictions.ids_N),
        paths_R=column(predictions.paths_N),
        labels_R=column(predictions.labels_N),
        suggested_R=column(found.suggested_N),
        prob_label_R=column(predictions.prob_label_N),
        prob_suggested_R=column(found.prob_suggested_N),
        is_suspect_R=column(found.is_likely_N | conflicts_N),
        num_expected=found.num_expected,
        expected_R=np.cumsum(column(likely_N)),
    )


def _first_suspects(
    likely_N: NDArray[np.float64], is_suspect_N: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return the suspects among twice as many samples as errors are expected."""
    num = 2 * round(float(likely_N.sum()))
    is_first_N = np.zeros(len(likely_N), dtype=bool)
    is_first_N[np.argsort(-likely_N, kind="stable")[:num]] = True
    return is_first_N & is_suspect_N


def _every(predictions: Predictions, step: int) -> Predictions:
    """Return one of so many samples, evenly."""
    arrays: dict[str, Any] = {
        name: value[::step]
        for name, value in vars(predictions).items()
        if isinstance(value, np.ndarray)
    }
    return replace(predictions, **arrays)


def _prob_label(predictions: Predictions, temperature: float) -> NDArray[np.float64]:
    """Return the label's probability, where all are known at another temperature."""
    if predictions.probs_NK is None:
        return predictions.prob_label_N.astype(np.float64)
    prob_N = np.empty(len(predictions))
    for part in _parts(predictions):
        logs_BK = evaluation.floored_log(predictions.probs_NK[part]) / temperature
        logs_BK -= logs_BK.max(axis=1, keepdims=True)
        label_B = logs_BK[np.arange(len(logs_BK)), predictions.labels_N[part]]
        prob_N[part] = np.exp(label_B) / np.exp(logs_BK).sum(axis=1)
    return prob_N


def _usual_share(predictions: Predictions, num_classes: int) -> NDArray[np.float64]:
    """Return how often the others that get a sample's prediction carry its label."""
    codes_N = predictions.labels_N * num_classes + predictions.prediction_N
    _, place_N, count_C = np.unique(codes_N, return_inverse=True, return_counts=True)
    named_K = np.bincount(predictions.prediction_N, minlength=num_classes)
    others_N = named_K[predictions.prediction_N] - 1
    return (count_C[place_N.reshape(-1)] - 1) / np.maximum(1, others_N)


def _posterior(prob_N: NDArray[np.float64], eta: float, num_classes: int) -> NDArray[np.float64]:
    """Return how probable it is that the label was drawn blindly."""
    noise_N = eta * (1 - prob_N) / (num_classes - 1)
    return noise_N / np.maximum(noise_N + (1 - eta) * prob_N, np.finfo(np.float64).tiny)


def _fit_noise(prob_N: NDArray[np.float64], num_classes: int) -> tuple[float, float]:
    """Return the log-posterior at the share of noise that maximises it, and that share."""
    eta = 0.02
    for _ in range(60):
        errors = float(_posterior(prob_N, eta, num_classes).sum())
        new = (errors + PRIOR_ERRORS) / (len(prob_N) + PRIOR_ERRORS + PRIOR_RIGHT)
        is_near = abs(new - eta) < 1e-6
        eta = min(new, 0.5)
        if is_near:
            break
    mixed_N = (1 - eta) * prob_N + eta * (1 - prob_N) / (num_classes - 1)
    likelihood = float(np.log(np.maximum(mixed_N, np.finfo(np.float64).tiny)).sum())
    prior = PRIOR_ERRORS * np.log(eta) + PRIOR_RIGHT * np.log1p(-eta)
    return likelihood + float(prior), eta
