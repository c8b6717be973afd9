"""The sections on error groups, slices, label review and actions.

Axes: W wrong samples, G samples of a group, K classes, R samples of a review.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import files
from carscale.analysis import mistake_columns
from carscale.report.page.checks import finite
from carscale.report.page.csv import write_csv
from carscale.report.page.pictures import LARGE_PX, make_pictures
from carscale.report.run.photo_cards import NUM_FIRST, rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carscale.analysis.result import Analysis, Review
    from carscale.report.page.place import Place


MAX_STRIP = 14
MAX_SLICES = 60
MAX_REVIEWED = 500


def build_groups(
    analysis: Analysis, cards: Sequence[dict[str, Any]], folder: Path
) -> dict[str, Any]:
    """Return the groups, the clusters and the first cards; store each mistake's groups.

    Args:
        analysis: Of the split.
        cards: ``build_cards``.
        folder: Of the page.
    """
    return {
        "groups": [
            {
                "title": group.title,
                "definition": group.definition,
                "advice": group.advice,
                "num": len(group.rows_G),
                "num_primary": group.num_primary,
            }
            for group in analysis.groups
        ],
        "num_ungrouped": int(np.sum(analysis.primary_W < 0)),
        "clusters": _clusters(analysis, cards),
        "first": cards[:NUM_FIRST],
        "num_shown": len(cards),
        "num_wrong": len(analysis.wrong_W),
        "csv": _mistakes_csv(analysis, folder),
    }


def _clusters(analysis: Analysis, cards: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the clusters with a strip of cards each, the most typical first."""
    by_id = {card["id"]: card for card in cards}
    clusters = []
    for number, one in enumerate(analysis.clusters):
        ids = analysis.evidence.predictions.ids_N[one.rows_G].tolist()
        shown = [by_id[each] for each in ids if each in by_id]
        clusters.append(
            {
                "number": number,
                "num": len(ids),
                "num_shown": len(shown),
                "traits": [trait.words for trait in one.traits],
                "classes": one.classes,
                "strip": shown[:MAX_STRIP],
            }
        )
    return clusters


def _mistakes_csv(analysis: Analysis, folder: Path) -> str:
    """Store every mistake with its groups."""
    columns = mistake_columns(analysis)
    names = [
        "id", "path", "label", "prediction", "prob_label", "prob_prediction", "loss", "primary",
        "groups",
    ]  # fmt: skip
    lists = [columns[name].tolist() for name in names]
    return write_csv(
        folder / "tables" / f"mistakes-{analysis.evidence.split}.csv",
        names,
        (
            [rounded(x) if isinstance(x, float) else x for x in row]
            for row in zip(*lists, strict=True)
        ),
    )


def build_slices(analysis: Analysis, folder: Path) -> dict[str, Any] | None:
    """Return the slices, the worst first, and store them all; ``None`` without any."""
    slices = analysis.slices
    if not slices:
        return None
    return {
        "rows": slices[:MAX_SLICES],
        "num": len(slices),
        "num_worst": sum(one.is_worst for one in slices),
        "floor": math.floor(10 * min(one.low for one in slices)) / 10,
        "csv": write_csv(
            folder / "tables" / f"slices-{analysis.evidence.split}.csv",
            list(asdict(slices[0])),
            (list(asdict(one).values()) for one in slices),
        ),
    }


def build_reviews(
    analysis: Analysis, place: Place, *, with_train: bool = True
) -> list[dict[str, Any]]:
    """Return the label reviews, train first, and write their pictures.

    Returns:
        Each with ``split``, ``num`` of the whole list, ``num_errors`` expected, ``expected``
        among the first 1, 2, ... and ``samples``.
    """
    ordered = sorted(analysis.reviews, key=lambda review: review.split != "train")
    wanted = [one for one in ordered if len(one) and (with_train or one.split != "train")]
    return [_review(one, place) for one in wanted]


def _review(review: Review, place: Place) -> dict[str, Any]:
    """Return the first samples of a review, with their pictures."""
    num = min(len(review), MAX_REVIEWED)
    ids, paths = (np.asarray(x)[:num].tolist() for x in (review.ids_R, review.paths_R))
    pictures = make_pictures(
        place,
        [str(path) for path in paths],
        [f"review-{review.split}-{number}" for number in ids],
        max_px=LARGE_PX,
    )
    samples = [
        {
            "id": int(ids[row]),
            "path": str(paths[row]),
            "label": int(review.labels_R[row]),
            "suggested": int(review.suggested_R[row]),
            "prob_label": rounded(review.prob_label_R[row]),
            "prob_suggested": rounded(review.prob_suggested_R[row]),
            "suspect": bool(review.is_suspect_R[row]),
            "thumb": pictures[row].thumb,
            "photo": pictures[row].photo,
            "trouble": pictures[row].trouble,
        }
        for row in range(num)
    ]
    return {
        "split": review.split,
        "num": len(review),
        "num_suspect": int(np.sum(review.is_suspect_R)),
        "num_errors": finite(review.expected_R[-1]),
        "expected": [rounded(value) for value in np.asarray(review.expected_R)[:num].tolist()],
        "samples": samples,
    }


def write_actions(analysis: Analysis, folder: Path) -> list[dict[str, Any]]:
    """Write ``actions.json`` and return the actions with what the page says of them."""
    actions = [plain(action) for action in analysis.actions]
    files.write_json(
        folder / "actions.json", {"split": analysis.evidence.split, "actions": actions}
    )
    return [
        {
            "kind": str(action.get("kind") or ""),
            "title": str(action.get("title") or action.get("kind") or "Action"),
            "why": str(action.get("why") or ""),
            "command": action.get("command"),
            "then": action.get("then"),
            "num_mistakes": finite(action.get("num_mistakes")),
            "gain": finite(action.get("gain")),
            "seconds": finite(action.get("seconds")),
        }
        for action in actions
    ]


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON holds anything
    """Return a value as JSON holds it: numpy numbers and arrays plain, NaN as ``None``.

    Example:
        >>> plain({"a": np.int64(3), "b": (np.float32("nan"), np.array([1, 2]))})
        {'a': 3, 'b': [None, [1, 2]]}
    """
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return finite(value)
    return value
