"""The run folder: found, refused when old, read; nobody else spells its file names."""

import ast
import json
from pathlib import Path

import pytest

import carscale
from carscale import config
from carscale.errors import DataError, ModelError, RunError
from carscale.runs import FORMAT, RunFolder, step_of

PACKAGE = Path(carscale.__file__).parent
NAMES = {
    *("config.yaml", "env.json", "log.jsonl", "timing.jsonl", "dynamics.bin", "metrics.json"),
    *("calibration.json", "test_evaluations.jsonl", "model.json", "state.json", "classes.json"),
    *("model.safetensors", "checkpoints", "predictions", "saliency", "folds"),
}
OF_OTHERS = {  # frozen data have a class list too, stored splits a state, pages pictures
    "config.yaml": ("config",),  # what a run takes of the one that it trains on from
    "classes.json": ("data",),
    "state.json": ("data",),
    "saliency": ("report",),
}


def make_run(folder, *, env=None):
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config.to_yaml(config.Recipe()))
    (folder / "env.json").write_text(json.dumps({"format": FORMAT} if env is None else env))
    return RunFolder(folder)


def test_open_says_which_runs_there_are(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text("")
    (tmp_path / "none").mkdir()
    assert RunFolder.open(tmp_path / "a") == RunFolder(tmp_path / "a")
    assert Path(RunFolder.open(str(tmp_path / "a"))) == tmp_path / "a"
    with pytest.raises(RunError, match=r"no such run folder\n  runs in .*: a, b"):
        RunFolder.open(tmp_path / "c")
    with pytest.raises(RunError, match=r"holds no run \(no config.yaml\)\n  runs in .*: a, b"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(RunError, match="no run lies in"):
        RunFolder.open(tmp_path / "x" / "y")
    with pytest.raises(RunError, match=r"holds no run \(no config.yaml\)\n  runs in .*: a, b"):
        RunFolder.open(tmp_path)


def test_a_run_of_another_version_is_refused(tmp_path):
    command = ["recipes/effnet_focal.py", "seed=3"]
    old = make_run(tmp_path / "old", env={"command": command})
    with pytest.raises(RunError) as caught:
        RunFolder.open(old)
    assert str(caught.value).splitlines() == [
        f"{old}: was made by an older version of carscale (no format; this version's is {FORMAT})",
        "  read it with that version; or train it again: accelerate launch recipes/effnet_focal.py "
        f"config={old}/config.yaml run.dir={tmp_path} run.name=old resume=overwrite",
    ]
    looks = make_run(tmp_path / "looks")
    (looks.path / "test_looks.jsonl").write_text("")
    with pytest.raises(RunError, match=r"an older version .*\(it holds test_looks.jsonl\)"):
        RunFolder.open(looks)
    new = make_run(tmp_path / "new", env={"format": FORMAT + 1})
    with pytest.raises(RunError, match="a newer version of carscale"):
        RunFolder.open(new)


def test_what_is_missing_is_empty_or_says_what_to_type(tmp_path):
    run = make_run(tmp_path / "run")
    assert (run.metrics(), run.calibration(), run.test_evaluations(), run.log()) == ({}, {}, [], [])
    assert (run.steps_done, run.best_epoch, run.is_finished) == (0, None, False)
    assert (run.hashes, run.train_counts, run.recipe_file) == ({}, None, None)
    with pytest.raises(DataError, match="no predictions of val\n  make them with: carscale eval"):
        run.predictions("val")
    with pytest.raises(RunError, match=r"no class list \(classes.json\)"):
        run.classes()
    with pytest.raises(ModelError, match="no scored epoch yet"):
        run.best_checkpoint  # noqa: B018
    assert run.to_dict()["predicted_splits"] == []
    run.metrics_file.write_text("[]")
    with pytest.raises(RunError, match="is a list, wanted a mapping"):
        run.metrics()
    run.log_file.write_text("{}\nbroken\n{}\n")
    with pytest.raises(RunError, match="line 2 is not JSON"):
        run.log()


def test_checkpoints_come_newest_first(tmp_path):
    run = make_run(tmp_path / "run")
    for name in ("best_00000002", "best_00000010", "step_00000010", ".best_00000011.writing"):
        (run.checkpoints_folder / name).mkdir(parents=True)
    assert run.best_checkpoint == run.checkpoint("best", 10)
    assert [step_of(path) for path in run.checkpoints("best")] == [10, 2]
    assert run.checkpoints("step") == [run.checkpoint("step", 10)]


def test_a_log_tells_how_far_the_run_is(tmp_path):
    run = make_run(tmp_path / "run")
    epochs = [
        {"event": "epoch", "step": 4 * n, "is_best": n < 3, "val": {"top1": n}} for n in (1, 2, 3)
    ]
    run.log_file.write_text("".join(json.dumps(row) + "\n" for row in epochs) + '{"event": "st')
    assert (run.steps_done, run.best_epoch["step"]) == (12, 8)
    assert not run.is_finished
    with run.log_file.open("w") as file:
        file.write('{"event": "end"}\n')
    assert not run.is_finished  # not before val is predicted
    run.predictions_folder.mkdir()
    run.predictions_file("val").touch()
    assert run.is_finished
    for name in ("test_dealer", "test", "test_dealer.embeddings", "folds"):
        run.predictions_file(name).touch()
    assert run.predicted_splits == ("val", "test", "test_dealer")


def spelled(path):
    """Yield file names that a module spells: a whole string, or the right side of a ``/``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            found = node.right
        elif isinstance(node, ast.Constant) and "." in str(node.value):
            found = node
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[-1], ast.Constant):
            found = node.values[-1]
        else:
            continue
        if isinstance(found, ast.Constant) and isinstance(found.value, str):
            yield found.value.rpartition("/")[2]


def test_only_this_room_spells_the_file_names_of_a_run():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        names = NAMES if room != "runs" else set()
        wrong += [
            f"{path.relative_to(PACKAGE)}: {name}"
            for name in spelled(path)
            if name in names and room not in OF_OTHERS.get(name, ())
        ]
    assert not wrong, "\n".join(wrong)
