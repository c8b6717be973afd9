"""The error of a difference: analysis of variance by hand, scikit-learn, the bootstrap."""

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from folders import arm_runs, outcomes

from carscale.verdicts.metrics import METRICS, strata_of, terms_of, weights_of
from carscale.verdicts.variance import ArmTerms, SeedSpread, difference, fit_seeds, trusted
from carscale.verdicts.verdict import ArmRuns, fit_arms, judge_arms, score

REFERENCES = {
    "top1": lambda labels, said, _: sklearn.metrics.accuracy_score(labels, said),
    "balanced_accuracy": lambda labels, said, _: sklearn.metrics.recall_score(
        labels, said, labels=np.unique(labels), average="macro"
    ),
    "macro_f1": lambda labels, said, _: sklearn.metrics.f1_score(
        labels, said, labels=np.unique(labels), average="macro"
    ),
    "log_loss": lambda _, __, losses: -losses.mean(),
}


def guesses(num_photos=400, num_classes=7, seed=0):
    """Uneven classes of which class 0 has no photo, and predictions that name it all the same."""
    rng = np.random.default_rng(seed)
    labels = np.minimum(rng.geometric(0.3, num_photos), num_classes - 1)
    said = np.where(rng.random(num_photos) < 0.6, labels, rng.integers(0, num_classes, num_photos))
    return labels, said, rng.exponential(1, num_photos)


@pytest.mark.parametrize("metric", METRICS)
def test_terms_add_up_to_scikit_learns_metric(metric):
    labels, said, losses = guesses()
    wanted = REFERENCES[metric](labels, said, losses)
    assert score(said, losses, labels, metric) == pytest.approx(wanted)
    assert weights_of(labels, metric).sum() == pytest.approx(1)


@pytest.mark.parametrize("metric", METRICS)
def test_the_error_over_photos_is_the_bootstraps(metric):
    """2,000 resamples within the strata; macro F1, which is linearised, within 8 %."""
    labels, said, losses = guesses(1500)
    strata = strata_of(labels, metric)
    terms = terms_of(said[None], losses[None], labels, metric)[0]
    parts = [terms[strata == one] for one in np.unique(strata)]
    error = np.sqrt(sum(len(part) * part.var(ddof=1) for part in parts))
    rng = np.random.default_rng(1)
    places = [np.flatnonzero(strata == one) for one in np.unique(strata)]
    values = []
    for _ in range(2000):
        rows = np.concatenate([rng.choice(place, len(place)) for place in places])
        values.append(REFERENCES[metric](labels[rows], said[rows], losses[rows]))
    assert error == pytest.approx(np.std(values), rel=0.08)


def test_classes_of_one_photo_are_one_stratum():
    assert strata_of(np.array([3, 0, 0, 5]), "macro_f1").tolist() == [0, 1, 1, 0]
    assert not strata_of(np.array([3, 0, 0, 5]), "top1").any()


def arms_of(values_AS, num_photos=50):
    """Arms whose runs differ by their value alone."""
    flat = np.full(num_photos, 1 / num_photos)
    arms = {
        f"arm {a}": ArmTerms(tuple(range(len(row))), row[:, None] * flat)
        for a, row in enumerate(values_AS)
    }
    return arms, flat


def test_the_spread_of_seeds_is_the_analysis_of_variance():
    """Two-way without replicates: sums of squares by hand."""
    values = np.random.default_rng(0).normal([0, 5, 9], 1, (4, 3))  # seeds shift all arms
    spread = fit_seeds(*arms_of(values)).spread
    within = values - values.mean(axis=1, keepdims=True)
    left = within - values.mean(axis=0) + values.mean()
    assert spread.variance == pytest.approx((within**2).sum() / 8)
    assert spread.paired_variance == pytest.approx((left**2).sum() / 6)
    assert (spread.freedom, spread.paired_freedom) == (8, 6)
    assert spread.is_paired
    assert spread.used[1] == 6
    assert spread.used[0] > spread.paired_variance  # the smaller of two, corrected
    single = fit_seeds(*arms_of(values[:2])).spread
    assert not single.is_paired  # 2 degrees of freedom would be left
    assert single.used == (single.variance, 4)


