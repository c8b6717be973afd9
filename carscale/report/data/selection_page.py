"""The page of a selection of train photos. S selected photos."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import disk, files
from carscale.report.page.checks import printable
from carscale.report.page.pictures import SMALL_PX, make_pictures
from carscale.report.page.place import MARKS, place_of
from carscale.report.page.templating import page_html

if TYPE_CHECKING:
    from numpy.typing import NDArray


MAX_PHOTOS = 300
"""Photos that the page shows; the table has all."""


def write_selection(
    folder: Path,
    columns: Mapping[str, NDArray[Any]],
    *,
    data_root: Path,
    command: str,
    about: Mapping[str, Any],
) -> Path:
    """Write the page of selected photos; return its path.

    Args:
        folder: Made when absent; a page of a selection there is replaced.
        columns: ``id``, ``path``, ``class``, ``reason`` of the selected photos.
        data_root: Where they lie.
        command: What made it.
        about: ``run``, ``by``, ``num_suspects``, ``is_reviewed``, ``is_diverse``,
            ``num_train``.
    """
    disk.make_folder(folder.absolute().parent)
    with files.staged_folder(folder, "tmp") as staging:
        place = place_of(data_root, staging, folder)
        paths = [str(path) for path in columns["path"][:MAX_PHOTOS]]
        names = [str(int(photo_id)) for photo_id in columns["id"][:MAX_PHOTOS]]
        pictures = make_pictures(place, paths, names, max_px=SMALL_PX)
        cards = [
            {"class": printable(name), "reason": printable(reason), "path": path, "picture": one}
            for name, reason, path, one in zip(
                columns["class"], columns["reason"], paths, pictures, strict=False
            )
        ]
        counts: dict[str, int] = {}
        for name in columns["class"].tolist():
            counts[name] = counts.get(name, 0) + 1
        context = {
            "mark": MARKS["selection"],
            "cards": cards,
            "num": len(columns["id"]),
            "counts": sorted(
                ((printable(name), num) for name, num in counts.items()), key=lambda one: -one[1]
            ),
            "command": printable(command),
            **{key: printable(one) if isinstance(one, str) else one for key, one in about.items()},
        }
        text = page_html("selection.html.j2", folder.absolute().parent, context)
        (staging / "index.html").write_bytes(text.encode("utf-8", "replace"))
    return folder / "index.html"
