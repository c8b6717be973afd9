"""Train predicted out of sample: joined whole, killed and gone on with, or refused."""

import os
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import forked
import jobs
import numpy as np
import pytest
from forked import ForkedLaunch
from ranks import start_process

from carscale import analysis, config, data, files, tables
from carscale.errors import ConfigError, DataError, RunError
from carscale.studies.folds import FoldRule, run_folds
from carscale.workflows.errors import analyse_run

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "effnet_focal.py"
WORDS = ("train.num_epochs=2", "optim.warmup_epochs=0", "train.checkpoint_every_steps=2")


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    """A run, and what its environment says when ``accelerate launch`` starts it."""
    folder = tmp_path_factory.mktemp("folds") / "run"
    jobs.train(tiny, folder, WORDS)
    env = files.read_json(folder / "env.json")
    files.write_json(folder / "env.json", env | {"command": [str(RECIPE), "train.num_epochs=2"]})
    return folder


def copy_of(trained, place):
    shutil.copytree(trained, place, ignore=shutil.ignore_patterns("folds", "folds.parquet"))
    return place


@pytest.fixture(scope="module")
def rule(fork_address):
    return FoldRule(2, words=("train.num_epochs=3",), launch=ForkedLaunch(fork_address))


@pytest.fixture(scope="module")
def joined(trained, rule, tmp_path_factory):
    """The run with its folds."""
    folder = copy_of(trained, tmp_path_factory.mktemp("joined") / "run")
    out, found = run_folds(folder, rule)
    assert out == folder / "predictions" / "folds.parquet"
    assert len(found) == len(tables.read_predictions(out))
    return folder


def test_every_train_photo_is_predicted_by_the_model_that_did_not_see_it(joined, tiny):
    found = tables.read_predictions(joined / "predictions" / "folds.parquet")
    whole = data.read_splits(tiny)
    assert np.array_equal(found.ids_N, whole.train.ids_N)
    assert np.array_equal(found.labels_N, whole.train.labels_N)
    assert found.keys_N.tolist() == whole.train.keys_N.tolist()
    assert found.paths_N.tolist() == whole.train.paths_N.tolist()
    assert found.probs_NK.shape == (len(whole.train), len(whole.classes))
    assert found.probs_NK.sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert np.array_equal(found.probs_NK.argmax(axis=1), found.prediction_N)
    assert found.about["split"] == "train"
    assert found.about["split_hash"] == whole.train.hash
    for fold in range(2):
        part = data.hold_out(whole, 2, fold)
        place = joined / "folds" / f"fold_{fold}"
        own = tables.read_predictions(place / "predictions" / "val.parquet")
        assert np.array_equal(own.ids_N, part.val.ids_N)
        rows = np.searchsorted(found.ids_N, own.ids_N)
        assert np.array_equal(found.probs_NK[rows], own.probs_NK)
        cfg = config.from_yaml(place / "config.yaml")
        assert (cfg.train.select, cfg.train.patience, cfg.train.num_epochs) == ("last", 0, 3)
        start = next(iter(files.read_lines(place / "log.jsonl")))
        assert start["hashes"]["train"] == part.train.hash
        assert not list((place / "checkpoints").glob("*"))  # weights go unless kept


def test_repeats_add_trainings_with_other_seeds_and_are_averaged(joined, rule):
    once = tables.read_predictions(joined / "predictions" / "folds.parquet")
    out, found = run_folds(joined, replace(rule, num_repeats=2))
    again = [
        tables.read_predictions(joined / "folds" / name / "predictions" / "val.parquet")
        for name in ("fold_0_repeat_1", "fold_1_repeat_1")
    ]
    seeds = [
        config.from_yaml(joined / "folds" / name / "config.yaml").seed
        for name in ("fold_0", "fold_0_repeat_1")
    ]
    assert seeds[1] == seeds[0] + 1
    rows = [np.searchsorted(once.ids_N, part.ids_N) for part in again]
    other_NK = np.empty_like(once.probs_NK)
    for part, where in zip(again, rows, strict=True):
        other_NK[where] = part.probs_NK
    assert not np.allclose(other_NK, once.probs_NK)
    wanted_NK = np.sqrt(once.probs_NK.astype(float) * other_NK)
    wanted_NK /= wanted_NK.sum(axis=1, keepdims=True)
    assert found.probs_NK == pytest.approx(wanted_NK, abs=1e-6)
    assert np.array_equal(tables.read_predictions(out).probs_NK, found.probs_NK)
    run_folds(joined, rule)  # without repeats again, nothing is trained, nothing averaged
    assert np.array_equal(tables.read_predictions(out).probs_NK, once.probs_NK)


