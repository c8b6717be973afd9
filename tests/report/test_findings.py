import numpy as np
import pytest
from fake_run import make_predictions

from carscale.evaluation import calibration_error
from carscale.report.run.confusion_plot import _apart, sum_blocks
from carscale.report.run.findings import (
    confused_pairs,
    make_blocks,
    order_classes,
    reliability,
    split_classes,
    worst_mistakes,
)
from carscale.report.run.plots import smooth
from carscale.types import CarClass


def test_classes_stand_by_make_then_name():
    classes = [CarClass("b", "b", make="BMW"), CarClass("z", "z"), CarClass("B", "x", make="Audi"),
               CarClass("a", "a", make="audi")]  # fmt: skip
    order = order_classes(classes)
    assert order.tolist() == [3, 2, 0, 1]
    assert make_blocks(classes, order) == [("audi", 0, 2), ("BMW", 2, 3), ("other", 3, 4)]
    assert make_blocks([CarClass("a", "a")], np.array([0])) == []


def test_pairs_count_every_mistake_once():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 5, (9, 9))
    pairs = confused_pairs(counts)
    assert sum(pair.total for pair in pairs) == counts.sum() - np.trace(counts)
    for pair in pairs:
        assert pair.first_as_second == counts[pair.first, pair.second] >= pair.second_as_first
    assert [pair.total for pair in pairs] == sorted((pair.total for pair in pairs), reverse=True)


def test_reliability_equals_a_loop():
    made = make_predictions(5, 400)
    bins = reliability(made)
    sure_N = made.prob_prediction_N.astype(np.float64)
    ece = 0.0
    for b in range(15):
        inside = (sure_N > b / 15) & (sure_N <= (b + 1) / 15)
        assert bins.counts_R[b] == inside.sum()
        if inside.any():
            right = np.mean(made.prediction_N[inside] == made.labels_N[inside])
            ece += inside.mean() * abs(right - sure_N[inside].mean())
            assert bins.accuracy_R[b] == pytest.approx(right)
            assert bins.low_R[b] <= right <= bins.high_R[b]
    assert bins.ece == pytest.approx(ece, abs=1e-7)
    is_correct_N = made.prediction_N == made.labels_N
    reference = calibration_error(made.prob_prediction_N, is_correct_N)
    assert bins.ece == pytest.approx(reference, abs=1e-9)


def test_worst_mistakes_put_nan_first():
    made = make_predictions(5, 100, accuracy=0.5)
    wrong = np.flatnonzero(made.prediction_N != made.labels_N)
    made.loss_N[wrong[4]] = np.nan
    rows = worst_mistakes(made, 10)
    assert rows[0] == wrong[4]
    assert (np.diff(made.loss_N[rows[1:]]) <= 0).all()
    assert set(rows) <= set(wrong)


def test_rare_is_not_short():
    rows = [
        {"class": f"c{i}", "train_count": 10 * (i + 1), "recall": 0.9, "is_short": i in (0, 7)}
        for i in range(8)
    ]
    told = split_classes({"per_class": rows})
    assert [row["class"] for row in told["short"]] == ["c0", "c7"]
    assert [row["class"] for row in told["rare"]] == ["c1"]
    assert told["rare_up_to"] == 20
    assert [row["verdict"] for row in told["rows"]][:3] == ["short", "short", "rare, fine"]
    alike = split_classes({"per_class": [dict(row, train_count=5) for row in rows]})
    assert alike["rare_up_to"] is None
    assert alike["rare"] == []


def test_fine_is_said_only_of_classes_with_photos_enough():
    rows = [
        {"class": name, "train_count": 50, "recall": recall, "recall_low": low, "is_short": False}
        for name, recall, low in (
            ("many", 0.8, 0.7),
            ("six", 0.83, 0.45),
            ("all of six", 1.0, 0.67),
        )
    ]
    told = {row["class"]: row["verdict"] for row in split_classes({"per_class": rows})["rows"]}
    assert told == {"many": "fine", "six": "too few photos to tell", "all of six": "fine"}


def test_smooth_keeps_a_constant_and_skips_nan():
    values = np.full(50, 2.0)
    values[10:13] = np.nan
    assert np.allclose(smooth(values, 9), 2.0)
    assert np.isnan(smooth(np.full(3, np.nan), 2)).all()


def test_blocks_keep_the_sum():
    counts = np.arange(49).reshape(7, 7)
    assert sum_blocks(counts, 3).shape == (3, 3)
    assert sum_blocks(counts, 3).sum() == counts.sum()


def test_labels_stand_apart():
    places = _apart([0, 1, 2, 50, 99], 5, 100)
    assert (np.diff(places) >= 5 - 1e-9).all()
    assert places[3] == pytest.approx(50)
    assert max(places) <= 99.5
