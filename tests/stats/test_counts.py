import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from carscale import stats


@given(st.integers(0, 40), st.floats(0.01, 30))
def test_poisson_tail_is_scipys(count, mean):
    wanted = scipy.stats.poisson.sf(count - 1, mean)
    assert stats.poisson_tail([count], [mean])[0] == pytest.approx(wanted, abs=1e-12)


def test_an_event_where_none_is_expected_has_no_chance():
    assert stats.poisson_tail([1, 0], [0.0, 0.0]).tolist() == [0.0, 1.0]


@given(st.integers(0, 30), st.integers(0, 30))
def test_half_and_half_binomial_is_scipys(wins, losses):
    wanted = scipy.stats.binomtest(wins, wins + losses, 0.5).pvalue if wins + losses else 1.0
    assert stats.binomial_two_sided(wins, wins + losses, 0.5) == pytest.approx(wanted)


@given(
    st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 30).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
)
def test_fewer_right_is_fishers_exact_test(part, rest):
    (wins, num), (other_wins, other_num) = part, rest
    table = [[wins, num - wins], [other_wins, other_num - other_wins]]
    wanted = scipy.stats.fisher_exact(table, alternative="less").pvalue
    found = stats.fewer_right([wins], [num], wins + other_wins, num + other_num)[0]
    assert found == pytest.approx(wanted, abs=1e-9)


def test_rank_sum_without_a_difference_is_one():
    assert stats.rank_sum([], [1.0]) == 1.0
    assert stats.rank_sum([2, 2], [2, 2, 2]) == 1.0


def test_rank_sum_is_scipys():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=30), rng.normal(0.5, size=50)
    assert stats.rank_sum(first, second) == scipy.stats.mannwhitneyu(first, second).pvalue


def test_holm_counts_tests_that_are_not_shown():
    assert stats.holm([0.001, 0.01], num_tests=10) == pytest.approx([0.01, 0.09])


@given(st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_an_order_by_similarity_holds_everything_once(size, seed):
    values = np.random.default_rng(seed).random((size, size))
    order = stats.order_by_similarity(values + values.T)
    assert sorted(order.tolist()) == list(range(size))


def test_similar_things_stand_side_by_side():
    similarity = np.zeros((6, 6))
    for one, other in ((0, 3), (1, 5), (2, 4)):
        similarity[one, other] = similarity[other, one] = 1
    place = np.argsort(stats.order_by_similarity(similarity))
    assert [abs(place[one] - place[other]) for one, other in ((0, 3), (1, 5), (2, 4))] == [1, 1, 1]
