"""Photos of mistakes as cards, for the page and for its script.

Axes: N samples, W wrong samples, P of them that are shown.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from carscale.report.page.checks import finite
from carscale.report.page.pictures import SMALL_PX, make_pictures

if TYPE_CHECKING:
    from carscale.analysis.result import Analysis
    from carscale.report.page.place import Place
    from carscale.types import Predictions


MAX_PHOTOS = 4000
"""Mistakes of a split on the page, those with the highest loss."""

NUM_FIRST = 12
"""Cards on the page that need no script."""


def rounded(value: object) -> float | None:
    """Return a number with six digits, so that data files stay small; ``None`` for what is none.

    Example:
        >>> rounded(1 / 3), rounded(float("nan"))
        (0.333333, None)
    """
    number = finite(value)
    return None if number is None else float(f"{number:.6g}")


def build_cards(analysis: Analysis, place: Place) -> list[dict[str, Any]]:
    """Return a mapping for each mistake shown, highest loss first, and write their thumbnails.

    Returns:
        Each with ``id``, ``path``, ``label`` and ``prediction`` (class numbers), ``prob_label``,
        ``prob_prediction``, ``loss``, ``top`` (pairs of class number and probability), ``groups``
        (indices), ``primary`` and ``cluster`` (an index or -1), ``thumb``, ``photo``, ``trouble``.
    """
    predictions = analysis.evidence.predictions
    rows = analysis.wrong_W[:MAX_PHOTOS].tolist()
    pictures = make_pictures(
        place,
        [str(predictions.paths_N[row]) for row in rows],
        [f"{analysis.evidence.split}-{int(predictions.ids_N[row])}" for row in rows],
        max_px=SMALL_PX,
    )
    groups: dict[int, list[int]] = defaultdict(list)
    for number, group in enumerate(analysis.groups):
        for row in group.rows_G.tolist():
            groups[row].append(number)
    cluster = {
        row: number for number, one in enumerate(analysis.clusters) for row in one.rows_G.tolist()
    }
    return [
        {
            **facts_of(predictions, row),
            "groups": groups[row],
            "primary": int(primary),
            "cluster": cluster.get(row, -1),
            **asdict(picture),
        }
        for row, primary, picture in zip(
            rows, analysis.primary_W[: len(rows)], pictures, strict=True
        )
    ]


def facts_of(predictions: Predictions, row: int) -> dict[str, Any]:
    """Return what was predicted of a row: the part of a card that needs no analysis."""
    best = zip(
        predictions.top5_NT[row].tolist(), predictions.top5_prob_NT[row].tolist(), strict=True
    )
    return {
        "id": int(predictions.ids_N[row]),
        "path": str(predictions.paths_N[row]),
        "label": int(predictions.labels_N[row]),
        "prediction": int(predictions.prediction_N[row]),
        "prob_label": rounded(predictions.prob_label_N[row]),
        "prob_prediction": rounded(predictions.prob_prediction_N[row]),
        "loss": rounded(predictions.loss_N[row]),
        "top": [[number, rounded(prob)] for number, prob in best],
    }
