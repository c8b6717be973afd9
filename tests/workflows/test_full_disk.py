"""Each command on a disk that is full or read-only: one error, the state whole, then it goes on."""

import os
import re
import subprocess
import sys
from pathlib import Path

import jobs
import pytest
from command_line import carscale
from full_disk import SmallDisk, small_disk
from photos import draw_classes
from ranks import run_process

from carscale import files, pipeline
from carscale.errors import DiskError
from carscale.runs import RunFolder

ROOT = Path(__file__).resolve().parents[2]
NEEDED = r"(it needs at least [\d.]+ k?M?B, )?[\d.]+ k?M?B are free there"
FULL = rf"can't be written: No space left on device; {NEEDED}"
READ_ONLY = "can't be written: Read-only file system"
TOO_LITTLE = r"needs about [\d.]+ k?M?B, [\d.]+ k?M?B are free there"
TRAINING = [word for word in jobs.SMALL if not word.startswith("optim")]


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", mebibytes=24) as mounted:
        yield mounted


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    pipeline.run("effnet_focal", jobs.recipe(tiny, folder, "train.max_steps=2"))
    return folder


@pytest.fixture(scope="module")
def places(tiny, tmp_path_factory):
    """What commands read: photos, a frozen folder, a map."""
    folder = tmp_path_factory.mktemp("places")
    raw = draw_classes(folder / "raw", [12, 12, 6])
    carscale("data", "map", tiny, raw, "-o", folder / "map.yaml", code=0)
    return {"RAW": raw, "FROZEN": tiny, "MAP": folder / "map.yaml"}


def put(trained: Path, disk: SmallDisk) -> RunFolder:
    """Copy the run to the disk."""
    subprocess.run(["cp", "-r", str(trained), str(disk.path / "run")], check=True)
    return RunFolder(disk.path / "run")


def error_of(answer: subprocess.CompletedProcess) -> str:
    """Return the error that a command ends with, and nothing else."""
    assert "Traceback" not in answer.stderr
    assert answer.returncode == 1, answer.stderr
    return answer.stderr[answer.stderr.index("DiskError: ") :]


OF_RUNS = {
    "evaluate": ("evaluate", "RUN", "--split", "test", "--embeddings", "--temperature"),
    "errors": ("errors", "RUN"),
    "report": ("report", "RUN"),
}
OF_DATA = {
    "freeze": ("data", "freeze", "RAW", "OUT"),
    "merge": ("data", "merge", "FROZEN", "RAW", "OUT", "--map", "MAP"),
    "pack": ("data", "pack", "FROZEN", "OUT"),
}


@pytest.mark.parametrize("how", [FULL, READ_ONLY], ids=["full", "read-only"])
@pytest.mark.parametrize("name", [*OF_RUNS, *OF_DATA])
def test_a_command_says_what_it_could_not_write_and_goes_on(
    disk, trained, places, name, how, request
):
    known = places | {"RUN": put(trained, disk), "OUT": disk.path / "out"}
    words = [known.get(word, word) for word in (OF_RUNS | OF_DATA)[name]]
    before = disk.contents()
    if how == READ_ONLY:
        disk.remount("ro")
    else:
        disk.fill()
    error = error_of(carscale(*words))
    print(error)
    assert str(disk.path) in error.splitlines()[0]
    assert re.search(TOO_LITTLE if how == FULL and name in OF_DATA else how, error)
    assert disk.contents() == before
    disk.make_room()
    request.getfixturevalue("quick")  # figures were written above, or not
    carscale(*words, code=0)


@pytest.mark.parametrize("name", OF_DATA)
def test_what_did_not_fit_after_all_says_how_much_it_needs(disk, places, name, monkeypatch):
    """The room is taken while the command works."""
    known = places | {"OUT": disk.path / "out"}
    words = [known.get(word, word) for word in OF_DATA[name]]
    monkeypatch.setattr("carscale.disk.check_room", lambda *_: None)
    disk.fill(leave=20_000)
    error = error_of(carscale(*words))
    print(error)
    found = re.search(r"it needs at least ([\d.]+) kB, ([\d.]+) k?B are free", error)
    assert float(found[1]) > 15
    assert "nothing was changed there" in error
    assert not (disk.path / "out").exists()
    disk.make_room()
    carscale(*words, code=0)
    assert [path.name for path in disk.path.iterdir()] == ["out"]


