"""Train a study's runs, one after another, each an ordinary launch in a folder of its own.

Chosen: a run is done when its log says so and its predictions lie there; all else is started, or
gone on with, by the same command as by hand. Rejected: a data base of runs: it can disagree with
the folders. Chosen: what was started goes on when the runner is killed, and the next runner waits
for it. Rejected: killing it: its last epochs would be trained twice. Chosen: a run may start in a
fork of a warm process (``warm``); it is still the same command.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from carscale import contained, disk, files, locks
from carscale.progress import bar, note
from carscale.runs import RunFolder
from carscale.studies.launching import Launch
from carscale.studies.plan import Job, StudyPlan
from carscale.studies.warm import kept_warm

LOOK_EVERY_S = 0.5
GRACE_S = 30.0
"""Between SIGTERM and SIGKILL."""

TAIL_BYTES = 16_384


def run_study(
    plan: StudyPlan,
    launch: Launch,
    *,
    any_code: bool = False,
    keep_weights: bool = True,
    rounds: Iterable[list[Job]] | None = None,
    after_round: Callable[[], None] = lambda: None,
) -> dict[str, str]:
    """Train every run that is not done; return what failed, and why, by run.

    Args:
        plan: From ``make_plan``.
        launch: How to start a recipe.
        any_code: Whether runs of other code may stay beside new ones.
        keep_weights: Whether to keep each run's result; its other checkpoints go in any case.
        rounds: Which runs come next, asked for when those before are done; ``None`` takes every
            arm's first seed, then every arm's second, and so on.
        after_round: Called when a round has trained.

    Raises:
        RunError: Another runner works in the folder, or the code changed.
        ConfigError: The study file changed an arm that began.
        DataError: The photos changed.
    """
    disk.make_folder(plan.folder)
    failed: dict[str, str] = {}
    with locks.hold_lock(plan.folder), terminable(), kept_warm(launch) as warm:
        plan.check_stored(any_code=any_code)
        plan.store()
        total = sum(plan.arms[job.arm].num_steps for job in plan.jobs)
        begun = sum(job.folder.steps_done for job in plan.jobs)
        known = total if rounds is None else None
        with bar("study", known, start=begun, unit="steps") as advance:
            for number, jobs in enumerate(_by_seed(plan) if rounds is None else rounds, start=1):
                were_done = all(job.folder.is_finished for job in jobs)
                for job in jobs:
                    advance(0, f"round {number}  {job.name}")
                    why = _train_job(plan, job, warm, advance, keep_weights=keep_weights)
                    if why is not None:
                        failed[job.name] = why
                if not were_done:
                    after_round()
    return failed


def _by_seed(plan: StudyPlan) -> Iterator[list[Job]]:
    """Yield every arm's first seed, then every arm's second, and so on."""
    for seed in plan.study.seeds:
        yield [plan.job(name, seed) for name in plan.arms]


def _train_job(
    plan: StudyPlan, job: Job, launch: Launch, advance: Callable[..., None], *, keep_weights: bool
) -> str | None:
    """Train a run that is not done and remove what it need not keep; return why it failed."""
    why = None if job.folder.is_finished else _run(plan, job, launch, advance)
    if why is None:
        tidy(job.folder, keep_weights=keep_weights)
    else:
        note(f"{job.name}: failed: {why}")
    return why


def train(
    command: list[str], log: Path, look: Callable[[], None], *, cwd: Path | None = None
) -> int:
    """Run a command to its end, its output in a log; return its exit code.

    An interrupt ends the command and all that it started, then passes on.

    Args:
        command: What to start.
        log: Grows by what it says.
        look: Called twice a second.
        cwd: Its working folder.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {shlex.join(command)}\n")
        file.flush()
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=file,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            cwd=cwd,
        )
        try:
            while process.poll() is None:
                time.sleep(LOOK_EVERY_S)
                look()
        except BaseException:
            _end(process)
            raise
    look()
    return process.returncode


def train_to_end(
    run: RunFolder,
    command: list[str],
    log: Path,
    advance: Callable[..., None],
    *,
    before: Callable[[], None] = lambda: None,
) -> str | None:
    """Train one run to its end; return why it failed, or ``None``.

    A run that an earlier runner started, and that still trains, is waited for.

    Args:
        run: Its folder.
        command: What starts it, or goes on with it.
        log: Grows by what it says.
        advance: Told how many steps were done since it was last told.
        before: Called before the command is started, where it has to be.
    """
    seen = run.steps_done

    def look() -> None:
        nonlocal seen
        now = run.steps_done
        if now != seen:
            advance(now - seen)
            seen = now

    _wait_for_other(run, look)
    if run.is_finished:
        return None
    before()
    code = train(command, log, look)
    if run.is_training:  # an orphan took its lock only after we had looked
        _wait_for_other(run, look)
        code = 0
    if code == 0 and run.is_finished:
        return None
    return f"{_last_words(log)} (exit {code}; all of it: {log})"


def _run(plan: StudyPlan, job: Job, launch: Launch, advance: Callable[..., None]) -> str | None:
    """Train one run of a study to its end; return why it failed, or ``None``."""
    log = contained.inside(plan.folder, f"logs/{job.name}.txt", "file")
    command = launch.command(plan.arms[job.arm].arm.recipe, plan.words(job))
    return train_to_end(job.folder, command, log, advance, before=plan.check_data)


def _wait_for_other(run: RunFolder, look: Callable[[], None]) -> None:
    """Wait for a run that an earlier, killed study left training."""
    if not run.is_training:
        return
    note(f"{run.name}: still training from before; waiting for it")
    while run.is_training:
        time.sleep(LOOK_EVERY_S)
        look()


def _last_words(log: Path) -> str:
    """Return the error line of a log, or else its last line."""
    tail = files.read_tail(log, TAIL_BYTES)
    lines = [line.strip() for line in tail.rpartition("$ ")[2].splitlines()[1:] if line.strip()]
    named = [line for line in lines if line.split(":")[0].endswith("Error")]
    ours = [line for line in named if "CalledProcessError" not in line]
    return (ours or named or lines or ["it said nothing"])[-1 if not ours else 0]


def tidy(run: RunFolder, *, keep_weights: bool) -> None:
    """Remove a finished run's checkpoints, but for the best one if weights are kept."""
    for path in run.checkpoints_folder.glob("*"):
        if (
            path.is_dir()
            and not path.is_symlink()
            and (not keep_weights or not path.name.startswith("best_"))
        ):
            shutil.rmtree(path)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    for number, wait_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        end = time.monotonic() + wait_s
        while time.monotonic() < end:
            process.poll()
            if not _group_lives(process.pid):
                return
            time.sleep(0.1)


def _group_lives(group: int) -> bool:
    """Tell whether a process group has a member."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end what Ctrl-C ends."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
