"""Metrics against scikit-learn and naive loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from carscale import evaluation
from carscale.evaluation import metrics
from carscale.types import CarClass, Predictions


def make(n: int, k: int, seed: int = 0, *, held: int | None = None) -> Predictions:
    """Random predictions of n samples over k classes, labels among the first ``held`` ones."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, k))
    labels = rng.integers(0, held or k, n)
    logits[np.arange(n), labels] += 1.5
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    order = np.argsort(-probs, axis=1)
    top = order[:, : min(5, k)]
    p_label = probs[np.arange(n), labels]
    others = probs.copy()
    others[np.arange(n), labels] = -1
    return Predictions(
        ids_N=np.arange(n),
        keys_N=np.array([f"k{i}" for i in range(n)], dtype=object),
        paths_N=np.array([f"p{i}" for i in range(n)], dtype=object),
        labels_N=labels,
        prediction_N=top[:, 0],
        top5_NT=top,
        top5_prob_NT=np.take_along_axis(probs, top, 1).astype(np.float32),
        prob_label_N=p_label.astype(np.float32),
        prob_prediction_N=probs.max(axis=1).astype(np.float32),
        loss_N=-np.log(p_label).astype(np.float32),
        margin_N=(p_label - others.max(axis=1).clip(0)).astype(np.float32),
        probs_NK=probs.astype(np.float32),
    )


def classes(k: int) -> tuple[CarClass, ...]:
    return tuple(CarClass(f"c{i}", f"c{i}") for i in range(k))


@pytest.mark.parametrize(("n", "k", "held"), [(500, 7, 7), (60, 12, 9), (3, 2, 2), (1, 4, 1)])
def test_scores_are_scikit_learns(n, k, held):
    p = make(n, k, held=held)
    got = evaluation.scores(p, k)
    present = np.unique(p.labels_N)
    y, guess = p.labels_N, p.prediction_N
    assert got["top1"] == pytest.approx(sk.accuracy_score(y, guess))
    recalls = sk.recall_score(y, guess, labels=present, average=None, zero_division=0)
    assert got["balanced_accuracy"] == pytest.approx(recalls.mean())
    f1 = sk.f1_score(y, guess, labels=present, average="macro", zero_division=0)
    assert got["macro_f1"] == pytest.approx(f1)
    if k > 5:
        top5 = sk.top_k_accuracy_score(y, p.probs_NK, k=5, labels=np.arange(k))
        assert got["top5"] == pytest.approx(top5)
    probs = p.probs_NK.astype(float)
    probs /= probs.sum(axis=1, keepdims=True)
    assert got["loss"] == pytest.approx(sk.log_loss(y, probs, labels=np.arange(k)), rel=1e-4)


def naive_ece(confidence, right, num_bins):
    total = 0.0
    for b in range(num_bins):
        low, high = b / num_bins, (b + 1) / num_bins
        rows = [i for i, c in enumerate(confidence) if low < c <= high or (b == 0 and c == 0)]
        if rows:
            accuracy = sum(right[i] for i in rows) / len(rows)
            mean = sum(float(confidence[i]) for i in rows) / len(rows)
            total += len(rows) / len(confidence) * abs(accuracy - mean)
    return total


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=1, max_size=80),
    st.integers(1, 20),
)
def test_ece_is_the_naive_loop(rows, num_bins):
    confidence = np.array([c for c, _ in rows], dtype=np.float64)
    right = np.array([r for _, r in rows])
    # keep clear of bin edges, where float rounding decides
    near = np.abs(confidence * num_bins - np.rint(confidence * num_bins)) < 1e-5
    confidence = np.where(near & (confidence > 0.5), 1.0, np.where(near, 0.0, confidence))
    got = evaluation.calibration_error(confidence, right, num_bins)
    assert got == pytest.approx(naive_ece(confidence, right, num_bins), abs=1e-9)


