"""What a comparison needs of a run folder: predictions, settings, cost. N photos."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import config, data, outgoing
from carscale.errors import DataError
from carscale.evaluation.merged_classes import under_merged_classes
from carscale.runs import FREE_ON_RESUME, RunFolder
from carscale.types import CarClass, Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray


FREE = ("seed", *FREE_ON_RESUME)
"""Settings in which runs of one arm may differ; train photos are compared by hash."""


@dataclass(frozen=True, eq=False)
class RunPredictions:
    """One run's predictions of a split, photos in the order of their keys.

    Attributes:
        folder: The run folder.
        cfg: Its settings.
        recipe: The recipe's name.
        keys_N, labels_N: Photos and their true classes.
        predictions_N, losses_N: Predicted classes, and ``-log p(true class)``.
        hashes: Of the split's photos, of the classes, of the train photos; ``None`` if not known.
        classes: Class names; ``None`` if the folder has no list.
        train_counts: Train photos a class; ``None`` if not known.
        train_s: Seconds spent in training steps; ``None`` if not logged.
        memory_gib: Peak memory of one process: the GPU's where there is one.
        command: What started it.
        notes: What to know of these numbers: that val chose the run, or other classes count.
    """

    folder: Path
    cfg: config.Recipe
    recipe: str | None
    keys_N: NDArray[Any]
    labels_N: NDArray[np.int64]
    predictions_N: NDArray[np.int64]
    losses_N: NDArray[np.float32]
    hashes: dict[str, str | None]
    classes: list[str] | None
    train_counts: list[int] | None
    train_s: float | None
    memory_gib: float | None
    command: str | None
    notes: tuple[str, ...] = ()


def read_run_predictions(
    folder: Path, split: str, classes_of: Path | None = None
) -> RunPredictions:
    """Read what a run predicted.

    Args:
        folder: Of the run.
        split: Whose predictions.
        classes_of: Frozen data whose classes count: of a run of before they were merged, the
            probabilities of merged classes are summed.

    Raises:
        RunError: There is no such run, or a file of it can't be read.
        DataError: It has no predictions of the split; says how to make them. Or its classes are
            none that were merged into those.
    """
    run = RunFolder.open(folder)
    predictions, env = run.predictions(split), run.environment()
    stored, about = run.hashes, predictions.about
    classes: Sequence[CarClass] = run.classes() if run.classes_file.exists() else ()
    notes: tuple[str, ...] = ()
    if classes_of is not None:
        was = classes
        predictions, stored, classes = _under(classes_of, run, predictions, classes)
        about = predictions.about
        if len(was) != len(classes):
            notes = (
                f"scored under the {len(classes)} classes of {classes_of}, of {len(was)} before",
            )
    order_N = np.argsort(predictions.keys_N.astype(str), kind="stable")
    timing = run.timing()
    spent = [row["elapsed_s"] for row in timing if row.get("elapsed_s") is not None]
    memory = [row["memory_gib"] for row in timing if row.get("memory_gib") is not None]
    return RunPredictions(
        folder=folder,
        cfg=run.settings(),
        recipe=env.get("recipe"),
        keys_N=predictions.keys_N[order_N],
        labels_N=predictions.labels_N[order_N],
        predictions_N=predictions.prediction_N[order_N],
        losses_N=predictions.loss_N[order_N],
        hashes={
            "split": about.get("split_hash") or stored.get(split),
            "classes": about.get("class_hash") or stored.get("classes"),
            "train": stored.get("train"),
        },
        classes=[car_class.name for car_class in classes] or None,
        train_counts=run.train_counts,
        train_s=float(sum(spent)) if spent else None,
        memory_gib=float(max(memory)) if memory else None,
        command=_command(env.get("command")),
        notes=(*notes, *_chosen(env.get("refined") or {}, split)),
    )


def _chosen(refined: dict[str, Any], split: str) -> list[str]:
    """Return that these photos chose the run, and what that is worth on those that did not."""
    value = refined.get("value")
    if refined.get("chosen_on") != split or value is None:
        return []
    return [
        f"these photos chose how it was made, so its number flatters it: {refined.get('metric')} "
        f"{value:.3f} on the parts that did not choose"
    ]


def _under(
    root: Path, run: RunFolder, predictions: Predictions, classes: Sequence[CarClass]
) -> tuple[Predictions, dict[str, str], Sequence[CarClass]]:
    """Return predictions, hashes and classes of a run under the classes of frozen data."""
    new, hashes = data.read_splits(root).classes, data.read_card(root)["hashes"]
    if [one.name for one in classes] == [one.name for one in new]:
        return predictions, run.hashes, classes
    names = data.class_map(root, [one.name for one in classes])
    if predictions.probs_NK is None:
        split = str(predictions.about.get("split"))
        raise DataError(
            f"{run}: keeps no probabilities of {split}, so merged classes can't be summed",
            f"keep them: carscale evaluate {shlex.quote(str(run))} --split {split} --probs",
        )
    number = {one.name: n for n, one in enumerate(new)}
    new_K = np.array([number[names[one.name]] for one in classes], np.int64)
    merged = under_merged_classes(predictions, new_K)
    about = {**predictions.about, "class_hash": hashes["classes"], "split_hash": None}
    stored = {"classes": hashes["classes"]}  # photos are compared by their keys
    return replace(merged, about=about), stored, new


def merged_classes(found: Sequence[RunPredictions]) -> Path | None:
    """Return the data of a run whose classes are those of another run, merged."""
    lists = [run.classes for run in found]
    for run in found if any(one != lists[0] for one in lists) else ():
        root = Path(run.cfg.data.root)
        refined = data.read_card(root).get("refined") if data.is_frozen(root) else None
        if refined and [one["name"] for one in refined["classes_before"]] in lists:
            return root
    return None


def changes(old: RunPredictions, new: RunPredictions) -> dict[str, str]:
    """Return how a run's settings and train photos differ from another's: key, ``old -> new``.

    Seed, names and what changes no result are left out.
    """
    found = dict(line.split(": ", 1) for line in config.differences(old.cfg, new.cfg, ignore=FREE))
    if old.recipe != new.recipe:
        found = {"recipe": f"{old.recipe} -> {new.recipe}"} | found
    was, now = old.hashes["train"], new.hashes["train"]
    if was != now:
        found["train photos"] = (
            f"{old.cfg.data.root} ({_short(was)}) -> {new.cfg.data.root} ({_short(now)})"
        )
    return found


def check_comparable(found: Sequence[RunPredictions], split: str) -> None:
    """Raise unless all runs predicted the same photos and classes.

    Raises:
        DataError: Names two runs and the two hashes.
    """
    first = found[0]
    for other in found[1:]:
        _check_same(first, other, split, "classes", "class lists")
        _check_same(first, other, split, "split", f"{split} photos")
        if not np.array_equal(first.keys_N, other.keys_N):
            alone = len(np.setxor1d(first.keys_N.astype(str), other.keys_N.astype(str)))
            raise DataError(
                f"{first.folder} and {other.folder}: {alone} photos of {split} are in one only",
                _advice(other, first, split),
            )
        if first.classes != other.classes and first.classes and other.classes:
            raise DataError(
                f"{first.folder} and {other.folder}: class lists differ "
                f"({len(first.classes)} and {len(other.classes)} classes)",
                _advice(other, first, split),
            )
        if not np.array_equal(first.labels_N, other.labels_N):
            raise DataError(
                f"{first.folder} and {other.folder}: the same photos of {split} have other labels",
                _advice(other, first, split),
            )


def _check_same(
    first: RunPredictions, other: RunPredictions, split: str, key: str, noun: str
) -> None:
    """Raise where both hashes are known and differ."""
    mine, theirs = first.hashes[key], other.hashes[key]
    if mine and theirs and mine != theirs:
        hashes = f"{_short(mine)} and {_short(theirs)}"
        raise DataError(
            f"{first.folder} and {other.folder}: {noun} differ: {hashes}",
            _advice(other, first, split),
        )


def _advice(other: RunPredictions, first: RunPredictions, split: str) -> str:
    """Return how to predict the same photos with both."""
    return (
        f"predict both on the same frozen data: carscale evaluate "
        f"{shlex.quote(str(other.folder))} data.root={shlex.quote(first.cfg.data.root)} "
        f"--split {split}"
    )


def _short(digest: str | None) -> str:
    """Return the first 12 digits of a hash."""
    return digest[:12] if digest else "unknown"


def _command(words: object) -> str | None:
    """Return the command line that starts the run again."""
    return None if words is None else f"accelerate launch {outgoing.stored_command(words)}"
