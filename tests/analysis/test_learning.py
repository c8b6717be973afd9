import numpy as np
import pytest
import sklearn.metrics
from tables_of import evidence_of, noisy_predictions, plain_classes, predictions_of

from carscale.analysis import TrainSide, analyse
from carscale.analysis.actions import merge_effect
from carscale.analysis.learning import photos_needed, slope_of_classes


def test_the_slope_of_a_power_law_is_found_and_its_interval_holds_it():
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(100):
        counts = rng.integers(10, 200, size=60)
        share = np.minimum(0.9, 2.0 * counts**-0.6 * np.exp(rng.normal(0, 0.3, 60)))
        _, low, high = slope_of_classes(counts, rng.binomial(80, share), np.full(60, 80))
        inside += low <= 0.6 <= high
    assert inside >= 85


def test_equal_counts_and_few_classes_show_no_curve():
    assert slope_of_classes(np.full(20, 30), np.arange(20), np.full(20, 40)) is None
    assert slope_of_classes([10, 20, 40], [5, 4, 3], [10, 10, 10]) is None
    assert slope_of_classes(np.arange(1, 21), np.zeros(20), np.full(20, 10)) is None


def test_photos_needed_bring_the_error_to_the_mean_by_the_curve():
    counts, wrong = np.array([10, 100, 100]), np.array([600, 100, 200])
    (row,) = photos_needed(counts, wrong, np.full(3, 1000), (0.5, 0.4, 0.7))
    assert row.number == 0
    reached = row.error * ((10 + row.more) / 10) ** -0.5
    assert reached == pytest.approx(row.target, rel=0.02)
    assert row.more_low < row.more < row.more_high


def test_more_than_ten_times_the_photos_is_not_promised():
    counts, wrong = np.array([10, 100, 100]), np.array([900, 10, 10])
    (row,) = photos_needed(counts, wrong, np.full(3, 1000), (0.2, 0.1, 0.3))
    assert row.more is None


def test_merging_two_classes_is_scikit_learns_accuracy_of_merged_labels():
    rng = np.random.default_rng(1)
    labels, guess = rng.integers(5, size=300), rng.integers(5, size=300)
    before, after = merge_effect(labels, guess, 1, 3)
    merged = {3: 1}
    relabel = np.vectorize(lambda k: merged.get(k, k))
    assert before == sklearn.metrics.accuracy_score(labels, guess)
    assert after == pytest.approx(sklearn.metrics.accuracy_score(relabel(labels), relabel(guess)))


def test_a_class_of_two_kinds_is_named_with_the_recall_of_both():
    rng = np.random.default_rng(2)
    side_M = np.arange(80) % 2
    base_MD = 5 * np.eye(2, 16)[side_M] + rng.normal(0, 0.2, (80, 16))
    side_N = np.arange(40) % 2
    points_ND = 5 * np.eye(2, 16)[side_N] + rng.normal(0, 0.2, (40, 16))
    guess = np.where(side_N == 1, 1, 0)
    train = TrainSide(np.arange(80), np.full(80, "x", object), np.zeros(80, int), base_MD)
    found = analyse(
        evidence_of(
            predictions_of(np.zeros(40, int), guess), plain_classes(2),
            embeddings_ND=points_ND, train=train,
        )
    )  # fmt: skip
    (action,) = [one for one in found.actions if one["kind"] == "split"]
    assert sorted(action["recall_of_parts"]) == [0.0, 1.0]


def test_fine_tuning_takes_what_is_wrong_out_of_sample():
    folds, _, _ = noisy_predictions(400, 5, noise=0.1, seed=3)
    train = TrainSide(folds.ids_N, folds.paths_N, folds.labels_N, folds=folds)
    found = analyse(evidence_of(predictions_of([0, 1], [0, 1]), plain_classes(5), train=train))
    (action,) = [one for one in found.actions if one["kind"] == "fine-tune"]
    assert action["by"] == "hard"
    assert action["gain"] is None
    assert action["command"].startswith("carscale select RUN NAME-hard.parquet --by hard && ")
    assert [review.split for review in found.reviews] == ["train", "val"]
