"""The gate: what is refused, how often by chance, and what it could not have seen."""

import numpy as np
import pytest
from scipy import stats as reference

from carscale.verdicts.gate import PhotoGroup, class_groups, judge_gate

ONE = np.zeros(100, np.int64)
SIZES = [[200] * 10, [16] * 66, [400, 200, 100, 50, 25, 12, 6, 3] * 5, [400] * 7]


def pair(rng, sizes, *, recall=0.8, alike=0.85, shift=0.0, halved=()):
    """Return labels and what two runs predict correctly; ``halved`` classes lose half of it.

    Args:
        rng: Of the draws.
        sizes: Photos of each class.
        recall: Of both runs, on average.
        alike: Share of the photos on which both runs agree by being easy or hard.
        shift: Standard deviation of a class's recall by seed.
        halved: Classes of which the new run forgets half.
    """
    labels_N = np.repeat(np.arange(len(sizes)), sizes)
    fixed_N = rng.random(len(labels_N)) < alike
    easy_N = rng.random(len(labels_N)) < recall

    def run():
        level_K = np.clip(recall + shift * rng.standard_normal(len(sizes)), 0.02, 0.98)
        return np.where(fixed_N, easy_N, rng.random(len(labels_N)) < level_K[labels_N])

    old_N, new_N = run(), run()
    for label in halved:
        rows = np.flatnonzero((labels_N == label) & new_N)
        new_N[rng.permutation(rows)[: len(rows) // 2]] = False
    return labels_N, old_N, new_N


def judged(labels_N, old_N, new_N, **options):
    names = [f"class {k}" for k in range(labels_N.max() + 1)]
    return judge_gate(labels_N, old_N, new_N, class_groups(labels_N, names), **options)


def test_p_is_mcnemars_exact_test_for_a_single_group():
    old_N = np.arange(100) < 60
    new_N = (np.arange(100) >= 12) & (np.arange(100) < 63)
    one = [PhotoGroup("class", "a", np.ones(100, bool))]
    found = judge_gate(ONE, old_N, new_N, one, is_continued=True, max_negative_flips=0.9)
    (row,) = found.groups
    assert (row.num_lost, row.num_gained, row.num_right) == (12, 3, 60)
    assert found.num_tested == 2  # with that of the flips
    assert row.p / 2 == pytest.approx(reference.binomtest(12, 15, alternative="greater").pvalue)
    assert row.is_worse
    assert row.drop == pytest.approx(0.09)
    assert not judge_gate(ONE, old_N, new_N, one, is_continued=True, max_class_drop=0.1).worse


@pytest.mark.parametrize(
    "sizes", [[200] * 10, [16] * 66, [400, 200, 100, 50, 25, 12, 6, 3] * 5, [400] * 7]
)
@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_two_runs_that_differ_in_nothing_are_seldom_refused(sizes, shift):
    rng = np.random.default_rng(len(sizes))
    refused = sum(
        not judged(*pair(rng, sizes, shift=shift), is_continued=False).has_passed
        for _ in range(200)
    )
    assert refused <= (20 if shift else 10)  # the shift is estimated from few classes


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_a_class_whose_recall_falls_by_half_is_caught(shift):
    rng = np.random.default_rng(1)
    caught = 0
    for _ in range(200):
        found = judged(*pair(rng, [200] * 30, shift=shift, halved=[7]))
        caught += any(one.name == "class 7" for one in found.worse)
    assert caught >= 190


def test_a_fall_of_all_classes_is_caught_as_one_of_all_photos():
    rng = np.random.default_rng(2)
    labels_N, old_N, new_N = pair(rng, [100] * 20)
    new_N &= rng.random(len(new_N)) < 0.88
    found = judged(labels_N, old_N, new_N)
    assert found.shift.value < 0.03
    assert [one for one in found.worse if one.kind == "all"]


def test_the_shift_of_classes_is_found():
    rng = np.random.default_rng(3)
    calm = [judged(*pair(rng, [200] * 30)).shift.value for _ in range(20)]
    wild = [judged(*pair(rng, [200] * 30, shift=0.2)).shift.value for _ in range(20)]
    assert np.median(calm) < 0.01
    assert 0.02 < np.median(wild) < 0.06


def test_what_could_be_shown_is_stated_and_would_be_refused():
    labels_N = np.repeat([0, 1], [100, 4])
    old_N = np.ones(104, bool)
    found = judged(labels_N, old_N, old_N)
    large = next(one for one in found.groups if one.name == "class 0")
    small = next(one for one in found.groups if one.name == "class 1")
    assert small.smallest_drop is None
    assert small.p == 1
    least = round(large.smallest_drop * 100)
    for lost, is_worse in ((least, True), (least - 1, False)):
        new_N = np.arange(104) >= lost
        again = judge_gate(labels_N, old_N, new_N, class_groups(labels_N, "ab")[1:2])
        assert again.num_tested == 1
        assert bool(again.worse) == (is_worse and lost > 5)


@pytest.mark.parametrize(("share", "is_refused"), [(0.01, False), (0.022, False), (0.05, True)])
def test_flips_of_a_run_that_starts_from_the_old_one_count_from_zero(share, is_refused):
    old_N = np.ones(2000, bool)
    new_N = np.arange(2000) >= 2000 * share
    found = judge_gate(np.zeros(2000, int), old_N, new_N, [], is_continued=True)
    assert found.flips.by_chance == 0
    assert found.flips.share == pytest.approx(share)
    assert found.has_passed != is_refused


def test_flips_are_judged_beyond_those_between_seeds_or_not_at_all():
    rng = np.random.default_rng(4)
    labels_N, old_N, new_N = pair(rng, [200] * 10)
    _, _, other_N = pair(np.random.default_rng(4), [200] * 10)
    seeds_SN = np.stack([np.where(rng.random(2000) < 0.08, ~old_N, old_N) for _ in range(3)])
    alone = judged(labels_N, old_N, new_N)
    assert alone.flips.p is None
    assert alone.flips.share > 0.02
    assert alone.has_passed
    by_seed = judged(labels_N, old_N, new_N, seeds_SN=np.stack([new_N, other_N]))
    assert by_seed.flips.by_chance > 0.02
    assert by_seed.has_passed
    worse_N = new_N & (rng.random(2000) < 0.9)
    beyond = judge_gate(labels_N, old_N, worse_N, [], seeds_SN=seeds_SN)
    assert beyond.flips.is_too_many


def test_photos_must_be_those_of_both():
    with pytest.raises(ValueError, match="photos of both runs"):
        judge_gate(np.zeros(3, int), np.ones(3, bool), np.ones(4, bool), [])
    with pytest.raises(ValueError, match="photos of both runs"):
        judge_gate(np.zeros(0, int), np.ones(0, bool), np.ones(0, bool), [])


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_classes_that_are_traded_for_others_are_refused_where_seeds_tell_luck(share):
    """Many classes lose 20 points, the others gain: seeds do no such thing."""
    rng = np.random.default_rng(5)
    labels_N = np.repeat(np.arange(20), 200)
    ease_N = rng.beta(4, 1.5, 4000)

    def run():
        return rng.random(4000) < np.where(ease_N > 0.7, 0.97, 0.5)

    old_N, other_N, new_N = run(), run(), run()
    losing_N = labels_N < 20 * share
    new_N = np.where(losing_N, new_N & (rng.random(4000) > 0.27), new_N | (rng.random(4000) < 0.3))
    by_seed = judged(labels_N, old_N, new_N, seeds_SN=other_N[None])
    assert by_seed.shift.source == "seeds"
    assert len([one for one in by_seed.worse if one.kind == "class"]) >= 10 * share
    continued = judged(labels_N, old_N, new_N, is_continued=True)
    assert continued.shift.value == 0
    assert len([one for one in continued.worse if one.kind == "class"]) >= 10 * share
    alone = judged(labels_N, old_N, new_N)
    assert alone.is_blind
    assert not by_seed.is_blind
