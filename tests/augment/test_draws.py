"""Random numbers by address."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from carscale.augment import generator, uniforms
from carscale.augment.draws import NUM_DRAWS


@given(first=st.integers(0, 10**12), count=st.integers(1, 40), inner=st.integers(0, 39))
def test_a_position_has_the_same_numbers_in_every_range(first, count, inner):
    inner = min(inner, count - 1)
    whole = uniforms(3, "augment", first, first + count)
    one = uniforms(3, "augment", first + inner, first + inner + 1)
    np.testing.assert_array_equal(whole[inner : inner + 1], one)


def test_numbers_are_uniform_and_columns_independent():
    draws = uniforms(0, "augment", 0, 20_000)
    assert draws.shape == (20_000, NUM_DRAWS)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert stats.kstest(draws[:, :8].ravel(), "uniform").pvalue > 1e-3
    correlations = np.corrcoef(draws[:, :12].T) - np.eye(12)
    assert np.abs(correlations).max() < 0.04  # 5 sd of 1/sqrt(20,000)


def test_seeds_purposes_and_blocks_differ():
    base = generator(0, "order", 0).random(8)
    for other in (generator(1, "order", 0), generator(0, "augment", 0), generator(0, "order", 1)):
        assert not np.any(other.random(8) == base)
    np.testing.assert_array_equal(generator(0, "order", 0).random(8), base)
