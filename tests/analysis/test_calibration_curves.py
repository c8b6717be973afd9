import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables_of import noisy_predictions, predictions_of

from carscale import evaluation
from carscale.analysis.calibration import (
    adaptive_error,
    calibrate,
    coverage_curve,
    reliability,
)

SURE = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


@given(SURE)
def test_coverage_is_what_a_loop_over_thresholds_gives(answers):
    sure_N, correct_N = np.array([a for a, _ in answers]), np.array([b for _, b in answers])
    coverage, accuracy, asked = coverage_curve(sure_N, correct_N)
    assert len(coverage) == len(np.unique(sure_N))
    assert np.all(np.diff(coverage) < 0)
    for share, right, threshold in zip(coverage, accuracy, asked, strict=True):
        is_answered = sure_N >= threshold
        assert share == pytest.approx(is_answered.mean())
        assert right == pytest.approx(correct_N[is_answered].mean())
    assert coverage[0] == 1


@given(SURE, st.integers(1, 8))
def test_adaptive_error_is_what_a_loop_over_equal_parts_gives(answers, num_bins):
    sure_N, correct_N = np.array([a for a, _ in answers]), np.array([b for _, b in answers])
    order = sorted(range(len(sure_N)), key=lambda i: sure_N[i])
    total, start = 0.0, 0
    num_bins = min(num_bins, len(order))
    for part in range(num_bins):
        size = len(order) // num_bins + (part < len(order) % num_bins)
        rows = order[start : start + size]
        total += abs(sum(sure_N[i] - correct_N[i] for i in rows))
        start += size
    assert adaptive_error(sure_N, correct_N, num_bins) == pytest.approx(total / len(order))


def test_a_long_curve_is_thinned_and_keeps_its_ends():
    rng = np.random.default_rng(0)
    coverage, _, _ = coverage_curve(rng.random(5000), rng.random(5000) < 0.5)
    assert len(coverage) <= 200
    assert coverage[0] == 1
    assert coverage[-1] == pytest.approx(1 / 5000)


def test_the_temperature_is_that_of_evaluate():
    from dataclasses import replace

    predictions, probs_NK, _ = noisy_predictions(2000, 6, noise=0.0)
    sharp_NK = probs_NK**2 / (probs_NK**2).sum(axis=1, keepdims=True)
    sharp = replace(predictions_of(predictions.labels_N, None, probs=sharp_NK), probs_NK=sharp_NK)
    wanted = evaluation.fit_temperature(np.log(sharp_NK), predictions.labels_N)
    found = calibrate(sharp)
    assert found.temperature == pytest.approx(wanted)
    assert found.temperature == pytest.approx(2, rel=0.1)
    assert found.adaptive_ece > calibrate(predictions).adaptive_ece


def test_no_samples_give_no_curve():
    none = np.empty(0, dtype=np.int64)
    found = calibrate(predictions_of(none, none))
    assert np.isnan(found.ece)
    assert len(found.coverage_S) == 0


def test_reliability_equals_a_loop():
    made = noisy_predictions(400, 5)[0]
    bins = reliability(made)
    confidence_N = made.prob_prediction_N.astype(np.float64)
    ece = 0.0
    for b in range(15):
        inside = (confidence_N > b / 15) & (confidence_N <= (b + 1) / 15)
        assert bins.counts_R[b] == inside.sum()
        if inside.any():
            accuracy = np.mean(made.prediction_N[inside] == made.labels_N[inside])
            ece += inside.mean() * abs(accuracy - confidence_N[inside].mean())
            assert bins.accuracy_R[b] == pytest.approx(accuracy)
            assert bins.confidence_R[b] == pytest.approx(confidence_N[inside].mean())
            assert bins.low_R[b] <= accuracy <= bins.high_R[b]
    assert calibrate(made).ece == pytest.approx(ece, abs=1e-7)
