"""Verdicts are right as often as they say, on studies whose truth is known.

The full tables are in ``benchmarks/verdicts_2026-11.md``; here a few cells, within 25 s.
"""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import sim_verdicts as sim

from carscale import stats


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    """A thousand replicates instead of ten: the quantiles are a little rougher, all else equal."""
    quick = partial(stats.photo_interval, num_resamples=1000)
    monkeypatch.setattr("carscale.verdicts.verdict.stats.photo_interval", quick)


def share_is_at_most(successes, trials, nominal):
    """Tell whether a share may be ``nominal`` or less: it is not shown to be more, at 1 in 100."""
    return scipy.stats.binomtest(successes, trials, nominal, alternative="greater").pvalue > 0.01


def test_equal_arms_help_at_most_as_often_as_said():
    """2,000 studies of one arm that changes nothing: *helps* and *hurts* at most 2.5 % each."""
    words = [sim.study_words(sim.World(1000), seed)[0] for seed in range(2000)]
    assert share_is_at_most(words.count("helps"), 2000, 0.025)
    assert share_is_at_most(words.count("hurts"), 2000, 0.025)
    assert words.count("helps") + words.count("hurts") > 10  # nor is it asleep


def test_of_five_equal_arms_none_helps_in_most_studies():
    """Holm: any of five that *helps*, still in at most 2.5 % of 400 studies."""
    world = sim.World(500, 3, 0.5, (0.0,) * 5)
    any_helps = sum("helps" in sim.study_words(world, seed) for seed in range(400))
    assert share_is_at_most(any_helps, 400, 0.025)


def test_a_true_gain_of_two_points_is_found():
    """At least 80 % with 5,000 photos and 5 seeds of sd 0.5 points; never taken for a loss."""
    world = sim.World(5000, 5, 0.5, (2.0,))
    words = [sim.study_words(world, seed)[0] for seed in range(200)]
    assert words.count("helps") >= 160
    assert "hurts" not in words


@pytest.mark.parametrize(("num_photos", "seed_sd"), [(200, 1.0), (1000, 1.0), (5000, 0.5)])
def test_intervals_hold_the_truth(num_photos, seed_sd):
    """At least 93 %; above 98 % is doubt that was not needed, and no wrong word comes of it."""
    world = sim.World(num_photos, 3, seed_sd, (2.0,))
    wanted = sim.truth(world, 2.0)
    held = sum(sim.covers(world, wanted, seed)[0][0] for seed in range(300))
    assert scipy.stats.binomtest(held, 300, 0.93, alternative="less").pvalue > 0.01


def test_the_truth_of_the_model_is_what_a_large_draw_shows():
    """A gain of two points, on 400,000 photos and 40 seeds; three standard errors."""
    world = sim.World(100_000, 40, 1.0, (2.0,))
    rng = np.random.default_rng(0)
    each = [
        right[1].mean(axis=1) - right[0].mean(axis=1)
        for right in (sim.draw(world, rng) for _ in range(4))
    ]
    shown = np.concatenate(each)
    assert shown.mean() == pytest.approx(sim.truth(world, 2.0), abs=3 * shown.std() / np.sqrt(160))
    assert sim.truth(world, 0.0) == pytest.approx(0, abs=1e-9)
    assert 0.0199 < sim.truth(sim.World(1, 1, 0.5), 2.0) < 0.0201


def test_the_rule_with_summed_variances_is_a_two_way_table():
    """Against the t-interval over seeds where photos do not differ."""
    seeds = np.array([0.01, 0.02, 0.04])
    low, high = sim.summed(np.repeat(seeds[:, None], 50, axis=1))
    wanted = stats.seed_interval(seeds)
    assert (low, high) == pytest.approx((wanted.low, wanted.high))
