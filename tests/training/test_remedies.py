"""What errors of a run say to type next works when it is typed."""

import re
import shutil

import jobs
import pytest
import torch
from photos import draw_classes

from carscale import data, pipeline
from carscale.errors import CarscaleError, ConfigError, OutOfMemoryError, RunError
from carscale.training.loop import _Fit

WORDS = ("train.max_steps=3", "train.checkpoint_every_steps=1")


def train(root, folder, *words):
    return pipeline.run("effnet_focal", jobs.recipe(root, folder, *WORDS, *words))


def advised(error: CarscaleError) -> list[list[str]]:
    """Return the settings that each part of an error's advice says to add."""
    lines = str(error).split("\n  ")[1:]
    parts = [part for line in lines for part in line.split(";")]
    return [found for part in parts if (found := re.findall(r"[a-z_.]+=[\w.-]+", part))]


def change_settings(tiny, folder, tmp_path):
    return tiny, ["optim.lr=0.01"]


def forbid(tiny, folder, tmp_path):
    return tiny, ["resume=never"]


def change_photos(tiny, folder, tmp_path):
    return data.freeze(draw_classes(tmp_path / "raw", [9, 9, 6, 5]), tmp_path / "other").root, []


def remove_checkpoints(tiny, folder, tmp_path):
    shutil.rmtree(folder / "checkpoints")
    return tiny, []


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (change_settings, "holds a run of other settings"),
        (forbid, "holds a run already, and resume=never"),
        (change_photos, "was trained on other data"),
        (remove_checkpoints, "whose checkpoints were removed"),
    ],
)
def test_a_run_that_can_not_go_on_says_words_that_work(tiny, tmp_path, spoil, says):
    folder = tmp_path / "run"
    train(tiny, folder)
    root, words = spoil(tiny, folder, tmp_path)
    with pytest.raises(RunError, match=says) as caught:
        train(root, folder, *words)
    advice = advised(caught.value)
    assert len(advice) == 2
    for more in advice:
        assert train(root, folder, *words, *more).is_finished


@pytest.mark.parametrize("step", [0, 2])
def test_memory_that_runs_out_says_words_that_work(tiny, tmp_path, monkeypatch, step):
    """At the start, and where a checkpoint holds the run to its settings."""
    original, calls = _Fit._backward, []

    def backward(self, *args):
        calls.append(args[0])
        if args[0] == step:
            raise MemoryError
        return original(self, *args)

    monkeypatch.setattr(_Fit, "_backward", backward)
    with pytest.raises(OutOfMemoryError) as caught:
        train(tiny, tmp_path / "run")
    monkeypatch.undo()
    [words] = advised(caught.value)
    assert words == ["train.accumulate_steps=2", *(["run.name=NAME"] if step else [])]
    assert train(tiny, tmp_path / "run", *words).is_finished


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["model.attention=se"], ["model.attention=none"]),
        (["data.image_px=33"], ["data.image_px=224"]),
        (
            ["balance.loss=class-balanced-focal", "balance.class_weights=inverse"],
            ["balance.class_weights=none", "balance.label_smoothing=0"],
        ),
        pytest.param(
            ["loader.backend=dali_gpu"],
            ["loader.backend=torch"],
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU takes it"),
        ),
    ],
)
def test_settings_that_do_not_fit_say_those_that_do(tiny, tmp_path, words, remedy):
    with pytest.raises(ConfigError) as caught:
        train(tiny, tmp_path / "run", *words)
    assert all(one in str(caught.value) for one in remedy)
    assert train(tiny, tmp_path / "run", *words, *remedy).is_finished
