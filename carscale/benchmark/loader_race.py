"""Arms that make batches take turns, round by round. R rounds."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from carscale import loaders, stats, threads
from carscale.errors import LoaderError

PEERS = ("torchvision", "timm", "dali-stock", "dali-stock-gpu")

MODEL_STEPS = 4
"""Steps of the model a round: on a CPU each takes seconds."""


@dataclass(frozen=True)
class RaceRule:
    """What is measured.

    Attributes:
        root: Frozen folder.
        arms: Names of ``loader_arms.ARMS``.
        views: ``train`` (random resized crop and flip) or ``plain``.
        model: timm's name, for the headroom.
        num_classes: Of the model.
        image_px, fit, crop_scale_min: Of our view and policy; peers crop.
        local_batch_size: Samples a batch.
        num_threads: Threads, or worker processes, an arm.
        num_rounds: Timed rounds, after one that warms up.
        num_images: Images a round, at least; more where an arm might have them ready.
        has_gpu: Whether there is one, for the advice.
        timeout_s: An arm that gives no answer for so long is ended.
    """

    root: str
    arms: tuple[str, ...]
    views: tuple[str, ...] = ("train", "plain")
    model: str = "tf_efficientnet_lite0"
    num_classes: int = 2
    image_px: int = 224
    fit: str = "crop"
    crop_scale_min: float = 0.3
    local_batch_size: int = 32
    num_threads: int = 2
    num_rounds: int = 6
    num_images: int = 1024
    has_gpu: bool = False
    timeout_s: float = 600.0


@dataclass
class _Arm:
    """A process and what it answered."""

    name: str
    view: str
    process: subprocess.Popen[str]
    said: IO[bytes]
    first: dict[str, float] = field(default_factory=dict)


def race(rule: RaceRule, *, advance: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Measure arms and return a row each, and what to choose.

    Args:
        rule: What is measured.
        advance: Called before each round of an arm with what comes.

    Returns:
        ``rows``: arm, view, images/s (``median``, ``low``, ``high``, ``rounds``), ``cpu_share``,
        ``memory_gib``, ``gpu_memory_gib``, ``first_batch_s``, ``headroom``; ``ratios`` of our
        backends and each peer, paired by round, with the smallest and the largest; ``advice`` and
        ``rule``.

    Raises:
        LoaderError: An arm ended or gave no answer; says what it printed.
    """
    rows: list[dict[str, Any]] = []
    for view in rule.views:
        rows += _measured(rule, view, advance)
    for row in rows:
        speeds = [r["median"] for r in rows if r["arm"] == "model" and r["view"] == row["view"]]
        row["headroom"] = row["median"] / speeds[0] if speeds and row["arm"] != "model" else None
    advice = _advice(rows, has_gpu=rule.has_gpu)
    return {"rule": asdict(rule), "rows": rows, "ratios": _ratios(rows), "advice": advice}


def _measured(rule: RaceRule, view: str, advance: Callable[[str], None]) -> list[dict[str, Any]]:
    """Run all arms of a view, each round in another order."""
    arms: list[_Arm] = []
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in rule.arms}
    try:
        for name in rule.arms:
            advance(f"{view}: start {name}")
            arms.append(_start(rule, name, view))
        for number in range(rule.num_rounds + 1):  # the first warms up
            for arm in arms if number % 2 else reversed(arms):
                advance(f"{view}: round {number} of {rule.num_rounds}: {arm.name}")
                answer = _round(rule, arm)
                if number:
                    answers[arm.name].append(answer)
    finally:
        for arm in arms:
            _end(arm)
    return [_row(rule, arm, answers[arm.name]) for arm in arms]


def _start(rule: RaceRule, name: str, view: str) -> _Arm:
    """Start an arm's process and wait for its first batch."""
    spec = {**asdict(rule), "arm": name, "view": view, "num_in_memory": rule.num_images}
    said = TemporaryFile()  # noqa: SIM115 - closed with the arm
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "carscale.benchmark.loader_worker", json.dumps(spec)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        start_new_session=True,  # so that its workers end with it
    )
    arm = _Arm(name, view, process, said)
    try:
        arm.first = _answer(rule, arm)
    except BaseException:
        _end(arm)
        raise
    return arm


