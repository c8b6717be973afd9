"""Predictions and class lists to analyse."""

import numpy as np

from carscale.analysis import Evidence
from carscale.types import CarClass, Predictions


def classes_of(*names):
    """Classes from "Make Model Body Year"."""
    made = []
    for name in names:
        make, model, body, year = name.split()
        made.append(CarClass(name, name, make, model, body, int(year)))
    return tuple(made)


def plain_classes(num):
    """Classes whose names tell nothing."""
    return tuple(CarClass(f"c{k}", f"c{k}") for k in range(num))


def predictions_of(labels, prediction, *, sure=0.9, probs=None, first_id=0):
    """Predictions with these answers; or those of all probabilities."""
    labels_N = np.asarray(labels, dtype=np.int64)
    num = len(labels_N)
    rows_N = np.arange(num)
    if probs is None:
        prediction_N = np.asarray(prediction, dtype=np.int64)
        num_classes = max(labels_N.max(initial=0), prediction_N.max(initial=0)) + 1
        probs = np.full((num, num_classes), (1 - sure) / max(1, num_classes - 1))
        probs[rows_N, prediction_N] = sure if num_classes > 1 else 1.0
    probs_NK = np.asarray(probs, dtype=np.float64)
    top_NT = np.argsort(-probs_NK, axis=1, kind="stable")[:, :5]
    others_NK = probs_NK.copy()
    others_NK[rows_N, labels_N] = -1
    prob_label_N = probs_NK[rows_N, labels_N]
    top_prob_NT = np.take_along_axis(probs_NK, top_NT, axis=1).astype(np.float32)
    return Predictions(
        ids_N=rows_N + first_id,
        keys_N=np.array([f"k{i}" for i in range(num)], dtype=object),
        paths_N=np.array([f"val/c/{i}.jpg" for i in range(num)], dtype=object),
        labels_N=labels_N,
        prediction_N=top_NT[:, 0],
        top5_NT=top_NT,
        top5_prob_NT=top_prob_NT,
        prob_label_N=prob_label_N.astype(np.float32),
        prob_prediction_N=top_prob_NT[:, 0],
        loss_N=-np.log(np.maximum(prob_label_N, 1e-30)).astype(np.float32),
        margin_N=(prob_label_N - others_NK.max(axis=1).clip(0)).astype(np.float32),
    )


def noisy_predictions(num, num_classes, *, noise=0.1, seed=0, strength=4.0):
    """Probabilities of a fair model whose labels were partly drawn blindly, and which ones."""
    rng = np.random.default_rng(seed)
    logits_NK = rng.normal(size=(num, num_classes))
    peak_N = rng.integers(num_classes, size=num)
    logits_NK[np.arange(num), peak_N] += strength * rng.uniform(0.2, 1.8, num)
    probs_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(axis=1, keepdims=True)
    true_N = (probs_NK.cumsum(axis=1) > rng.random((num, 1))).argmax(axis=1)  # so it is calibrated
    is_noisy_N = rng.random(num) < noise
    shift_N = rng.integers(1, num_classes, size=num)
    labels_N = np.where(is_noisy_N, (true_N + shift_N) % num_classes, true_N)
    return predictions_of(labels_N, None, probs=probs_NK), probs_NK, is_noisy_N


def evidence_of(predictions, classes, **more):
    """Evidence of a val split."""
    return Evidence("val", predictions, classes, **more)
