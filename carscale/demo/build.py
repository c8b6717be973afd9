"""Write a demo set: plan it, draw it in a few processes into a staging folder, rename that."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

from carscale import files, outgoing
from carscale.demo.makes import CarClass, build_classes
from carscale.demo.plant import Shot, plan_shots, render_shot
from carscale.errors import DataError
from carscale.threads import SpawnedPool

MIN_CLASSES, MAX_CLASSES = 6, 60
MIN_IMAGES_PER_CLASS = 20
SHOTS_PER_TASK = 10
MAX_PROCESSES = 8


def build_demo(
    out: Path,
    *,
    num_classes: int = 12,
    num_images: int = 720,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Draw a set of car photos with known problems, and write it as class folders.

    The same arguments give the same bytes.

    Args:
        out: Where the set goes; it must not exist or be empty.
        num_classes: 6..60.
        num_images: Number of files, ``>= 20 * num_classes``.
        seed: ``>= 0``; another seed gives other photos of the same classes.
        advance: Called with the number of files just done, in this process; ``None`` reports
            nothing.

    Returns:
        The truth, as in ``out/truth.json``: classes with counts, look-alike pairs, the scarce
        classes, and the paths of every planted problem, relative to ``out``.

    Raises:
        DataError: ``out`` is in the way, or a number is out of range. Nothing is left behind.

    Example:
        >>> build_demo(Path("demo"), num_classes=3)
        Traceback (most recent call last):
        ...
        carscale.errors.DataError: demo: num_classes must be 6..60, got 3
          try: carscale data demo demo --num-classes 12
    """
    _check(out, num_classes, num_images, seed)
    classes = build_classes(num_classes, num_images)
    shots, truth = plan_shots(classes, seed)
    with files.staged_folder(out, "drawing", replaces=False) as folder:
        for car in classes:
            (folder / car.name).mkdir()
        for num_done in _draw(shots, classes, seed, folder):
            if advance is not None:
                advance(num_done)
        text = json.dumps(truth, indent=1) + "\n"
        (folder / "truth.json").write_text(text, encoding="utf-8")
    return truth


def _check(out: Path, num_classes: int, num_images: int, seed: int) -> None:
    """Raise where the arguments can't give a set."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out}: exists and is not an empty folder", "choose another folder")
    again = f"try: carscale data demo {outgoing.command(out)}"
    if not MIN_CLASSES <= num_classes <= MAX_CLASSES:
        fact = f"{out}: num_classes must be {MIN_CLASSES}..{MAX_CLASSES}, got {num_classes}"
        raise DataError(fact, f"{again} --num-classes 12")
    least = MIN_IMAGES_PER_CLASS * num_classes
    if num_images < least:
        fact = f"{out}: {num_classes} classes need at least {least} images, got {num_images}"
        raise DataError(fact, f"{again} --num-images {least}")
    if seed < 0:
        raise DataError(f"{out}: seed must be >= 0, got {seed}", f"{again} --seed 0")


def _draw(shots: list[Shot], classes: list[CarClass], seed: int, folder: Path) -> Iterator[int]:
    """Write all files with a few processes; yield how many each task wrote."""
    tasks = [shots[i : i + SHOTS_PER_TASK] for i in range(0, len(shots), SHOTS_PER_TASK)]
    num_processes = min(os.cpu_count() or 1, MAX_PROCESSES, len(tasks))
    with SpawnedPool(num_processes) as pool:
        futures = [pool.submit(_write_shots, task, classes, seed, folder) for task in tasks]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_shots(shots: list[Shot], classes: list[CarClass], seed: int, folder: Path) -> int:
    """Write some files, in a worker process; return how many."""
    for shot in shots:
        (folder / shot.path).write_bytes(render_shot(shot, classes, seed))
    return len(shots)
