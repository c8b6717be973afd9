"""Estimate how long a study takes, from a few steps of each kind of run."""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import statistics
import time
from dataclasses import asdict, dataclass, replace

from carscale import config, contained, disk, files, locks, threads, training
from carscale.config import Budget
from carscale.errors import ConfigError, RunError
from carscale.progress import bar
from carscale.runs import RunFolder
from carscale.shapes import NUMBER, problem
from carscale.studies.launching import Launch
from carscale.studies.plan import ArmPlan, StudyPlan
from carscale.studies.run import train
from carscale.studies.warm import kept_warm

NUM_STEPS, STEPS_A_LOOK = 12, 4
SLOW = ("data", "loader", "augment", "model", "train", "evaluate")
"""Sections that decide how long a step takes; arms that share them are measured once."""


@dataclass(frozen=True)
class Speed:
    """Seconds that the parts of a run take.

    Attributes:
        start_s: From the launch to the first step.
        step_s: One optimizer step.
        score_s: Predicting val once.
    """

    start_s: float
    step_s: float
    score_s: float


def measure_arms(
    plan: StudyPlan, launch: Launch, *, only_packaged: bool = False
) -> dict[str, Speed]:
    """Return each arm's speed; earlier measurements in this folder are reused.

    Args:
        plan: From ``make_plan``.
        launch: How to start a recipe.
        only_packaged: Leave out arms of recipes that did not come with carscale.

    Raises:
        RunError: A recipe that does not run even a few steps.
    """
    store = plan.folder / "speeds.json"
    disk.make_folder(plan.folder)
    stored = files.read_json(store) if store.exists() else {}
    if wrong := problem(stored, {str: dict.fromkeys(Speed.__dataclass_fields__, NUMBER)}):
        raise RunError(f"{store}: {wrong}", "measure anew after removing it")
    known = {key: Speed(**value) for key, value in stored.items()}
    keys = {
        name: _key(arm, launch)
        for name, arm in plan.arms.items()
        if not only_packaged or config.is_packaged(arm.arm.recipe)
    }
    missing = {key: name for name, key in keys.items() if key not in known}
    if missing:
        with (
            locks.hold_lock(plan.folder),
            kept_warm(launch) as warm,  # as runs will start
            bar("measure", len(missing), unit="arms") as advance,
        ):
            warm.prepare()
            for key, name in missing.items():
                advance(0, name)
                known[key] = _measure(plan, name, warm)
                files.write_json(store, {k: asdict(speed) for k, speed in known.items()})
                advance(1)
    return {name: known[key] for name, key in keys.items()}


def run_seconds(arm: ArmPlan, speed: Speed) -> float:
    """Return how long one run of an arm takes: start, steps, scoring.

    The predictions of the last epoch are those that the run keeps; val is not predicted again.
    """
    ends = training.epoch_ends(
        len(arm.splits.train),
        global_batch_size=arm.cfg.loader.global_batch_size,
        num_epochs=arm.cfg.train.num_epochs,
        max_steps=arm.cfg.train.max_steps,
    )
    num_scores = len(training.scored_steps(ends, arm.cfg.train.eval_every_epochs))
    return speed.start_s + arm.num_steps * speed.step_s + num_scores * speed.score_s


def with_budget(plan: StudyPlan, speeds: dict[str, Speed], budget: Budget) -> StudyPlan:
    """Return the plan with as many steps per arm as its time budget allows.

    An arm that was not measured stays as it is.

    Raises:
        ConfigError: They are too few for one epoch of some arm.
    """
    assert budget.seconds is not None
    arms = dict(plan.arms)
    for name in speeds:
        arm = arms[name]
        per_epoch = len(arm.splits.train) / arm.cfg.loader.global_batch_size
        num_steps = int(budget.seconds / speeds[name].step_s)
        if num_steps < per_epoch:
            raise ConfigError(
                f"budget.seconds={budget.seconds:g}: too small for one epoch of arm {name}: "
                f"{num_steps} of {per_epoch:.0f} steps",
                f"give it {per_epoch * speeds[name].step_s:.0f} seconds or more",
            )
        length = {"num_epochs": -(-num_steps // per_epoch), "max_steps": num_steps}
        trained = arm.cfg.train.model_copy(update={k: int(v) for k, v in length.items()})
        words = [w for w in arm.words if w.split("=")[0].removeprefix("train.") not in length]
        words += [f"train.{key}={int(value)}" for key, value in length.items()]
        cfg = arm.cfg.model_copy(update={"train": trained})
        arms[name] = replace(arm, cfg=cfg, words=tuple(words))
    return replace(plan, arms=arms)


def _key(arm: ArmPlan, launch: Launch) -> str:
    """Return a key that arms of the same speed share."""
    sections = {name: getattr(arm.cfg, name).model_dump() for name in SLOW}
    for name in ("num_epochs", "max_steps", "eval_every_epochs", "ema_decay", "grad_clip_norm"):
        del sections["train"][name]
    where = [str(arm.arm.recipe.resolve()), platform.node(), threads.num_cores(), launch.options]
    text = json.dumps([where, arm.hashes, sections], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _measure(plan: StudyPlan, name: str, launch: Launch) -> Speed:
    """Train a few steps of an arm and time their parts."""
    arm, folder = plan.arms[name], plan.folder / ".measure"
    shutil.rmtree(folder, ignore_errors=True)
    run = RunFolder(folder / "run")
    words = [f"run.dir={folder}", "run.name=run", f"train.max_steps={NUM_STEPS}"]
    words += [f"train.log_every_steps={STEPS_A_LOOK}", "train.tracker=none"]
    kept = [
        word for word in arm.words if word.split("=")[0] not in {w.split("=")[0] for w in words}
    ]
    begin, first = time.monotonic(), 0.0

    def look() -> None:
        nonlocal first
        if not first and run.steps_done:
            first = time.monotonic()

    log = contained.inside(plan.folder, f"logs/measure-{name}.txt", "file")
    code = train(launch.command(arm.arm.recipe, [*kept, *words]), log, look)
    whole_s = time.monotonic() - begin
    if code or not run.is_finished:
        raise RunError(
            f"arm {name}: does not run: exit {code} after a few steps", f"its words: {log}"
        )
    rows = run.timing()
    ends = [0, *(row["step"] for row in rows)]
    per_step = [row["elapsed_s"] / (row["step"] - ends[at]) for at, row in enumerate(rows)]
    spent = sum(row["elapsed_s"] for row in rows)
    num_scores = len(run.log("epoch"))
    start_s = max(0.0, first - begin - rows[0]["elapsed_s"])
    shutil.rmtree(folder)
    score_s = max(0.0, (whole_s - start_s - spent) / num_scores)
    return Speed(start_s, statistics.median(per_step[1:] or per_step), score_s)
