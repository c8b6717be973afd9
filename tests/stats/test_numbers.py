"""Statistics of NaN, infinities and nothing: a ValueError, or what the docstring says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carscale import stats

BAD = st.sampled_from([np.nan, np.inf, -np.inf])
GOOD = [0.0, 1.0, 1.0, 2.0, 3.0]
# Each takes a list of five numbers; the bad one may stand anywhere.
STATISTICS = {
    "poisson_tail counts": lambda v: stats.poisson_tail(v, [1.0] * 5),
    "poisson_tail means": lambda v: stats.poisson_tail([1] * 5, v),
    "binomial successes": lambda v: stats.binomial_two_sided(v, [9] * 5, 0.5),
    "binomial trials": lambda v: stats.binomial_two_sided([0] * 5, v, 0.5),
    "binomial share": lambda v: stats.binomial_two_sided([1] * 5, [2] * 5, np.array(v) / 3),
    "fewer_right": lambda v: stats.fewer_right(v, [5] * 5, 8, 10),
    "fewer_right num": lambda v: stats.fewer_right([0] * 5, v, 8, 10),
    "rank_sum": lambda v: stats.rank_sum(v, [1.0, 2.0]),
    "rank_sum other": lambda v: stats.rank_sum([1.0, 2.0], v),
    "beta_quantile": lambda v: stats.beta_quantile(np.array(v) / 3, 0.5),
    "jeffreys": lambda v: stats.jeffreys(v, [9] * 5),
    "jeffreys trials": lambda v: stats.jeffreys([0] * 5, v),
    "percentile_interval": lambda v: stats.percentile_interval(np.array(v)),
    "median_interval": stats.median_interval,
    "order_by_similarity": lambda v: stats.order_by_similarity(np.add.outer(v, v)),
    "t_interval": lambda v: stats.t_interval(v[0] + v[1] + v[2] + v[3] + v[4], 1.0, 3),
    "dunnett": lambda v: stats.dunnett(v, [0.5] * 5, [9] * 5),
    "dunnett shared": lambda v: stats.dunnett([1.0] * 5, np.array(v) / 9, [9] * 5),
    "dominance": lambda v: stats.dominance(v, [1.0, 2.0]),
    "mean_discrepancy": lambda v: stats.mean_discrepancy(
        np.reshape([*v, 1.0], (3, 2)), [[0.0, 1.0]] * 3, num_permutations=9
    ),
}
EMPTY = {
    "percentile_interval": lambda: stats.percentile_interval(np.empty(0)),
    "median_interval": lambda: stats.median_interval([]),
    "dominance": lambda: stats.dominance([], []),
    "mean_discrepancy": lambda: stats.mean_discrepancy(np.empty((0, 2)), np.empty((0, 2))),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_a_number_that_is_none_is_refused_wherever_it_stands(name):
    STATISTICS[name](GOOD)  # fine without

    @given(bad=BAD, place=st.integers(0, 4))
    def check(bad, place):
        values = list(GOOD)
        values[place] = bad
        with pytest.raises(ValueError, match=r"must (be finite|lie between)"):
            STATISTICS[name](values)

    check()


@pytest.mark.parametrize("name", EMPTY)
def test_nothing_is_refused(name):
    with pytest.raises(ValueError, match=r"got 0|needs"):
        EMPTY[name]()


def test_nothing_has_a_value_where_the_docstring_says_so():
    assert stats.rank_sum([], [1.0]) == 1.0
    assert np.isnan(stats.jeffreys(0, 0)).all()
    assert stats.order_by_similarity(np.empty((0, 0))).tolist() == []
    assert stats.holm([]).tolist() == []
    assert next(stats.stratified_resamples(np.empty(0, int), num_resamples=1, seed=0)).size == 0


@given(bad=st.sampled_from([np.inf, -np.inf, 1.5, -0.1]))
def test_holm_takes_probabilities_and_tests_that_were_none(bad):
    assert np.isnan(stats.holm([np.nan, 0.5])).tolist() == [True, False]
    with pytest.raises(ValueError, match="p_A must be finite and >= 0 and <= 1, 1 of 2"):
        stats.holm([0.5, bad, np.nan])


@given(bad=st.sampled_from([np.nan, np.inf, -1]))
def test_mcnemar_takes_counts(bad):
    with pytest.raises(ValueError, match="num_gained and num_lost must be finite"):
        stats.mcnemar(bad, 3)
