import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from tables_of import classes_of, evidence_of, plain_classes, predictions_of

from carscale.analysis.slices import MIN_SAMPLES, cut_slices, find_slices


def factor(name, values):
    names, numbers = np.unique(values, return_inverse=True)
    return name, numbers, [str(one) for one in names]


@settings(max_examples=40)
@given(st.integers(1, 400), st.integers(1, 6), st.integers(0, 999))
def test_slices_of_one_attribute_are_scikit_learns_accuracies_and_add_up(num, num_values, seed):
    rng = np.random.default_rng(seed)
    correct_N = rng.random(num) < 0.7
    values_N = rng.integers(num_values, size=num)
    found = {int(one.value): one for one in cut_slices(correct_N, [factor("make", values_N)])}
    for value in range(num_values):
        is_in_N = values_N == value
        if not MIN_SAMPLES <= is_in_N.sum() < num:
            assert value not in found
            continue
        one = found[value]
        ones = np.ones(is_in_N.sum(), dtype=bool)
        assert one.accuracy == sklearn.metrics.accuracy_score(ones, correct_N[is_in_N])
        assert one.num_samples == is_in_N.sum()
        assert one.rest == pytest.approx(correct_N[~is_in_N].mean())
        assert one.low <= one.accuracy <= one.high


def test_p_is_fishers_test_adjusted_for_all_slices():
    rng = np.random.default_rng(0)
    correct_N = rng.random(300) < 0.8
    values_N = np.repeat([0, 1, 2], 100)
    found = cut_slices(correct_N, [factor("make", values_N)])
    raw = []
    for value in range(3):
        wins, others = correct_N[values_N == value].sum(), correct_N[values_N != value].sum()
        table = [[wins, 100 - wins], [others, 200 - others]]
        raw.append(scipy.stats.fisher_exact(table, alternative="less").pvalue)
    assert min(one.p for one in found) == pytest.approx(min(1, 3 * min(raw) / 0.8))


def test_a_bad_cell_of_two_attributes_is_found():
    rng = np.random.default_rng(1)
    make_N, year_N = rng.integers(4, size=2000), rng.integers(4, size=2000)
    is_bad_N = (make_N == 2) & (year_N == 3)
    correct_N = rng.random(2000) < np.where(is_bad_N, 0.4, 0.9)
    best = cut_slices(correct_N, [factor("make", make_N), factor("year", year_N)])[0]
    assert (best.attribute, best.value) == ("make + year", "make 2, year 3")
    assert best.is_worst


def test_blind_mistakes_make_a_bad_slice_once_in_twenty_times_at_most():
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(200):
        factors = [factor(name, rng.integers(5, size=600)) for name in "abcd"]
        found = cut_slices(rng.random(600) < 0.8, factors)
        alarms += any(one.is_worst for one in found)
    assert alarms <= 16  # 10 expected at most; 16 is two standard deviations above


def test_names_numbers_flags_and_train_photos_make_slices():
    classes = classes_of("Audi A4 Sedan 2010", "BMW M3 Coupe 2012")
    labels = np.repeat([0, 1], 50)
    evidence = evidence_of(
        predictions_of(labels, labels),
        classes,
        train_counts_K=np.array([10, 40]),
        attributes={
            "brightness": np.arange(100.0),
            "source": np.array(["web", "own"] * 50, dtype=object),
            "sharpness": np.full(100, np.nan),
        },
        flags={"dark": np.arange(100) < 30},
    )
    found = {(one.attribute, one.value) for one in find_slices(evidence)}
    assert ("make", "Audi") in found
    assert ("body", "Coupe") in found
    assert ("year", "2012") in found
    assert ("source", "web") in found
    assert ("quality", "dark") in found
    assert ("train photos", "10") in found
    assert ("brightness", "below 24.8") in found
    assert ("brightness", "74.2 or more") in found
    assert not any(name == "sharpness" for name, _ in found)


def test_nothing_to_slice_is_fine():
    none = np.empty(0, dtype=np.int64)
    assert find_slices(evidence_of(predictions_of(none, none), plain_classes(1))) == []
