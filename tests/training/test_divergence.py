"""A run whose weights are not finite any more: one error, no best, and words that work."""

import json
import math
import os
import shlex

import jobs
import pytest
import torch
from ranks import run_process, run_ranks

from carscale import files, models, pipeline
from carscale.errors import CarscaleError, NotFiniteError, TrainingError
from carscale.runs import RunFolder

BLOWN_UP = ("optim.lr=1e30", "optim.warmup_epochs=0", "train.max_steps=1")


def words_of(step: str) -> list[str]:
    """Return the words that a line of advice says to add."""
    return [word for word in shlex.split(step) if "=" in word]


def train(tiny, folder, *words: str) -> RunFolder:
    return pipeline.run("effnet_focal", jobs.recipe(tiny, folder, *words))


def test_weights_that_are_not_finite_end_the_run(tiny, tmp_path):
    with pytest.raises(TrainingError) as caught:
        train(tiny, tmp_path / "run", *BLOWN_UP)
    first, *steps = str(caught.value).split("\n  ")
    assert first == (
        f"{tmp_path / 'run'}: epoch 0.308 (step 1 of 1): val: 8 of 8 photos have a loss or "
        "probability that is NaN, infinite or out of range"
    )
    assert steps[1] == "no epoch ended with good weights to go on from"
    assert caught.value.exit_code == 1
    run = RunFolder(tmp_path / "run")
    assert run.checkpoints("best") == []
    assert [line["event"] for line in files.read_lines(run.log_file)] == ["start", "step"]
    assert not run.is_finished


@pytest.mark.parametrize("place", [0, 2], ids=["another name", "in place"])
def test_the_words_that_the_error_says_work(tiny, tmp_path, place):
    with pytest.raises(TrainingError) as caught:
        train(tiny, tmp_path / "run", *BLOWN_UP)
    step = str(caught.value).split("\n  ")[1 + place]
    again = train(tiny, tmp_path / "run", *BLOWN_UP, *words_of(step))
    assert again.name == ("run-2" if place == 0 else "run")
    assert again.is_finished


def test_a_run_goes_on_from_its_last_good_weights(tiny, tmp_path, monkeypatch):
    """The second epoch's val is not finite: the first epoch's weights are still the best."""
    cfg = jobs.recipe(tiny, tmp_path / "run", "train.num_epochs=2")
    calls = 0
    score = pipeline.evaluation.Scorer.__call__

    def score_or_fail(self, model, world):
        nonlocal calls
        calls += 1
        if calls == 2:
            with torch.no_grad():
                next(model.parameters()).fill_(math.nan)
        return score(self, model, world)

    monkeypatch.setattr(pipeline.evaluation.Scorer, "__call__", score_or_fail)
    with pytest.raises(TrainingError) as caught:
        pipeline.run("effnet_focal", cfg)
    monkeypatch.undo()
    run = RunFolder(tmp_path / "run")
    assert len(run.checkpoints("best")) == 1
    best = run.checkpoints("best")[0]
    assert len(run.log("epoch")) == 1
    step = str(caught.value).split("\n  ")[2]
    assert step.startswith(f"or go on from the last good weights, {best}: ")
    again = train(tiny, tmp_path / "run", "train.num_epochs=1", *words_of(step))
    assert str(best) in json.loads(again.environment_file.read_text())["model"]["weights_from"]


def test_a_metric_that_is_not_finite_ends_the_run_too(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        pipeline.evaluation.Scorer, "__call__", lambda *_: {"top1": 0.5, "ece": math.nan}
    )
    with pytest.raises(TrainingError, match="val is not finite: ece nan"):
        train(tiny, tmp_path / "run", "train.max_steps=1")


def test_a_loss_that_is_not_finite_says_words_that_work(tiny, tmp_path):
    with pytest.raises(TrainingError, match=r"step 2: the loss is nan") as caught:
        train(tiny, tmp_path / "run", *BLOWN_UP, "train.max_steps=3", "train.num_epochs=1")
    step = str(caught.value).split("\n  ")[1]
    assert train(tiny, tmp_path / "run", *BLOWN_UP, *words_of(step)).is_finished


def train_and_keep_the_error(root, folder, out) -> None:
    """Train on each rank; write what ended it."""
    try:
        pipeline.run("effnet_focal", jobs.recipe(root, folder, *BLOWN_UP))
    except CarscaleError as error:
        (out / os.environ["RANK"]).write_text(f"{type(error).__name__}: {error}")


def test_all_ranks_end_with_the_same_error(tiny, tmp_path):
    run_ranks(train_and_keep_the_error, tiny, tmp_path / "run", tmp_path)
    said = [(tmp_path / rank).read_text() for rank in "01"]
    assert said[0] == said[1]
    assert "8 of 8 photos" in said[0]


def test_a_process_ends_with_code_1_and_no_abort(tiny, tmp_path):
    for number in range(3):
        assert run_process(jobs.train, tiny, tmp_path / f"run{number}", BLOWN_UP) == 1


def test_weights_that_are_not_finite_are_not_loaded(tiny, tmp_path):
    run = train(tiny, tmp_path / "run", "train.max_steps=1")
    weights = run.best_checkpoint / "model.safetensors"
    state = models.read_weights(weights)
    name = next(name for name in state if name.endswith("weight"))
    state[name].view(-1)[0] = math.inf
    models.save_state(weights.parent, "model", state)
    with pytest.raises(NotFiniteError, match=f"1 of {len(state)} tensors hold NaN or infinite"):
        train(tiny, tmp_path / "next", "train.max_steps=1", f"model.weights={weights}")


def test_going_on_from_weights_that_blew_up_ends_in_the_same_error(tiny, tmp_path):
    """They were saved between the step that did it and the loss that showed it."""
    words = (*BLOWN_UP, "train.max_steps=3", "train.num_epochs=1", "train.checkpoint_every_steps=1")
    said = set()
    for _ in range(2):
        with pytest.raises(TrainingError, match="step 2: the loss is nan") as caught:
            train(tiny, tmp_path / "run", *words)
        said.add(str(caught.value))
    assert len(said) == 1
    assert RunFolder(tmp_path / "run").checkpoints("step")
