"""Run folders of a stranger: links, FIFOs and odd JSON in them are refused, and nothing else is."""

import json
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from fake_strangers import EVIL_JSON, run_with
from strangers import no_longer_than, no_more_memory_than, said_of

from carscale import files
from carscale.errors import CarscaleError, RunError
from carscale.runs import RunFolder, state_file
from carscale.studies.history import find_runs, histories
from carscale.studies.run import tidy
from carscale.training.checkpoint import State, newest_whole, prune
from carscale.training.dynamics import RECORD, read_dynamics
from carscale.world.pictures import track_pictures

LIMIT_S = 5
LINK = "is a link; files and folders in run folders and frozen folders are no links"
FILES = ("config.yaml", "env.json", "classes.json", "log.jsonl", "timing.jsonl", "metrics.json")
FILES += ("calibration.json", "test_evaluations.jsonl", "predictions/val.parquet", ".lock")


@pytest.fixture
def victim(tmp_path):
    """What must stay as it is: a folder of somebody, with checkpoints of their own."""
    for name in ("step_00000001", "best_00000001", ".old.writing"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        (tmp_path / "mine" / name / "weights").write_text("mine")
    (tmp_path / "mine" / "val.parquet").write_text("mine")
    return tmp_path / "mine"


def state_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def use_all(run):
    """Read whatever there is to read of a run."""
    run.check_format()
    run.settings(), run.environment(), run.classes(), run.log(), run.timing(), run.metrics()
    run.calibration(), run.test_evaluations(), run.predictions("val")
    run.is_training, run.is_finished, run.steps_done, run.to_dict(), run.best_checkpoint
    return run.checkpoint_card(run.best_checkpoint)


@pytest.mark.parametrize("name", ["checkpoints", "predictions", "report", "errors", "folds"])
def test_a_folder_of_a_run_that_is_a_link_is_never_written_through(tmp_path, victim, name):
    run = run_with(tmp_path / "run")
    shutil.rmtree(run.path / name, ignore_errors=True)
    (run.path / name).symlink_to(victim, target_is_directory=True)
    before = state_of(victim)
    stand_in = SimpleNamespace(folder=run)
    for use in (
        lambda: getattr(run, f"{name}_folder").mkdir(exist_ok=True),
        lambda: files.write_json(getattr(run, f"{name}_folder") / "val.parquet", {}),
        lambda: (
            prune(stand_in, State(step=9), keep_last=1) if name == "checkpoints" else run.fold("a")
        ),
        lambda: tidy(run, keep_weights=False),
    ):
        assert said_of(use) in ("", f"{run}/{name}: {LINK}")
        assert state_of(victim) == before


def test_links_among_checkpoints_are_not_pruned_through(tmp_path, victim):
    run = run_with(tmp_path / "run")
    before = state_of(victim)
    (run.path / "checkpoints" / "step_00000002").symlink_to(victim, target_is_directory=True)
    with pytest.raises(CarscaleError, match="step_00000002: is a link"):
        prune(SimpleNamespace(folder=run), State(step=9), keep_last=1)
    with pytest.raises(CarscaleError, match="step_00000002: is a link"):
        newest_whole(run)
    assert state_of(victim) == before


@pytest.mark.parametrize("lock", [".lock", ".update.lock"])
def test_a_lock_that_is_a_link_truncates_nothing(tmp_path, victim, lock):
    run = run_with(tmp_path / "run")
    (run.path / lock).unlink(missing_ok=True)
    (run.path / lock).symlink_to(victim / "val.parquet")

    def use():
        with files.hold_lock(run.path):
            files.update_json(run.metrics_file, lambda whole: whole)
            files.append_line(run.test_evaluations_file, {})

    assert said_of(use) == f"{run}/{lock}: {LINK}"
    assert (victim / "val.parquet").read_text() == "mine"


def test_a_staging_file_that_is_a_link_is_not_written_through(tmp_path, victim):
    run = run_with(tmp_path / "run")
    staging = run.path / f".metrics.json.{os.getpid()}.tmp"
    staging.symlink_to(victim / "val.parquet")
    files.write_json(run.metrics_file, {"val": {}})
    assert (victim / "val.parquet").read_text() == "mine"
    assert run.metrics() == {"val": {}}
    assert not staging.is_symlink()


def test_a_log_that_is_a_link_is_not_cut(tmp_path, victim):
    for name in ("log.jsonl", "timing.jsonl"):
        (tmp_path / name).symlink_to(victim / "val.parquet")
        with pytest.raises(CarscaleError, match="is a link"):
            files.JsonLines(tmp_path / name)
    assert (victim / "val.parquet").read_text() == "mine"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["fifo", "zero", "folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path, name, kind):
    run = run_with(tmp_path / "run")
    path = run.path / name
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with no_longer_than(LIMIT_S), pytest.raises(CarscaleError) as caught:
        use_all(run)
    assert str(path) in str(caught.value)
    with no_longer_than(LIMIT_S):  # a listing goes on without it
        assert find_runs(tmp_path) == [run.path]
        histories([run.path])


@pytest.mark.parametrize("text", EVIL_JSON)
@pytest.mark.parametrize("name", [one for one in FILES if ".json" in one] + ["model.json", "state"])
def test_odd_json_is_an_error_in_words(tmp_path, name, text):
    run = run_with(tmp_path / "run")
    checkpoint = run.path / "checkpoints" / "best_00000001"
    path = {"model.json": checkpoint / name, "state": state_file(checkpoint)}.get(
        name, run.path / name
    )
    path.write_text(text + "\n")
    with no_longer_than(LIMIT_S):
        said = said_of(lambda: (use_all(run), run.checkpoint_state(checkpoint)))
    assert said == "" or str(run) in said  # some files hold what they like
    assert len(said) < 2000


def test_a_state_that_names_files_elsewhere_is_refused(tmp_path, victim):
    run = run_with(tmp_path / "run")
    checkpoint = run.path / "checkpoints" / "step_00000001"
    shutil.copytree(run.path / "checkpoints" / "best_00000001", checkpoint)
    state = json.loads(state_file(checkpoint).read_text())
    state_file(checkpoint).write_text(
        json.dumps(state | {"files": {"../../../mine/val.parquet": 4}})
    )
    assert newest_whole(run) is None


def test_a_fold_that_is_a_link_is_refused(tmp_path, victim):
    run = run_with(tmp_path / "run")
    run.folds_folder.mkdir()
    (run.folds_folder / "fold_0").symlink_to(victim, target_is_directory=True)
    with pytest.raises(CarscaleError, match="fold_0: is a link"):
        tidy(run.fold("fold_0"), keep_weights=False)
    assert (victim / "best_00000001" / "weights").read_text() == "mine"


@pytest.mark.parametrize("name", ["step_²", "step_١", "step_" + "9" * 200, "step_-1", "step_"])
def test_odd_names_of_checkpoints_are_passed_over_or_refused(tmp_path, name):
    run = run_with(tmp_path / "run")
    (run.path / "checkpoints" / name).mkdir()
    assert newest_whole(run) is None
    assert run.best_checkpoint.name == "best_00000001"


def test_a_step_of_many_digits_is_no_step(tmp_path):
    run = run_with(tmp_path / "run")
    run.log_file.write_text(
        '{"step": 7, "a": 1}\n{"step": ' + "9" * 5_000 + ', "a": 1}\n{"step": ², "a": 1}\n'
    )
    assert run.steps_done == 7


@pytest.mark.parametrize("project", ["../../mine", "/tmp/mine", "linked"])
def test_a_tracker_writes_into_the_run_alone(tmp_path, victim, project):
    run = run_with(tmp_path / "run")
    (run.path / "linked").symlink_to(victim, target_is_directory=True)
    before = state_of(victim)
    said = said_of(lambda: track_pictures("tensorboard", run, project, {"a": None}))
    assert "may lead out of it" in said or "is a link" in said
    assert state_of(victim) == before


def test_dynamics_of_endless_epochs_are_refused(tmp_path):
    records = np.zeros(1000, RECORD)
    records["step"] = np.linspace(0, 2**31 - 1, 1000).astype(int)
    (tmp_path / "dynamics.bin").write_bytes(records.tobytes())
    with no_more_memory_than(), pytest.raises(RunError, match="no log of training dynamics"):
        read_dynamics(tmp_path / "dynamics.bin", np.arange(100), global_batch_size=64)


def test_a_run_folder_may_be_a_link_itself(tmp_path):
    run_with(tmp_path / "scratch" / "run")
    (tmp_path / "runs").symlink_to("scratch", target_is_directory=True)
    (tmp_path / "mine").symlink_to("scratch/run", target_is_directory=True)
    for path in (tmp_path / "runs" / "run", tmp_path / "mine"):
        assert use_all(RunFolder.open(path))["view"]["image_px"] == 32
