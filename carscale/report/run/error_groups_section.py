"""The sections on error groups, slices, labels to review and actions: tables to show.

Axes: W wrong samples, G samples of a group, K classes, R samples of a review.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import files
from carscale.report.page.checks import finite
from carscale.report.page.csv import write_csv
from carscale.report.page.pictures import LARGE_PX, make_pictures
from carscale.report.run.photo_cards import MAX_PHOTOS, NUM_FIRST, rounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carscale.analysis.result import Analysis, Review
    from carscale.report.page.place import Place
    from carscale.report.run.subject import Subject


MAX_STRIP = 14
MAX_SLICES = 60
MAX_REVIEWED = 500
SLICE = (
    "attribute", "value", "num_samples", "num_correct", "accuracy", "low", "high", "rest", "p",
    "is_worst",
)  # fmt: skip


def build_groups(subject: Subject, cards: Sequence[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """Return the groups, the clusters and the first cards; store who is in which group.

    Args:
        subject: The split.
        cards: ``build_cards``.
        folder: Of the page.
    """
    analysis = subject.analysis
    shown = {card["id"] for card in cards}
    groups = [
        {
            "name": group.name,
            "title": group.title,
            "definition": group.definition,
            "advice": group.advice,
            "num": len(group.rows_G),
            "num_primary": group.num_primary,
        }
        for group in (analysis.groups if analysis else ())
    ]
    return {
        "groups": groups,
        "num_ungrouped": int(np.sum(analysis.primary_W < 0)) if analysis else 0,
        "clusters": _clusters(analysis, subject, cards, shown) if analysis else [],
        "first": cards[:NUM_FIRST],
        "num_shown": len(cards),
        "num_wrong": len(subject.wrong_W),
        "cap": MAX_PHOTOS,
        "csv": _mistakes_csv(subject, folder),
    }


def _clusters(
    analysis: Analysis, subject: Subject, cards: Sequence[dict[str, Any]], shown: set[int]
) -> list[dict[str, Any]]:
    """Return the clusters with a strip of cards each, the most typical first."""
    by_id = {card["id"]: card for card in cards}
    clusters = []
    for number, one in enumerate(analysis.clusters):
        ids = np.asarray(subject.predictions.ids_N)[np.asarray(one.rows_G, dtype=np.int64)].tolist()
        known = [by_id[each] for each in ids if each in shown]
        clusters.append(
            {
                "number": number,
                "num": len(ids),
                "num_shown": len(known),
                "traits": [trait.words for trait in one.traits],
                "classes": one.classes,
                "strip": known[:MAX_STRIP],
            }
        )
    return clusters


def _mistakes_csv(subject: Subject, folder: Path) -> str:
    """Store every mistake with its groups."""
    told, analysis = subject.predictions, subject.analysis
    titles = [group.name for group in analysis.groups] if analysis else []
    member: dict[int, list[str]] = {}
    for group in analysis.groups if analysis else ():
        for row in np.asarray(group.rows_G).tolist():
            member.setdefault(row, []).append(group.name)
    primary = np.asarray(analysis.primary_W).tolist() if analysis else [-1] * len(subject.wrong_W)
    names = [one.name for one in subject.classes]
    rows = (
        [
            told.ids_N[row], told.paths_N[row], names[told.labels_N[row]],
            names[told.prediction_N[row]], rounded(told.prob_label_N[row]),
            rounded(told.prob_prediction_N[row]), rounded(told.loss_N[row]),
            titles[first] if first >= 0 else "", " ".join(member.get(row, [])),
        ]
        for row, first in zip(subject.wrong_W.tolist(), primary, strict=True)
    )  # fmt: skip
    header = [
        "id", "path", "class", "predicted", "prob_class", "prob_predicted", "loss",
        "primary_group", "groups",
    ]  # fmt: skip
    return write_csv(folder / "tables" / f"mistakes-{subject.split}.csv", header, rows)


def build_slices(subject: Subject, folder: Path) -> dict[str, Any] | None:
    """Return the slices, the worst first, and store them all; ``None`` without any."""
    slices = subject.analysis.slices if subject.analysis else ()
    if not slices:
        return None
    rows = [asdict(one) for one in slices]
    lowest = min(row["low"] for row in rows)
    return {
        "rows": rows[:MAX_SLICES],
        "num": len(rows),
        "num_worst": sum(row["is_worst"] for row in rows),
        "floor": math.floor(10 * lowest) / 10,
        "csv": write_csv(
            folder / "tables" / f"slices-{subject.split}.csv",
            SLICE,
            ([row[key] for key in SLICE] for row in rows),
        ),
    }


def build_reviews(
    subject: Subject, place: Place, *, with_train: bool = True
) -> list[dict[str, Any]]:
    """Return the label reviews, train first, and write their pictures.

    Returns:
        Each with ``split``, ``num`` of the whole list, ``num_errors`` expected, ``expected``
        among the first 1, 2, ... and ``samples``.
    """
    reviews = subject.analysis.reviews if subject.analysis else ()
    ordered = sorted(reviews, key=lambda review: review.split != "train")
    wanted = [one for one in ordered if len(one) and (with_train or one.split != "train")]
    return [_review(one, place) for one in wanted]


def _review(review: Review, place: Place) -> dict[str, Any]:
    """Return one review, cut to what a person can look at."""
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
            "num_mistakes": finite(action.get("num_mistakes")),
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
