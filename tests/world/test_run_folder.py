"""What a start that fails leaves, and what a run says at its end."""

import shutil

import jobs
import pytest

from carscale import files


def test_a_start_that_fails_leaves_no_run(tiny, tmp_path):
    with pytest.raises(SystemExit):
        jobs.train(tiny, tmp_path / "run", ("model.name=no_such_model",))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_trained_before_is_kept_when_a_start_fails(tiny, tmp_path):
    jobs.train(tiny, tmp_path / "run", ("train.max_steps=2",))
    before = (tmp_path / "run" / "log.jsonl").read_bytes()
    with pytest.raises(SystemExit):
        jobs.train(tiny, tmp_path / "run", ("model.name=no_such_model",))
    assert (tmp_path / "run" / "log.jsonl").read_bytes() == before


def test_missing_photos_are_said_before_other_settings(tiny, tmp_path, capsys):
    jobs.train(tiny, tmp_path / "run", ("train.max_steps=2",))
    with pytest.raises(SystemExit):
        jobs.train(tmp_path / "nope", tmp_path / "run", ("optim.lr=0.5",))
    assert f"data.root={tmp_path / 'nope'}: no such folder" in capsys.readouterr().err


def test_a_run_ends_with_its_score_and_what_to_type_next(tiny, tmp_path, capsys):
    jobs.train(tiny, tmp_path / "run", ("train.max_steps=2",))
    said = capsys.readouterr().err.splitlines()[-1]
    best = [e for e in files.read_lines(tmp_path / "run" / "log.jsonl") if e["event"] == "epoch"][
        -1
    ]
    assert f"val top-1 {best['val']['top1']:.1%}" in said
    assert f"carscale report {tmp_path / 'run'}" in said


def test_a_kill_between_the_logs_end_and_the_last_checkpoint_can_be_gone_on_from(tiny, tmp_path):
    folder, words = tmp_path / "run", ("train.max_steps=2",)
    jobs.train(tiny, folder, words)
    before = (folder / "log.jsonl").read_bytes()
    shutil.rmtree(folder / "checkpoints")
    shutil.rmtree(folder / "predictions")
    jobs.train(tiny, folder, words)
    assert (folder / "log.jsonl").read_bytes() == before


def test_a_finished_run_whose_checkpoints_are_gone_is_not_trained_over(tiny, tmp_path, capsys):
    folder, words = tmp_path / "run", ("train.max_steps=2",)
    jobs.train(tiny, folder, words)
    before = (folder / "log.jsonl").read_bytes()
    for path in (folder / "checkpoints").glob("step_*"):
        shutil.rmtree(path)
    with pytest.raises(SystemExit):
        jobs.train(tiny, folder, words)
    assert "holds a finished run whose checkpoints were removed" in capsys.readouterr().err
    assert (folder / "log.jsonl").read_bytes() == before
