"""Whole runs, small: what lies in the folder, what goes on, what is refused."""

import itertools
import json
import re
from functools import partial

import jobs
import pytest
import torch
from ranks import run_process

from carscale import config, files, locks, models, training
from carscale.errors import ConfigError
from carscale.runs import RunFolder


def run_here(root, folder, *overrides):
    jobs.train(root, folder, overrides)
    return files.read_lines(folder / "log.jsonl")


def weights_of(folder):
    newest = sorted((folder / "checkpoints").glob("step_*"))[-1]
    return {name: (newest / name).read_bytes() for name in ("model.safetensors", "ema.safetensors")}


def test_a_run_folder_holds_what_the_contract_says(tiny, tmp_path):
    folder = tmp_path / "run"
    log = run_here(tiny, folder, "train.num_epochs=3", "train.keep_last=1")
    for name in ("config.yaml", "env.json", "classes.json", "timing.jsonl"):
        assert (folder / name).is_file()
    assert (folder / "predictions" / "val.parquet").is_file()
    assert not (folder / "predictions" / "test.parquet").exists()
    steps = [line["step"] for line in log if line["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    epochs = [line for line in log if line["event"] == "epoch"]
    assert [line["epoch"] for line in epochs] == [1, 2, 3]
    assert log[-1]["event"] == "end"
    keys = {
        "start": {"num_steps", "hashes"},
        "end": {"step", "best_step", "reason", "num_unreadable"},
    }
    keys |= {"step": {"step", "epoch", "loss", "lr", "grad_norm"}}
    keys |= {"epoch": {"epoch", "step", "val", "is_best"}}
    assert all(set(line) == keys[line["event"]] | {"event"} for line in log)  # no times
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert len([n for n in names if n.startswith("step_")]) == 1
    best = max(epochs, key=lambda line: (line["val"]["top1"], -line["step"]))
    assert [n for n in names if n.startswith("best_")] == [f"best_{best['step']:08d}"]
    again = config.from_yaml(folder / "config.yaml")
    assert again.train.precision == "fp32"
    assert again.loader.backend == "torch"
    card = json.loads((folder / "checkpoints" / names[0] / "model.json").read_text())
    assert len(card["classes"]) == 4
    assert card["view"]["image_px"] == 32


def test_a_tiny_model_learns(tiny, tmp_path):
    folder = tmp_path / "run"
    log = run_here(tiny, folder, "train.num_epochs=20", "augment.policy=none", "train.ema_decay=0")
    losses = [line["loss"] for line in log if line["event"] == "step"]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert [line for line in log if line["event"] == "epoch"][-1]["val"]["top1"] > 0.6


def test_a_log_file_shows_how_training_goes(tiny, tmp_path, capsys, monkeypatch):
    from carscale.training import loop

    ticks = itertools.count(step=5.0)  # 5 s pass between two looks at the clock
    monkeypatch.setattr(loop, "bar", partial(loop.bar, clock=lambda: next(ticks)))
    run_here(tiny, tmp_path / "run", "train.num_epochs=2", "train.log_every_steps=1")
    shown = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train ")]
    assert len(shown) == 4  # at 5, 15 and 35 s of 7 steps, and at the end
    numbers = r"epoch 0\.3\d  loss \d\.\d{3}  \d+ images/s  waiting for data \d+%"
    assert re.fullmatch(rf"train  1/7 steps  14%  0\.20 steps/s  0:00:30 left  {numbers}", shown[0])
    assert shown[1].startswith("train  3/7 steps  43%  0.20 steps/s  0:00:20 left  epoch 0.9")
    assert shown[-1].startswith("train  7/7 steps  100%  0.17 steps/s  in 0:00:40  epoch 2.1")


def test_a_finished_run_trains_no_more(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    log = run_here(tiny, folder, "train.max_steps=3")
    assert run_here(tiny, folder, "train.max_steps=3") == log
    assert "the run is complete" in capsys.readouterr().err


def test_two_halves_are_one_whole(tiny, tmp_path, capsys):
    words = ("train.num_epochs=4", "train.accumulate_steps=2", "model.drop_rate=0.2")
    run_here(tiny, tmp_path / "straight", *words)
    capsys.readouterr()
    code = run_process(jobs.train_until, tiny, tmp_path / "halves", words, "log line", 10)
    assert code == -9
    run_here(tiny, tmp_path / "halves", *words)
    assert "\ntrain  13/13 steps  100%" in capsys.readouterr().err  # not from 0 again
    for name in ("log.jsonl",):
        straight, halves = ((tmp_path / f / name).read_bytes() for f in ("straight", "halves"))
        assert straight == halves
    assert weights_of(tmp_path / "straight") == weights_of(tmp_path / "halves")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("optim.lr=0.5", "optim.lr: 0.002 -> 0.5"),
        ("seed=9", "seed: 0 -> 9"),
        ("train.num_cpu_threads=2", "train.num_cpu_threads: 1 -> 2"),
    ],
)
def test_resume_with_other_settings_names_the_difference(tiny, tmp_path, capsys, changed, said):
    folder = tmp_path / "run"
    run_here(tiny, folder, "train.max_steps=2")
    before = weights_of(folder)
    with pytest.raises(SystemExit) as ended:
        run_here(tiny, folder, "train.max_steps=2", changed)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert "run.name=NAME" in error
    assert weights_of(folder) == before


def test_settings_that_change_nothing_may_change(tiny, tmp_path):
    folder = tmp_path / "run"
    log = run_here(tiny, folder, "train.max_steps=2")
    free = ("loader.num_threads=2", "loader.prefetch=1", "train.keep_last=5", "data.verify=full")
    assert run_here(tiny, folder, "train.max_steps=2", *free) == log


def test_resume_on_other_data_is_refused(tiny, tmp_path, capsys):
    from photos import draw_classes

    from carscale import data

    folder = tmp_path / "run"
    run_here(tiny, folder, "train.max_steps=2")
    other = data.freeze(draw_classes(tmp_path / "raw", [20, 10, 10, 9]), tmp_path / "other").root
    with pytest.raises(SystemExit) as ended:
        run_here(other, folder, "train.max_steps=2")
    assert ended.value.code == 2
    assert "trained on other data: train, val changed" in capsys.readouterr().err


def test_resume_never_and_overwrite(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    run_here(tiny, folder, "train.max_steps=2")
    with pytest.raises(SystemExit):
        run_here(tiny, folder, "train.max_steps=2", "resume=never")
    assert "holds a run already, and resume=never" in capsys.readouterr().err
    log = run_here(tiny, folder, "train.max_steps=3", "resume=overwrite")
    assert len([line for line in log if line["event"] == "step"]) == 3


def test_a_broken_newest_checkpoint_is_passed_over(tiny, tmp_path, capsys):
    words = ("train.num_epochs=3", "train.keep_last=3")
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    run_here(tiny, straight, *words)
    run_here(tiny, broken, *words)
    newest = sorted((broken / "checkpoints").glob("step_*"))[-1]
    (newest / "optimizer.safetensors").write_bytes(b"short")
    run_here(tiny, broken, *words)
    assert "not whole, taking an older one" in capsys.readouterr().err
    assert weights_of(straight) == weights_of(broken)
    assert (straight / "log.jsonl").read_bytes() == (broken / "log.jsonl").read_bytes()


def test_early_stopping_ends_and_resumes_as_ended(tiny, tmp_path):
    words = ("train.num_epochs=30", "train.patience=2", "optim.lr=1e-9", "train.ema_decay=0")
    log = run_here(tiny, tmp_path / "run", *words)
    assert log[-1]["reason"] == "patience"
    epochs = [line for line in log if line["event"] == "epoch"]
    assert len(epochs) < 30
    assert not any(line["is_best"] for line in epochs[-2:])
    assert run_here(tiny, tmp_path / "run", *words) == log


def test_select_last_takes_the_last_epoch(tiny, tmp_path):
    log = run_here(tiny, tmp_path / "run", "train.num_epochs=3", "train.select=last")
    last = [line for line in log if line["event"] == "epoch"][-1]["step"]
    chosen = sorted(p.name for p in (tmp_path / "run" / "checkpoints").glob("best_*"))
    assert chosen[-1] == f"best_{last:08d}"
    assert len(chosen) == 2  # one for each checkpoint that is kept


def test_val_is_scored_as_seldom_as_asked_and_nothing_else_changes(tiny, tmp_path):
    def scored(name, every, *words):
        words = (*words, "train.select=last", "train.num_epochs=3", "train.accumulate_steps=2")
        log = run_here(tiny, tmp_path / name, *words, f"train.eval_every_epochs={every}")
        return [line["epoch"] for line in log if line["event"] == "epoch"]

    assert (scored("each", 1), scored("second", 2), scored("last", 0)) == ([1, 2, 3], [2, 3], [3])
    val = "predictions/val.parquet"
    each, second, last = ((tmp_path / name) for name in ("each", "second", "last"))
    assert weights_of(each) == weights_of(second) == weights_of(last)
    assert (each / val).read_bytes() == (second / val).read_bytes() == (last / val).read_bytes()
    (last / val).rename(last / "kept")  # predictions of the last scoring are those of the result
    assert scored("last", 0) == [3]
    assert (last / val).read_bytes() == (last / "kept").read_bytes()

    words = ("train.select=last", "train.num_epochs=3", "train.accumulate_steps=2")
    words = (*words, "train.eval_every_epochs=0")
    assert run_process(jobs.train_until, tiny, tmp_path / "killed", words, "log line", 9) == -9
    assert RunFolder(tmp_path / "killed").best_epoch is None
    assert scored("killed", 0) == [3]
    for name in ("log.jsonl", val):
        assert (tmp_path / "killed" / name).read_bytes() == (last / name).read_bytes()
    assert weights_of(tmp_path / "killed") == weights_of(last)


def test_the_best_of_the_scored_epochs_is_the_result(tiny, tmp_path):
    words = ("train.num_epochs=4", "train.eval_every_epochs=3", "train.patience=1")
    words = (*words, "optim.lr=1e-6", "train.ema_decay=0")
    log = run_here(tiny, tmp_path / "run", *words)
    epochs = [line for line in log if line["event"] == "epoch"]
    assert [(line["epoch"], line["is_best"]) for line in epochs] == [(3, True), (4, False)]
    assert RunFolder(tmp_path / "run").best_epoch == epochs[0]
    (best,) = (tmp_path / "run" / "checkpoints").glob("best_*")
    assert best.name == f"best_{epochs[0]['step']:08d}"
    assert RunFolder(tmp_path / "run").predictions("val").about["checkpoint"] == best.name
    table = RunFolder(tmp_path / "run").predictions_file("val")
    made = table.read_bytes()  # by the best weights, though others were scored last
    table.unlink()
    run_here(tiny, tmp_path / "run", *words)
    assert table.read_bytes() == made


def test_a_loss_that_is_not_finite_stops_the_run(tiny, tmp_path, capsys):
    words = ("optim.lr=1e30", "optim.name=sgd", "train.grad_clip_norm=0", "balance.loss=ce")
    with pytest.raises(SystemExit) as ended:
        run_here(tiny, tmp_path / "run", "train.num_epochs=5", "optim.warmup_epochs=0", *words)
    assert ended.value.code == 1
    assert "the loss is" in capsys.readouterr().err


@pytest.mark.parametrize("name", jobs.OUT_OF_MEMORY)
def test_out_of_memory_names_the_batch_and_proposes_accumulation(
    tiny, tmp_path, capsys, monkeypatch, name
):
    def exhausted(self, images):
        raise jobs.OUT_OF_MEMORY[name]

    monkeypatch.setattr(models.Classifier, "forward", exhausted)
    with pytest.raises(SystemExit) as ended:
        run_here(tiny, tmp_path / "run", "train.max_steps=2")
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert "out of memory on cpu with 12 samples at once" in error
    assert "train.accumulate_steps=2" in error


@pytest.mark.parametrize("name", jobs.OUT_OF_MEMORY)
def test_out_of_memory_while_scoring_names_the_eval_batch(
    tiny, tmp_path, capsys, monkeypatch, name
):
    forward = models.Classifier.forward

    def exhausted(self, images):
        if not self.training:
            raise jobs.OUT_OF_MEMORY[name]
        return forward(self, images)

    monkeypatch.setattr(models.Classifier, "forward", exhausted)
    with pytest.raises(SystemExit) as ended:
        run_here(tiny, tmp_path / "run", "train.max_steps=2")
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert (
        "OutOfMemoryError: out of memory on cpu with 4 photos of val at once "
        "(loader.eval_batch_size=4)\n  take fewer at once: loader.eval_batch_size=2" in error
    )


def test_a_second_process_may_not_train_in_the_same_folder(tiny, tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    with locks.hold_lock(folder), pytest.raises(SystemExit):
        run_here(tiny, folder, "train.max_steps=2")
    assert "another process is training in this folder" in capsys.readouterr().err


def test_weights_start_from_another_run(tiny, tmp_path):
    run_here(tiny, tmp_path / "first", "train.max_steps=4")
    words = ("train.max_steps=1", "optim.lr=1e-12", "train.ema_decay=0", "optim.weight_decay=0")
    run_here(tiny, tmp_path / "second", *words, f"model.weights={tmp_path / 'first'}")
    env = json.loads((tmp_path / "second" / "env.json").read_text())
    assert "best_00000004" in env["model"]["weights_from"]
    best = sorted((tmp_path / "first" / "checkpoints").glob("best_*"))[-1]
    first = models.read_weights(best / "model.safetensors")
    newest = sorted((tmp_path / "second" / "checkpoints").glob("step_*"))[-1]
    second = models.read_weights(newest / "model.safetensors")
    for name, tensor in first.items():
        torch.testing.assert_close(tensor, second[name], atol=1e-6, rtol=1e-5)


def test_a_checkpoint_of_another_model_is_refused(tiny, tmp_path, capsys):
    run_here(tiny, tmp_path / "first", "train.max_steps=2")
    with pytest.raises(SystemExit) as ended:
        run_here(
            tiny,
            tmp_path / "second",
            "train.max_steps=2",
            "model.name=test_vit2",
            f"model.weights={tmp_path / 'first'}",
        )
    assert ended.value.code == 2
    assert "weights of another model or class list" in capsys.readouterr().err


def test_what_is_frozen_of_odd_photos_trains(odd, tmp_path):
    from carscale import data

    raw = tmp_path / "raw"
    for number, path in enumerate(sorted(odd.iterdir())):
        folder = raw / f"class {number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / path.name).symlink_to(path)
    frozen = data.freeze(raw, tmp_path / "frozen", follow_links=True)
    log = run_here(frozen.root, tmp_path / "run", "train.num_epochs=1", "data.verify=full")
    assert log[-1]["event"] == "end"


@pytest.mark.parametrize("counts", [[12], [12, 1], [1, 1, 12]])
def test_one_class_and_classes_without_val_photos_train(tmp_path, counts):
    from photos import draw_classes

    from carscale import data

    root = data.freeze(draw_classes(tmp_path / "raw", counts), tmp_path / "frozen").root
    log = run_here(root, tmp_path / "run", "train.max_steps=2")
    assert log[-1]["event"] == "end"


def test_an_empty_val_split_is_said(tmp_path, capsys):
    from photos import draw_classes

    from carscale import data

    root = data.freeze(draw_classes(tmp_path / "raw", [1, 1, 1]), tmp_path / "frozen").root
    with pytest.raises(SystemExit) as ended:
        run_here(root, tmp_path / "run", "train.max_steps=2")
    assert ended.value.code == 2
    assert "the val split holds no photos" in capsys.readouterr().err


def test_tensorboard_gets_the_numbers(tiny, tmp_path):
    run_here(tiny, tmp_path / "run", "train.max_steps=2", "train.tracker=tensorboard")
    assert list((tmp_path / "run").rglob("events.out.tfevents.*"))


def test_load_best_of_an_empty_run_says_so(tmp_path):
    class Alone:
        is_main = True
        broadcast = staticmethod(lambda value: value)

    class Run:
        folder = RunFolder(tmp_path)
        world = Alone()

    with pytest.raises(Exception, match="holds no scored epoch"):
        training.load_best(Run(), torch.nn.Identity())


def test_a_start_that_failed_does_not_bind_the_next(tiny, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_here(tiny, tmp_path / "run", "train.max_steps=2", "model.name=tset_vit")
    assert "did you mean test_vit" in capsys.readouterr().err
    assert run_here(tiny, tmp_path / "run", "train.max_steps=2")[-1]["event"] == "end"


def test_overwrite_removes_only_runs_and_keeps_the_ledger(tiny, tmp_path, capsys):
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "photo.jpg").write_text("mine")
    with pytest.raises(SystemExit):
        run_here(tiny, folder, "train.max_steps=2", "resume=overwrite")
    assert "nothing was removed" in capsys.readouterr().err
    assert (folder / "photo.jpg").read_text() == "mine"
    run_here(tiny, tmp_path / "run", "train.max_steps=2")
    files.append_line(tmp_path / "run" / "test_evaluations.jsonl", {"top1": 0.5})
    run_here(tiny, tmp_path / "run", "train.max_steps=2", "resume=overwrite")
    assert len(files.read_lines(tmp_path / "run" / "test_evaluations.jsonl")) == 1
    assert config.from_yaml(tmp_path / "run" / "config.yaml").resume == "auto"


def test_a_run_name_that_leaves_its_folder_is_refused(tiny, tmp_path, capsys):
    for name in ("..", "a/b"):
        with pytest.raises(SystemExit) as ended:
            run_here(tiny, tmp_path / "x", "train.max_steps=2", f"run.name={name}")
        assert ended.value.code == 2
        assert "must be a plain name" in capsys.readouterr().err


def test_micro_steps_that_leave_no_samples_are_named(tiny, tmp_path):
    words = ("loader.global_batch_size=12", "train.accumulate_steps=6", "train.max_steps=2")
    run_here(tiny, tmp_path / "fits", *words)
    with pytest.raises(ConfigError, match=r"accumulate_steps: 7 micro-steps leave under 2"):
        jobs.recipe(tiny, tmp_path / "not", *words, "train.accumulate_steps=7")


def test_a_model_of_one_size_can_not_grow(tiny, tmp_path, capsys):
    words = ("train.grow_from_px=16", "model.name=vit_tiny_patch16_224")
    with pytest.raises(SystemExit) as ended:
        jobs.train(tiny, tmp_path / "run", words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "train.grow_from_px=16: model.name=vit_tiny_patch16_224 can't take squares of 16" in said


def test_a_run_says_what_its_model_costs_and_where_its_weights_are_from(tiny, tmp_path, capsys):
    run_here(tiny, tmp_path / "run", "train.max_steps=1")
    told = json.loads((tmp_path / "run" / "env.json").read_text())["model"]
    assert set(told) == {"name", "num_parameters", "gmacs", "image_px", "weights_from"}
    line = f"test_vit: {told['num_parameters'] / 1e6:.1f} M parameters, {told['gmacs']:.2f} GMACs"
    assert f"{line} at 32 px; weights: random\n" in capsys.readouterr().err
