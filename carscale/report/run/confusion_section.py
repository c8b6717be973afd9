"""The section on confusions: the map, its figure, and who is taken for whom.

Axes: K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.evaluation import confusion_matrix
from carscale.report.page.checks import finite
from carscale.report.page.csv import write_csv
from carscale.report.page.theme import figure_entry
from carscale.report.run import findings
from carscale.report.run.confusion_plot import MAX_CELLS, MAX_LABELLED, draw_confusion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from carscale.report.run.subject import Subject


MAX_PAIRS = 25

PAIR = (
    "first", "second", "first_as_second", "first_support", "second_as_first", "second_support",
    "total",
)  # fmt: skip
TESTS = ("kind", "chance", "p")


def build_confusion(subject: Subject, folder: Path) -> dict[str, Any]:
    """Draw the matrix, store it whole, and list who is taken for whom."""
    confusions, predictions = subject.confusions, subject.predictions
    order_K = np.asarray(confusions.order_K, dtype=np.int64)
    names = [subject.classes[number].name for number in order_K]
    place_K = np.argsort(order_K)
    counts_KK = confusion_matrix(
        place_K[predictions.labels_N], place_K[predictions.prediction_N], len(names)
    )
    mistakes = int(counts_KK.sum() - np.trace(counts_KK))
    blocks = confusions.blocks
    entry, _ = figure_entry(
        lambda theme: draw_confusion(theme, counts_KK, names, blocks),
        folder,
        f"confusion-{subject.split}",
        alt=f"Confusion matrix of {len(names)} classes on {subject.split}: {mistakes} mistakes in "
        f"{len(predictions)} photos. The table of pairs below and the CSV file hold its numbers.",
        caption=_words(len(names), bool(blocks)),
        csv=write_csv(
            folder / "tables" / f"confusion-{subject.split}.csv",
            ["true \\ predicted", *names],
            ([name, *row] for name, row in zip(names, counts_KK.tolist(), strict=True)),
        ),
    )
    pairs = _pairs(counts_KK, subject)
    has_tests = any(pair["kind"] for pair in pairs)
    header = [*PAIR[:-1], *TESTS, PAIR[-1]] if has_tests else PAIR
    sheet = folder / "tables" / f"pairs-{subject.split}.csv"
    return {
        "figure": entry,
        "pairs": pairs[:MAX_PAIRS],
        "has_tests": has_tests,
        "num_pairs": len(pairs),
        "pairs_csv": write_csv(sheet, header, ([row[key] for key in header] for row in pairs)),
        "num_mistakes": mistakes,
        "num_samples": len(predictions),
        "num_within_make": _within_make(counts_KK, blocks) if blocks else None,
        "top_share": _top_share(pairs, mistakes),
    }


def _pairs(counts_KK: NDArray[np.int64], subject: Subject) -> list[dict[str, Any]]:
    """Return rows of the table of pairs, the most confused first."""
    order: list[int] = np.asarray(subject.confusions.order_K).tolist()
    support_K = counts_KK.sum(axis=1)
    tested = {
        frozenset((pair.first, pair.second)): pair
        for pair in subject.confusions.pairs
        if subject.analysis is not None
    }
    rows = []
    for pair in findings.confused_pairs(counts_KK):
        numbers = (order[pair.first], order[pair.second])
        test = tested.get(frozenset(numbers))
        rows.append(
            {
                "first": subject.classes[numbers[0]].name,
                "second": subject.classes[numbers[1]].name,
                "numbers": numbers,
                "first_as_second": pair.first_as_second,
                "first_support": int(support_K[pair.first]),
                "second_as_first": pair.second_as_first,
                "second_support": int(support_K[pair.second]),
                "total": pair.total,
                "kind": test.kind if test else "",
                "chance": finite(test.chance) if test else None,
                "p": finite(test.p) if test else None,
            }
        )
    return rows


def _top_share(pairs: Sequence[dict[str, Any]], mistakes: int) -> float | None:
    """Return the share of the three most frequent pairs; ``None`` when there are hardly more."""
    return sum(row["total"] for row in pairs[:3]) / mistakes if len(pairs) > 3 else None


def _words(num_classes: int, has_makes: bool) -> str:
    """Say how to read the matrix."""
    words = (
        "Rows are what a photo shows, columns what the model said; grey is right, colour a mistake."
    )
    if has_makes:
        words += " Lines part the makes, so mistakes near the diagonal stay within one."
    if num_classes > MAX_CELLS:
        words += (
            f" {-(-num_classes // MAX_CELLS)} neighbouring classes share a cell; the CSV has each."
        )
    if num_classes > MAX_LABELLED:
        words += " Thin makes in a crowd have no label."
    return words


def _within_make(counts_KK: NDArray[np.int64], blocks: Sequence[tuple[str, int, int]]) -> int:
    """Return how many mistakes stay within a make."""
    total = 0
    for _, start, stop in blocks:
        block = counts_KK[start:stop, start:stop]
        total += int(block.sum() - np.trace(block))
    return total
