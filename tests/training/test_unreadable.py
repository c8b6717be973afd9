"""Photos that were trained on as a grey square: counted once, on all ranks, over kills."""

import json
import shutil

import jobs
import pytest
from command_line import carscale
from photos import draw_classes
from ranks import run_process, run_ranks

from carscale import balance, data, files, pipeline
from carscale.errors import LoaderError
from carscale.loaders import Stream
from carscale.types import Split

WORDS = ("train.num_epochs=2", "train.checkpoint_every_steps=3", "loader.prefetch=8")
NUM_STEPS = 7


@pytest.fixture(scope="module")
def num_expected(tiny, tmp_path_factory):
    """How many of the positions that are trained on hold a photo that can't be read."""
    cfg = jobs.recipe(tiny, tmp_path_factory.mktemp("cfg") / "run")
    train = data.read_splits(tiny).train
    sampler = balance.sampler(cfg, train)
    stream = Stream(len(train), seed=cfg.seed, sampler=sampler)
    rows = stream.rows(0, NUM_STEPS * cfg.loader.global_batch_size)
    return int((rows % 4 == 0).sum())


def counted(folder):
    """What log, checkpoint and card say."""
    end = files.read_lines(folder / "log.jsonl")[-1]
    newest = folder / "checkpoints" / f"step_{end['step']:08d}"
    assert end["step"] == NUM_STEPS
    cards = [json.loads((newest / name).read_text()) for name in ("state.json", "model.json")]
    return {end["num_unreadable"], *(card["num_unreadable"] for card in cards)}


@pytest.mark.parametrize("world_size", [1, 2])
def test_every_rank_counts_and_a_kill_changes_nothing(tiny, tmp_path, num_expected, world_size):
    assert num_expected > 10
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    run_ranks(jobs.train_unreadable, tiny, straight, WORDS, world_size=world_size)
    assert counted(straight) == {num_expected}
    dies = (jobs.train_unreadable, tiny, killed, WORDS, "weights file", 6)
    if world_size == 1:
        assert run_process(*dies) == -9
    else:
        with pytest.raises(Exception, match=r"process \d|Connection|SIGKILL"):
            run_ranks(*dies, world_size=world_size)
    before = max((killed / "checkpoints").glob("step_*"))
    assert 0 < json.loads((before / "state.json").read_text())["num_unreadable"] < num_expected
    run_ranks(jobs.train_unreadable, tiny, killed, WORDS, world_size=world_size)
    assert counted(killed) == {num_expected}
    assert (straight / "log.jsonl").read_bytes() == (killed / "log.jsonl").read_bytes()


STEPS = ("train.max_steps=4", "train.checkpoint_every_steps=1", "loader.prefetch=1")


@pytest.fixture
def cars(tmp_path):
    """Photos and what was frozen of them."""
    raw = draw_classes(tmp_path / "raw", [16, 10, 6])
    return raw, data.freeze(raw, tmp_path / "frozen").root


def harm(monkeypatch, what):
    """Have something happen to the photo that is read as the 21st; return its name."""
    read, rows = Split.read_bytes, []

    def read_or_harm(split, row):
        rows.append(row)
        if len(rows) == 21:
            what(split.root / split.paths_N[row])
        return read(split, row)

    monkeypatch.setattr(Split, "read_bytes", read_or_harm)


def train(root, folder, *words):
    return pipeline.run("effnet_focal", jobs.recipe(root, folder, *STEPS, *words))


@pytest.mark.parametrize(
    "what",
    [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:200])],
    ids=["vanishes", "rots"],
)
def test_what_the_error_of_a_lost_photo_says_works(cars, tmp_path, monkeypatch, what):
    raw, root = cars
    whole = shutil.copytree(root, tmp_path / "whole")
    harm(monkeypatch, what)
    with pytest.raises(LoaderError) as caught:
        train(root, tmp_path / "run")
    monkeypatch.undo()
    first, check, _, again = str(caught.value).split("\n  ")
    victim = first.partition(": ")[0]
    listed = carscale(*check.partition("carscale ")[2].split())
    assert listed.returncode == 1
    assert victim.removeprefix(f"{root}/") in listed.stderr
    new = tmp_path / "new"
    assert again.endswith("carscale data freeze PHOTOS NEW; data.root=NEW run.name=NAME")
    carscale("data", "freeze", raw, new, code=0)
    assert train(new, tmp_path / "other").is_finished
    before = len(files.read_lines(tmp_path / "run" / "log.jsonl"))
    assert before > 1
    shutil.copy(whole / victim.removeprefix(f"{root}/"), victim)
    assert train(root, tmp_path / "run").is_finished


def test_what_the_error_of_a_disk_that_fails_says_works(cars, tmp_path, monkeypatch):
    _, root = cars
    read = Split.read_bytes

    def read_or_fail(split, row):
        if row % 4 == 0 and split.name == "train":
            raise OSError(5, "Input/output error")
        return read(split, row)

    monkeypatch.setattr(Split, "read_bytes", read_or_fail)
    with pytest.raises(LoaderError, match="Input/output error") as caught:
        train(root, tmp_path / "run")
    words = str(caught.value).split("\n  ")[-1].partition("place: ")[2].split()
    assert words == ["loader.on_unreadable=fill", "run.name=NAME"]
    assert train(root, tmp_path / "run", *words).is_finished
    assert (tmp_path / "NAME").is_dir()
