"""Intervals against scipy and against counting."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import stats


@given(st.integers(1, 5000), st.data(), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_jeffreys_is_the_beta_quantile(trials, drawn, level):
    wins = drawn.draw(st.integers(0, trials))
    low, high = stats.jeffreys(wins, trials, level=level)
    posterior = scipy.stats.beta(wins + 0.5, trials - wins + 0.5)
    tail = (1 - level) / 2
    assert float(low) == (0 if wins == 0 else pytest.approx(posterior.ppf(tail), rel=1e-9))
    assert float(high) == (
        1 if wins == trials else pytest.approx(posterior.ppf(1 - tail), rel=1e-9)
    )
    assert 0 <= low <= wins / trials <= high <= 1


def test_jeffreys_takes_arrays_and_knows_no_trials():
    low, high = stats.jeffreys([0, 3, 5, 0], [4, 6, 5, 0])
    assert low.shape == high.shape == (4,)
    assert low[0] == 0
    assert high[2] == 1
    assert np.isnan(low[3])
    assert np.isnan(high[3])
    for number in range(3):
        one = stats.jeffreys([0, 3, 5][number], [4, 6, 5][number])
        assert (float(one[0]), float(one[1])) == (low[number], high[number])


def test_jeffreys_is_its_own_mirror():
    low, high = stats.jeffreys(3, 11)
    low_of_losses, high_of_losses = stats.jeffreys(8, 11)
    assert float(low) == pytest.approx(1 - float(high_of_losses))
    assert float(high) == pytest.approx(1 - float(low_of_losses))


@pytest.mark.parametrize(("wins", "trials"), [(-1, 4), (5, 4), ([1, 9], [4, 4])])
def test_jeffreys_refuses_more_wins_than_trials(wins, trials):
    with pytest.raises(ValueError, match=r"between 0 and trials|successes must be finite and >= 0"):
        stats.jeffreys(wins, trials)


def test_jeffreys_covers_near_its_level():
    """Exact coverage over the binomial, averaged over 200 proportions; Brown et al. 2001."""
    trials = 60
    low, high = stats.jeffreys(np.arange(trials + 1), np.full(trials + 1, trials))
    shares = np.linspace(0.02, 0.98, 200)
    mass = scipy.stats.binom.pmf(np.arange(trials + 1)[:, None], trials, shares)
    covered = ((low[:, None] <= shares) & (shares <= high[:, None])) * mass
    assert covered.sum(axis=0).mean() == pytest.approx(0.95, abs=0.006)


@settings(deadline=None)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(0, 9))
def test_resamples_keep_the_size_of_each_class(strata, seed):
    strata = np.array(strata)
    drawn = list(stats.stratified_resamples(strata, num_resamples=4, seed=seed))
    assert len(drawn) == 4
    for rows in drawn:
        assert rows.dtype == np.int64
        assert rows.min() >= 0
        assert (np.bincount(strata[rows]) == np.bincount(strata)).all()
    again = list(stats.stratified_resamples(strata, num_resamples=4, seed=seed))
    assert all((a == b).all() for a, b in zip(drawn, again, strict=True))


def test_resamples_draw_each_row_alike():
    strata = np.array([3, 0, 0, 3, 3, 1])
    counts = np.zeros(6)
    for rows in stats.stratified_resamples(strata, num_resamples=6000, seed=0):
        counts += np.bincount(rows, minlength=6)
    assert abs(counts / 6000 - 1).max() < 0.05
    assert counts[5] == 6000


def test_resamples_differ_when_the_seed_differs():
    strata = np.zeros(50, dtype=np.int64)
    one, two = (next(stats.stratified_resamples(strata, num_resamples=1, seed=s)) for s in (0, 1))
    assert (one != two).any()
    assert not list(stats.stratified_resamples(strata, num_resamples=0, seed=0))


def test_the_bootstrap_is_near_the_standard_error():
    rng = np.random.default_rng(0)
    values, strata = rng.normal(0, 1, 400), np.repeat([0, 1], 200)
    means = np.array(
        [
            values[rows].mean()
            for rows in stats.stratified_resamples(strata, num_resamples=2000, seed=1)
        ]
    )
    low, high = stats.percentile_interval(means)
    within = np.sqrt(np.mean([values[strata == k].var() for k in (0, 1)]) / 400)
    assert high - low == pytest.approx(2 * 1.96 * within, rel=0.06)
    assert low < values.mean() < high


def test_percentile_interval_is_the_quantiles():
    assert stats.percentile_interval(np.arange(101), level=0.9) == pytest.approx((5, 95))
    assert stats.percentile_interval(np.full(7, 2.0)) == (2.0, 2.0)


@pytest.mark.parametrize("size", [1, 2, 5, 6, 9, 12, 30, 101])
def test_median_interval_is_scipys_quantile_test(size):
    values = np.random.default_rng(size).normal(size=size)
    low, high = stats.median_interval(values)
    assert low <= np.median(values) <= high
    wanted = scipy.stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    if np.isfinite([wanted.low, wanted.high]).all():
        assert (low, high) == (wanted.low, wanted.high)
    else:
        assert (low, high) == (values.min(), values.max())
