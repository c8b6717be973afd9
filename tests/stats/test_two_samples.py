"""Two groups: against naive loops and scikit-learn, and honest where there is no difference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from carscale import stats

NUMBERS = st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=30)


@given(NUMBERS, NUMBERS)
def test_delta_is_that_of_a_loop_over_pairs(one, other):
    found = stats.dominance(one, other)
    signs = [np.sign(b - a) for a in one for b in other]
    assert math.isclose(found.delta, np.mean(signs), abs_tol=1e-12)
    assert -1 <= found.low <= found.delta + 1e-9
    assert found.delta - 1e-9 <= found.high <= 1
    back = stats.dominance(other, one)
    assert math.isclose(back.low, -found.high, abs_tol=1e-6)


def test_delta_is_the_area_under_the_curve():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=70), rng.normal(0.6, 2, size=40)
    labels = np.r_[np.zeros(70), np.ones(40)]
    area = roc_auc_score(labels, np.r_[one, other])
    assert math.isclose(stats.dominance(one, other).delta, 2 * area - 1, abs_tol=1e-12)


def test_groups_apart_keep_a_width():
    found = stats.dominance([1, 2, 3, 4, 5], [6, 7, 8, 9, 10])
    assert found.delta == found.high == 1
    assert 0.2 < found.low < 0.9


@pytest.mark.parametrize("spread", [1.0, 10.0])
@pytest.mark.parametrize(("num_a", "num_b"), [(20, 20), (200, 15)])
def test_intervals_cover_and_p_is_honest(spread, num_a, num_b):
    rng = np.random.default_rng([num_a, int(spread)])
    covered, refused = [], []
    for _ in range(400):
        found = stats.dominance(rng.normal(size=num_a), spread * rng.normal(size=num_b))
        covered.append(found.low <= 0 <= found.high)
        refused.append(found.p < 0.05)
    assert np.mean(covered) >= 0.925
    if spread == 1.0:  # the test asks whether the distributions are the same
        assert np.mean(refused) <= 0.085


def test_discrepancy_is_that_of_a_loop():
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(7, 3)), rng.normal(0.5, 1, (5, 3))
    every = np.concatenate([one, other])
    far = [((a - b) ** 2).sum() for i, a in enumerate(every) for b in every[:i]]
    width = np.median(far)

    def kernel(a, b):
        return math.exp(-((a - b) ** 2).sum() / width)

    def mean(group, others):
        pairs = [kernel(a, b) for i, a in enumerate(group) for j, b in enumerate(others)
                 if group is not others or i != j]  # fmt: skip
        return np.mean(pairs)

    wanted = mean(one, one) + mean(other, other) - 2 * mean(one, other)
    found = stats.mean_discrepancy(one, other, num_permutations=19)
    assert math.isclose(found.value, wanted, abs_tol=1e-12)


def test_discrepancy_of_one_source_is_chance():
    p = []
    for seed in range(100):
        points = np.random.default_rng(seed).normal(size=(60, 8))
        found = stats.mean_discrepancy(points[:35], points[35:], num_permutations=99, seed=seed)
        p.append(found.p)
    assert np.mean(np.array(p) <= 0.05) <= 0.11
    assert 0.35 < np.mean(p) < 0.65


def test_discrepancy_of_two_sources_is_found_and_covered():
    rng = np.random.default_rng(3)
    whole = stats.mean_discrepancy(
        rng.normal(size=(1500, 4)), rng.normal(0.4, 1, (1500, 4)), num_permutations=19
    ).value
    covered = []
    for _ in range(60):
        found = stats.mean_discrepancy(
            rng.normal(size=(120, 4)), rng.normal(0.4, 1, (120, 4)), num_permutations=99
        )
        assert found.p <= 0.05
        assert found.value > found.chance
        covered.append(found.low <= whole <= found.high)
    assert np.mean(covered) > 0.86


@pytest.mark.parametrize("call", [stats.dominance, stats.mean_discrepancy])
def test_too_few_are_refused(call):
    with pytest.raises(ValueError, match="two groups of"):
        call(np.zeros((1, 2)), np.zeros((9, 2)))
