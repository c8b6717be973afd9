"""A split's data as a script: a page opened from disk may load scripts but not fetch files.

Axes: K classes, C cells that are not zero.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carscale.analysis.result import Confusions
    from carscale.report.run.subject import Subject


def write_data(
    subject: Subject,
    folder: Path,
    *,
    photos: Sequence[dict[str, Any]],
    reviews: Sequence[dict[str, Any]],
) -> str:
    """Write ``data/<split>.js`` and return its link.

    Args:
        subject: The split.
        folder: Of the page.
        photos: ``build_cards``.
        reviews: ``build_reviews``.
    """
    analysis = subject.analysis
    content = {
        "run": subject.run,
        "split": subject.split,
        "names": [one.name for one in subject.classes],
        "matrix": matrix_cells(subject.confusions),
        "groups": [group.title for group in analysis.groups] if analysis else [],
        "photos": photos,
        "reviews": reviews,
    }
    path = folder / "data" / f"{subject.split}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_script(subject.split, content), encoding="ascii")
    return f"data/{path.name}"


def matrix_cells(confusions: Confusions) -> dict[str, Any]:
    """Return the matrix as rows and columns of its order, mistakes and right answers alike.

    Returns:
        ``order``: class numbers. ``blocks``: makes as ``[make, start, stop]``. ``cells``: row,
        column and count of each cell, one after the other.
    """
    order_K = np.asarray(confusions.order_K, dtype=np.int64)
    place_K = np.argsort(order_K)
    columns = (place_K[confusions.true_C], place_K[confusions.predicted_C], confusions.count_C)
    cells_C3 = np.column_stack(columns) if len(confusions.count_C) else np.zeros((0, 3), np.int64)
    return {
        "order": order_K.tolist(),
        "blocks": [list(block) for block in confusions.blocks],
        "cells": cells_C3.astype(np.int64).ravel().tolist(),
    }


def as_script(name: str, content: object) -> str:
    r"""Return a script that keeps a value under ``window.carscale[name]``; plain ASCII.

    Example:
        >>> print(as_script("val", {"a": "</script>\u2028"}), end="")
        window.carscale ??= {};
        window.carscale["val"] = {"a":"\u003c/script>\u2028"};
    """
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    safe = text.replace("<", "\\u003c")
    return f"window.carscale ??= {{}};\nwindow.carscale[{json.dumps(name)}] = {safe};\n"
