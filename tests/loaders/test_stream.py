"""The order of samples: every id once an epoch, weights kept, ranks partition, no state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carscale import balance
from carscale.loaders import Stream, rank_slice


@given(n=st.integers(1, 200), seed=st.integers(0, 50), epoch=st.integers(0, 5))
def test_uniform_shows_every_sample_once_an_epoch(n, seed, epoch):
    rows = Stream(n, seed=seed).rows(epoch * n, (epoch + 1) * n)
    np.testing.assert_array_equal(np.sort(rows), np.arange(n))


def test_epochs_and_seeds_have_other_orders():
    stream = Stream(100, seed=0)
    assert not np.array_equal(stream.rows(0, 100), stream.rows(100, 200))
    assert not np.array_equal(stream.rows(0, 100), Stream(100, seed=1).rows(0, 100))


@given(
    n=st.integers(1, 60),
    first=st.integers(0, 20_000),
    count=st.integers(0, 200),
    cut=st.integers(0, 200),
    weighted=st.booleans(),
)
@settings(deadline=None)
def test_any_range_is_cut_from_the_same_stream(n, first, count, cut, weighted):
    weights = np.linspace(1, 2, n) / np.linspace(1, 2, n).sum() if weighted else None
    sampler = balance.weighted(weights) if weighted else None
    stream = Stream(n, seed=3, sampler=sampler)
    cut = min(cut, count)
    whole = stream.rows(first, first + count)
    again = Stream(n, seed=3, sampler=sampler)  # no state: another object, other order of asking
    tail, head = again.rows(first + cut, first + count), again.rows(first, first + cut)
    np.testing.assert_array_equal(whole, np.concatenate([head, tail]))


def test_weighted_draws_lie_within_binomial_bounds():
    weights = np.array([0.5, 0.3, 0.15, 0.05, 0.0])
    count = 50_000
    seen = np.bincount(
        Stream(5, seed=1, sampler=balance.weighted(weights)).rows(0, count), minlength=5
    )
    for hits, p in zip(seen, weights, strict=True):
        low, high = stats.binom.interval(1 - 1e-6, count, p) if p else (0, 0)
        assert low <= hits <= high


@given(
    pairs=st.integers(1, 40),
    odd=st.booleans(),
    micro=st.integers(1, 4),
    world=st.integers(1, 5),
)
def test_parts_partition_the_batch_on_even_cuts(pairs, odd, micro, world):
    batch = 2 * pairs + odd
    if pairs < micro * world:
        with pytest.raises(ValueError, match="can't be cut"):
            rank_slice(batch, micro_step=0, num_micro_steps=micro, rank=0, world_size=world)
        return
    parts = [
        rank_slice(batch, micro_step=m, num_micro_steps=micro, rank=r, world_size=world)
        for m in range(micro)
        for r in range(world)
    ]
    covered = [index for part in parts for index in range(part.start, part.stop)]
    assert covered == list(range(batch))
    assert all(part.start % 2 == 0 for part in parts)
    sizes = [part.stop - part.start for part in parts]
    assert min(sizes) >= 2
    assert max(sizes) - min(sizes) <= 3


def test_a_million_samples_and_a_far_position_are_quick_to_reach():
    stream = Stream(1_000_000, seed=0)
    rows = stream.rows(10**9 + 7, 10**9 + 71)
    assert len(np.unique(rows)) == 64


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="num_samples must be >= 1"):
        Stream(0, seed=0)
