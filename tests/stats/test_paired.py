"""Paired intervals and tests against scipy, naive loops and counting."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from carscale import stats


@given(st.integers(0, 80), st.integers(0, 80))
def test_mcnemar_is_scipys_binomial_test(gained, lost):
    wanted = scipy.stats.binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1.0
    assert stats.mcnemar(gained, lost) == pytest.approx(wanted, rel=1e-9)
    assert stats.mcnemar(lost, gained) == stats.mcnemar(gained, lost)


@pytest.mark.parametrize("size", [2, 3, 5, 12])
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_seed_interval_is_scipys_t_test(size, level):
    values = np.random.default_rng(size).normal(0.01, 0.02, size)
    found = stats.seed_interval(values, level=level)
    wanted = scipy.stats.ttest_1samp(values, 0)
    bounds = wanted.confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high))
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.width == pytest.approx(
        2 * float(stats.t_quantile(level, size)) * values.std(ddof=1) / np.sqrt(size)
    )


def test_seed_interval_of_equal_seeds_does_not_divide_by_zero():
    still = stats.seed_interval([0.0, 0.0, 0.0])
    assert (still.low, still.high, still.p) == (0, 0, 1)
    moved = stats.seed_interval([0.1 + 0.2, 0.3])  # not equal in floating point
    assert moved.p == 0
    assert moved.width < 1e-12


def test_seed_interval_refuses_one_seed():
    with pytest.raises(ValueError, match="needs two seeds, got 1"):
        stats.seed_interval([0.1])


def naive_holm(p_values):
    """Step down: the smallest p times how many remain; never below the one before."""
    adjusted, most = {}, 0.0
    for step, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        most = max(most, min(1.0, p_values[place] * (len(p_values) - step)))
        adjusted[place] = most
    return [adjusted[place] for place in range(len(p_values))]


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_the_step_down_loop(p_values):
    assert stats.holm(p_values).tolist() == naive_holm(p_values)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(p_values):
    """Marcus, Peritz, Gabriel 1976: the largest Bonferroni p of all subsets that hold the arm."""
    places = range(len(p_values))
    for place in places:
        subsets = (
            subset
            for size in places
            for subset in itertools.combinations(places, size + 1)
            if place in subset
        )
        wanted = max(min(1, len(s) * min(p_values[i] for i in s)) for s in subsets)
        assert stats.holm(p_values)[place] == pytest.approx(wanted)


def test_holm_passes_over_arms_without_a_test():
    found = stats.holm([0.02, np.nan, 0.04])
    assert found[[0, 2]].tolist() == [0.04, 0.04]
    assert np.isnan(found[1])
    assert len(stats.holm([])) == 0


def test_photo_interval_is_the_plain_bootstrap_where_photos_are_many():
    """Against row numbers drawn one by one; 20,000 replicates each, 2 % of the width."""
    rng = np.random.default_rng(3)
    values = rng.choice([-1, -1 / 3, 0, 1 / 3, 1], size=2000, p=[0.03, 0.1, 0.6, 0.2, 0.07])
    found = stats.photo_interval(values, np.full(2000, 1 / 2000), num_resamples=20_000)
    means = np.array([values[rng.integers(2000, size=2000)].mean() for _ in range(20_000)])
    low, high = np.quantile(means, [0.025, 0.975])
    assert found.low == pytest.approx(low, abs=0.02 * (high - low))
    assert found.high == pytest.approx(high, abs=0.02 * (high - low))
    assert found.error == pytest.approx(means.std(), rel=0.02)
    assert found.source == "photos"


def test_photo_interval_of_classes_has_the_error_of_a_stratified_mean():
    """Of small classes too, where the plain bootstrap is a quarter of the variance short."""
    rng = np.random.default_rng(0)
    strata = np.repeat(np.arange(60), 4)
    values = rng.integers(-1, 2, 240) + (strata % 3)
    weights = np.full(240, 1 / 240)
    variances = [values[strata == k].var(ddof=1) / 4 for k in range(60)]
    wanted = np.sqrt(np.mean(variances) / 60 + weights[0] ** 2)  # and the noise of one photo
    found = stats.photo_interval(values, weights, strata)
    assert found.error == pytest.approx(wanted, rel=0.03)
    loose = stats.photo_interval(values, weights)  # between classes there is more to vary
    assert loose.width > 1.2 * found.width


def test_photo_interval_takes_weights_that_differ_within_a_stratum():
    rng = np.random.default_rng(5)
    values, weights = rng.normal(1, 1, 400), rng.uniform(0, 2, 400) / 400
    found = stats.photo_interval(values, weights)
    wanted = (values * weights).std(ddof=1) * np.sqrt(400)
    assert found.error == pytest.approx(wanted, rel=0.03)
    assert found.low < (values * weights).sum() < found.high


def test_photo_interval_is_not_certain_where_nothing_differed():
    found = stats.photo_interval(np.zeros(200), np.full(200, 1 / 200))
    assert found.low == pytest.approx(-1.96 / 200, rel=0.05)
    assert found.high == pytest.approx(1.96 / 200, rel=0.05)
    assert found.p > 0.9


def test_photo_interval_of_one_photo_a_class_stands():
    found = stats.photo_interval([1.0, 0.0], [0.5, 0.5], np.array([0, 1]))
    assert found.low < 0.5 < found.high


def test_photo_interval_says_a_clear_difference():
    values = np.r_[np.ones(60), -np.ones(10), np.zeros(130)]
    found = stats.photo_interval(values, np.full(200, 1 / 200), num_resamples=999)
    assert found.p == 0.002  # none of the replicates
    assert 0 < found.low < 0.25 < found.high


def test_photo_interval_is_the_same_with_the_same_seed_and_refuses_no_photos():
    values, weights = np.arange(9.0), np.full(9, 1 / 9)
    assert stats.photo_interval(values, weights) == stats.photo_interval(values, weights)
    assert stats.photo_interval(values, weights) != stats.photo_interval(values, weights, seed=1)
    with pytest.raises(ValueError, match="needs photos"):
        stats.photo_interval([], [])


def test_photo_interval_of_values_without_ties_draws_in_parts(monkeypatch):
    from carscale.stats import paired

    values = np.random.default_rng(1).normal(size=50)
    whole = stats.photo_interval(values, np.full(50, 1 / 50), num_resamples=500)
    monkeypatch.setattr(paired, "MAX_CELLS", 50 * 7)
    parts = stats.photo_interval(values, np.full(50, 1 / 50), num_resamples=500)
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high))


def test_wider_takes_the_larger_doubt():
    seeds = stats.Interval(-0.01, 0.05, 0.1, 0.01, "seeds")
    photos = stats.Interval(0.01, 0.03, 0.001, 0.005, "photos")
    assert stats.wider(seeds, photos) == seeds
    calm = stats.Interval(0.019, 0.021, 0.2, 0.0001, "seeds")
    found = stats.wider(calm, photos)
    assert (found.low, found.source, found.p) == (0.01, "photos", 0.2)
