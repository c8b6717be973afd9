"""Looks: error that is spent, arms that are settled, arms that are given up."""

import numpy as np
import pytest
import scipy.stats
from folders import arm_runs

from carscale import stats
from carscale.verdicts.looks import Looks
from carscale.verdicts.power import chance_to_settle
from carscale.verdicts.verdict import judge_arms


def verdicts_of(num_seeds, gains, *, alpha=0.05, num_photos=20_000, seed=0):
    """Verdicts on arms of true gains, seeds of which spread by half a point."""
    rng = np.random.default_rng(seed)
    labels, ease = np.zeros(num_photos, int), rng.beta(2, 1, num_photos)
    runs = {}
    for name, gain in {"base": 0.0, **gains}.items():
        luck = gain + 0.005 * rng.standard_normal((num_seeds, 1))
        runs[name] = arm_runs(rng.random((num_seeds, num_photos)) < ease + luck, labels)
    return judge_arms(runs, "base", labels, alpha=alpha, margin=0.01)


def test_each_look_spends_its_part():
    looks = Looks((0.25, 0.5))
    assert looks.alpha(1.0) == stats.nominal_levels([0.25, 0.5, 1.0])[-1]
    assert Looks().alpha(0.5) == pytest.approx(stats.spent(0.5))
    assert not looks.is_over
    assert Looks((0.5, 1.0)).is_over


def test_what_a_look_settles_stays_settled():
    clear = verdicts_of(3, {"a": 0.1, "b": 0.004})
    more = {"a": 5, "b": 5}
    first = Looks().after(clear, 0.5, more, margin=0.01)
    assert first.verdicts["a"] is clear["a"]
    assert (first.is_open("a"), first.is_open("b")) == (False, True)
    assert first.notes == {"a": "settled at look 1: no more runs"}
    second = first.after(verdicts_of(3, {"a": -0.1, "b": 0.1}, seed=1), 1.0, {}, margin=0.01)
    assert second.verdicts["a"] is clear["a"]
    assert second.verdicts["b"].word == "helps"
    assert second.notes["b"] == "settled at look 2: no more runs"
    assert second.fractions == (0.5, 1.0)


def test_a_hopeless_arm_gets_no_more_and_may_still_be_settled_at_the_end():
    """A difference at the edge of the margin, of few photos: no number of seeds decides it."""
    unclear = verdicts_of(5, {"edge": 0.011, "far": 0.03}, num_photos=500)
    looks = Looks().after(unclear, 0.5, {"edge": 3, "far": 3}, margin=0.01)
    (given_up,) = looks.notes  # the other one is likelier
    assert unclear[given_up].word == "inconclusive"
    assert looks.notes[given_up].startswith(
        "no more runs since look 1: 3 more would settle it with"
    )
    assert not looks.verdicts
    last = looks.after(verdicts_of(3, {"edge": 0.1, "far": 0.1}), 1.0, {}, margin=0.01)
    assert last.verdicts[given_up].word == "helps"
    left = Looks().after(unclear, 1.0, {"edge": 0, "far": 0}, margin=0.01)
    assert left.is_open("edge")  # nothing is left to give


def test_the_likeliest_arm_is_never_given_up_nor_any_before_the_spread_is_known():
    gains = {"a": 0.011, "b": 0.012, "c": 0.010}
    unclear = verdicts_of(5, gains, num_photos=300)
    more = dict.fromkeys(gains, 1)
    looks = Looks().after(unclear, 0.9, more, margin=0.01)
    chances = Looks((0.9,)).chances(unclear, more, margin=0.01)
    assert max(chances.values()) < 0.1
    still = [name for name in gains if looks.is_open(name)]
    assert still == [max(chances, key=chances.get)]
    early = verdicts_of(2, gains, num_photos=300)
    assert early["a"].difference.spread.freedom < 6
    looks = Looks().after(early, 0.5, more, margin=0.01)
    assert all(note.startswith("settled") for note in looks.notes.values())
    assert len(looks.notes) < len(gains)


def test_no_look_but_the_last_counts_before_the_spread_is_known():
    clear = verdicts_of(2, {"one arm": 0.3})
    assert clear["one arm"].word == "helps"
    assert clear["one arm"].difference.spread.freedom < 4
    none = Looks()
    assert none.after(clear, 0.5, {"one arm": 3}, margin=0.01) is none  # nothing spent or settled
    assert none.after(clear, 1.0, {}, margin=0.01).verdicts["one arm"].word == "helps"
    known = verdicts_of(3, {"one arm": 0.3})
    assert none.after(known, 0.6, {"one arm": 2}, margin=0.01).fractions == (0.6,)


@pytest.mark.parametrize("gain", [0.004, 0.012])
def test_the_chance_to_settle_is_the_share_of_studies_that_are(gain):
    """The difference moves as its seeds do: 20,000 draws of where it will be."""
    found = verdicts_of(3, {"a": gain})["a"].difference
    spread = found.spread
    for more in (1, 6):
        chance = chance_to_settle(
            found, more=more, more_base=more, margin=0.01, level=0.95, final=0.95
        )
        by_seeds = (spread.seeds + spread.base_seeds) / (3 + more)
        variance = by_seeds + spread.by_photos
        freedom = (variance / by_seeds) ** 2 * (spread.freedom + 2 * more)
        reach = scipy.stats.t.ppf(0.975, freedom) * np.sqrt(variance)
        moves = np.sqrt(spread.by_seeds - by_seeds)
        ends = np.random.default_rng(0).normal(found.value, moves, 20_000)
        settled = (np.abs(ends) > reach) | (np.abs(ends) + reach < 0.01)
        assert chance == pytest.approx(settled.mean(), abs=0.02)
