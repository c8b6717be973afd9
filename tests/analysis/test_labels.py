from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student_t
from tables_of import noisy_predictions, predictions_of

from carscale.analysis.labels import (
    confident_thresholds,
    exchanged_labels,
    expected_errors,
    review_labels,
    suspect,
)


def cleanlab():
    return pytest.importorskip("cleanlab", reason="cleanlab, the reference, is not installed")


def test_thresholds_are_cleanlabs():
    predictions, probs_NK, _ = noisy_predictions(300, 7)
    wanted = cleanlab().count.get_confident_thresholds(predictions.labels_N, probs_NK)
    found = confident_thresholds(predictions.labels_N, predictions.prob_label_N, 7)
    assert found == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("num_classes", [2, 4, 30])
def test_suspects_are_those_of_cleanlabs_confident_joint(num_classes):
    predictions, probs_NK, _ = noisy_predictions(2000, num_classes, seed=num_classes)
    _, per_label = cleanlab().count.compute_confident_joint(
        predictions.labels_N, probs_NK, return_indices_of_off_diagonals=True
    )
    wanted = np.zeros(2000, dtype=bool)
    wanted[per_label] = True
    found = suspect(predictions, num_classes).is_suspect_N
    assert (found != wanted).mean() <= (0 if num_classes <= 5 else 0.002)  # beyond the best five


def test_the_ranking_finds_as_many_errors_as_cleanlabs():
    predictions, probs_NK, is_noisy_N = noisy_predictions(3000, 40, noise=0.05, seed=3)
    scores_N = cleanlab().rank.get_label_quality_scores(
        predictions.labels_N, probs_NK, method="self_confidence"
    )
    order = np.argsort(scores_N, kind="stable")
    review = review_labels(predictions, 40, "train")
    for first in (50, 100, 150):
        theirs, ours = is_noisy_N[order[:first]].mean(), is_noisy_N[review.ids_R[:first]].mean()
        assert abs(ours - theirs) <= 0.02


def test_expected_errors_are_about_as_many_as_there_are():
    for noise in (0.01, 0.05, 0.15):
        predictions, probs_NK, is_noisy_N = noisy_predictions(5000, 20, noise=noise, seed=5)
        predictions = replace(predictions, probs_NK=probs_NK)
        expected = expected_errors(predictions, 20).sum()
        assert 0.75 * is_noisy_N.sum() <= expected <= 1.25 * is_noisy_N.sum() + 5


def test_expected_errors_do_not_count_a_weak_models_own_confusions():
    predictions, probs_NK, _ = noisy_predictions(5000, 20, noise=0.0, seed=6, strength=3.0)
    assert (predictions.prediction_N != predictions.labels_N).mean() > 0.3
    assert expected_errors(predictions, 20).sum() < 50
    assert expected_errors(replace(predictions, probs_NK=probs_NK), 20).sum() < 50
    assert suspect(predictions, 20).num_expected > 500  # what the confident joint would say


def test_expected_errors_of_an_overconfident_model_are_tempered():
    _, probs_NK, _ = noisy_predictions(5000, 20, noise=0.0, seed=7, strength=2.5)
    predictions, _, _ = noisy_predictions(5000, 20, noise=0.0, seed=7, strength=2.5)
    sharp_NK = probs_NK**3 / (probs_NK**3).sum(axis=1, keepdims=True)
    sharp = predictions_of(predictions.labels_N, None, probs=sharp_NK)
    assert expected_errors(replace(sharp, probs_NK=sharp_NK), 20).sum() < 50
    assert expected_errors(sharp, 20).sum() > 200  # without them it can't be seen


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 99))
def test_a_review_holds_every_sample_once_the_likeliest_errors_first(num, num_classes, seed):
    rng = np.random.default_rng(seed)
    probs_NK = rng.dirichlet(np.ones(num_classes), size=num)
    predictions = predictions_of(rng.integers(num_classes, size=num), None, probs=probs_NK)
    review = review_labels(predictions, num_classes, "val")
    assert sorted(review.ids_R.tolist()) == list(range(num))
    likely_R = np.diff(review.expected_R, prepend=0)
    assert np.all(np.diff(likely_R) <= 1e-9)
    assert np.all(likely_R >= -1e-12)
    assert np.all((review.suggested_R != review.labels_R) | (num_classes == 1))


def test_all_probabilities_and_the_best_five_agree_where_there_are_five():
    predictions, probs_NK, _ = noisy_predictions(500, 5, seed=8)
    full = replace(predictions, probs_NK=probs_NK.astype(np.float32))
    assert np.array_equal(suspect(full, 5).is_suspect_N, suspect(predictions, 5).is_suspect_N)


def test_photos_with_a_conflicting_duplicate_are_suspects_where_they_stand():
    predictions, _, _ = noisy_predictions(100, 4, noise=0.0, strength=12.0)
    sure = int(predictions.ids_N[predictions.prob_label_N.argmax()])
    plain = review_labels(predictions, 4, "val")
    review = review_labels(predictions, 4, "val", conflicting_ids=np.array([sure]))
    assert np.array_equal(review.ids_R, plain.ids_R)
    assert review.is_suspect_R[review.ids_R == sure].all()
    assert not plain.is_suspect_R[plain.ids_R == sure].any()


