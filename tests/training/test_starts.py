"""What a run starts from: weights that photos of its val or test have trained are refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from carscale import config, data, files, training, workflows
from carscale.data.frozen.split_assignment import PARTIAL
from carscale.errors import DataError
from carscale.runs import run_of_weights


def begun(folder, root, hashes, *words):
    """Write what a run folder knows of its data."""
    folder.mkdir(parents=True)
    cfg = config.resolve(config.Recipe(), [f"data.root={root}", *words])
    (folder / "config.yaml").write_text(config.to_yaml(cfg))
    files.write_json(folder / "env.json", {"data": {"hashes": hashes}})
    return folder


def recipe_from(weights, **finetune):
    return config.vary(config.Recipe(), finetune=finetune, model={"weights": str(weights)})


def hashes_of(splits):
    return {one.name: one.hash for one in splits.every[:2]}


@pytest.fixture
def splits(tiny):
    return data.read_splits(tiny)


@pytest.fixture(scope="module")
def again(made_once, tiny):
    """The same photos, cut otherwise."""

    def make(place):
        for split in data.read_splits(tiny).every:
            for path in split.paths_N:
                to = place / "photos" / Path(path).parent.name / f"{split.name}-{Path(path).name}"
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(tiny / path, to)
        workflows.freeze(place / "photos", place / "frozen", data.FreezeRule(seed=5))

    return data.read_splits(made_once("tiny-again", make) / "frozen")


def test_a_start_that_has_seen_val_is_refused(tiny, splits, again, tmp_path, capsys):
    start = begun(tmp_path / "start", tiny, hashes_of(splits))
    training.check_start(recipe_from(start), splits)
    seen = np.intersect1d(again.val.keys_N.astype(str), splits.train.keys_N.astype(str))
    assert len(seen)
    for weights in (start, start / "checkpoints" / "best_7" / "model.safetensors"):
        with pytest.raises(DataError, match=rf"{len(seen)} photos of val trained .*start"):
            training.check_start(recipe_from(weights), again)
    assert capsys.readouterr().err == ""


def test_the_start_of_a_start_counts_too(tiny, splits, again, tmp_path):
    first = begun(tmp_path / "first", tiny, hashes_of(splits))
    weights = f"model.weights={first}"
    second = begun(tmp_path / "second", again.train.root, hashes_of(again), weights)
    with pytest.raises(DataError, match=r"trained .*first"):
        training.check_start(recipe_from(second), again)


def test_an_extra_test_that_trained_the_start_is_refused_and_partial_photos_are_not(
    tiny, splits, tmp_path
):
    start = begun(tmp_path / "start", tiny, hashes_of(splits))
    other = replace(splits.train, hash="0" * 64)
    for name, is_refused in (("test_web", True), (PARTIAL, False)):
        extra = replace(splits, train=other, extra={name: replace(splits.train, name=name)})
        if is_refused:
            with pytest.raises(DataError, match="photos of test_web trained"):
                training.check_start(recipe_from(start), extra)
        else:
            training.check_start(recipe_from(start), extra)


def test_a_fold_is_compared_with_the_part_that_trained_it(tiny, tmp_path):
    cuts = [
        config.resolve(
            config.Recipe(), [f"data.root={tiny}", "data.num_folds=3", f"data.fold={fold}"]
        )
        for fold in (0, 1)
    ]
    first, second = (data.cut_splits(cfg.data) for cfg in cuts)
    words = ("data.num_folds=3", "data.fold=0")
    start = begun(tmp_path / "start", tiny, hashes_of(first), *words)
    training.check_start(recipe_from(start), first)
    with pytest.raises(DataError, match="photos of val trained"):
        training.check_start(recipe_from(start), second)


def test_what_can_not_be_told_is_said(tiny, splits, again, tmp_path, capsys):
    gone = begun(tmp_path / "gone", tmp_path / "nowhere", hashes_of(splits))
    training.check_start(recipe_from(gone), again)
    assert "nobody can tell whether some of val or test" in capsys.readouterr().err
    start = begun(tmp_path / "start", tiny, hashes_of(splits))
    training.check_start(recipe_from(start, distill=0.5), splits)
    assert "finetune.select: names no photos" in capsys.readouterr().err


def test_a_settings_file_of_something_else_makes_no_run(tmp_path):
    (tmp_path / "config.yaml").write_text("project: mine\n")
    assert run_of_weights(tmp_path / "weights" / "model.safetensors") is None
    assert run_of_weights(None) is None