def test_what_the_error_says_frees_the_room_of_a_freeze_that_was_begun(disk, places, monkeypatch):
    monkeypatch.setattr("carscale.disk.check_room", lambda *_: None)
    disk.fill(leave=20_000)
    error = error_of(carscale("data", "freeze", places["RAW"], disk.path / "out"))
    command = error.partition("or free what it holds: ")[2]
    assert command.startswith("rm -r ")
    subprocess.run(command, shell=True, check=True)
    assert [path.name for path in disk.path.iterdir()] == ["ballast"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("study", "balance", "data.root=FROZEN", "--out", "OUT"), FULL),
        (("data", "report", "FROZEN", "--out", "OUT"), FULL),
        (("data", "dedupe", "FROZEN", "--apply", "OUT"), TOO_LITTLE),
        (("data", "demo", "OUT"), FULL),
    ],
)
def test_other_commands_end_in_the_same_error(disk, places, words, says):
    def filled(word):
        return word.replace("FROZEN", str(places["FROZEN"])).replace("OUT", str(disk.path / "out"))

    disk.fill()
    assert re.search(says, error_of(carscale(*map(filled, words))))
    assert disk.contents() == {}


def train(disk: SmallDisk, tiny: Path, *words: str) -> RunFolder:
    return pipeline.run("effnet_focal", jobs.recipe(tiny, disk.path / "run", *words))


def test_a_checkpoint_that_does_not_fit_ends_the_run_which_goes_on(disk, tiny, tmp_path):
    """Room for the best weights and for half of what a run goes on from."""
    disk.fill(leave=4 << 20)
    with pytest.raises(DiskError, match=rf"step_0+2: {FULL}") as caught:
        train(disk, tiny, "train.max_steps=4", "train.checkpoint_every_steps=2")
    needed = re.search(r"at least ([\d.]+) MB, ([\d.]+) MB", str(caught.value))
    assert float(needed[1]) > float(needed[2]) > 3  # what was half written is gone again
    run = RunFolder(disk.path / "run")
    assert not list(run.checkpoints_folder.glob(".*"))
    disk.make_room()
    train(disk, tiny, "train.max_steps=4", "train.checkpoint_every_steps=2")
    straight = jobs.recipe(tiny, tmp_path / "run", "train.max_steps=4")
    other = pipeline.run(
        "effnet_focal",
        straight.model_copy(
            update={"train": straight.train.model_copy(update={"checkpoint_every_steps": 2})}
        ),
    )
    assert run.log_file.read_bytes() == other.log_file.read_bytes()


@pytest.mark.parametrize("how", [FULL, READ_ONLY], ids=["full", "read-only"])
def test_going_on_where_nothing_can_be_written_is_one_error(disk, trained, tiny, how):
    run = put(trained, disk)
    before = disk.contents()
    if how == READ_ONLY:
        disk.remount("ro")
    else:
        disk.fill()
    with pytest.raises(DiskError, match=how):
        train(disk, tiny, "train.max_steps=2")
    assert disk.contents() == before
    disk.make_room()
    assert train(disk, tiny, "train.max_steps=2").is_finished
    assert run.is_finished


def test_a_recipe_ends_with_code_1(disk, tiny):
    disk.fill(leave=1 << 20)
    assert run_process(jobs.train, tiny, disk.path / "run", ("train.max_steps=2",)) == 1


@pytest.mark.launch
@pytest.mark.slow
def test_two_processes_end_together_without_a_traceback(disk, tiny):
    disk.fill(leave=4 << 20)
    config_file = ROOT / "accelerate_configs" / "cpu2.yaml"
    command = ["train", "effnet_focal", f"data.root={tiny}", f"run.dir={disk.path}", *jobs.SMALL]
    answer = subprocess.run(
        [sys.executable, "-m", "carscale", *command, "--config_file", str(config_file)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    print(answer.stderr)
    assert answer.returncode == 1
    assert "Traceback" not in answer.stderr
    assert "frame #0" not in answer.stderr  # nor one of torch's C++
    for rank in (0, 1):
        assert re.search(rf"\[rank {rank}\] DiskError: .*{FULL}", answer.stderr)


def test_printing_to_a_full_disk_is_one_error(disk):
    """``carscale recipes NAME > FILE``; every command prints through the same door."""
    disk.fill()
    with (disk.path / "out.txt").open("w") as out:
        answer = subprocess.run(
            [sys.executable, "-m", "carscale", "recipes", "effnet_focal"],
            stdout=out,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    print(answer.stderr)
    assert answer.returncode == 1
    assert (
        "DiskError: standard output: can't be written: No space left on device\n" in answer.stderr
    )
    assert "Traceback" not in answer.stderr
    assert "Exception ignored" not in answer.stderr


def test_files_of_killed_writers_are_swept_by_the_next_one(tmp_path):
    old, new, other = (tmp_path / f".a.json.{number}.tmp" for number in (999_999, 999_998, "x"))
    for path in (old, new, other):
        path.write_text("half")
    os.utime(old, (0, 0))
    files.write_json(tmp_path / "a.json", {})
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", new.name, other.name}
