"""Several runs side by side."""

import csv
import json
import sys

import numpy as np
import pytest
from fake_analysis import fake_analysis
from fake_run import demo_classes, make_metrics, make_predictions, make_run
from page_reader import Page

from carscale import tables
from carscale.cli import main
from carscale.errors import ConfigError
from carscale.report import write_overview, write_report


@pytest.fixture
def three(tmp_path, quick):
    """Two runs on the same photos and one on others."""
    runs, found = [], []
    for number, name in enumerate(("base", "better", "elsewhere")):
        run = tmp_path / "runs" / name
        made = make_run(run, splits=("val",), num_samples=300, with_logs=False)["val"]
        if number == 1:
            made = make_predictions(12, 300, accuracy=0.9)
            content = tables.predictions_bytes(made)
            (run / "predictions" / "val.parquet").write_bytes(content)
            metrics = {"val": make_metrics(made, demo_classes(12), np.ones(12, dtype=int))}
            (run / "metrics.json").write_text(json.dumps(metrics))
        if number == 2:
            env = json.loads((run / "env.json").read_text())
            env["data"]["hashes"]["val"] = "ff" * 32
            (run / "env.json").write_text(json.dumps(env))
        found.append({"val": fake_analysis(made, demo_classes(12), seed=number)})
        runs.append(run)
        write_report(run, analyses=found[-1])
    return runs, found


def test_numbers_causes_and_changes(three, tmp_path):
    runs, found = three
    page = Page(write_overview(runs, tmp_path / "out", analyses=found))
    assert page.missing() == []
    told = [tables.read_predictions(run / "predictions" / "val.parquet") for run in runs]
    right = [one.prediction_N == one.labels_N for one in told]
    gained, lost = (right[1] & ~right[0]).sum(), (right[0] & ~right[1]).sum()
    assert f"better val +{gained} −{lost}" in page.text
    assert "not compared: not the same photos" in page.text
    with (page.folder / "tables" / "causes.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    for column, one in enumerate(found, start=1):
        assert sum(int(row[column]) for row in rows[1:]) == len(one["val"].wrong_W)
    with (page.folder / "tables" / "runs.csv").open(newline="") as file:
        numbers = list(csv.DictReader(file))
    top1 = {row["run"]: float(row["value"]) for row in numbers if row["metric"] == "top1"}
    assert top1["better"] == pytest.approx(right[1].mean())


def test_other_pages_and_runs_are_not_overwritten(three, tmp_path):
    runs, found = three
    with pytest.raises(ConfigError, match="is a run folder"):
        write_overview(runs, runs[0], analyses=found)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds other files than a page of ours \(index.html\)"):
        write_overview(runs, tmp_path / "mine", analyses=found)
    write_overview(runs, tmp_path / "out", analyses=found)
    write_overview(runs, tmp_path / "out", analyses=found)  # its own is


def test_command_writes_a_page_a_run_and_one_of_all(three, monkeypatch, capsys):
    runs, found = three
    by_name = {run.name: one for run, one in zip(runs, found, strict=True)}
    monkeypatch.setattr(
        "carscale.workflows.errors.analyse_run",
        lambda folder, split, **_: by_name[folder.name][split],
    )
    monkeypatch.setattr(sys, "argv", ["carscale", "report", *map(str, runs[:2])])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert not ended.value.code
    pages = capsys.readouterr().out.split()
    assert pages == [
        *(str(run / "report" / "index.html") for run in runs[:2]),
        str(runs[0].parent / "report" / "index.html"),
    ]
    assert Page(runs[0].parent / "report" / "index.html").missing() == []
