"""Verdicts are right as often as they say, on studies whose truth is known.

The full tables are in ``benchmarks/verdicts_2026-11.md``; here a few small cells, within seconds.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import f1_score

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

import sim_verdicts as sim


def numbers(cell, num_studies):
    """Return what a cell comes to."""
    return sim.summarise(cell, [sim.judge(cell, seed) for seed in range(num_studies)])


def is_at_most(successes, trials, nominal):
    """Tell whether a share may be ``nominal`` or less: it is not shown to be more, at 1 in 100."""
    return scipy.stats.binomtest(successes, trials, nominal, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize(
    "cell",
    [
        sim.Cell("", 3, 1000, 1.0),
        sim.Cell("", 3, 500, 1.0, sim.FIVE),
        sim.Cell("", 3, 500, 1.0, sim.MIXED),
        sim.Cell("", 2, 500, 0.5, sim.FIVE, **sim.F1),
    ],
    ids=["one arm", "five arms", "unequal spreads", "macro-F1"],
)
def test_equal_arms_help_at_most_as_often_as_said(cell):
    """*Helps* and *hurts* of any arm that changes nothing in at most 2.5 % of studies each."""
    found = numbers(cell, 150)
    assert is_at_most(found["false_helps"], 150, 0.025)
    assert is_at_most(found["false_hurts"], 150, 0.025)


@pytest.mark.parametrize("metric", ["top1", "balanced_accuracy", "macro_f1"])
def test_intervals_hold_the_truth(metric):
    """At least 93 %, of a true gain; above 98 % is doubt that was not needed."""
    cell = sim.Cell("", 3, 1000, 1.0, (1.0, 1.0), 2.0, metric)
    found = numbers(cell, 120)
    assert is_at_most(found["intervals"] - found["covered"], found["intervals"], 0.07)


def test_a_true_gain_of_two_points_is_found():
    """At least 80 % with 5,000 photos and 5 seeds of sd 0.5 points; never taken for a loss."""
    found = numbers(sim.Cell("", 5, 5000, 0.5, (1.0,), 2.0), 100)
    assert found["found"] >= 80
    assert found["taken_for_loss"] == 0


@pytest.mark.parametrize(("gain", "spread"), [(0.0, 3.0), (2.0, 1.0)])
def test_the_truth_of_the_model_is_what_large_draws_show(gain, spread):
    """Top-1 and balanced accuracy over many runs; four standard errors."""
    cell = sim.Cell("", 200, 3000, 1.0, (spread,), gain)
    shown = []
    for seed in range(4):
        arms, labels_N = sim.draw(cell, np.random.default_rng(seed))
        right = [(runs.predictions_SN == labels_N).mean(axis=0) for runs in arms.values()]
        shown.append(right[1] - right[0])
    values_N = np.concatenate(shown)
    by_luck = 0.01 * np.hypot(1, spread) / np.sqrt(4 * 200)
    error = np.hypot(values_N.std() / np.sqrt(len(values_N)), by_luck)
    assert values_N.mean() == pytest.approx(sim.truth(gain, "top1", "even"), abs=4 * error)


def test_luck_moves_top1_by_what_it_says():
    """A run's top-1 varies by ``seed_sd`` points, over photos without end; 1,000 runs."""
    cell = sim.Cell("", 500, 4000, 2.0, (1.0,))
    arms, labels_N = sim.draw(cell, np.random.default_rng(0))
    for runs in arms.values():
        values_S = (runs.predictions_SN == labels_N).mean(axis=1)
        assert values_S.std() == pytest.approx(0.02, rel=0.15)


def test_macro_f1_is_that_of_scikit_learn():
    """On one draw with a long tail; with the gain of its truth above 0."""
    cell = dataclasses.replace(sim.CELLS["macro-F1, first gains 2"], num_photos=5000)
    arms, labels_N = sim.draw(cell, np.random.default_rng(1))
    guess_N = arms["arm 1"].predictions_SN[0]
    wanted = f1_score(labels_N, guess_N, average="macro")
    assert sim.macro_f1(guess_N, labels_N) == pytest.approx(wanted)


def test_cells_have_names_of_their_own():
    """At most 40, none lost to another of its name."""
    lists = (sim.POWER, sim.EQUAL, sim.UNEQUAL, sim.BY_CLASS)
    assert sum(map(len, lists)) == len(sim.CELLS) <= 40