def test_errors_reviews_the_labels_of_train_with_folds(joined):
    found = analyse_run(joined, "val")
    assert isinstance(found, analysis.Analysis)
    assert [review.split for review in found.reviews] == ["train", "val"]
    assert len(found.reviews[0]) == len(found.evidence.train.ids_M)
    assert not any("carscale folds" in note for note in found.notes)


def test_killed_in_the_middle_it_ends_with_the_same_bytes(
    joined, trained, rule, fork_address, tmp_path
):
    folder = copy_of(trained, tmp_path / "run")
    words = ["folds", str(folder), *rule.words, "--num-folds", "2"]
    process = start_process(forked.command_line, words, fork_address, tmp_path / "printed")
    log = folder / "folds" / "fold_0" / "log.jsonl"
    until = time.monotonic() + 30
    while not (log.exists() and '"step": ' in log.read_text()):
        assert time.monotonic() < until
        assert process.is_alive()
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (folder / "predictions" / "folds.parquet").exists()
    again = start_process(forked.command_line, words, fork_address, tmp_path / "again")
    again.join()
    said = (tmp_path / "again.stderr").read_text()
    assert again.exitcode == 0, said
    assert (tmp_path / "again").read_text().strip() == str(folder / "predictions/folds.parquet")
    assert f"next: carscale errors {folder}" in said
    path = Path("predictions") / "folds.parquet"
    assert (folder / path).read_bytes() == (joined / path).read_bytes()


def test_folds_that_began_otherwise_are_not_mixed(joined, rule, monkeypatch):
    with pytest.raises(ConfigError) as error:
        run_folds(joined, replace(rule, num_folds=3))
    assert "began with other settings: num_folds" in str(error.value)
    assert "num_folds: 2 -> 3" in str(error.value)
    assert f"rm -r {joined / 'folds'}" in str(error.value)
    with pytest.raises(ConfigError, match=r'words: \["train.num_epochs=3"\] -> \[\]'):
        run_folds(joined, replace(rule, words=()))
    path = joined / "config.yaml"
    before = path.read_text()
    path.write_text(before.replace("lr: 0.002", "lr: 0.003"))
    with pytest.raises(ConfigError, match="began with other settings: settings_sha256"):
        run_folds(joined, rule)
    path.write_text(before)
    monkeypatch.setattr("carscale.studies.run.train", lambda *_: pytest.fail("trained again"))
    bytes_before = (joined / "predictions" / "folds.parquet").read_bytes()
    out, _ = run_folds(joined, rule)  # all is there: joined again, nothing trained
    assert out.read_bytes() == bytes_before


def test_what_can_not_have_folds_says_why_and_trains_nothing(joined, trained, rule, tmp_path):
    folder = copy_of(trained, tmp_path / "run")
    with pytest.raises(ConfigError, match="is itself one fold"):
        run_folds(joined / "folds" / "fold_0", rule)
    with pytest.raises(DataError, match="give no 99 folds"):
        run_folds(folder, replace(rule, num_folds=99))
    with pytest.raises(ConfigError, match=r"data\.num_folds=1"):
        run_folds(folder, replace(rule, num_folds=1))
    for word in ("train.select=best", "data.fold=1", "run.name=x", "resume=never"):
        with pytest.raises(ConfigError, match="is set for each fold") as error:
            run_folds(folder, replace(rule, words=(word,)))
        assert word.split("=")[0] in str(error.value)
    env = files.read_json(folder / "env.json")
    files.write_json(folder / "env.json", env | {"command": ["gone/recipe.py", "seed=1"]})
    with pytest.raises(RunError) as gone:
        run_folds(folder, rule)
    assert "none that came with carscale (env.json has gone/recipe.py)" in str(gone.value)
    assert f"carscale folds {folder} --recipe gone/recipe.py" in str(gone.value)
    assert not (folder / "folds").exists()