@given(st.integers(1, 200), st.integers(2, 9), st.integers(0, 20))
def test_confusion_is_scikit_learns_and_sums_to_n(n, k, seed):
    rng = np.random.default_rng(seed)
    y, guess = rng.integers(0, k, n), rng.integers(0, k, n)
    got = evaluation.confusion_matrix(y, guess, k)
    assert got.sum() == n
    np.testing.assert_array_equal(got, sk.confusion_matrix(y, guess, labels=np.arange(k)))


def test_rows_a_class_are_scikit_learns_and_missing_numbers_are_none():
    p = make(40, 6, held=4)
    rows = evaluation.per_class(p, classes(6), np.arange(6))
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        p.labels_N, p.prediction_N, labels=np.arange(6), zero_division=np.nan
    )
    for k, row in enumerate(rows):
        assert row["support"] == support[k]
        assert row["train_count"] == k
        if support[k] == 0:
            assert row["recall"] is None
            assert row["f1"] is None
            assert row["has_low_recall"] is False
        else:
            assert row["recall"] == pytest.approx(recall[k])
            assert row["recall_low"] <= row["recall"] <= row["recall_high"]
            assert row["f1"] == pytest.approx(f1[k])
        named = (p.prediction_N == k).sum()
        assert (row["precision"] is None) == (named == 0)
        if named:
            assert row["precision"] == pytest.approx(precision[k])


def test_low_recall_is_of_a_bad_class_and_not_of_a_rare_good_one():
    labels = np.repeat([0, 1, 2, 3], [60, 60, 8, 4])
    guess = labels.copy()
    guess[120:127] = 0  # class 2: 1 of 8 right; class 3 is rarer and always right
    p = make(len(labels), 4)
    p = Predictions(**{**vars(p), "labels_N": labels, "prediction_N": guess})
    summary = evaluation.summary(p, classes(4))
    assert summary["low_recall_classes"] == ["c2"]
    assert evaluation.LOW_RECALL_RULE.startswith("A class has low recall when")


def test_summary_is_plain_data_with_intervals_around_values():
    import json

    p = make(200, 5)
    summary = evaluation.summary(p, classes(5), np.arange(5))
    json.dumps(summary, allow_nan=False)
    for name in ("top1", "top5", "macro_f1", "balanced_accuracy"):
        entry = summary[name]
        assert entry["low"] <= entry["value"] <= entry["high"]
    assert summary == evaluation.summary(p, classes(5), np.arange(5))
    assert summary["without_support"] == []


def test_the_interval_covers_the_truth():
    """Top-1 of fresh draws lies in the 95 % interval about as often as it says."""
    rng = np.random.default_rng(0)
    truth, hits = 0.8, 0
    for _ in range(200):
        labels = np.repeat(np.arange(3), 80)
        right = rng.random(240) < truth
        guess = np.where(right, labels, (labels + 1) % 3)
        p = make(240, 3)
        p = Predictions(**{**vars(p), "labels_N": labels, "prediction_N": guess})
        entry = metrics._bootstrap(p, 3, seed=int(rng.integers(1e6)), num_resamples=200)["top1"]
        hits += entry["low"] <= truth <= entry["high"]
    assert 0.90 <= hits / 200 <= 0.985  # 95 % within 3 sd of 200 trials, 200 resamples


def test_the_interval_of_a_calibration_error_holds_it_and_the_truth():
    """A calibrated model: resampling makes bins noisier, which the interval must not count."""
    rng = np.random.default_rng(3)
    held = near_zero = 0
    for _ in range(40):
        num = 400
        probs = rng.uniform(0.4, 1.0, num)
        right = rng.random(num) < probs
        labels = rng.integers(0, 3, num)
        guess = np.where(right, labels, (labels + 1) % 3)
        sure = probs.astype(np.float32)
        changed = {"labels_N": labels, "prediction_N": guess, "prob_prediction_N": sure}
        p = Predictions(**{**vars(make(num, 3)), **changed})
        value = metrics.calibration_error(p.prob_prediction_N, labels == guess)
        entry = metrics._bootstrap(p, 3, seed=0, num_resamples=100)["ece"]
        held += entry["low"] <= value <= entry["high"]
        near_zero += entry["low"] < 0.03
    assert held == 40
    assert near_zero > 30
