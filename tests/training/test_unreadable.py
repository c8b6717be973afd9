"""Photos that were trained on as a grey square: counted once, on all ranks, over kills."""

import json

import jobs
import pytest
from ranks import run_process, run_ranks

from carscale import balance, data, files
from carscale.loaders import Stream

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
