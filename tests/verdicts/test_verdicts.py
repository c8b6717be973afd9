"""Words and numbers of verdicts, against counting by hand."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from folders import outcomes
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score

from carscale.verdicts import power, verdict
from carscale.verdicts.verdict import Pair, judge_pairs, measure


def judged(base_SN, arm_SN, labels_N, **options):
    pair = Pair(arm_SN, base_SN, tuple(range(len(base_SN))))
    return judge_pairs({"arm": pair}, labels_N, **options)["arm"]


def test_a_clear_gain_helps_and_its_mirror_hurts():
    base, arm, labels = outcomes(4000, 3, gain=0.08)
    up, down = judged(base, arm, labels), judged(arm, base, labels)
    assert (up.word, up.text) == ("helps", "helps")
    assert (down.word, down.text) == ("hurts", "hurts")
    assert up.difference.value == -down.difference.value
    assert up.difference.interval.low > 0
    assert up.sample_size is None
    assert re.fullmatch(
        r"Helps\. \+\d\.\d points of top-1, 95 % interval \+\d\.\d to \+\d\.\d "
        r"\(over (seeds, wider than over photos|photos, wider than over seeds)\), "
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
    assert found.text == "inconclusive: needs at least 2 more seeds"
    assert found.difference.by_seeds is None
    assert found.difference.interval == found.difference.by_photos
    assert not found.difference.excludes_zero
    assert "one seed shows no variation over seeds" in found.sentence
    assert not any(one.stands_out for one in found.classes)
    calm = judged(base, base, labels)
    assert calm.word == "inconclusive"


@pytest.mark.parametrize("metric", ["top1", "balanced_accuracy"])
@pytest.mark.parametrize(("num_photos", "word"), [(1, 0), (2, 0), (20, 0), (2000, 1)])
def test_identical_arms_claim_nothing(num_photos, word, metric):
    base, _, labels = outcomes(num_photos, 3)
    found = judged(base, base, labels, metric=metric)
    assert found.word == ("inconclusive", "no difference")[word]
    assert found.difference.value == 0
    assert found.p_holm == 1
    if word:
        assert found.text == "no difference beyond ±0.1 points"
    else:
        assert re.fullmatch(r"inconclusive: [\d,]+ more val photos would settle it", found.text)


def test_the_interval_is_the_wider_of_two_and_p_the_larger():
    base, arm, labels = outcomes(500, 4, gain=0.03)
    found = measure(arm.astype(float) - base, labels)
    seeds = scipy.stats.ttest_rel(arm.mean(axis=1), base.mean(axis=1))
    low, high = seeds.confidence_interval(0.95)
    assert (found.by_seeds.low, found.by_seeds.high) == pytest.approx((low, high))
    assert found.interval.width == max(found.by_seeds.width, found.by_photos.width)
    assert found.interval.p == max(found.by_seeds.p, found.by_photos.p)
    assert found.value == pytest.approx(arm.mean() - base.mean())
    assert found.per_seed == pytest.approx(tuple(arm.mean(axis=1) - base.mean(axis=1)))


@pytest.mark.parametrize(
    ("metric", "reference"),
    [("top1", accuracy_score), ("balanced_accuracy", balanced_accuracy_score)],
)
def test_metrics_are_scikit_learns(metric, reference):
    base, arm, _ = outcomes(300, 2)
    labels = np.random.default_rng(0).geometric(0.3, 300)  # uneven, and class 0 has none
    for row in (base[0], arm[1]):
        named = np.where(row, labels, 0)
        with (
            pytest.warns(UserWarning, match="y_pred contains classes")
            if (metric == "balanced_accuracy")
            else pytest.MonkeyPatch.context()
        ):
            wanted = reference(labels, named)
        assert verdict.score(row, labels, metric) == pytest.approx(wanted)
    found = judged(base, arm, labels, metric=metric).difference.value
    each = [verdict.score(row, labels, metric) for row in (*arm, *base)]
    assert found == pytest.approx((each[0] + each[1] - each[2] - each[3]) / 2)


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


def test_holm_holds_back_what_one_arm_alone_would_show():
    base, arm, labels = outcomes(3000, 5, gain=0.025, seed=4)
    alone = judged(base, arm, labels)
    assert alone.word == "helps"
    other = outcomes(3000, 5, seed=9)[1]
    pairs = {"arm": Pair(arm, base, (0, 1, 2, 3, 4))}
    noise = np.random.default_rng(1)
    for number in range(400):
        mixed = np.where(noise.random(base.shape) < 0.5, base, other)
        pairs[f"noise {number}"] = Pair(mixed, base, (0, 1, 2, 3, 4))
    among = judge_pairs({**dict(list(pairs.items())[:1]), "none": None}, labels)
    assert among["arm"].p_holm == alone.p_holm
    assert among["none"].word == "no finished run"
    crowd = judge_pairs(pairs, labels)["arm"]
    assert crowd.difference == alone.difference
    assert crowd.p_holm > alone.p_holm
    assert crowd.word != "helps"
    assert crowd.difference.excludes_zero


def test_wrong_arguments_say_so():
    base, arm, labels = outcomes(20, 2)
    with pytest.raises(ValueError, match="margin must be > 0, got 0"):
        judged(base, arm, labels, margin=0)
    with pytest.raises(ValueError, match="metric must be of top1, balanced_accuracy, got 'ece'"):
        judged(base, arm, labels, metric="ece")
    with pytest.raises(ValueError, match=r"must be of shape \(2, 20\)"):
        judged(base, arm[:, :5], labels)


# what would settle it


def half_width(spread, num_seeds, num_photos):
    """The two half-widths of the model in ``resolve_backend``, written out."""
    more = num_photos / spread.num_photos
    seeds = (spread.seeds + spread.rest / more) / num_seeds
    photos = (spread.photos + spread.rest / num_seeds) / more
    t = scipy.stats.t.ppf(0.975, num_seeds - 1)
    return max(t * np.sqrt(seeds), scipy.stats.norm.ppf(0.975) * np.sqrt(photos))


variance = st.floats(0, 4e-4)


@settings(max_examples=300, deadline=None)
@given(st.integers(2, 6), st.integers(50, 5000), variance, variance, variance)
def test_needed_is_the_smallest_that_is_narrow_enough(num_seeds, num_photos, seeds, photos, rest):
    spread = power.Spread(num_seeds, num_photos, seeds, photos, rest)
    wanted, slack = 0.01, 1 + 1e-9
    found = power.sample_size(spread, half_width=wanted, level=0.95)
    if found.together:
        assert half_width(spread, num_seeds + found.seeds, num_photos + found.photos) <= (
            wanted * slack
        )
        assert half_width(spread, num_seeds + 1000, num_photos) > wanted
        assert half_width(spread, num_seeds, num_photos + 1_000_000) * slack > wanted
        return
    if found.seeds is None:
        assert half_width(spread, num_seeds + 1000, num_photos) * slack > wanted
    else:
        assert half_width(spread, num_seeds + found.seeds, num_photos) <= wanted * slack
        fewer = num_seeds + found.seeds - 1
        if found.seeds > 1:
            assert half_width(spread, fewer, num_photos) * slack > wanted
    if found.photos is not None:
        assert half_width(spread, num_seeds, num_photos + found.photos) <= wanted * slack
        if found.photos > 1:
            assert half_width(spread, num_seeds, num_photos + found.photos - 1) * slack > wanted


def test_needed_is_the_formula_where_there_is_one_source():
    seeds_only = power.Spread(3, 1000, seeds=1e-4, photos=0, rest=0)
    found = power.sample_size(seeds_only, half_width=0.01, level=0.95)
    wanted = next(
        n for n in range(4, 99) if scipy.stats.t.ppf(0.975, n - 1) * 0.01 / np.sqrt(n) <= 0.01
    )
    assert (found.seeds, found.photos) == (wanted - 3, None)
    photos_only = power.Spread(3, 1000, seeds=0, photos=1e-4, rest=0)
    found = power.sample_size(photos_only, half_width=0.01, level=0.95)
    assert (found.seeds, found.photos) == (None, int(np.ceil(1000 * (1.959964**2 - 1))))


def test_photos_beyond_reason_are_offered_only_where_seeds_do_not_help():
    spread = power.Spread(2, 500, seeds=0, photos=0, rest=1e-4)
    found = power.sample_size(spread, half_width=0.008, level=0.95)
    assert found.seeds is not None
    assert found.photos is None
    near = power.sample_size(spread, half_width=0.01, level=0.95)
    assert near.photos == math.ceil(500 * (12.7062**2 / 2 - 1))  # t of one degree
    only = power.Spread(2, 500, seeds=0, photos=1e-2, rest=0)
    assert power.sample_size(only, half_width=0.01, level=0.95).photos > 100 * 500


def test_words_of_what_is_needed():
    words = power.SampleSize(1, None).words("val")
    assert words == "1 more seed would settle it"
    assert power.SampleSize(None, 1).words("val") == "1 more val photo would settle it"
    assert power.SampleSize(1001, None).words("val") == "over 1,000 more seeds would settle it"
    both = power.SampleSize(4, 1_000_001, together=True).words("test")
    assert both == "4 more seeds and over 1,000,000 more test photos would settle it"


def test_spread_finds_the_sources_it_was_made_of():
    """Two-way random effects; relative errors of three standard errors at these sizes."""
    rng = np.random.default_rng(0)
    seeds, photos = 400, 2000
    values = (
        rng.normal(0, 0.02, (seeds, 1))
        + rng.normal(0, 0.3, (1, photos))
        + rng.normal(0, 0.5, (seeds, photos))
    )
    weights = np.full(photos, 1 / photos)
    error = values.mean(axis=0).std(ddof=1) / np.sqrt(photos)
    found = power.spread_of(values, weights, error)
    assert found.seeds == pytest.approx(0.02**2, rel=0.3)
    assert found.photos == pytest.approx(0.3**2 / photos, rel=0.1)
    assert found.rest == pytest.approx(0.5**2 / photos, rel=0.01)


def test_more_seeds_settle_it_when_they_come():
    """Half of such studies are settled with as many as said; with thrice as many, most."""
    rng = np.random.default_rng(2)
    labels = np.zeros(20_000, np.int64)

    def study(num_seeds):
        ease = rng.beta(3, 1, 20_000)
        shifts = rng.normal(0.015, 0.012, (num_seeds, 1))
        base = rng.random((num_seeds, 20_000)) < ease
        return base, rng.random((num_seeds, 20_000)) < np.clip(ease + shifts, 0, 1)

    spread = power.Spread(3, 20_000, 0.012**2, 0, 0)
    more = power.sample_size(spread, half_width=0.015, level=0.95).seeds
    settled = sum(judged(*study(3 + 3 * more), labels).word == "helps" for _ in range(20))
    before = sum(judged(*study(3), labels).word == "helps" for _ in range(20))
    assert settled >= 15
    assert before < settled


def test_verdicts_do_not_depend_on_the_order_of_seeds():
    base, arm, labels = outcomes(200, 3, gain=0.02)
    one = judged(base, arm, labels)
    two = judged(base[::-1], arm[::-1], labels)
    assert one.difference.interval.low == pytest.approx(two.difference.interval.low)
    assert replace(one.sample_size) == two.sample_size
