"""The sections on one split: short classes, confusions, worst mistakes, calibration.

Axes: N samples, K classes, R bins.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.evaluate import confusion_matrix
from carscale.report import findings, plots
from carscale.report.checks import SplitResult, finite
from carscale.report.confusion import MAX_CELLS, MAX_LABELLED, draw_confusion
from carscale.report.gallery import hang
from carscale.report.sheets import write_sheet
from carscale.report.training import figure_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from carscale.report.gather import RunRecord
    from carscale.types import CarClass, Predictions

__all__ = ["build_analysis"]

MAX_PAIRS = 25
MAX_HOVER = 20_000

PAIR = (
    "first", "second", "first_as_second", "first_support", "second_as_first", "second_support",
    "total",
)  # fmt: skip


def build_analysis(
    record: RunRecord, split: SplitResult, build_folder: Path, page_folder: Path
) -> dict[str, Any]:
    """Draw and store all there is on one split; parts without their input are ``None``."""
    predictions = split.predictions
    parts: dict[str, Any] = {
        "name": split.name,
        "short": _short(record, split, build_folder),
        "confusion": None,
        "mistakes": None,
        "calibration": None,
    }
    if predictions is None or not len(predictions):
        return parts
    parts["confusion"] = _confusion(split.name, predictions, record.classes, build_folder)
    parts["mistakes"] = hang(
        predictions,
        record.classes,
        split=split.name,
        data_root=record.data_root,
        page_folder=page_folder,
        build_folder=build_folder,
    )
    parts["calibration"] = _calibration(split, predictions, build_folder)
    return parts


def _short(record: RunRecord, split: SplitResult, folder: Path) -> dict[str, Any] | None:
    """Tell and draw which classes are short: from val and test together where both are there."""
    pooled = record.held_out
    if pooled and split.name != "val":
        return None  # told once, with val
    told = findings.split_classes(pooled or split.metrics)
    rows = told["rows"]
    if not rows:
        return None
    told["photos"] = "val + test" if pooled else split.name
    told["rule"] = (pooled or split.metrics).get("short_rule") or ""
    told["without_support"] = [row["class"] for row in rows if not row.get("support")]
    told["csv"] = write_sheet(
        folder / "tables" / f"per-class-{split.name}.csv",
        findings.PER_CLASS,
        ([row.get(key) for key in findings.PER_CLASS] for row in rows),
    )
    told["figure"] = _recall(split.name, told, folder)
    return told


def _recall(split: str, told: dict[str, Any], folder: Path) -> dict[str, Any] | None:
    """Draw recall against train photos; ``None`` when no class has both."""
    shown = [
        row
        for row in told["rows"]
        if finite(row.get("recall")) is not None and finite(row.get("train_count")) is not None
    ]
    if not shown:
        return None
    entry, figure = figure_entry(
        lambda theme: plots.draw_recall(theme, shown),
        folder,
        f"recall-{split}",
        alt=f"Recall of {len(shown)} classes against their train photos; "
        f"{len(told['short'])} are short.",
        caption="A mark is a class, its line the 95 % interval of its recall. Low and on the left: "
        "more photos may "
        "help. Low and on the right: it has photos enough, look at what it is confused with.",
        csv=told["csv"],
    )
    places = plots.points_of(
        figure, [row["train_count"] for row in shown], [row["recall"] for row in shown]
    )
    entry["hover"] = {
        "points": [
            [
                u,
                v,
                f"{row['class']}: recall {100 * row['recall']:.1f} %, "
                f"{row['train_count']} train photos",
            ]
            for (u, v), row in zip(places, shown, strict=True)
        ]
    }
    return entry


def _confusion(
    split: str, predictions: Predictions, classes: Sequence[CarClass], folder: Path
) -> dict[str, Any]:
    """Draw the matrix, store it whole, and list who is taken for whom."""
    order_K = findings.order_classes(classes)
    names = [classes[number].name for number in order_K]
    place_K = np.argsort(order_K)
    counts_KK = confusion_matrix(
        place_K[predictions.labels_N], place_K[predictions.prediction_N], len(classes)
    )
    mistakes = int(counts_KK.sum() - np.trace(counts_KK))
    blocks = findings.make_blocks(classes, order_K)
    entry, figure = figure_entry(
        lambda theme: draw_confusion(theme, counts_KK, names, blocks),
        folder,
        f"confusion-{split}",
        alt=f"Confusion matrix of {len(names)} classes on {split}: {mistakes} mistakes in "
        f"{len(predictions)} photos. The table of pairs below and the CSV file hold its numbers.",
        caption=_confusion_words(len(names), bool(blocks)),
        csv=write_sheet(
            folder / "tables" / f"confusion-{split}.csv",
            ["true \\ predicted", *names],
            ([name, *row] for name, row in zip(names, counts_KK.tolist(), strict=True)),
        ),
    )
    entry["hover"] = _cells(figure, counts_KK, names)
    pairs = _pairs(counts_KK, names)
    sheet = folder / "tables" / f"pairs-{split}.csv"
    csv = write_sheet(sheet, PAIR, ([row[key] for key in PAIR] for row in pairs))
    return {
        "figure": entry,
        "pairs": pairs[:MAX_PAIRS],
        "num_pairs": len(pairs),
        "pairs_csv": csv,
        "num_mistakes": mistakes,
        "num_samples": len(predictions),
        "num_within_make": _within_make(counts_KK, blocks) if blocks else None,
        "top_share": sum(row["total"] for row in pairs[:3]) / mistakes if len(pairs) > 3 else None,
    }


def _pairs(counts_KK: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows of the table of pairs, the most confused first."""
    support_K = counts_KK.sum(axis=1)
    return [
        {
            "first": names[pair.first],
            "second": names[pair.second],
            "first_as_second": pair.first_as_second,
            "first_support": int(support_K[pair.first]),
            "second_as_first": pair.second_as_first,
            "second_support": int(support_K[pair.second]),
            "total": pair.total,
        }
        for pair in findings.confused_pairs(counts_KK)
    ]


