"""Words and numbers of verdicts, against counting by hand."""

import re

import numpy as np
import pytest
import scipy.stats
from folders import arm_runs, outcomes
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import recall_score

from carscale.verdicts import power
from carscale.verdicts.variance import Spread
from carscale.verdicts.verdict import ArmRuns, judge_arms

NONE = ArmRuns((), np.empty((0, 0), int), np.empty((0, 0)))


def judged(base_SN, arm_SN, labels_N, **options):
    arms = {"base": arm_runs(base_SN, labels_N), "arm": arm_runs(arm_SN, labels_N)}
    return judge_arms(arms, "base", labels_N, **options)["arm"]


def test_a_clear_gain_helps_and_its_mirror_hurts():
    base, arm, labels = outcomes(4000, 3, gain=0.08)
    up, down = judged(base, arm, labels), judged(arm, base, labels)
    assert (up.word, up.text) == ("helps", "helps")
    assert (down.word, down.text) == ("hurts", "hurts")
    assert up.difference.value == pytest.approx(-down.difference.value)
    assert up.difference.interval.low > 0
    assert up.sample_size is None
    assert re.fullmatch(
        r"Helps\. \+\d\.\d points of top-1, 95 % interval \+\d\.\d to \+\d\.\d "
        r"\(doubt mostly over (seeds|photos)\), "
        r"p (< )?0\.\d{3}\.",
        up.sentence,
    )


def test_small_differences_on_many_photos_are_none_beyond_what_is_said():
    rng = np.random.default_rng(0)
    base, other = rng.random((2, 3, 20_000)) < 0.9
    arm = np.where(rng.random(base.shape) < 0.05, other, base)
    found = judged(base, arm, np.zeros(20_000, np.int64), margin=0.02)
    assert found.word == "no difference"
    said = float(re.fullmatch(r"no difference beyond ±(\d\.\d) points", found.text)[1]) / 100
    bounds = found.difference.interval
    assert max(abs(bounds.low), abs(bounds.high)) <= said <= 0.02
    reach = max(abs(found.difference.interval.low), abs(found.difference.interval.high))
    for share, word in ((1.01, "no difference"), (0.99, "inconclusive")):
        margin = share * reach
        assert judged(base, arm, np.zeros(20_000, np.int64), margin=margin).word == word


def test_what_cannot_be_told_says_what_would_settle_it():
    base, arm, labels = outcomes(300, 3, gain=0.01)
    found = judged(base, arm, labels)
    assert found.word == "inconclusive"
    pattern = (
        r"inconclusive: (\d+ more seeds?|[\d,]+ more val photos)"
        r"( (or|and) [\d,]+ more val photos)? would settle it"
    )
    assert re.fullmatch(pattern, found.text)
    assert "val photo" not in judged(base, arm, labels, split="test").text
    assert judged(base, arm, labels, split="test").text.replace("test", "val") == found.text


def test_one_seed_never_settles_anything():
    base, arm, labels = outcomes(4000, 1, gain=0.2)
    found = judged(base, arm, labels)
    assert found.word == "inconclusive"
    assert found.text == "inconclusive: needs at least 1 more seed"
    assert found.difference.spread.freedom == 0
    assert not found.difference.excludes_zero
    assert "one seed shows no variation over seeds" in found.sentence
    assert not any(one.stands_out for one in found.classes)
    calm = judged(base, base, labels)
    assert calm.word == "inconclusive"


@pytest.mark.parametrize("metric", ["top1", "balanced_accuracy", "macro_f1", "log_loss"])
@pytest.mark.parametrize(("num_photos", "word"), [(1, 0), (2, 0), (20, 0), (2000, 1)])
def test_identical_arms_claim_nothing(num_photos, word, metric):
    base, _, labels = outcomes(num_photos, 5)
    found = judged(base, base, labels, metric=metric)
    assert found.word == ("inconclusive", "no difference")[word]
    assert found.difference.value == pytest.approx(0, abs=1e-12)
    assert found.p_adjusted == pytest.approx(1)
    if word:
        assert found.text == "no difference beyond ±0.1 points"
    else:
        assert re.fullmatch(r"inconclusive: [\d,]+ more val photos would settle it", found.text)


