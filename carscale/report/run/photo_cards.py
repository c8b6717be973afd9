"""Wrong photos as cards: the same for the page's first ones and for its script.

Axes: N samples, W wrong samples, P of them that are shown.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.report.page.checks import finite
from carscale.report.page.pictures import SMALL_PX, Picture, make_pictures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carscale.report.page.place import Place
    from carscale.report.run.subject import Subject


MAX_PHOTOS = 4000
"""Mistakes of a split that the page shows at most, those with the highest loss."""

NUM_FIRST = 12
"""Cards that stand on the page without a script."""


def rounded(value: object) -> float | None:
    """Return a number with six digits, so that data files stay small; ``None`` for what is none.

    Example:
        >>> rounded(1 / 3), rounded(float("nan"))
        (0.333333, None)
    """
    number = finite(value)
    return None if number is None else float(f"{number:.6g}")


def build_cards(subject: Subject, place: Place) -> list[dict[str, Any]]:
    """Return a mapping a shown mistake, highest loss first, and write their thumbnails.

    Returns:
        Each with ``id``, ``path``, ``label`` and ``said`` (class numbers), ``prob_label``,
        ``prob_said``, ``loss``, ``top`` (pairs of class number and probability), ``groups``
        (indices), ``primary`` and ``cluster`` (an index or -1), ``thumb``, ``photo``, ``trouble``.
    """
    told = subject.predictions
    rows = subject.wrong_W[:MAX_PHOTOS].tolist()
    pictures = make_pictures(
        place,
        [str(told.paths_N[row]) for row in rows],
        [f"{subject.split}-{int(told.ids_N[row])}" for row in rows],
        max_px=SMALL_PX,
    )
    groups, primary, cluster = _memberships(subject)
    return [
        {
            **_facts(subject, row),
            "groups": groups[row],
            "primary": primary.get(row, -1),
            "cluster": cluster.get(row, -1),
            **_links(picture),
        }
        for row, picture in zip(rows, pictures, strict=True)
    ]


def _facts(subject: Subject, row: int) -> dict[str, Any]:
    """Return what the predictions tell of a row."""
    told = subject.predictions
    best: Sequence[tuple[Any, Any]] = list(
        zip(told.top5_NT[row].tolist(), told.top5_prob_NT[row].tolist(), strict=True)
    )
    return {
        "id": int(told.ids_N[row]),
        "path": str(told.paths_N[row]),
        "label": int(told.labels_N[row]),
        "said": int(told.prediction_N[row]),
        "prob_label": rounded(told.prob_label_N[row]),
        "prob_said": rounded(told.prob_prediction_N[row]),
        "loss": rounded(told.loss_N[row]),
        "top": [[number, rounded(prob)] for number, prob in best],
    }


def _links(picture: Picture) -> dict[str, Any]:
    """Return a picture's links."""
    return {"thumb": picture.thumb, "photo": picture.photo, "trouble": picture.trouble}


def _memberships(
    subject: Subject,
) -> tuple[dict[int, list[int]], dict[int, int], dict[int, int]]:
    """Return the groups, the primary group and the cluster of each row."""
    groups: dict[int, list[int]] = defaultdict(list)
    if subject.analysis is None:
        return groups, {}, {}
    for number, group in enumerate(subject.analysis.groups):
        for row in np.asarray(group.rows_G).tolist():
            groups[row].append(number)
    primary = dict(
        zip(subject.wrong_W.tolist(), np.asarray(subject.analysis.primary_W).tolist(), strict=True)
    )
    cluster = {
        row: number
        for number, one in enumerate(subject.analysis.clusters)
        for row in np.asarray(one.rows_G).tolist()
    }
    return groups, primary, cluster
