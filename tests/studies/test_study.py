"""Studies: the plan, kills, failures, and what may not change half way."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import forked
import jobs
import pytest
from command_line import carscale
from ranks import start_process

from carscale import config, data, files, locks
from carscale.errors import ConfigError, DataError, RunError
from carscale.runs import RunFolder
from carscale.studies import plan, run, speed

ROOT = Path(__file__).resolve().parents[2]
SMALL = [*jobs.SMALL, "train.num_epochs=2", "optim.warmup_epochs=0", "train.log_every_steps=1"]


def write(folder, arms="{base: {}, focal: {balance.loss: focal}}", seeds=2, more="", recipe=None):
    recipe = recipe or ROOT / "recipes" / "effnet_baseline.py"
    file = folder / "mine.yaml"
    file.write_text(f"recipe: {recipe}\nseeds: {seeds}\narms: {arms}\n{more}")
    return file


def plan_of(file, root, folder, *words):
    words = (f"data.root={root}", *SMALL, *words)
    return plan.make_plan(config.read_study(file), folder, words=words, file=str(file))


def test_every_arm_gets_one_seed_first(tiny, tmp_path):
    plan = plan_of(write(tmp_path), tiny, tmp_path / "out")
    assert [job.name for job in plan.jobs] == ["base-s0", "focal-s0", "base-s1", "focal-s1"]
    words = plan.words(plan.jobs[3])
    assert {"balance.loss=focal", "seed=1", "train.select=last", "run.name=focal-s1"} <= set(words)
    assert plan.arms["base"].cfg.train.eval_every_epochs == 0
    curves = plan_of(write(tmp_path), tiny, tmp_path / "out", "train.eval_every_epochs=1")
    assert curves.arms["base"].cfg.train.eval_every_epochs == 1
    assert plan.arms["base"].num_steps == -(-2 * len(plan.arms["base"].splits.train) // 12)


@pytest.mark.parametrize(
    ("arms", "words", "said"),
    [
        ("{a: {}, b: {optim.rl: 1}}", (), "arm b: command line: unknown key 'optim.rl'"),
        ("{a: {}, b: {optim.weight_decay: -1}}", (), "optim.weight_decay='-1'"),
        ("{a: {}, b: {seed: 3}}", (), "seed: is the study's to set"),
        ("{a: {}, b: {train.select: best}}", (), "train.select: is the study's to set"),
        ("{a: {}, b: {balance.loss: ce}}", (), "arms a and b have the same settings"),
        ("{a: {}, b: {balance.loss: poly}}", ("balance.loss=ce",), "what arm b of"),
        ("{a: {}, b: {balance.loss: poly}}", ("word",), "'word' is no setting"),
    ],
)
def test_a_wrong_arm_is_refused_before_anything_trains(tiny, tmp_path, arms, words, said):
    with pytest.raises(ConfigError) as error:
        plan_of(write(tmp_path, arms), tiny, tmp_path / "out", *words)
    assert said in str(error.value)


def test_arms_of_other_val_photos_are_refused(tiny, tmp_path):
    other = tmp_path / "other"
    data.freeze(tiny / "train", other)
    file = write(tmp_path, f"{{a: {{data.root: {tiny}}}, b: {{data.root: {other}}}}}")
    with pytest.raises(DataError, match="has other"):
        plan.make_plan(config.read_study(file), tmp_path / "out", words=tuple(SMALL))


def test_a_budget_too_small_for_an_epoch_is_refused(tiny, tmp_path):
    plan = plan_of(write(tmp_path), tiny, tmp_path / "out")
    speeds = {name: speed.Speed(5.0, 0.1, 1.0) for name in plan.arms}
    per_epoch = len(plan.arms["base"].splits.train) / 12
    with pytest.raises(ConfigError, match="too small for one epoch of arm base"):
        speed.with_budget(plan, speeds, config.Budget(seconds=0.05 * per_epoch))
    fitted = speed.with_budget(plan, speeds, config.Budget(seconds=0.25 * per_epoch))
    assert fitted.arms["base"].num_steps == int(2.5 * per_epoch)
    assert f"train.max_steps={int(2.5 * per_epoch)}" in fitted.arms["base"].words
    assert config.resolve(config.Recipe(), list(fitted.arms["base"].words)).train.num_epochs == 3
    curves = plan_of(write(tmp_path), tiny, tmp_path / "out", "train.eval_every_epochs=1")
    for planned, num_scores in ((plan, 1), (curves, 2), (fitted, 1)):
        arm = planned.arms["base"]
        assert speed.run_seconds(arm, speed.Speed(0, 0, 1)) == num_scores


@pytest.mark.slow
def test_a_failed_run_is_reported_and_others_go_on(tiny, tmp_path, fork_launch):
    recipe = tmp_path / "breaks.py"
    source = (ROOT / "recipes" / "effnet_baseline.py").read_text()
    broken = source.replace(
        "if __name__",
        "def run(name, cfg):\n"
        "    if cfg.balance.loss == 'focal' and cfg.seed == 0:\n"
        "        raise pipeline.NoSuchThing\n"
        "    return pipeline.run(name, cfg)\n\n\n"
        "if __name__",
    ).replace("RECIPE)", "RECIPE, run=run)")
    assert broken.count("run") > source.count("run") + 3
    recipe.write_text(broken)
    plan = plan_of(write(tmp_path, recipe=recipe), tiny, tmp_path / "out")
    failed = run.run_study(plan, fork_launch)
    assert list(failed) == ["focal-s0"]
    assert "AttributeError" in failed["focal-s0"]
    done = [job.name for job in plan.jobs if job.folder.is_finished]
    assert done == ["base-s0", "base-s1", "focal-s1"]
    kept = {path.name[:4] for path in (plan.folder / "runs/base-s0/checkpoints").iterdir()}
    assert kept == {"best"}
    # done runs are passed over: nothing is launched again for them
    before = (plan.folder / "logs" / "base-s0.txt").read_text()
    run.run_study(plan, fork_launch)
    assert (plan.folder / "logs" / "base-s0.txt").read_text() == before

    # what an earlier runner started is waited for, not started beside
    predictions = plan.folder / "runs/base-s0/predictions"
    hidden = predictions.rename(predictions.with_name("later"))

    def go_on():
        with locks.hold_lock(predictions.parent):
            is_held.set()
            time.sleep(1.5)
            hidden.rename(predictions)

    is_held, orphan = threading.Event(), threading.Thread(target=go_on)
    orphan.start()
    is_held.wait()
    run.run_study(plan, fork_launch)
    orphan.join()
    assert (plan.folder / "logs" / "base-s0.txt").read_text() == before

    stored = files.read_json(plan.folder / "plan.json")
    files.write_json(plan.folder / "plan.json", stored | {"code": "0.0.0+other"})
    with pytest.raises(RunError, match=r"made by other code: 0\.0\.0\+other ->"):
        run.run_study(plan, fork_launch)
    files.write_json(plan.folder / "plan.json", stored)

    edited = plan_of(write(tmp_path, recipe=recipe), tiny, plan.folder, "optim.weight_decay=0.5")
    with pytest.raises(ConfigError, match="began with other settings") as error:
        run.run_study(edited, fork_launch)
    assert "optim.weight_decay: 0.02 -> 0.5" in str(error.value)

    fewer = write(tmp_path, "{base: {}, poly: {balance.loss: poly}}", recipe=recipe)
    plan_of(fewer, tiny, plan.folder).store()  # an arm left the file, and comes back changed
    back = write(
        tmp_path, "{base: {}, focal: {balance.loss: focal, balance.gamma: 1}}", recipe=recipe
    )
    with pytest.raises(ConfigError, match="arm focal began with other settings"):
        run.run_study(plan_of(back, tiny, plan.folder), fork_launch)
    plan.store()

    words = ["seed=0", f"run.dir={plan.folder / 'runs'}", "run.name=base-s0"]
    again = fork_launch.command(recipe, [*plan.arms["base"].words, *words])
    answer = subprocess.run(again, capture_output=True, text=True, check=False)
    assert "holds a finished run whose checkpoints were removed" in answer.stderr
    assert RunFolder(plan.folder / "runs" / "base-s0").is_finished

    base = plan.arms["base"]
    moved = dataclasses.replace(base.splits.train, hash="0" * 64)
    changed = dataclasses.replace(base, splits=dataclasses.replace(base.splits, train=moved))
    other = dataclasses.replace(plan, arms=plan.arms | {"base": changed})
    with pytest.raises(DataError, match="changed while the study ran"):
        other.check_data()
    with pytest.raises(DataError, match="arm base began on other photos: train changed"):
        run.run_study(other, fork_launch)
    assert plan.jobs[0].folder.is_finished


def test_killed_five_times_the_study_ends_with_the_same_table(tiny, tmp_path, fork_address):
    file = write(tmp_path, seeds=1, more="margin: 5")
    words = [f"data.root={tiny}", *SMALL, "train.checkpoint_every_steps=2"]

    def start(name):
        command = ["study", str(file), *words, "--json", "--out", str(tmp_path / name)]
        printed = tmp_path / f"{name}.json"
        return start_process(forked.command_line, command, fork_address, printed), printed

    def table_of(name):
        process, printed = start(name)
        process.join()
        said = printed.with_suffix(".stderr").read_text()
        assert process.exitcode == 0, said
        return json.loads(printed.read_text())

    def steps_of(name):
        return sum(RunFolder(run).steps_done for run in (tmp_path / name / "runs").glob("*-s0"))

    whole = table_of("whole")
    num_steps = steps_of("whole")
    # while it plans, in the first run, at its end, in the second
    for number, step in enumerate((0, 1, num_steps // 4, num_steps // 2, num_steps // 2 + 1)):
        process, _ = start("killed")
        time.sleep(0.2)
        while steps_of("killed") < step and process.exitcode is None:
            time.sleep(0.01)
        assert process.exitcode is None
        os.kill(process.pid, signal.SIGKILL if number % 2 == 0 else signal.SIGTERM)
        process.join()
    again = table_of("killed")
    assert [arm["value"] for arm in whole["arms"]] == [arm["value"] for arm in again["arms"]]
    assert [arm["verdict"] for arm in whole["arms"]] == [arm["verdict"] for arm in again["arms"]]
    for made in ("base-s0", "focal-s0"):
        one, other = (tmp_path / name / "runs" / made for name in ("whole", "killed"))
        assert (one / "log.jsonl").read_bytes() == (other / "log.jsonl").read_bytes()
        parquet = "predictions/val.parquet"
        assert (one / parquet).read_bytes() == (other / parquet).read_bytes()


@pytest.mark.launch
def test_a_dry_run_prints_arms_runs_and_a_measured_time(tiny, tmp_path):
    file = write(tmp_path)
    out = tmp_path / "out" / "studies" / file.stem
    words = [f"data.root={tiny}", *SMALL, "--dry-run", f"run.dir={tmp_path}/out"]
    answer = carscale("study", file, *words, code=0)
    assert "base (baseline)" in answer.stdout
    assert answer.stdout.count("carscale train") == 4
    assert "2 arms, seeds of each: 2; 4 runs to train of 4, about 0:0" in answer.stdout
    assert not (out / "runs").exists()
    speeds = files.read_json(out / "speeds.json")
    assert len(speeds) == 1  # arms that differ in the loss alone are as fast


def test_one_word_says_where_a_study_goes(tiny, tmp_path):
    words = (write(tmp_path), f"data.root={tiny}", "run.dir=a", "--out", tmp_path / "b")
    said = carscale("study", *words, code=2).stderr
    assert "run.dir=a and --out both say where the study goes" in said


@pytest.mark.launch
def test_where_all_runs_fail_the_failures_are_told(tiny, tmp_path):
    recipe = tmp_path / "breaks.py"
    source = (ROOT / "recipes" / "effnet_baseline.py").read_text()
    recipe.write_text(
        source.replace("    pipeline.main", "    raise RuntimeError('no')\n    pipeline.main")
    )
    file, out = write(tmp_path, seeds=1, recipe=recipe), tmp_path / "out"
    answer = carscale("study", file, f"data.root={tiny}", *SMALL, "--out", out, code=1)
    assert "2 runs failed; the same command tries them again" in answer.stderr
    assert "failed: base-s0: RuntimeError: no (exit 1" in answer.stderr


def test_a_recipe_may_be_moved_but_not_edited(tiny, tmp_path):
    recipe = tmp_path / "mine.py"
    recipe.write_bytes((ROOT / "recipes" / "effnet_baseline.py").read_bytes())
    begun = plan_of(write(tmp_path, recipe=recipe), tiny, tmp_path / "out")
    begun.jobs[0].folder.path.mkdir(parents=True)
    begun.store()
    (begun.jobs[0].folder.path / "config.yaml").write_text("")
    (tmp_path / "elsewhere").mkdir()
    moved = recipe.rename(tmp_path / "elsewhere" / "mine.py")
    again = plan_of(write(tmp_path / "elsewhere", recipe=moved), tiny, tmp_path / "out")
    again.check_stored(any_code=False)
    moved.write_text(f"{moved.read_text()}\n")
    again = plan_of(write(tmp_path / "elsewhere", recipe=moved), tiny, tmp_path / "out")
    with pytest.raises(ConfigError, match=r"recipe: .* -> .*elsewhere/mine\.py"):
        again.check_stored(any_code=False)


def test_the_last_step_of_a_log_is_found_in_its_tail(tmp_path):
    assert RunFolder(tmp_path).steps_done == 0
    lines = [json.dumps({"event": "step", "step": n, "loss": 1.0}) for n in range(1, 900)]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"event": "step", "st')
    assert RunFolder(tmp_path).steps_done == 899


def test_an_interrupt_ends_all_that_a_run_started(tmp_path):
    nested = (
        "import subprocess,sys;subprocess.run([sys.executable,'-c','import time;time.sleep(60)'])"
    )

    def look():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.train([sys.executable, "-c", nested], tmp_path / "log.txt", look)
    alive = subprocess.run(["pgrep", "-f", "time.sleep(60)"], capture_output=True, check=False)
    assert alive.stdout == b""
