"""Near duplicates with different labels, and saliency maps."""

from __future__ import annotations

import re
import struct
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import contained, images
from carscale.errors import RunError
from carscale.report.page.pictures import SMALL_PX, make_pictures
from carscale.runs import RunFolder

if TYPE_CHECKING:
    from carscale.analysis.result import Analysis
    from carscale.report.page.place import Place


MAX_PAIRS = 200
MAX_SALIENCY = 50
PNG_SIZES = slice(16, 24)
"""Width and height, in a PNG's first chunk."""


def build_conflicts(analysis: Analysis, place: Place) -> dict[str, Any] | None:
    """Return pairs of near duplicates with different labels, and write their pictures.

    Args:
        analysis: With its evidence.
        place: Where photos come from and where files go.

    Returns:
        ``num`` of all, and ``pairs`` (200 at most), two photos each; ``None`` without any.
    """
    conflicts = analysis.evidence.conflicts
    if not conflicts:
        return None
    photos = [photo for pair in conflicts[:MAX_PAIRS] for photo in pair.as_dict()["photos"]]
    path_of = {photo["id"]: photo["path"] for photo in photos}
    names = [f"near-{number}" for number in path_of]
    made = make_pictures(place, list(path_of.values()), names, max_px=SMALL_PX)
    picture_of = dict(zip(path_of, made, strict=True))
    shown = [
        {name: photo[name] for name in ("path", "class", "split")} | asdict(picture_of[photo["id"]])
        for photo in photos
    ]
    pairs = [shown[place : place + 2] for place in range(0, len(shown), 2)]
    return {"num": len(conflicts), "pairs": pairs}


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
        content = contained.read_file(path, max_bytes=contained.MAX_PHOTO_BYTES)
        if not content.startswith(images.PNG_START) or len(content) < PNG_SIZES.stop:
            raise RunError(
                f"{path}: is no PNG", "draw it anew: carscale evaluate RUN --saliency ID"
            )
        width, height = struct.unpack(">II", content[PNG_SIZES])
        (place.build_folder / "saliency" / path.name).write_bytes(content)
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
