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
def test_t_interval_is_scipys_t_test(size, level):
    values = np.random.default_rng(size).normal(0.01, 0.02, size)
    error = values.std(ddof=1) / np.sqrt(size)
    found = stats.t_interval(values.mean(), error, size - 1, alpha=1 - level)
    wanted = scipy.stats.ttest_1samp(values, 0)
    bounds = wanted.confidence_interval(level)
    assert (found.low, found.high) == pytest.approx((bounds.low, bounds.high))
    assert found.p == pytest.approx(wanted.pvalue)
    assert found.width == pytest.approx(2 * float(stats.t_quantile(level, size - 1)) * error)


def test_t_interval_without_end_of_freedom_is_normal_and_needs_an_error():
    found = stats.t_interval(0.0, 1.0, np.inf)
    assert found.high == pytest.approx(scipy.stats.norm.ppf(0.975))
    assert found.p == 1
    with pytest.raises(ValueError, match="error must be > 0, got 0"):
        stats.t_interval(0.1, 0.0, 3)


@pytest.mark.parametrize(("num_arms", "freedom"), [(1, 4), (2, 1), (3, 2), (5, 12), (8, 1000)])
def test_dunnett_is_the_multivariate_t(num_arms, freedom):
    """The largest of correlated |t|, by 200,000 draws: four standard errors."""
    rng = np.random.default_rng(num_arms)
    shared = rng.uniform(0.2, 0.8, num_arms)
    normal = np.sqrt(1 - shared) * rng.standard_normal((200_000, num_arms))
    normal += np.sqrt(shared) * rng.standard_normal((200_000, 1))
    largest = np.abs(normal).max(axis=1) / np.sqrt(rng.chisquare(freedom, 200_000) / freedom)
    for t in (0.5, 2.0, 4.0):
        found = stats.dunnett(np.full(num_arms, t), shared, np.full(num_arms, freedom))
        share = (largest > t).mean()
        assert found == pytest.approx(share, abs=4 * np.sqrt(share / 200_000) + 1e-5)


def test_dunnett_steps_down_from_scipys():
    """Equal to scipy's for the largest; the last is a plain t-test; in order between."""
    rng = np.random.default_rng(0)
    base, *arms = rng.normal(0, 1, (4, 5))
    wanted = scipy.stats.dunnett(*arms, control=base, random_state=np.random.default_rng(0))
    p = stats.dunnett(wanted.statistic, [0.5] * 3, [16] * 3)
    order = np.argsort(-np.abs(wanted.statistic))
    assert p[order[0]] == pytest.approx(wanted.pvalue[order[0]], abs=2e-3)
    assert (p <= wanted.pvalue + 2e-3).all()
    last = 2 * scipy.stats.t.sf(abs(wanted.statistic[order[2]]), 16)
    assert p[order[2]] == pytest.approx(max(last, p[order[1]]))
    assert (np.diff(p[order]) >= 0).all()


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
