import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from fake_run import demo_classes, make_metrics, make_predictions, make_run, write_analysed
from page_reader import Page, read_data
from PIL import Image

from carscale import data, files, tables
from carscale.errors import DataError, RunError
from carscale.report import write_report

NASTY = "<script>alert(1)</script>"


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_room_loads_neither_torch_nor_matplotlib_by_itself():
    code = (
        "import carscale.report, sys\n"
        "print([m for m in ('torch', 'matplotlib', 'jinja2') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_page_holds_the_numbers_of_metrics(run12):
    run, _ = run12
    page = Page(run / "report" / "index.html")
    metrics = json.loads((run / "metrics.json").read_text())
    told = {float(value) for value in page.values if value}
    for split in ("val", "test"):
        for key in ("top1", "top5", "macro_f1", "balanced_accuracy", "ece"):
            assert set(metrics[split][key].values()) <= told
    top1 = f"{100 * metrics['test']['top1']['value']:.1f} %"
    text = page.text.replace("\xa0", " ")
    assert f"Accuracy {top1} on 600 test photos" in text
    for row in metrics["val"]["per_class"]:
        assert f"{100 * row['recall']:.1f} %" in text
        assert row["class"] in page.text
    num_low = len(metrics["val"]["low_recall_classes"])
    assert f"{num_low} of 12 classes" in page.text or num_low == 0


@pytest.mark.parametrize("name", ["run12", "run196"])
def test_matrix_csv_equals_predictions(name, request):
    run, made = request.getfixturevalue(name)
    names = [row["name"] for row in json.loads((run / "classes.json").read_text())["classes"]]
    for split, predictions in made.items():
        rows = read_csv(run / "report" / "tables" / f"confusion-{split}.csv")
        header = rows[0][1:]
        assert sorted(header) == sorted(names)
        assert [row[0] for row in rows[1:]] == header
        counts = np.array([[int(cell) for cell in row[1:]] for row in rows[1:]])
        assert counts.sum() == len(predictions)
        expected = np.zeros_like(counts)
        place = {name: i for i, name in enumerate(header)}
        for label, said in zip(predictions.labels_N, predictions.prediction_N, strict=True):
            expected[place[names[label]], place[names[said]]] += 1
        np.testing.assert_array_equal(counts, expected)
        pairs = read_csv(run / "report" / "tables" / f"pairs-{split}.csv")[1:]
        assert sum(int(row[-1]) for row in pairs) == counts.sum() - np.trace(counts)
        bins = read_csv(run / "report" / "tables" / f"reliability-{split}.csv")[1:]
        assert sum(int(row[2]) for row in bins) == len(predictions)


@pytest.mark.parametrize("name", ["run12", "run196"])
def test_every_link_leads_to_a_file_on_disk(name, request):
    run, _ = request.getfixturevalue(name)
    page = Page(run / "report" / "index.html")
    assert page.missing() == []
    assert len(page.ids) == len(set(page.ids))
    assert "http://" not in page.html
    assert "https://" not in page.html
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")


def test_figures_are_the_same_bytes_again(tmp_path):
    make_run(tmp_path / "run", num_classes=4, num_samples=80, splits=("val",), with_logs=False)
    seen = []
    for _ in range(2):
        page = write_analysed(tmp_path / "run")
        files = sorted(path for path in page.parent.rglob("*") if path.is_file())
        seen.append({str(path): path.read_bytes() for path in files})
    assert seen[0] == seen[1]


def test_hostile_names_are_text_everywhere(tmp_path):
    classes = demo_classes(6)
    odd = [
        NASTY,
        "$x^2$ & <b>",
        "a\x00\x1b\ud800b",
        '"><img src=x onerror=alert(2)>',
        "车 🚗",
        '=1+1,"q"\n',
    ]
    for row, name in zip(classes, odd, strict=True):
        row["name"] = row["make"] = name
    names = [
        "a#1 100%.jpg",
        "q'\"<b>.jpg",
        "ü车?.jpg",
        "back\\slash.jpg",
        "ok.jpg",
        "space & more.jpg",
    ]
    photos = tmp_path / "da#ta %41"
    photos.mkdir()
    for name in names:
        Image.new("RGB", (40, 30), "red").save(photos / name)
    run = tmp_path / NASTY.replace("/", "_")
    paths = [(i % 6, names[i % 6]) for i in range(60)]
    made = make_run(
        run,
        classes=classes,
        data_root=photos,
        paths=paths,
        accuracy=0.3,
        splits=("val",),
        with_logs=False,
    )
    looks = {"time": NASTY, "command": NASTY, "checkpoint": None, "top1": None}
    files.append_line(run / "test_evaluations.jsonl", looks)
    page = Page(write_analysed(run, data_root=photos))
    assert page.missing() == []
    assert not any(attrs.get("src") == "x" or "onerror" in attrs for _, attrs in page.tags)
    assert NASTY not in page.html
    assert "alert(1)" in page.text
    assert len([tag for tag, _ in page.tags if tag == "li"]) > 20
    wrong = int((made["val"].prediction_N != made["val"].labels_N).sum())
    linked = [a for tag, a in page.tags if tag == "a" and a.get("class") == "photo"]
    assert len(linked) == min(12, wrong)
    for figure in (page.folder / "figures").glob("*.svg"):
        assert "<script" not in figure.read_text(encoding="utf-8")


def test_pictures_of_the_worst_mistakes_come_first(tmp_path, stanford, quick):
    folder = sorted(path for path in stanford.iterdir() if path.is_dir())[0]
    photos = sorted(folder.iterdir())[:20]
    paths = [(i % 3, f"{folder.name}/{photo.name}") for i, photo in enumerate(photos)]
    made = make_run(
        tmp_path / "run",
        num_classes=3,
        data_root=stanford,
        paths=paths,
        splits=("val",),
        accuracy=0.5,
    )["val"]
    page = Page(write_analysed(tmp_path / "run", data_root=stanford))
    wrong = np.flatnonzero(made.prediction_N != made.labels_N)
    order = wrong[np.argsort(-made.loss_N[wrong], kind="stable")]
    thumbs = [a["src"] for tag, a in page.tags if tag == "img" and a["src"].startswith("thumbs/")]
    assert thumbs == [f"thumbs/val-{made.ids_N[i]}.jpg" for i in order]
    with Image.open(page.folder / thumbs[0]) as image:
        assert max(image.size) <= 200
    assert page.missing() == []


def test_pictures_come_from_a_pack_too(tmp_path, tiny, quick):
    pack = data.pack(tiny, tmp_path / "pack", data.PackRule(32)).root
    val = data.read_splits(pack).val
    paths = [*zip(val.labels_N.tolist(), val.paths_N, strict=True), (0, "val/gone.jpg")] * 4
    run = tmp_path / "run"
    made = make_run(run, num_classes=4, data_root=pack, paths=paths, splits=("val",), accuracy=0)
    page = Page(write_analysed(run))
    photos = read_data(page.folder, "val")["photos"]
    thumbs = [photo["thumb"] for photo in photos if photo["thumb"]]
    assert thumbs == [photo["photo"] for photo in photos if photo["photo"]]
    is_there_N = made["val"].paths_N != "val/gone.jpg"
    assert len(thumbs) == (is_there_N & (made["val"].prediction_N != made["val"].labels_N)).sum()
    assert "the photo is not there" in page.text
    with Image.open(page.folder / thumbs[0]) as image:
        assert max(image.size) == 32
    assert page.missing() == []


def test_unreadable_and_absent_photos_are_said(tmp_path, quick):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "bad.jpg").write_bytes(b"no photo")
    paths = [(i % 4, "bad.jpg" if i % 2 else "gone.jpg") for i in range(40)]
    make_run(tmp_path / "run", num_classes=4, data_root=photos, paths=paths, accuracy=0.2)
    page = Page(write_analysed(tmp_path / "run", data_root=photos))
    assert "the photo is not there" in page.text
    assert "the photo: " in page.text
    assert page.missing() == []


