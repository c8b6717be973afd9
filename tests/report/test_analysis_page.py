"""The page of a run with an analysis: every finding is on it, as text, with its files."""

import csv
import json

import numpy as np
import pytest
from fake_analysis import fake_analysis
from fake_run import demo_classes, make_run
from page_reader import Page, read_data
from PIL import Image

from carscale import tables
from carscale.analysis.confusions import find_confusions
from carscale.errors import DataError
from carscale.report import write_report
from carscale.report.page.script_data import as_script
from carscale.report.run import photo_cards
from carscale.report.run.confusion_section import matrix_data

NASTY = "</script><img src=x onerror=alert(1)>\u2028'\"&#"


def write_page(run, *, rows=None, **options):
    """A run with its analyses and its page."""
    reviewed = options.pop("num_reviewed", 40)
    made = make_run(run, classes=rows, **options)
    rows = json.loads((run / "classes.json").read_text())["classes"]
    found = {
        split: fake_analysis(told, rows, split=split, num_reviewed=reviewed)
        for split, told in made.items()
    }
    return Page(write_report(run, analyses=found)), made, found


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("analysed") / "run", num_classes=12)


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_section_is_there_in_order(analysed):
    page, _, _ = analysed
    anchors = [link[1:] for link in page.links if link.startswith("#")]
    assert anchors[1:14] == [
        "overview", "data", "training", "classes-val", "confusion-val", "mistakes-val",
        "slices-val", "calibration-val", "review-val", "actions", "on-test", "test-evaluations",
        "provenance",
    ]  # fmt: skip
    places = [page.ids.index(anchor) for anchor in anchors[1:14]]
    assert places == sorted(places)
    assert page.missing() == []
    assert len(page.ids) == len(set(page.ids))


def test_numbers_of_the_analysis_are_text(analysed):
    page, _, found = analysed
    one = found["val"]
    for group in one.groups:
        assert group.title in page.text
        assert group.definition in page.text
        assert f"primary cause of {group.num_primary}" in page.text
    for action in one.actions:
        assert action["title"] in page.text
    for cluster in one.clusters:
        assert f"{len(cluster.rows_G)} photos" in page.text
        for trait in cluster.traits:
            assert trait.words in page.text
    assert one.notes[0] in page.text
    assert "3.9 %" in page.text.replace("\xa0", " ")  # adaptive ECE
    assert "more photos won't do" in page.text
    assert "two-way" in page.text


def test_data_file_holds_every_mistake_once(analysed):
    page, made, found = analysed
    for split, told in made.items():
        data = read_data(page.folder, split)
        wrong = np.flatnonzero(told.prediction_N != told.labels_N)
        assert sorted(photo["id"] for photo in data["photos"]) == told.ids_N[wrong].tolist()
        losses = [photo["loss"] for photo in data["photos"]]
        assert losses == sorted(losses, reverse=True)
        for number, group in enumerate(found[split].groups):
            ids = {photo["id"] for photo in data["photos"] if number in photo["groups"]}
            assert ids == set(told.ids_N[group.rows_G].tolist())
            primary = sum(photo["primary"] == number for photo in data["photos"])
            assert primary == group.num_primary
        assert sum(data["matrix"]["cells"][2::3]) == len(told)


def test_tables_hold_what_the_page_cuts(analysed):
    page, made, found = analysed
    mistakes = read_csv(page.folder / "tables" / "mistakes-val.csv")
    told = made["val"]
    assert len(mistakes) == (told.prediction_N != told.labels_N).sum()
    assert len(read_csv(page.folder / "tables" / "slices-val.csv")) == len(found["val"].slices)
    pairs = read_csv(page.folder / "tables" / "pairs-val.csv")
    assert {row["kind"] for row in pairs} <= {"two-way", "one-way", "too few to tell"}
    assert len(read_csv(page.folder / "tables" / "data-map.csv")) == 300
    actions = json.loads((page.folder / "actions.json").read_text())
    assert [one["title"] for one in actions["actions"]] == [
        one["title"] for one in found["val"].actions
    ]


