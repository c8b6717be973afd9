"""Read a run folder into plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from carscale import config, contained, data, evaluation, files, outgoing
from carscale.errors import DataError, RunError
from carscale.report.page.checks import SplitResult, check, finite, printable
from carscale.runs import RunFolder
from carscale.shapes import problem
from carscale.types import CarClass

SPLITS = ("test", "val")  # the order of the headline


@dataclass(frozen=True, eq=False)
class RunRecord:
    """Everything the page says, read once.

    Attributes:
        name: The run folder's name.
        folder: The run folder, absolute.
        config: Settings as a nested mapping.
        config_text: The same as it stands in ``config.yaml``.
        env: What ``env.json`` holds.
        steps, epochs, timing: Lines of the logs, ascending.
        splits: Those with predictions or metrics.
        held_out: Rows a class over val and test together, when both are predicted; else empty.
        classes: The class list, in label order.
        test_evaluations: Lines of ``test_evaluations.jsonl``.
        data_root: Where the photos lie; ``None`` when that folder is not on this machine.
        notes: What is missing, in sentences.
    """

    name: str
    folder: Path
    config: dict[str, Any]
    config_text: str
    env: dict[str, Any]
    steps: list[dict[str, Any]]
    epochs: list[dict[str, Any]]
    timing: list[dict[str, Any]]
    splits: dict[str, SplitResult]
    held_out: dict[str, Any]
    classes: tuple[CarClass, ...]
    test_evaluations: list[dict[str, Any]]
    data_root: Path | None
    notes: list[str] = field(default_factory=list)


def gather(run_dir: Path, *, data_root: Path | None = None) -> RunRecord:
    """Read a run folder.

    Args:
        run_dir: The run folder.
        data_root: Folder that the photos' paths start from; ``None`` takes ``data.root`` of the
            run's settings.

    Raises:
        RunError: There is no such folder, or nothing in it to report.
        DataError: Predictions, metrics and class list do not belong together.
    """
    folder = Path(run_dir).absolute()
    if not folder.is_dir():
        raise RunError(f"{run_dir}: no such run folder", "list the runs with: ls runs")
    run = RunFolder(folder)
    run.check_format()
    config_text, config = _read_config(run.settings_file)
    env, metrics = run.environment(), run.metrics()
    notes: list[str] = []
    log = run.log()
    root = _find_root(data_root, config, notes)
    splits = _read_splits(run, metrics, notes)
    steps = _by_number(log, "step")
    epochs = _by_number(log, "epoch")
    if not splits and not steps and not epochs:
        raise RunError(
            f"{run_dir}: nothing to report: no log.jsonl, no metrics.json, no predictions",
            "train first: carscale train RECIPE data.root=FOLDER",
            f"or predict: carscale evaluate {outgoing.command(run_dir)}",
        )
    classes = _read_classes(run, root, splits)
    for split in splits.values():
        check(split, classes, env, run)
    splits = {name: _measured(split, classes, env) for name, split in splits.items()}
    return RunRecord(
        name=printable(folder.name),
        folder=folder,
        config=config,
        config_text=config_text,
        env=env,
        steps=steps,
        epochs=epochs,
        timing=run.timing(),
        splits=splits,
        held_out=_read_held_out(metrics, splits),
        classes=classes,
        test_evaluations=run.test_evaluations(),
        data_root=root,
        notes=notes,
    )


def _read_config(path: Path) -> tuple[str, dict[str, Any]]:
    """Return a settings file as text and as a mapping; empty when there is none."""
    if not path.is_file():
        return "", {}
    text, tree = config.load_yaml(path)
    return text, tree if isinstance(tree, dict) else {}


def _by_number(log: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    """Return one kind of event, ascending; of a step written twice, the last."""
    rows = {
        row[event]: row
        for row in log
        if row.get("event") == event and finite(row.get(event)) is not None
    }
    return [rows[number] for number in sorted(rows)]


def _find_root(data_root: Path | None, config: dict[str, Any], notes: list[str]) -> Path | None:
    """Return the folder of the photos when it is on this machine."""
    section = config.get("data")
    named = data_root or (section.get("root") if isinstance(section, dict) else None)
    if not named:
        notes.append("The settings name no data.root, so this page has no pictures.")
        return None
    root = Path(str(named)).expanduser().absolute()
    if root.is_dir() and (data_root is not None or data.is_frozen(root)):
        return root
    if root.is_dir():  # a run that was received may name any folder
        notes.append(
            f"The photos' folder {named} holds no frozen data (no card.json), so this page has no "
            "pictures. To take photos from it: --data-root FOLDER"
        )
        return None
    if data_root is not None:
        raise DataError(f"{data_root}: no such folder of photos", "leave --data-root out")
    notes.append(
        f"The photos' folder {named} is not on this machine (from {Path.cwd()}), "
        "so this page has no pictures."
    )
    return None


def _read_splits(
    run: RunFolder, metrics: dict[str, Any], notes: list[str]
) -> dict[str, SplitResult]:
    """Return every split that has predictions or metrics."""
    splits = {}
    added = [name for name in run.predicted_splits if name not in SPLITS]
    for name in (*SPLITS, *added):
        predictions = run.predictions(name) if run.has_predictions(name) else None
        numbers = metrics.get(name) or {}
        if numbers and predictions is None:
            notes.append(
                f"predictions/{name}.parquet is not there: "
                f"no confusions, mistakes or calibration on {name}."
            )
        if predictions is not None or numbers:
            splits[name] = SplitResult(name, predictions, numbers)
    return splits


def _read_held_out(metrics: dict[str, Any], splits: dict[str, SplitResult]) -> dict[str, Any]:
    """Return the metrics of val and test pooled; empty unless both were predicted."""
    has_both = all(name in splits and splits[name].metrics for name in ("val", "test"))
    return metrics.get("held_out") or {} if has_both else {}


def _measured(
    split: SplitResult, classes: tuple[CarClass, ...], env: dict[str, Any]
) -> SplitResult:
    """Return a split with metrics from its predictions where none are stored yet."""
    if split.metrics or split.predictions is None or not len(split.predictions):
        return split
    counts = (env.get("data") or {}).get("train_counts")
    counts_K = np.array(counts) if counts and len(counts) == len(classes) else None
    return replace(split, metrics=evaluation.summary(split.predictions, classes, counts_K))


def _read_classes(
    run: RunFolder, root: Path | None, splits: dict[str, SplitResult]
) -> tuple[CarClass, ...]:
    """Return the class list: the run's copy, else the data set's, else the names in the metrics."""
    name = run.classes_file.name
    places = [run.classes_file] + ([contained.inside(root, name, "file")] if root else [])
    for path in places:
        if path.is_file():
            tree = files.read_json(path)
            if wrong := problem(tree, {"classes": [dict]}):
                raise DataError(f"{path}: {wrong}")
            return tuple(_to_class(row, path) for row in tree["classes"])
    for split in splits.values():
        names = [row["class"] for row in split.metrics.get("per_class") or []]
        if names:
            return tuple(CarClass(name=printable(name), folder=str(name)) for name in names)
    if any(split.predictions is not None for split in splits.values()):
        looked = ", ".join(str(path) for path in places)
        raise DataError(f"{run}: predictions without a class list; looked for {looked}")
    return ()


def _to_class(row: dict[str, Any], path: Path) -> CarClass:
    """Return one entry of a class list."""
    if "name" not in row:
        raise DataError(f"{path}: a class has no 'name': {row}")
    texts = {
        key: printable(row[key]) if row.get(key) is not None else None
        for key in ("make", "model", "body")
    }
    year = finite(row.get("year"))
    return CarClass(
        name=printable(row["name"]),
        folder=str(row.get("folder", row["name"])),
        year=None if year is None else int(year),
        **texts,
    )
