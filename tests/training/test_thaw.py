"""A frozen body: nothing of it moves, then all does, and a kill changes nothing."""

import jobs
import pytest
from ranks import run_process, run_ranks
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

from carscale import files, models

WORDS = (
    "model.name=test_efficientnet",  # batch norm
    "model.attention=cbam",  # batch norm in a new layer
    "train.accumulate_steps=2",
    "train.ema_decay=0",
)


def weights(folder, name="model"):
    newest = sorted((folder / "checkpoints").glob("step_*"))[-1]
    return models.read_weights(newest / f"{name}.safetensors")


def is_new(name):
    return name.startswith("classifier.") or ".attn." in name


def check_frozen(one, three):
    """Compare weights after one step and after three, frozen."""
    before, after = weights(one), weights(three)
    for name, tensor in after.items():
        if not is_new(name):
            assert tensor.equal(before[name]), name  # batch-norm statistics too
    for name in ("classifier.weight", "blocks.1.attn.alpha"):
        assert not after[name].equal(before[name])
    moved = [n for n in after if "running_mean" in n and not after[n].equal(before[n])]
    assert moved
    assert all(is_new(name) for name in moved)


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_what_is_new_moves_until_the_thaw(tiny, tmp_path, name):
    words = (*WORDS, f"optim.name={name}", "optim.lr=0.01", "optim.weight_decay=0.5")
    frozen = (*words, "optim.freeze_epochs=9")
    jobs.train(tiny, tmp_path / "one", (*frozen, "train.max_steps=1"))
    jobs.train(tiny, tmp_path / "three", (*frozen, "train.max_steps=3"))
    check_frozen(tmp_path / "one", tmp_path / "three")
    indexes = {key.split(".")[0] for key in weights(tmp_path / "three", "optimizer")}
    num_new = sum(
        is_new(n) and "running" not in n and "num_b" not in n for n in weights(tmp_path / "three")
    )
    assert len(indexes) == num_new  # no moments of the body
    # 39 train photos in steps of 12: the third step is the first that begins after 0.5 epochs
    thawing = (*words, "optim.freeze_epochs=0.5")
    jobs.train(tiny, tmp_path / "two, thawing", (*thawing, "train.max_steps=2"))
    jobs.train(tiny, tmp_path / "three, thawing", (*thawing, "train.max_steps=3"))
    before, after = weights(tmp_path / "two, thawing"), weights(tmp_path / "three, thawing")
    first = weights(tmp_path / "one")
    for key in ("conv_stem.weight", "bn1.running_mean", "bn1.bias"):
        assert before[key].equal(first[key])
        assert not after[key].equal(before[key])


def test_a_body_that_is_never_frozen_is_trained_as_before(tiny, tmp_path):
    jobs.train(tiny, tmp_path / "run", (*WORDS, "train.max_steps=1"))
    jobs.train(tiny, tmp_path / "frozen", (*WORDS, "train.max_steps=1", "optim.freeze_epochs=1"))
    free, frozen = weights(tmp_path / "run"), weights(tmp_path / "frozen")
    assert not free["conv_stem.weight"].equal(frozen["conv_stem.weight"])
    assert not free["bn1.running_mean"].equal(frozen["bn1.running_mean"])


THAW = (*WORDS, "train.num_epochs=3", "train.checkpoint_every_steps=2", "train.ema_decay=0.5")
THAW += ("optim.freeze_epochs=1.5", "optim.layer_decay=0.8")  # frozen for 5 of 10 steps


def result(folder):
    newest = sorted((folder / "checkpoints").glob("step_*"))[-1]
    files = [*sorted(newest.glob("*.safetensors")), folder / "log.jsonl"]
    return {path.name: path.read_bytes() for path in files}


@pytest.mark.parametrize("count", [7, 17])  # killed while frozen, and after the thaw
def test_a_run_killed_before_or_after_the_thaw_ends_as_the_straight_one(tiny, tmp_path, count):
    assert run_process(jobs.train, tiny, tmp_path / "straight", THAW) == 0
    folder = tmp_path / "killed"
    assert run_process(jobs.train_until, tiny, folder, THAW, "log line", count) == -9
    steps = [int(p.name[5:]) for p in (folder / "checkpoints").glob("step_*")]
    assert (max(steps) < 5) == (count == 7)
    assert run_process(jobs.train, tiny, folder, THAW) == 0
    assert result(folder) == result(tmp_path / "straight")


def test_two_ranks_freeze_alike_and_cross_the_thaw(tiny, tmp_path):
    words = ("train.num_epochs=3", "train.checkpoint_every_steps=2", "optim.freeze_epochs=1.5")
    words = (*words, "train.accumulate_steps=2")
    run_ranks(jobs.train, tiny, tmp_path / "straight", words)
    dies = (jobs.train_until, tiny, tmp_path / "killed", words, "weights file", 5)
    with pytest.raises((ProcessExitedException, ProcessRaisedException)):
        run_ranks(*dies)
    assert list((tmp_path / "killed" / "checkpoints").glob("step_*"))
    run_ranks(jobs.train, tiny, tmp_path / "killed", words)
    assert result(tmp_path / "killed") == result(tmp_path / "straight")
    jobs.train(tiny, tmp_path / "alone", words)
    losses = [
        [line["loss"] for line in files.read_lines(tmp_path / name / "log.jsonl") if "loss" in line]
        for name in ("straight", "alone")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