def test_the_smaller_of_two_variances_is_right_in_the_mean():
    """Where seeds shift nothing; three standard errors of 4,000 tables."""
    rng = np.random.default_rng(0)
    used = [fit_seeds(*arms_of(rng.normal(0, 1, (4, 3)), 2)).spread.used[0] for _ in range(4000)]
    assert np.mean(used) == pytest.approx(1, abs=3 * np.std(used) / np.sqrt(4000))


def test_a_difference_is_that_of_paired_runs_where_some_are_missing():
    """An arm of two seeds beside a baseline of four is compared on those two, as seeds shift."""
    rng = np.random.default_rng(0)
    shift = np.array([0, 0.2, 0.5, 0.9])
    values = rng.normal(0, 0.001, (4, 4)) + shift
    arms, flat = arms_of(values)
    arms["arm 1"] = ArmTerms((0, 1), arms["arm 1"].terms_SN[:2] + 0.1 * flat)
    model = fit_seeds(arms, flat)
    found = difference(model, {"arm 1": 1, "arm 0": -1}, np.zeros(50, int))
    assert found.value == pytest.approx(0.1, abs=0.005)  # by means of all runs it would be -0.2
    assert found.spread.num_seeds == 2


def test_an_arm_that_spreads_more_counts_half_way_to_its_own():
    values = np.random.default_rng(1).normal(0, 0.001, (5, 3))
    values[4] = [-0.05, 0, 0.05]
    arms, flat = arms_of(values)
    model = fit_seeds(arms, flat)
    strata = np.zeros(50, int)
    calm, wild = (
        difference(model, {name: 1, "arm 0": -1}, strata).interval.error
        for name in ("arm 1", "arm 4")
    )
    assert wild > 1.1 * calm
    assert model.own["arm 4"] > 2 * model.spread.used[0]


def test_one_arm_is_the_t_test_of_two_samples_with_photos_known():
    """Photos that do not differ: the equal-variance t-test, plus the noise of one photo."""
    rng = np.random.default_rng(3)
    base = rng.normal(0, 0.02, 4)
    values = np.stack([base, 0.01 + base[[1, 0, 3, 2]]])  # alike, so that both count with the pool
    arms, flat = arms_of(values, 100_000)
    found = difference(fit_seeds(arms, flat), {"arm 1": 1, "arm 0": -1}, np.zeros(100_000, int))
    wanted = scipy.stats.ttest_ind(values[1], values[0])
    assert found.interval.p == pytest.approx(wanted.pvalue, rel=1e-3)
    bounds = wanted.confidence_interval(0.95)
    assert (found.interval.low, found.interval.high) == pytest.approx(bounds, abs=1e-5)


def test_earlier_runs_let_one_seed_be_judged():
    base, arm, labels = outcomes(4000, 1, gain=0.1)
    arms = {"base": arm_runs(base, labels), "arm": arm_runs(arm, labels)}
    assert judge_arms(arms, "base", labels)["arm"].word == "inconclusive"
    earlier = SeedSpread(0.005**2, 12, 0.006**2, 10, 0.004**2)
    found = judge_arms(arms, "base", labels, model=fit_arms(arms, labels, "top1", earlier))["arm"]
    assert found.word == "helps"
    assert found.difference.spread.freedom == 12
    wild = SeedSpread(0.2**2, 12, 0.21**2, 10, 0.0)
    assert (
        judge_arms(arms, "base", labels, model=fit_arms(arms, labels, "top1", wild))["arm"].word
        == "inconclusive"
    )


def test_spreads_pool_by_their_degrees_of_freedom():
    one, other = SeedSpread(1.0, 4, 2.0, 2, 0.5), SeedSpread(3.0, 12, 4.0, 6, 0.1)
    both = one + other
    assert (both.variance, both.freedom) == (2.5, 16)
    assert (both.paired_variance, both.paired_freedom) == (3.5, 8)
    assert both.rest == pytest.approx(0.2)
    assert one + SeedSpread() == one