def test_no_mistakes_and_one_class(tmp_path):
    run = tmp_path / "run"
    make_run(run, num_classes=1, num_samples=9, splits=("val",), accuracy=1, with_logs=False)
    text = Page(write_analysed(run)).text
    assert "No mistake in 9 photos." in text
    assert "every prediction is correct" in text


def test_missing_parts_are_said_not_fatal(tmp_path, quick):
    run = tmp_path / "run"
    make_run(run, splits=("test",), with_metrics=False)
    for name in ("timing.jsonl", "config.yaml", "env.json", "test_evaluations.jsonl"):
        (run / name).unlink()
    text = Page(write_analysed(run)).text
    assert "Balanced accuracy" in text  # taken from the predictions
    assert "name no data.root" in text
    assert "This run has not been evaluated on test yet." in text
    assert "There is no config.yaml" in text


def test_training_alone_makes_a_page(tmp_path, quick):
    make_run(tmp_path / "run", splits=())
    text = Page(write_analysed(tmp_path / "run")).text
    assert "No predictions and no metrics yet" in text
    assert "600 steps" in text


def test_metrics_alone_and_nothing_finite(tmp_path):
    run = tmp_path / "run"
    make_run(run, splits=("val",))
    (run / "predictions" / "val.parquet").unlink()
    metrics = json.loads((run / "metrics.json").read_text())
    for row in metrics["val"]["per_class"][:3]:
        row.update(recall=None, recall_low=None, recall_high=None, precision=None, support=0)
    metrics["val"]["top5"] = {"value": None, "low": None, "high": None}
    metrics["val"]["ece"] = None
    (run / "metrics.json").write_text(json.dumps(metrics))
    (run / "log.jsonl").write_text(
        '{"event":"step","step":1,"loss":null,"lr":null}\n{"event":"epoch","epoch":1,"val":null}\n{"ev'
    )
    page = Page(write_analysed(run))
    assert "predictions/val.parquet is not there" in page.text
    assert "not judged" in page.text
    assert page.missing() == []