def _confusion_words(num_classes: int, has_makes: bool) -> str:
    """Say how to read the matrix."""
    words = (
        "Rows are what a photo shows, columns what the model said; grey is right, colour a mistake."
    )
    if has_makes:
        words += " Classes stand by make, then name; lines part the makes, "
        words += "so mistakes near the diagonal stay within one."
    if num_classes > MAX_CELLS:
        words += (
            f" {-(-num_classes // MAX_CELLS)} neighbouring classes share a cell; the CSV has each."
        )
    if num_classes > MAX_LABELLED:
        words += " Thin makes in a crowd have no label; point at a cell for its classes."
    return words


def _cells(figure: Figure, counts_KK: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Return where the matrix lies in its figure and which cells are not empty, mistakes first."""
    last = len(names) - 0.5
    (left, top), (right, bottom) = plots.points_of(figure, [-0.5, last], [-0.5, last])
    cells = [(i, j, int(counts_KK[i, j])) for i, j in np.argwhere(counts_KK).tolist()]
    cells.sort(key=lambda cell: (cell[0] == cell[1], -cell[2], cell[:2]))
    return {
        "box": [left, top, right - left, bottom - top],
        "names": list(names),
        "cells": cells[:MAX_HOVER],
    }


def _within_make(counts_KK: np.ndarray, blocks: Sequence[tuple[str, int, int]]) -> int:
    """Return how many mistakes stay within a make."""
    total = 0
    for _, start, stop in blocks:
        block = counts_KK[start:stop, start:stop]
        total += int(block.sum() - np.trace(block))
    return total


def _calibration(split: SplitResult, predictions: Predictions, folder: Path) -> dict[str, Any]:
    """Draw how sure against how right."""
    bins = findings.reliability(predictions)
    sure_N = predictions.prob_prediction_N[np.isfinite(predictions.prob_prediction_N)]
    right = float(np.mean(predictions.prediction_N == predictions.labels_N))
    sure = float(sure_N.mean()) if len(sure_N) else None
    entry, _ = figure_entry(
        lambda theme: plots.draw_reliability(theme, bins),
        folder,
        f"reliability-{split.name}",
        alt=f"Reliability diagram on {split.name}: share that is right in "
        f"{findings.NUM_BINS} bins of confidence.",
        caption=f"{findings.NUM_BINS} bins of equal width; lines are 95 % intervals. Bars below "
        "the diagonal: it is surer than it should be.",
    )
    edges = np.arange(findings.NUM_BINS + 1) / findings.NUM_BINS
    shares = (bins.confidence_R, bins.accuracy_R, bins.low_R, bins.high_R)
    columns = (edges[:-1], edges[1:], bins.counts_R, *shares)
    entry["csv"] = write_sheet(
        folder / "tables" / f"reliability-{split.name}.csv",
        ["from", "to", "num_samples", "confidence", "accuracy", "accuracy_low", "accuracy_high"],
        zip(*(column.tolist() for column in columns), strict=True),
    )
    return {
        "figure": entry,
        "ece": split.metrics.get("ece"),
        "ece_bins": finite(bins.ece),
        "sure": sure,
        "right": right,
    }
