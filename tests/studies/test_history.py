"""The index of runs: by data set and time, best so far, what changed."""

import json

import pytest

from carscale import config, files
from carscale.errors import RunError
from carscale.report.study.runs_page import write_index
from carscale.runs import FORMAT
from carscale.studies.history import find_runs, histories


def make(
    folder, started, top1=None, *, val="v" * 64, train="t" * 64, words=(), ends=True, refined=None
):
    folder.mkdir(parents=True)
    cfg = config.resolve(config.Recipe(), list(words))
    (folder / "config.yaml").write_text(config.to_yaml(cfg))
    env = {"format": FORMAT, "recipe": "effnet", "started": started}
    env |= {} if refined is None else {"refined": refined}
    files.write_json(folder / "env.json", env | {"data": {"hashes": {"val": val, "train": train}}})
    log = [{"event": "start"}, {"event": "step", "step": 7}]
    if top1 is not None:
        scores = {"top1": top1, "macro_f1": top1 / 2}
        log.append({"event": "epoch", "step": 7, "is_best": True, "val": scores})
        log.append({"event": "epoch", "step": 9, "is_best": False, "val": {"top1": 0.01}})
    log += [{"event": "end"}] if ends else []
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    return folder


def test_runs_are_ordered_by_time_with_the_best_so_far(tmp_path):
    make(tmp_path / "b", "2026-01-02", 0.6, words=["optim.lr=0.01"])
    make(tmp_path / "a", "2026-01-03", 0.55, words=["optim.lr=0.01", "seed=1", "run.name=a"])
    make(tmp_path / "deep" / "c", "2026-01-01", 0.5)
    make(tmp_path / "d", "2026-01-04", ends=False, train="u" * 64)
    make(tmp_path / "other", "2025-01-01", 0.9, val="w" * 64)
    told = histories(find_runs(tmp_path), base=tmp_path)
    assert [one.val_hash[0] for one in told] == ["w", "v"]
    entries = told[1].runs
    assert [entry.name for entry in entries] == ["deep/c", "b", "a", "d"]
    assert [entry.is_best for entry in entries] == [True, True, False, False]
    assert entries[1].changes == ("optim.lr: 0.001 -> 0.01",)
    assert entries[2].changes == ("seed: 0 -> 1",)
    assert "train photos" in entries[3].changes
    assert [entry.state for entry in entries] == ["done", "done", "done", "at step 7"]
    assert entries[0].val["top1"] == 0.5  # of the epoch that is the result, not of the last


def test_a_run_made_of_runs_says_of_which_and_is_no_neighbour(tmp_path):
    make(tmp_path / "a", "2026-01-01", 0.5)
    how = {"how": "rebalance", "method": "crt", "from": ["../a"]}
    make(tmp_path / "b", "2026-01-02", 0.6, refined=how)
    make(tmp_path / "c", "2026-01-03", 0.55, words=["optim.lr=0.01"])
    entries = histories(find_runs(tmp_path), base=tmp_path)[0].runs
    assert [entry.changes for entry in entries] == [
        (),
        ("rebalance (crt) of a",),
        ("optim.lr: 0.001 -> 0.01",),
    ]
    assert [entry.is_best for entry in entries] == [True, True, False]


def test_a_folder_that_can_not_be_read_is_said_and_left_out(tmp_path, capsys):
    make(tmp_path / "good", "2026-01-01", 0.5)
    make(tmp_path / "bad", "2026-01-02", 0.5)
    (tmp_path / "bad" / "config.yaml").write_text("no: such\n")
    assert len(histories(find_runs(tmp_path))[0].runs) == 1
    assert "bad: left out" in capsys.readouterr().err


def test_no_run_is_an_error_with_what_to_type(tmp_path):
    with pytest.raises(RunError, match="holds no run"):
        find_runs(tmp_path)
    with pytest.raises(RunError, match="no such folder"):
        find_runs(tmp_path / "nope")


def test_the_page_escapes_names_and_draws_a_curve(tmp_path):
    make(tmp_path / "runs" / "<b>x", "2026-01-01", 0.5)
    make(tmp_path / "runs" / "y", "2026-01-02", 0.6)
    from dataclasses import asdict

    told = histories(find_runs(tmp_path / "runs"))
    page = write_index(tmp_path / "page", told, metric="top1")
    text = page.read_text()
    assert "&lt;b&gt;x" in text
    assert "<b>x" not in text
    assert (page.parent / "figures" / "progress-0-light.svg").exists()
    assert files.read_json(page.parent / "runs.json") == json.loads(
        json.dumps([asdict(one) for one in told])
    )
