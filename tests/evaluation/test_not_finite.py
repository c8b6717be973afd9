"""Metrics of NaN, infinities, nothing and a single class: a ValueError, or a documented value."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_metrics import classes, make

from carscale import analysis, evaluation
from carscale.analysis.calibration import adaptive_error, calibrate, coverage_curve
from carscale.curate import classifier_two_sample_test
from carscale.verdicts.metrics import METRICS
from carscale.verdicts.verdict import ArmRuns, judge_arms, score

NOT_FINITE = [np.nan, np.inf, -np.inf]
BAD = st.sampled_from(NOT_FINITE)
FLOATS = ["prob_label_N", "prob_prediction_N", "loss_N", "margin_N", "top5_prob_NT", "probs_NK"]
# What computes a number from a whole table.
OF_TABLES = {
    "scores": lambda p: evaluation.scores(p, 3),
    "summary": lambda p: evaluation.summary(p, classes(3)),
    "analyse": lambda p: analysis.analyse(analysis.Evidence("val", p, classes(3))),
}
# What takes confidences.
OF_CONFIDENCE = {
    "calibration_error": lambda c, right: evaluation.calibration_error(c, right),
    "adaptive_error": adaptive_error,
    "coverage_curve": coverage_curve,
    "reliability": lambda c, right: analysis.reliability(replace(make(8, 3), prob_prediction_N=c)),
    "calibrate": lambda c, right: calibrate(replace(make(8, 3), prob_prediction_N=c)),
}


@pytest.mark.parametrize("name", OF_CONFIDENCE)
def test_a_confidence_that_is_no_number_is_refused(name):
    right_N = np.arange(8) % 2 == 0
    OF_CONFIDENCE[name](np.linspace(0.2, 1, 8, dtype=np.float32), right_N)  # fine

    @given(bad=BAD, place=st.integers(0, 7))
    def check(bad, place):
        confidence_N = np.linspace(0.2, 1, 8, dtype=np.float32)
        confidence_N[place] = bad
        with pytest.raises(ValueError, match=r"confidence_N must be finite.*, 1 of 8 are not"):
            OF_CONFIDENCE[name](confidence_N, right_N)

    check()


@given(bad=st.floats(width=32).filter(lambda v: not -1e-4 < v < 1.0001), size=st.integers(1, 9))
def test_no_confidence_outside_of_0_and_1_becomes_a_bin(bad, size):
    with pytest.raises(ValueError, match=f"{size} of {size + 1} are not"):
        evaluation.confidence_bins(np.array([0.5, *[bad] * size], np.float32))


def test_bins_hold_what_lies_a_rounding_beyond_1():
    bins_N = evaluation.confidence_bins(np.array([1.0000001, -1e-9, 1.0, 0.0], np.float32))
    assert bins_N.tolist() == [14, 0, 14, 0]


@pytest.mark.parametrize("metric", OF_TABLES)
@pytest.mark.parametrize("column", FLOATS)
@pytest.mark.parametrize("bad", NOT_FINITE)
def test_a_table_with_a_number_that_is_none_has_no_metric(metric, column, bad):
    predictions = make(12, 3)
    values = getattr(predictions, column).copy()
    values[7] = bad
    with pytest.raises(ValueError, match="1 of 12 photos have a loss or probability that is NaN"):
        OF_TABLES[metric](replace(predictions, **{column: values}))


@pytest.mark.parametrize("bad", [-1, 3, 2**40, -(2**63)])
def test_a_class_that_is_none_is_refused(bad):
    predictions = make(12, 3)
    numbers_N = predictions.labels_N.copy()
    numbers_N[5] = bad
    for column in ("labels_N", "prediction_N"):
        wrong = replace(predictions, **{column: numbers_N})
        for compute in (evaluation.scores, lambda p, k: evaluation.per_class(p, classes(k))):
            with pytest.raises(ValueError, match=r"lie in \[0, 3\)|names class -"):
                compute(wrong, 3)
    with pytest.raises(ValueError, match=r"labels_N must lie in \[0, 3\), 1 of 12"):
        evaluation.confusion_matrix(numbers_N, predictions.prediction_N, 3)


def test_nothing_is_refused_or_has_the_value_that_is_said():
    none = make(0, 3)
    for compute in (evaluation.scores, lambda p, k: evaluation.summary(p, classes(k))):
        with pytest.raises(ValueError, match="metrics need predictions of one photo"):
            compute(none, 3)
    assert np.isnan(evaluation.calibration_error(none.prob_prediction_N, none.labels_N == 0))
    assert np.isnan(adaptive_error(none.prob_prediction_N, none.labels_N == 0))
    assert [part.size for part in coverage_curve(np.empty(0), np.empty(0, bool))] == [0, 0, 0]
    assert evaluation.confusion_matrix(none.labels_N, none.labels_N, 2).tolist() == [[0, 0], [0, 0]]
    assert [row["recall"] for row in evaluation.per_class(none, classes(2))] == [None, None]
    assert analysis.reliability(none).counts_R.sum() == 0
    with pytest.raises(ValueError, match="an average needs predictions"):
        evaluation.averaged([])


@given(size=st.integers(1, 9))
def test_a_single_class_is_always_right(size):
    found = evaluation.scores(make(size, 1), 1)
    assert (found["top1"], found["macro_f1"], found["balanced_accuracy"]) == (1, 1, 1)
    assert found["ece"] == pytest.approx(0, abs=1e-6)
    assert evaluation.fit_temperature(np.zeros((size, 1)), np.zeros(size, int)) == 1


@given(bad=BAD)
def test_temperatures_are_of_numbers(bad):
    predictions = make(6, 3)
    probs_NK = predictions.probs_NK.copy()
    probs_NK[2, 1] = bad
    broken = replace(predictions, probs_NK=probs_NK)
    for compute in (
        lambda: evaluation.fit_temperature(probs_NK, predictions.labels_N),
        lambda: evaluation.floored_log(probs_NK),
        lambda: evaluation.with_temperature(broken, 2.0),
        lambda: evaluation.averaged([predictions, broken]),
        lambda: evaluation.with_temperature(predictions, bad),
    ):
        with pytest.raises(ValueError, match=r"finite|must be > 0"):
            compute()
    with pytest.raises(ValueError, match="labels_N must lie in"):
        evaluation.fit_temperature(predictions.probs_NK, predictions.labels_N - 9)


@given(bad=BAD)
def test_verdicts_are_of_numbers(bad):
    losses_SN, labels_N = np.zeros((2, 4)), np.array([0, 0, 1, 1])
    good = ArmRuns((0, 1), np.zeros((2, 4), int), losses_SN.copy())
    losses_SN[1, 2] = bad
    arms = {"base": good, "arm": ArmRuns((0, 1), np.zeros((2, 4), int), losses_SN)}
    with pytest.raises(ValueError, match="terms must be finite, 1 of 16"):
        judge_arms(arms, "base", labels_N, metric="log_loss")
    none = np.empty(0, int)
    empty = ArmRuns((0, 1), np.empty((2, 0), int), np.empty((2, 0)))
    for metric in METRICS:
        for compute in (
            lambda m=metric: score(none, np.empty(0), none, m),
            lambda m=metric: judge_arms({"base": empty, "arm": empty}, "base", none, metric=m),
        ):
            with pytest.raises(ValueError, match="a comparison needs photos"):
                compute()
    if not bad > 0:
        with pytest.raises(ValueError, match="margin must be > 0"):
            judge_arms({"base": good}, "base", labels_N, margin=bad)


@given(bad=BAD)
def test_sets_are_told_apart_by_numbers(bad):
    fine = np.arange(24.0).reshape(12, 2)
    broken = fine.copy()
    broken[3, 1] = bad
    for pair in ((fine, broken), (broken, fine)):
        with pytest.raises(ValueError, match=r"features_.F must be finite, 1 of 24"):
            classifier_two_sample_test(*pair, what="all")
