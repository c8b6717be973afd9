"""The page of a gate: what became worse, what could have been seen, the photos that flipped.

N photos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import disk, files
from carscale.report.page.checks import printable
from carscale.report.page.csv import write_csv
from carscale.report.page.pictures import SMALL_PX, make_pictures
from carscale.report.page.place import MARKS, place_of
from carscale.report.page.templating import page_html
from carscale.report.run.photo_cards import facts_of

if TYPE_CHECKING:
    from carscale.types import Predictions


KEPT = (
    *("has_passed", "split", "flips", "is_continued", "max_class_drop"),
    *("class_shift", "num_tested", "is_blind", "notes"),
)
MAX_FLIPS = 200
"""Photos that the page shows, those that the old run was surest of; the CSV has all."""


def write_gate(
    folder: Path,
    found: Mapping[str, Any],
    before: Predictions,
    after: Predictions,
    *,
    class_names: Sequence[str],
    data_root: Path | None,
    command: str,
) -> Path:
    """Write a gate's page; return its path. Another page of a gate there is replaced.

    Args:
        folder: Made when absent.
        found: What ``Gate.to_dict`` gives.
        before: What the old run said, by id.
        after: What the new one says of the same photos.
        class_names: In label order.
        data_root: Where the photos lie; ``None`` shows none.
        command: What made it.
    """
    disk.make_folder(folder.parent)
    flipped_N = (before.prediction_N == before.labels_N) & (after.prediction_N != after.labels_N)
    rows = np.flatnonzero(flipped_N)
    rows = rows[np.argsort(-before.prob_label_N[rows], kind="stable")].tolist()
    with files.staged_folder(folder, "tmp") as staging:
        place = place_of(data_root if data_root and data_root.is_dir() else None, staging, folder)
        shown = rows[:MAX_FLIPS]
        pictures = make_pictures(
            place,
            [str(before.paths_N[row]) for row in shown],
            [str(int(before.ids_N[row])) for row in shown],
            max_px=SMALL_PX,
        )
        names = [printable(name) for name in class_names]
        cards = [
            {**facts_of(after, row), "groups": (), "primary": -1, **asdict(picture)}
            for row, picture in zip(shown, pictures, strict=True)
        ]
        csv = write_csv(
            staging / "tables" / "flips.csv",
            ["id", "path", "class", "now", "prob_before", "prob_now"],
            (
                [
                    int(after.ids_N[row]),
                    str(after.paths_N[row]),
                    names[after.labels_N[row]],
                    names[after.prediction_N[row]],
                    float(before.prob_label_N[row]),
                    float(after.prob_label_N[row]),
                ]
                for row in rows
            ),
        )
        context = {
            "mark": MARKS["gate"],
            **{key: found[key] for key in KEPT},
            "old": printable(found["old"]),
            "new": printable(found["new"]),
            "groups": [{**one, "name": printable(one["name"])} for one in found["groups"]],
            "seeds": [printable(one) for one in found["seeds"]],
            "cards": cards,
            "num_flips": len(rows),
            "classes": names,
            "csv": csv,
            "command": printable(command),
        }
        text = page_html("gate.html.j2", folder.parent, context)
        (staging / "index.html").write_bytes(text.encode("utf-8", "replace"))
    return folder / "index.html"