def test_every_figure_is_also_a_png_and_a_table(analysed):
    page, _, _ = analysed
    svgs = {p.name.removesuffix("-light.svg") for p in page.folder.glob("figures/*-light.svg")}
    assert svgs == {path.stem for path in page.folder.glob("figures/*.png")}
    assert {"class-photos", "coverage-val", "data-map", "reliability-test"} <= svgs
    for name in svgs:
        with Image.open(page.folder / "figures" / f"{name}.png") as image:
            assert image.mode in ("RGB", "RGBA")


def test_train_is_told_once(analysed):
    page, _, _ = analysed
    assert [one["split"] for one in read_data(page.folder, "val")["reviews"]] == ["train", "val"]
    assert [one["split"] for one in read_data(page.folder, "test")["reviews"]] == ["test"]


def test_hostile_names_stay_text(tmp_path, quick):
    rows = demo_classes(4)
    for number, row in enumerate(rows):
        row["name"] = row["make"] = NASTY + "x" * (number * 90)
    page, _, _ = write_page(
        tmp_path / "run", rows=rows, num_samples=60, splits=("val",), accuracy=0.4
    )
    assert not any(attrs.get("src") == "x" or "onerror" in attrs for _, attrs in page.tags)
    script = (page.folder / "data" / "val.js").read_bytes()
    assert b"</script" not in script
    assert script.isascii()
    assert "\u2028" not in script.decode("ascii")
    assert read_data(page.folder, "val")["names"][0] == NASTY.replace("\u2028", "\ufffd")
    assert page.missing() == []


def test_nothing_wrong_and_one_class(tmp_path, quick):
    page, _, _ = write_page(
        tmp_path / "run", num_classes=1, num_samples=9, splits=("val",), accuracy=1, num_reviewed=0
    )
    assert "every prediction is correct" in page.text
    assert page.missing() == []


def test_more_mistakes_than_the_page_shows_are_said(tmp_path, monkeypatch, quick):
    monkeypatch.setattr(photo_cards, "MAX_PHOTOS", 20)
    page, _, _ = write_page(tmp_path / "run", num_samples=300, splits=("val",), accuracy=0.5)
    assert len(read_data(page.folder, "val")["photos"]) == 20
    assert "This page shows the 20 of" in page.text


def test_an_analysis_of_other_predictions_raises(tmp_path, quick):
    make_run(tmp_path / "run", splits=("val",))
    rows = json.loads((tmp_path / "run" / "classes.json").read_text())["classes"]
    other = make_run(tmp_path / "other", splits=("val",), num_samples=90)["val"]
    with pytest.raises(DataError, match="is of 90 other predictions than the 600"):
        write_report(tmp_path / "run", analyses={"val": fake_analysis(other, rows)})


def test_matrix_cells_equal_the_predictions(run12):
    run, made = run12
    classes = tuple(
        type("C", (), row)() for row in json.loads((run / "classes.json").read_text())["classes"]
    )
    told = tables.read_predictions(run / "predictions" / "val.parquet")
    data = matrix_data(find_confusions(told.labels_N, told.prediction_N, classes))
    counts_KK = np.zeros((12, 12), dtype=int)
    np.add.at(counts_KK, (made["val"].labels_N, made["val"].prediction_N), 1)
    order = data["order"]
    cells = np.array(data["cells"]).reshape(-1, 3)
    for i, j, n in cells.tolist():
        assert counts_KK[order[i], order[j]] == n
    assert cells[:, 2].sum() == counts_KK.sum()


def test_scripts_are_ascii_and_close_no_tag():
    text = as_script("val", ["</script>", "\u2028", "é", "\ud800"])
    assert text.isascii()
    assert "</" not in text
