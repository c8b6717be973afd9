"""Orders of samples against formulas, naive loops and torch's weighted sampler."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from carscale import balance, config
from carscale.balance.samplers import LISTED, SAMPLINGS, listed, progressive, weighted
from carscale.loaders import Stream

COUNTS = st.lists(st.integers(0, 60), min_size=1, max_size=12).filter(lambda c: sum(c) > 0)


def split_of(counts):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return SimpleNamespace(
        counts_K=np.array(counts), labels_N=labels, classes=(None,) * len(counts), class_sets=()
    )


def drawn(counts, num_passes=1, **settings):
    """Return an order, the split and the rows of its first passes."""
    split = split_of(counts)
    sampler = balance.sampler(config.Recipe(balance=config.Balance(**settings)), split)
    stream = Stream(len(split.labels_N), seed=0, sampler=sampler)
    return sampler, split, stream.rows(0, num_passes * sampler.length)


@given(COUNTS, st.sampled_from(sorted(SAMPLINGS)))
def test_an_epoch_draws_as_many_samples_as_train_has(counts, sampling):
    draws = balance.draws_per_epoch(config.Balance(sampling=sampling), np.array(counts))
    assert draws.sum() == pytest.approx(sum(counts))
    assert ((draws > 0) == (np.array(counts) > 0)).all()


@given(COUNTS, st.sampled_from(["sqrt", "balanced"]))
def test_weighted_shares_are_the_papers_power(counts, sampling):
    draws = balance.draws_per_epoch(config.Balance(sampling=sampling), np.array(counts))
    power = {"sqrt": 0.5, "balanced": 0.0}[sampling]
    raw = np.array([c**power if c else 0 for c in counts], dtype=float)
    np.testing.assert_allclose(draws, sum(counts) * raw / raw.sum(), rtol=1e-9)


@pytest.mark.parametrize("sampling", sorted(set(SAMPLINGS) - {"natural", "progressive"}))
def test_drawn_classes_lie_within_binomial_bounds(sampling):
    counts = [100, 40, 5, 1]
    sampler, split, rows = drawn(counts, num_passes=-(-20_000 // 146), sampling=sampling)
    rows = rows[:20_000]
    expected = balance.draws_per_epoch(config.Balance(sampling=sampling), np.array(counts)) / 146
    for seen, share in zip(np.bincount(split.labels_N[rows], minlength=4), expected, strict=True):
        low, high = stats.binom.interval(1 - 1e-6, len(rows), share)
        assert low <= seen <= high
    assert sampler.length > 0


@given(COUNTS, st.sampled_from(LISTED), st.integers(0, 3))
@settings(deadline=None)
def test_lists_show_classes_exactly_and_their_photos_equally_often(counts, sampling, seed):
    split = split_of(counts)
    cfg = config.Balance(sampling=sampling)
    sampler = balance.sampler(config.Recipe(balance=cfg), split)
    rows = sampler.draw(np.random.default_rng(seed), 0)
    assert len(rows) == sampler.length
    per_class = np.bincount(split.labels_N[rows], minlength=len(counts))
    share = balance.draws_per_epoch(cfg, np.array(counts)) / sum(counts)
    np.testing.assert_allclose(per_class, share * sampler.length, atol=1e-6)
    shown = np.bincount(rows, minlength=len(split.labels_N))
    for label in np.unique(split.labels_N):
        mine = shown[split.labels_N == label]
        assert mine.max() - mine.min() <= 1


def test_oversampling_shows_every_class_as_often_as_the_largest():
    sampler, split, rows = drawn([9, 4, 1], sampling="oversample")
    assert sampler.length == 27
    assert np.bincount(split.labels_N[rows]).tolist() == [9, 9, 9]
    assert len(np.unique(rows)) == 14  # nothing is left out


def test_undersampling_shows_other_photos_in_each_pass():
    sampler, split, rows = drawn([9, 4, 2], num_passes=40, sampling="undersample")
    assert sampler.length == 6
    first, second = rows[:6], rows[6:12]
    assert len(np.unique(first)) == 6  # none twice
    assert set(first) != set(second)
    assert len(np.unique(rows)) == 15  # in the end all are seen
    assert np.bincount(split.labels_N[rows]).tolist() == [80, 80, 80]


def test_repeat_factors_are_the_papers_formula():
    counts, threshold = [500, 80, 5], 0.2
    _, split, rows = drawn(counts, sampling="repeat-factor", repeat_threshold=threshold)
    expected = [n * max(1, (threshold / (n / 585)) ** 0.5) for n in counts]
    np.testing.assert_array_equal(np.bincount(split.labels_N[rows]), np.rint(expected))


@pytest.mark.parametrize(
    "train", [{"num_epochs": 60}, {"num_epochs": 600, "max_steps": 1200}], ids=["epochs", "steps"]
)
def test_progressive_goes_from_natural_to_balanced(train):
    counts, total = [900, 90, 10], 60_000
    split = split_of(counts)
    cfg = config.Recipe(
        balance=config.Balance(sampling="progressive"),
        loader=config.Loader(global_batch_size=50),
        train=config.Train(**train),
    )
    sampler = balance.sampler(cfg, split)
    rows = Stream(1000, seed=0, sampler=sampler).rows(0, total + 20_000)
    shares = np.array(counts) / 1000
    for first, last, done in ((0, 6000, 0.05), (27_000, 33_000, 0.5), (total, total + 20_000, 1)):
        seen = np.bincount(split.labels_N[rows[first:last]], minlength=3)
        expected = (1 - done) * shares + done / 3  # eq. 3
        for hits, share in zip(seen, expected, strict=True):
            low, high = stats.binom.interval(1 - 1e-6, last - first, share)
            assert low <= hits <= high


def test_an_undersampled_million_costs_little_a_pass():
    counts = np.full(1000, 1000)
    counts[0] = 1
    labels = np.repeat(np.arange(1000), counts)
    sampler = listed(labels, np.ones(1000, dtype=np.int64))
    assert len(np.unique(labels[sampler.draw(np.random.default_rng(0), 0)])) == 1000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -1.0])
def test_weights_that_are_no_numbers_draw_nothing(bad):
    for make in (weighted, lambda weights: progressive(weights, 100)):
        with pytest.raises(ValueError, match="weights_N must be finite and >= 0, 1 of 3"):
            make(np.array([1.0, bad, 2.0]))
        for none in (np.zeros(3), np.empty(0)):
            with pytest.raises(ValueError, match="must have a sum above 0"):
                make(none)
