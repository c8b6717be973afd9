"""Choosing on val by cross-fitting, against loops and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from carscale.refine import cross_fit


def said(num_candidates, labels_N, seed=0):
    """Return predictions of candidates, each right more often than the one before."""
    rng = np.random.default_rng(seed)
    wrong_CN = rng.random((num_candidates, len(labels_N))) > np.linspace(
        0.3, 0.8, num_candidates
    ).reshape(-1, 1)
    other_CN = rng.integers(0, labels_N.max() + 1, wrong_CN.shape)
    return np.where(wrong_CN, other_CN, labels_N)


@pytest.mark.parametrize("metric", ["top1", "balanced_accuracy", "macro_f1"])
def test_each_fold_is_predicted_by_what_the_others_choose(metric):
    reference = {
        "top1": metrics.accuracy_score,
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "macro_f1": lambda true, found: metrics.f1_score(true, found, average="macro"),
    }[metric]
    rng = np.random.default_rng(1)
    labels_N = rng.choice(4, 80, p=[0.5, 0.3, 0.1, 0.1])
    predictions_CN = said(5, labels_N)
    folds_N = np.tile(np.arange(5), 16)
    found = cross_fit(predictions_CN, np.zeros((5, 80)), labels_N, folds_N, metric=metric)
    together_N = np.empty(80, int)
    for fold in range(5):
        held = folds_N == fold
        values = [reference(labels_N[~held], row[~held]) for row in predictions_CN]
        assert found.chosen_F[fold] == int(np.argmax(values))
        together_N[held] = predictions_CN[int(np.argmax(values))][held]
    assert found.value == pytest.approx(reference(labels_N, together_N))
    whole = [reference(labels_N, row) for row in predictions_CN]
    assert found.values_C == pytest.approx(whole)
    assert found.best == int(np.argmax(whole))


def test_choosing_among_candidates_that_differ_by_luck_gains_nothing():
    """The best of many on all of val flatters itself; what was chosen for by others does not."""
    rng = np.random.default_rng(2)
    gains, flattered = [], []
    for _ in range(100):
        labels_N = rng.integers(0, 2, 100)
        predictions_CN = np.where(rng.random((20, 100)) < 0.7, labels_N, 1 - labels_N)
        found = cross_fit(
            predictions_CN, np.zeros((20, 100)), labels_N, np.arange(100) % 5, metric="top1"
        )
        gains.append(found.value - 0.7)
        flattered.append(max(found.values_C) - 0.7)
    assert abs(np.mean(gains)) < 0.02
    assert np.mean(flattered) > 0.06


def test_of_equal_candidates_the_first_is_taken():
    labels_N = np.array([0, 1, 0, 1])
    found = cross_fit(
        np.stack([labels_N] * 3), np.zeros((3, 4)), labels_N, np.array([0, 0, 1, 1]), metric="top1"
    )
    assert found.best == 0
    assert found.chosen_F == (0, 0)


def test_one_fold_is_an_error():
    with pytest.raises(ValueError, match="two folds at least"):
        cross_fit(
            np.zeros((1, 2), int), np.zeros((1, 2)), np.array([0, 1]), np.zeros(2), metric="top1"
        )
