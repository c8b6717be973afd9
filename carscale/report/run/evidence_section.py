"""Near duplicates with different labels, and saliency maps."""

from __future__ import annotations

import re
import shutil
import struct
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.report.page.pictures import SMALL_PX, make_pictures
from carscale.runs import RunFolder

if TYPE_CHECKING:
    from carscale.analysis.result import Analysis
    from carscale.report.page.place import Place


MAX_PAIRS = 200
MAX_SALIENCY = 50


def build_conflicts(analysis: Analysis, place: Place) -> dict[str, Any] | None:
    """Return pairs of near duplicates with different labels, and write their pictures.

    Args:
        analysis: With its evidence.
        place: Where photos come from and where files go.

    Returns:
        ``num`` of all, and ``pairs`` (200 at most), two photos each; ``None`` without any.
    """
    near = analysis.evidence.near
    if near is None or not len(near.ids_P2):
        return None
    names = [one.name for one in analysis.evidence.classes]
    shown = slice(0, MAX_PAIRS)
    ids, paths = near.ids_P2[shown].ravel().tolist(), near.paths_P2[shown].ravel().tolist()
    labels, splits = near.labels_P2[shown].ravel().tolist(), near.splits_P2[shown].ravel().tolist()
    first_place = {number: place for place, number in reversed(list(enumerate(ids)))}
    once = sorted(first_place.values())
    made = make_pictures(
        place, [paths[i] for i in once], [f"near-{ids[i]}" for i in once], max_px=SMALL_PX
    )
    picture_of = {ids[i]: picture for i, picture in zip(once, made, strict=True)}
    photos = [
        {"path": path, "class": names[label], "split": split, **asdict(picture_of[number])}
        for number, path, label, split in zip(ids, paths, labels, splits, strict=True)
    ]
    pairs = [photos[i : i + 2] for i in range(0, len(photos), 2)]
    return {"num": len(near.ids_P2), "pairs": pairs}


def build_saliency(run_folder: Path, analysis: Analysis, place: Place) -> list[dict[str, Any]]:
    """Copy the pictures that ``carscale evaluate --saliency`` drew; return what they show.

    Args:
        run_folder: Of the run.
        analysis: Its split's pictures are taken, of photos that are still in it.
        place: Where files go.
    """
    predictions, names = analysis.evidence.predictions, [c.name for c in analysis.evidence.classes]
    found: list[dict[str, Any]] = []
    for path in sorted(
        RunFolder(run_folder).saliency_folder.glob(f"{analysis.evidence.split}-*.png")
    ):
        number = re.fullmatch(r".*-(\d+)", path.stem)
        rows = np.flatnonzero(predictions.ids_N == (int(number[1]) if number else -1))
        if len(rows) == 0 or len(found) == MAX_SALIENCY:
            continue
        row = int(rows[0])
        (place.build_folder / "saliency").mkdir(exist_ok=True)
        width, height = struct.unpack(">II", path.read_bytes()[16:24])  # of a PNG's first chunk
        shutil.copyfile(path, place.build_folder / "saliency" / path.name)
        found.append(
            {
                "file": f"saliency/{path.name}",
                "width": width,
                "height": height,
                "path": str(predictions.paths_N[row]),
                "label": names[int(predictions.labels_N[row])],
                "prediction": names[int(predictions.prediction_N[row])],
            }
        )
    return found