def test_seeds_and_classes_have_their_own_rows():
    base, arm, labels = outcomes(600, 3, gain=0.05)
    found = judged(base, arm, labels)
    for number, row in enumerate(found.seeds):
        gained = int((arm[number] & ~base[number]).sum())
        lost = int((base[number] & ~arm[number]).sum())
        assert (row.seed, row.num_gained, row.num_lost) == (number, gained, lost)
        wanted = scipy.stats.binomtest(gained, gained + lost).pvalue
        assert row.mcnemar_p == pytest.approx(wanted)
        assert row.difference == pytest.approx((gained - lost) / 600)
    for label, row in enumerate(found.classes):
        recalls = [
            recall_score(labels, np.where(one, labels, -1), labels=[label], average="macro")
            for one in (*arm, *base)
        ]
        assert row.label == label
        assert row.support == (labels == label).sum()
        assert row.difference == pytest.approx((sum(recalls[:3]) - sum(recalls[3:])) / 3)
        assert row.low < row.difference < row.high
        assert row.stands_out == (row.low > 0 or row.high < 0)


def test_a_class_of_one_photo_is_never_sure():
    labels = np.array([0, 0, 0, 0, 1, 3])
    base = np.zeros((3, 6), bool)
    arm = np.ones((3, 6), bool)
    found = {one.label: one for one in judged(base, arm, labels).classes}
    assert set(found) == {0, 1, 3}
    assert (found[1].low, found[1].high) == (-1, 1)
    assert not found[3].stands_out
    assert found[0].difference == 1


def test_many_arms_hold_back_what_one_alone_would_show():
    base, arm, labels = outcomes(3000, 3, gain=0.03, seed=4)
    alone = judged(base, arm, labels)
    assert alone.word == "helps"
    runs = {"base": arm_runs(base, labels), "arm": arm_runs(arm, labels)}
    among = judge_arms({**runs, "none": NONE}, "base", labels)
    assert among["arm"].p_adjusted == alone.p_adjusted
    assert among["none"].word == "no finished run"
    other_seed = arm_runs(arm, labels, (7, 8, 9))
    assert judge_arms({**runs, "arm": other_seed}, "base", labels)["arm"].word == "no finished run"
    for number in range(60):
        ease = np.random.default_rng(number).random(base.shape)
        runs[f"noise {number}"] = arm_runs(ease < base.mean(axis=0), labels)
    crowd = judge_arms(runs, "base", labels)["arm"]
    assert crowd.p_adjusted > alone.p_adjusted
    assert crowd.p_adjusted > crowd.difference.interval.p


def test_a_look_may_spend_less_and_says_so():
    base, arm, labels = outcomes(3000, 3, gain=0.03, seed=4)
    whole, look = judged(base, arm, labels), judged(base, arm, labels, alpha=0.001)
    assert (whole.word, look.word) == ("helps", "inconclusive")
    assert look.difference.interval.width > whole.difference.interval.width
    assert "below 0.001 counts at this look" in look.sentence


def test_wrong_arguments_say_so():
    base, arm, labels = outcomes(20, 2)
    with pytest.raises(ValueError, match="margin must be > 0, got 0"):
        judged(base, arm, labels, margin=0)
    with pytest.raises(ValueError, match="metric must be of top1, balanced_accuracy, macro_f1, "):
        judged(base, arm, labels, metric="ece")
    runs = arm_runs(base, labels)
    short = ArmRuns((0, 1), runs.predictions_SN[:, :5], runs.losses_SN[:, :5])
    with pytest.raises(ValueError, match=r"must be of shape \(seeds, 20\)"):
        judge_arms({"base": runs, "arm": short}, "base", labels)
    few = ArmRuns((0, 1, 2), runs.predictions_SN, runs.losses_SN)
    with pytest.raises(ValueError, match="arm: 3 seeds, predictions of shape"):
        judge_arms({"base": runs, "arm": few}, "base", labels)


# what would settle it


def spread_of(num_seeds, num_photos, seeds=0.0, photos=0.0, rest=0.0, freedom=None):
    """The parts of a difference of two arms with as many seeds each."""
    freedom = 2 * (num_seeds - 1) if freedom is None else freedom
    total = (seeds + rest) / 2
    return Spread(num_seeds, num_seeds, num_photos, total, total, rest / 2, photos, 0.0, freedom)