@pytest.mark.parametrize("metric", METRICS)
def test_the_parts_of_the_error_are_those_it_was_made_of(metric):
    """Runs that shift, photos that differ by arm: the parts come out, at 40 seeds."""
    rng = np.random.default_rng(0)
    num_seeds, num_photos = 40, 3000
    labels = rng.integers(0, 5, num_photos)
    ease = rng.normal(1, 2, num_photos)
    quirk = rng.normal(0, 0.5, (2, 1, num_photos))
    luck = rng.normal(0, 0.1, (2, num_seeds, 1))
    odds = ease + quirk + luck
    sure = 1 / (1 + np.exp(-odds))
    correct = rng.random(odds.shape) < sure
    runs = {}
    for name, right, p in zip(("base", "arm"), correct, sure, strict=True):
        plain = arm_runs(right, labels)
        runs[name] = ArmRuns(plain.seeds, plain.predictions_SN, -np.log(p))
    found = judge_arms(runs, "base", labels, metric=metric)["arm"].difference
    values = [
        [score(said, loss, labels, metric) for said, loss in zip(r.predictions_SN, r.losses_SN)]  # noqa: B905
        for r in runs.values()
    ]
    wanted = np.var(values, axis=1, ddof=1).mean()
    assert found.spread.base_seeds == pytest.approx(wanted, rel=0.3)
    assert found.spread.photos > 0
    assert found.source in ("seeds", "photos")


def test_earlier_runs_are_leaned_on_no_further_than_they_are_alike():
    own = SeedSpread(1.0, 12, 1.0, 10, 0.1)
    alike = SeedSpread(1.1, 30, 0.9, 24, 0.1)
    assert (trusted(alike, own).freedom, trusted(alike, own).paired_freedom) == (12, 10)
    assert trusted(SeedSpread(0.1, 30, 0.1, 24, 0.0), own) == SeedSpread()
    assert trusted(SeedSpread(9.0, 30, 9.0, 24, 0.0), own) == SeedSpread()
    assert trusted(alike, SeedSpread()) == alike


@pytest.mark.parametrize("metric", ["top1", "macro_f1"])
def test_one_seed_leaves_the_variance_over_photos(metric):
    """Within strata, of samples: the reference is numpy's with one degree of freedom less."""
    labels, said, losses = guesses(60)
    other = np.random.default_rng(9).permutation(said)
    runs = {"base": ArmRuns((0,), said[None], losses[None])}
    runs["arm"] = ArmRuns((0,), other[None], losses[None])
    found = judge_arms(runs, "base", labels, metric=metric)["arm"].difference.spread
    terms = terms_of(np.stack([other, said]), np.stack([losses] * 2), labels, metric)
    strata = strata_of(labels, metric)
    parts = [(terms[0] - terms[1])[strata == one] for one in np.unique(strata)]
    wanted = sum(len(part) * part.var(ddof=1) for part in parts if len(part) > 1)
    assert found.photos == pytest.approx(wanted)
    assert (found.by_seeds, found.freedom) == (0, 0)


def test_what_runs_add_to_photos_is_not_the_photos():
    """Arms that differ on no photo but by chance: next to nothing is left for photos."""
    rng = np.random.default_rng(0)
    labels, ease = np.zeros(20_000, int), rng.beta(2, 1, 20_000)
    runs = {name: arm_runs(rng.random((3, 20_000)) < ease, labels) for name in ("base", "arm")}
    spread = judge_arms(runs, "base", labels)["arm"].difference.spread
    assert spread.photos < 0.1 * spread.rest * 2 / 3


def test_a_single_arm_that_is_most_of_its_pool_has_one_degree_less():
    for values, freedom in (([[0, 0.01, 0.02]] * 2, 4), ([[0, 0.01, 0.02], [0, 0.05, 0.1]], 3)):
        arms, flat = arms_of(np.array(values), 100_000)
        found = difference(fit_seeds(arms, flat), {"arm 1": 1, "arm 0": -1}, np.zeros(100_000, int))
        assert found.interval.freedom == pytest.approx(freedom, rel=1e-3)
