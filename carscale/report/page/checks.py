"""Raise where predictions, metrics and class list do not belong together.

Axes: N samples of a split, K classes, T best classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from carscale import outgoing
from carscale.errors import DataError
from carscale.runs import RunFolder
from carscale.types import CarClass, Predictions

TOP1_TOLERANCE = 1e-4  # metrics.json may be rounded


@dataclass(frozen=True, eq=False)
class SplitResult:
    """What is known of one split: its predictions, its metrics, or both.

    Attributes:
        name: ``val`` or ``test``.
        predictions: ``None`` when the table is not in the run folder.
        metrics: Its part of ``metrics.json``; empty when there is none.
    """

    name: str
    predictions: Predictions | None
    metrics: dict[str, Any]


def finite(value: object) -> float | None:
    """Return a number, or ``None`` for what is none: missing, text, NaN, infinite.

    Example:
        >>> finite(0.5), finite(float("nan")), finite(None), finite("x")
        (0.5, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return None
    return float(value) if np.isfinite(value) else None


def printable(text: object) -> str:
    r"""Return text on one line without the characters that a page can't hold or would obey.

    Example:
        >>> printable("Audi\x00 A4")
        'Audi\ufffd A4'
    """
    return outgoing.page_text(text)


def check(
    split: SplitResult, classes: tuple[CarClass, ...], env: dict[str, Any], run: RunFolder
) -> None:
    """Raise unless predictions, metrics and class list are of the same run."""
    again = f"predict again with: carscale evaluate {outgoing.command(run)} --split {split.name}"
    known = {one.name for one in classes}
    strange = [
        row["class"]
        for row in split.metrics.get("per_class") or []
        if printable(row["class"]) not in known
    ]
    if strange:
        raise DataError(
            f"{run.metrics_file}: {split.name} has {len(strange)} classes that the class "
            f"list of {len(classes)} lacks (first: {strange[0]})",
            again,
        )
    if split.predictions is None:
        return
    _check_predictions(split.predictions, len(classes), env, (f"{split.name}.parquet", again))
    _check_numbers(split, split.predictions, (str(run.metrics_file), again))


def _check_predictions(
    predictions: Predictions, num_classes: int, env: dict[str, Any], words: tuple[str, str]
) -> None:
    """Raise when predictions were made with another class list."""
    where, again = words
    for what, values in (
        ("labels", predictions.labels_N),
        ("predictions", predictions.prediction_N),
        ("top-5 classes", predictions.top5_NT),
    ):
        if values.size and (values.min() < 0 or values.max() >= num_classes):
            raise DataError(
                f"predictions/{where}: {what} go from {values.min()} to {values.max()}, "
                f"but the class list has {num_classes} classes: it is another class list",
                again,
            )
    made = predictions.about.get("class_hash")
    wanted = ((env.get("data") or {}).get("hashes") or {}).get("classes")
    if made and wanted and made != wanted:
        raise DataError(
            f"predictions/{where}: made with class list {str(made)[:12]}, "
            f"the run has {str(wanted)[:12]}",
            again,
        )


def _check_numbers(split: SplitResult, predictions: Predictions, words: tuple[str, str]) -> None:
    """Raise when the metrics were not taken from these predictions."""
    where, again = words
    stored = finite(split.metrics.get("num_samples"))
    if stored is not None and stored != len(predictions):
        raise DataError(
            f"{where}: {split.name} has {stored:.0f} samples, the predictions {len(predictions)}",
            again,
        )
    entry = split.metrics.get("top1")
    top1 = finite(entry.get("value") if isinstance(entry, dict) else entry)
    seen = float(np.mean(predictions.prediction_N == predictions.labels_N)) if stored else None
    if top1 is not None and seen is not None and abs(top1 - seen) > TOP1_TOLERANCE:
        raise DataError(
            f"{where}: {split.name} top1 is {top1:.4f}, the predictions give {seen:.4f}", again
        )