@pytest.mark.slow
def test_two_thousand_classes(tmp_path):
    make_run(tmp_path / "run", num_classes=2000, num_samples=6000, splits=("val",), with_logs=False)
    page = Page(write_analysed(tmp_path / "run"))
    assert "4 neighbouring classes share a cell" in page.text
    assert len(page.html) < 3_000_000


def test_another_class_list_raises(tmp_path, quick):
    run = tmp_path / "run"
    make_run(run, num_classes=12)
    short = {"classes": demo_classes(12)[:5]}
    (run / "classes.json").write_text(json.dumps(short))
    with pytest.raises(DataError, match="the class list"):
        write_report(run, analyses={})
    (run / "metrics.json").unlink()
    with pytest.raises(DataError, match="labels go from 0 to 11, but the class list has 5 classes"):
        write_report(run, analyses={})
    (run / "classes.json").write_text(json.dumps({"classes": demo_classes(12)}))
    env = json.loads((run / "env.json").read_text())
    env["data"]["hashes"]["classes"] = "beef"
    (run / "env.json").write_text(json.dumps(env))
    with pytest.raises(DataError, match="made with class list cafe, the run has beef"):
        write_report(run, analyses={})


def test_stale_metrics_raise(tmp_path, quick):
    run = tmp_path / "run"
    made = make_run(run, splits=("val",))["val"]
    other = make_predictions(12, 600, seed=9)
    metrics = {"val": make_metrics(other, demo_classes(12), np.ones(12))}
    (run / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(DataError, match="val top1 is"):
        write_report(run, analyses={})
    metrics["val"]["num_samples"] = len(made) + 1
    (run / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(DataError, match="has 601 samples, the predictions 600"):
        write_report(run, analyses={})


def test_no_run_and_empty_run_raise(tmp_path):
    with pytest.raises(RunError, match="no such run folder"):
        write_report(tmp_path / "none", analyses={})
    with pytest.raises(RunError, match="nothing to report"):
        write_report(tmp_path, analyses={})
    (tmp_path / "log.jsonl").write_text("{}\nbroken\n{}\n")
    with pytest.raises(RunError, match=r"log\.jsonl: line 2 is not JSON"):
        write_report(tmp_path, analyses={})


def test_a_predicted_split_without_its_analysis_raises(tmp_path, quick):
    make_run(tmp_path / "run", num_samples=30, splits=("val",))
    with pytest.raises(ValueError, match="every predicted split, got none of val"):
        write_report(tmp_path / "run", analyses={})
    assert not list((tmp_path / "run").glob("*report*"))


def test_failed_write_leaves_the_old_report(tmp_path, monkeypatch, quick):
    run = tmp_path / "run"
    make_run(run, num_samples=60, splits=("val",))
    before = write_analysed(run).read_bytes()

    def fail(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("carscale.report.run.page._provenance", fail)
    with pytest.raises(KeyboardInterrupt):
        write_analysed(run)
    assert (run / "report" / "index.html").read_bytes() == before
    assert not list(run.glob(".report*"))


def test_killed_write_leaves_the_old_report(tmp_path, quick):
    run = tmp_path / "run"
    make_run(run, num_classes=2, num_samples=60, splits=(), with_metrics=False)
    (run / "timing.jsonl").unlink()
    before = write_analysed(run).read_bytes()
    code = (
        "import os, sys; from pathlib import Path; from carscale.report import write_report\n"
        "def die(text):\n"
        "    if text == 'putting it in place': os.kill(os.getpid(), 9)\n"
        "write_report(Path(sys.argv[1]), analyses={}, advance=die)"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(run)], check=False)
    assert ended.returncode == -9
    assert (run / "report" / "index.html").read_bytes() == before
    left = list(run.glob(".report.*.tmp"))
    assert len(left) == 1
    os.utime(left[0], (0, 0))
    write_analysed(run)
    assert not list(run.glob(".report.*"))


def test_advance_is_told_each_stage(tmp_path, quick):
    make_run(tmp_path / "run", num_samples=30)
    told = []
    write_analysed(tmp_path / "run", advance=told.append)
    assert told[0] == "reading the run"
    assert "drawing test" in told


def test_predictions_survive_the_table(run12):
    run, made = run12
    back = tables.read_predictions(run / "predictions" / "val.parquet")
    np.testing.assert_array_equal(back.prediction_N, made["val"].prediction_N)


def test_what_evaluate_writes_is_read(tmp_path, quick):
    """The two rooms agree on metrics.json, with train counts and without."""
    from carscale.evaluation import summary
    from carscale.types import CarClass

    run = tmp_path / "run"
    made = make_run(run, num_classes=6, num_samples=90, splits=("val",), with_logs=False)["val"]
    rows = json.loads((run / "classes.json").read_text())["classes"]
    classes = tuple(CarClass(**row) for row in rows)
    for counts in (np.array([5, 9, 30, 4, 80, 2]), None):
        files.write_json(run / "metrics.json", {"val": summary(made, classes, counts)})
        page = Page(write_analysed(run))
        assert "on 90 val photos" in page.text
        assert "Every class" in page.text
