"""The section on confusions: the matrix and the most confused pairs.

Axes: K classes, C cells that are not zero.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.analysis.result import ConfusedPair
from carscale.report.page.csv import write_csv
from carscale.report.page.theme import figure_entry
from carscale.report.run.confusion_plot import MAX_CELLS, MAX_LABELLED, draw_confusion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from carscale.analysis.result import Analysis, Confusions
    from carscale.types import CarClass


MAX_PAIRS = 25


def build_confusion(analysis: Analysis, folder: Path) -> dict[str, Any]:
    """Draw the matrix, store it whole, and list the confused pairs."""
    evidence, confusions = analysis.evidence, analysis.confusions
    names = [evidence.classes[number].name for number in confusions.order_K]
    counts_KK = np.zeros((len(names), len(names)), dtype=np.int64)
    for row, column, count in cells_in_order(confusions).tolist():
        counts_KK[row, column] = count
    num_samples, num_mistakes = len(evidence.predictions), len(analysis.wrong_W)
    entry = figure_entry(
        lambda theme: draw_confusion(theme, counts_KK, names, confusions.blocks),
        folder,
        f"confusion-{evidence.split}",
        alt=f"Confusion matrix of {len(names)} classes on {evidence.split}: {num_mistakes} "
        f"mistakes in {num_samples} photos. The table of pairs below and the CSV file hold its "
        "numbers.",
        caption=_words(len(names), bool(confusions.blocks)),
        csv=write_csv(
            folder / "tables" / f"confusion-{evidence.split}.csv",
            ["true \\ predicted", *names],
            ([name, *row] for name, row in zip(names, counts_KK.tolist(), strict=True)),
        ),
    )
    pairs = [_pair(pair, evidence.classes) for pair in confusions.pairs]
    header = [field.name for field in fields(ConfusedPair)] + ["total"]
    return {
        "figure": entry,
        "pairs": pairs[:MAX_PAIRS],
        "num_pairs": len(pairs),
        "pairs_csv": write_csv(
            folder / "tables" / f"pairs-{evidence.split}.csv",
            header,
            ([row[key] for key in header] for row in pairs),
        ),
        "num_mistakes": num_mistakes,
        "num_samples": num_samples,
        "num_within_make": _within_make(counts_KK, confusions.blocks)
        if confusions.blocks
        else None,
        "top_share": sum(row["total"] for row in pairs[:3]) / num_mistakes
        if len(pairs) > 3
        else None,
    }


def _pair(pair: ConfusedPair, classes: Sequence[CarClass]) -> dict[str, Any]:
    """Return a pair with its classes' names, and their numbers beside."""
    numbers = (pair.first, pair.second)
    first, second = (classes[number].name for number in numbers)
    named = {"first": first, "second": second, "numbers": numbers, "total": pair.total}
    return asdict(pair) | named


def cells_in_order(confusions: Confusions) -> NDArray[np.int64]:
    """Return row, column and count of each cell, in the figure's order, ``[C, 3]``."""
    place_K = np.argsort(confusions.order_K)
    columns = (place_K[confusions.true_C], place_K[confusions.predicted_C], confusions.count_C)
    return np.column_stack(columns).astype(np.int64).reshape(-1, 3)


def matrix_data(confusions: Confusions) -> dict[str, Any]:
    """Return the matrix for the page's script.

    Returns:
        ``order``: class numbers. ``blocks``: makes as ``[make, start, stop]``. ``cells``: row,
        column and count of each cell that is not zero, one after the other.
    """
    return {
        "order": confusions.order_K.tolist(),
        "blocks": [list(block) for block in confusions.blocks],
        "cells": cells_in_order(confusions).ravel().tolist(),
    }


def _words(num_classes: int, has_makes: bool) -> str:
    """Return how to read the matrix."""
    words = "Rows are true classes, columns predicted ones; grey is correct, colour a mistake."
    if has_makes:
        words += " Lines separate the makes: mistakes near the diagonal are within one make."
    if num_classes > MAX_CELLS:
        words += (
            f" {-(-num_classes // MAX_CELLS)} neighbouring classes share a cell; the CSV has each."
        )
    if num_classes > MAX_LABELLED:
        words += " Where makes are crowded, those of few classes have no label."
    return words


def _within_make(counts_KK: NDArray[np.int64], blocks: Sequence[tuple[str, int, int]]) -> int:
    """Return how many mistakes are within a make."""
    total = 0
    for _, start, stop in blocks:
        block = counts_KK[start:stop, start:stop]
        total += int(block.sum() - np.trace(block))
    return total