def _round(rule: RaceRule, arm: _Arm) -> dict[str, float]:
    """Have an arm make a round's images, after those that lay ready."""
    assert arm.process.stdin is not None
    skipped = 4 * rule.num_threads * rule.local_batch_size  # more than anyone makes ahead
    order = {"num_skipped": skipped, "num_images": max(rule.num_images, 2 * skipped)}
    if arm.name == "model":  # makes nothing ahead, and is slow on a CPU
        steps = min(rule.num_images, MODEL_STEPS * rule.local_batch_size)
        order = {"num_skipped": 0, "num_images": steps}
    with contextlib.suppress(BrokenPipeError):  # its answer, or the lack of one, tells
        arm.process.stdin.write(json.dumps(order) + "\n")
        arm.process.stdin.flush()
    return _answer(rule, arm)


def _answer(rule: RaceRule, arm: _Arm) -> dict[str, float]:
    """Return an arm's next line."""
    assert arm.process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(arm.process.stdout, selectors.EVENT_READ)
        is_late = not selector.select(rule.timeout_s)
    line = "" if is_late else arm.process.stdout.readline()
    if line:
        return dict(json.loads(line))
    late = f"gave no answer in {rule.timeout_s:g} s"
    fact = late if is_late else f"ended with {arm.process.wait()}"
    arm.said.seek(0)
    said = arm.said.read().decode(errors="replace").strip().splitlines()
    raise LoaderError(
        f"benchmark loaders: {arm.name}, view {arm.view}: {fact}",
        *(said[-4:] or ["it printed nothing"]),
        "leave it out: --backends or --peers",
    )


def _end(arm: _Arm) -> None:
    """End an arm and its workers."""
    with contextlib.suppress(BrokenPipeError):
        if arm.process.stdin is not None:
            arm.process.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(arm.process.pid, signal.SIGKILL)
    arm.process.wait()
    if arm.process.stdout is not None:
        arm.process.stdout.close()
    arm.said.close()


def _row(rule: RaceRule, arm: _Arm, answers: list[dict[str, float]]) -> dict[str, Any]:
    """Return an arm's numbers."""
    speeds_R = np.array([a["num_images"] / a["elapsed_s"] for a in answers])
    low, high = stats.median_interval(speeds_R)
    shares = [a["cpu_s"] / a["elapsed_s"] / threads.num_cores() for a in answers]
    return {
        "arm": arm.name,
        "view": arm.view,
        "median": float(np.median(speeds_R)),
        "low": low,
        "high": high,
        "rounds": speeds_R.tolist(),
        "cpu_share": float(np.median(shares)),
        "memory_gib": max(a["memory_gib"] for a in answers),
        **arm.first,
    }


def _ours(rows: list[dict[str, Any]], view: str) -> list[dict[str, Any]]:
    """Return the rows of our backends."""
    others = {*PEERS, "floor", "model"}
    return [row for row in rows if row["view"] == view and row["arm"] not in others]


def _ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each backend's speed over each peer's, paired by round."""
    found = []
    for view in dict.fromkeys(row["view"] for row in rows):
        peers = [r for r in rows if r["view"] == view and r["arm"] in PEERS]
        for mine in _ours(rows, view):
            for peer in peers:
                ratio_R = np.array(mine["rounds"]) / np.array(peer["rounds"])
                low, high = float(ratio_R.min()), float(ratio_R.max())
                names = {"view": view, "arm": mine["arm"], "peer": peer["arm"]}
                found.append(
                    {**names, "median": float(np.median(ratio_R)), "low": low, "high": high}
                )
    return found


def _advice(rows: list[dict[str, Any]], *, has_gpu: bool) -> dict[str, Any] | None:
    """Return what ``loader.backend=auto`` would take by these numbers, and why.

    ``None`` where not all was measured that decides.
    """
    speeds = {row["arm"]: row["median"] for row in rows if row["view"] == "train"}
    if "torch" not in speeds or "model" not in speeds:
        return None
    backend, why = loaders.choose(
        has_gpu=has_gpu,
        has_dali=loaders.has_dali(),
        loader_images_per_s=speeds["torch"],
        model_images_per_s=speeds["model"],
    )
    return {"backend": backend, "why": why}
