import numpy as np
import pytest

from carscale.report.run.classes_section import judge_classes
from carscale.report.run.confusion_plot import _apart, sum_blocks
from carscale.report.run.plots import smooth


def test_rare_is_not_low():
    rows = [
        {
            "class": f"c{i}",
            "train_count": 10 * (i + 1),
            "recall": 0.9,
            "has_low_recall": i in (0, 7),
        }
        for i in range(8)
    ]
    told = judge_classes({"per_class": rows})
    assert [row["class"] for row in told["low"]] == ["c0", "c7"]
    assert [row["class"] for row in told["rare"]] == ["c1"]
    assert told["rare_up_to"] == 20
    assert [row["verdict"] for row in told["rows"]][:3] == [
        "low recall",
        "low recall",
        "rare, fine",
    ]
    alike = judge_classes({"per_class": [dict(row, train_count=5) for row in rows]})
    assert alike["rare_up_to"] is None
    assert alike["rare"] == []


def test_fine_is_said_only_of_classes_with_photos_enough():
    rows = [
        {
            "class": name,
            "train_count": 50,
            "recall": recall,
            "recall_low": low,
            "has_low_recall": False,
        }
        for name, recall, low in (
            ("many", 0.8, 0.7),
            ("six", 0.83, 0.45),
            ("all of six", 1.0, 0.67),
        )
    ]
    told = {row["class"]: row["verdict"] for row in judge_classes({"per_class": rows})["rows"]}
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