def test_blocks_of_rows_change_nothing(monkeypatch):
    from carscale.analysis import labels

    predictions, probs_NK, _ = noisy_predictions(500, 7, seed=9)
    full = replace(predictions, probs_NK=probs_NK.astype(np.float32))
    for one in (predictions, full):
        whole = suspect(one, 7)
        likely = labels._prob_label(one, 1.7)
        with monkeypatch.context() as patch:
            patch.setattr(labels, "MAX_PROBS", 70)
            assert len(labels._parts(one)) > 7
            parted = suspect(one, 7)
            assert np.array_equal(labels._prob_label(one, 1.7), likely)
        assert np.array_equal(parted.suggested_N, whole.suggested_N)
        assert np.array_equal(parted.is_suspect_N, whole.is_suspect_N)
        assert parted.num_expected == whole.num_expected


def test_the_calibrated_joint_is_cleanlabs():
    predictions, probs_NK, _ = noisy_predictions(2000, 4, seed=11)
    joint_KK = cleanlab().count.estimate_joint(predictions.labels_N, probs_NK)
    wanted = 2000 * (1 - np.trace(joint_KK))
    assert suspect(predictions, 4).num_expected == pytest.approx(wanted, rel=0.01)


def of_a_pair(*, is_exchanged, seed, num=60, num_classes=6, share=0.1):
    """Predictions of a network that learned a tenth of two classes' labels exchanged, or none.

    Without an exchange the two are look-alikes: normal clouds that overlap, so that a tenth is
    confused; the log-odds of such clouds spread as far as twice their mean (calibrated).
    """
    rng = np.random.default_rng(seed)
    true_N = np.repeat(np.arange(num_classes), num)
    logits_NK = rng.normal(0, 0.7, (num * num_classes, num_classes))
    logits_NK[np.arange(len(true_N)), true_N] += 3.5
    pair, mean = slice(0, 2 * num), 2 * 1.28**2
    if not is_exchanged:
        odds_M = rng.normal(mean, np.sqrt(2 * mean), 2 * num) * np.where(true_N[pair], 1, -1)
        logits_NK[pair, :2] = 3 + np.stack([-odds_M, odds_M], axis=1) / 2
    probs_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(axis=1, keepdims=True)
    labels_N, is_wrong_N = true_N.copy(), np.zeros(len(true_N), dtype=bool)
    if is_exchanged:
        both_M2 = probs_NK[pair, :2].copy()
        probs_NK[pair, :2] = (1 - share) * both_M2 + share * both_M2[:, ::-1]
        for start in (0, num):
            is_wrong_N[start : start + round(share * num)] = True
        labels_N[is_wrong_N] = 1 - true_N[is_wrong_N]
    found = predictions_of(labels_N, None, probs=probs_NK)
    return replace(found, probs_NK=probs_NK), is_wrong_N


@pytest.mark.parametrize("seed", range(4))
def test_labels_that_two_classes_exchanged_are_found_though_the_network_learned_them(seed):
    predictions, is_wrong_N = of_a_pair(is_exchanged=True, seed=seed)
    likely_N = expected_errors(predictions, 6)
    first = np.argsort(-likely_N, kind="stable")[:12]
    assert is_wrong_N[first].mean() > 0.9
    assert likely_N.sum() == pytest.approx(12, rel=0.35)
    best_five = expected_errors(replace(predictions, probs_NK=None), 6)
    assert best_five.sum() < 3  # as any calibrated mixture says


@pytest.mark.parametrize("seed", range(4))
def test_look_alikes_have_not_exchanged_labels(seed):
    predictions, _ = of_a_pair(is_exchanged=False, seed=seed)
    assert (predictions.labels_N != predictions.prediction_N).sum() >= 6
    assert exchanged_labels(predictions, 6).sum() < 0.5


def test_a_small_class_says_nothing_of_exchanged_labels():
    predictions, _ = of_a_pair(is_exchanged=True, seed=0, num=7, share=0.3)
    assert not exchanged_labels(predictions, 6).any()


def test_exchanged_labels_are_bayes_rule_on_two_clouds():
    predictions, _ = of_a_pair(is_exchanged=True, seed=1, share=0.05)  # 3 of 60: some doubt stays
    label, other, prior = 0, 1, 0.2 / 5
    odds_N = np.log(predictions.probs_NK[:, other] / predictions.probs_NK[:, label])
    own, theirs = (odds_N[predictions.labels_N == k] for k in (label, other))
    centres = [np.median(own), np.median(theirs)]
    widths = [
        1.4826 * np.median(np.abs(v - c)) for v, c in zip((own, theirs), centres, strict=True)
    ]
    width = np.sqrt((widths[0] ** 2 + widths[1] ** 2) / 2)
    fit = [student_t.pdf(own, 4, loc=centre, scale=width) for centre in centres]
    rates = (0.02, 0.05, 0.1, 0.2, 0.3)
    per_rate = [np.prod((1 - r) * fit[0] + r * fit[1]) for r in rates]
    without = np.prod(fit[0])
    total = (1 - prior) * without + prior * np.mean(per_rate)
    wanted = np.zeros(len(own))
    for rate, weight in zip(rates, per_rate, strict=True):
        wrong = rate * fit[1] / ((1 - rate) * fit[0] + rate * fit[1])
        wanted += prior * weight / len(rates) / total * wrong
    found = exchanged_labels(predictions, 6)[predictions.labels_N == label]
    assert 0.2 < wanted.max() < 0.9999
    assert found == pytest.approx(wanted, rel=1e-6, abs=1e-9)