def half_width(spread, more, growth, level=0.95):
    """The error of a difference with more of both, written out."""
    luck = spread.seeds - spread.rest
    seeds = 2 * (luck + spread.rest / growth) / (spread.num_seeds + more)
    total = seeds + spread.photos / growth
    freedom = total**2 / seeds**2 * (spread.freedom + 2 * more) if seeds else np.inf
    return scipy.stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(total)


variance = st.floats(1e-9, 4e-4)


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 6), st.integers(50, 5000), variance, variance, variance)
def test_needed_is_the_smallest_that_is_narrow_enough(num_seeds, num_photos, seeds, photos, rest):
    spread = spread_of(num_seeds, num_photos, seeds, photos, rest)
    wanted, slack = 0.01, 1 + 1e-6
    found = power.sample_size(spread, half_width=wanted, level=0.95)
    if found.together:
        growth = 1 + found.photos / num_photos
        assert half_width(spread, found.seeds, growth) <= wanted * slack
        assert half_width(spread, 1000, 1) > wanted
        return
    if found.seeds is None:
        assert half_width(spread, 1000, 1) * slack > wanted
    else:
        assert half_width(spread, found.seeds, 1) <= wanted * slack
        if found.seeds > 1:
            assert half_width(spread, found.seeds - 1, 1) * slack > wanted
    if found.photos is not None:
        assert half_width(spread, 0, 1 + found.photos / num_photos) <= wanted * slack
        if found.photos > 1:
            assert half_width(spread, 0, 1 + (found.photos - 1) / num_photos) * slack > wanted


def test_needed_is_the_formula_where_there_is_one_source():
    seeds_only = spread_of(3, 1000, seeds=1e-4)
    found = power.sample_size(seeds_only, half_width=0.01, level=0.95)
    wanted = next(
        n for n in range(4, 99) if scipy.stats.t.ppf(0.975, 2 * n - 2) * 0.01 / np.sqrt(n) <= 0.01
    )
    assert (found.seeds, found.photos) == (wanted - 3, None)
    photos_only = spread_of(3, 1000, photos=1e-4)
    found = power.sample_size(photos_only, half_width=0.01, level=0.95)
    assert (found.seeds, found.photos) == (None, int(np.ceil(1000 * (1.959964**2 - 1))))


def test_photos_beyond_reason_are_offered_only_where_seeds_do_not_help():
    spread = spread_of(2, 500, rest=1e-4)
    found = power.sample_size(spread, half_width=0.002, level=0.95)
    assert found.seeds is not None
    assert found.photos is None
    only = spread_of(2, 500, photos=1e-2)
    assert power.sample_size(only, half_width=0.01, level=0.95).photos > 100 * 500


def test_what_can_be_detected_is_found_in_four_of_five_studies():
    """Differences drawn about the truth that is named; three standard errors of 4,000."""
    spread = spread_of(3, 1000, seeds=1e-4, photos=5e-5)
    true = power.detectable(spread, level=0.95)
    rng = np.random.default_rng(0)
    error = np.sqrt(spread.by_seeds + spread.by_photos)
    freedom = (spread.by_seeds + spread.by_photos) ** 2 / spread.by_seeds**2 * spread.freedom
    t = (true + error * rng.standard_normal(4000)) / (
        error * np.sqrt(rng.chisquare(freedom, 4000) / freedom)
    )
    found = (t > scipy.stats.t.ppf(0.975, freedom)).mean()
    assert found == pytest.approx(0.8, abs=0.03)
    assert power.detectable(spread_of(12, 1000, seeds=1e-4, photos=5e-5), level=0.95) < true


def test_words_of_what_is_needed():
    words = power.SampleSize(1, None).words("val")
    assert words == "1 more seed would settle it"
    assert power.SampleSize(None, 1).words("val") == "1 more val photo would settle it"
    assert power.SampleSize(1001, None).words("val") == "over 1,000 more seeds would settle it"
    both = power.SampleSize(4, 1_000_001, together=True).words("test")
    assert both == "4 more seeds and over 1,000,000 more test photos would settle it"


def test_verdicts_do_not_depend_on_the_order_of_seeds():
    base, arm, labels = outcomes(200, 3, gain=0.02)
    one = judged(base, arm, labels)
    two = judged(base[::-1], arm[::-1], labels)
    assert one.difference.interval.low == pytest.approx(two.difference.interval.low)
    assert one.sample_size == two.sample_size
