"""Thumbnails of photos beside the page, written by several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from carscale import contained, images, outgoing
from carscale.errors import UnsafePathError
from carscale.report.page.checks import printable
from carscale.report.page.place import Place

SMALL_PX = 200
LARGE_PX = 400
MAX_THREADS = 8


@dataclass(frozen=True)
class Picture:
    """How a page shows a photo.

    Attributes:
        thumb: Link to the small copy; ``None`` without one.
        photo: Link to the photo, or to its small copy when it is no file of its own; ``None``
            when it is not on this machine.
        trouble: Why there is no picture; empty when there is one.
    """

    thumb: str | None
    photo: str | None
    trouble: str


def link_to(target: Path, page_folder: Path) -> str:
    """Return a link from a page in ``page_folder`` to a file, percent-encoded.

    Relative, so that a project moved as a whole keeps its links; a ``file:`` address when there is
    no such path.

    Example:
        >>> link_to(Path("/data/a#1/50%.jpg"), Path("/runs/r/report"))
        '../../../data/a%231/50%25.jpg'
    """
    try:
        relative = os.path.relpath(target, page_folder)
    except ValueError:  # another drive
        return Path(target).absolute().as_uri()
    return quote(os.fsencode(Path(relative).as_posix()), safe="/")


def photo_link(root: Path, path: str, page_folder: Path) -> str:
    """Return a link to a photo; empty where it is no file below the folder of the photos."""
    try:
        file = contained.inside(root, path, "file")
    except UnsafePathError:
        return ""
    return link_to(file, page_folder) if file.is_file() else ""


def make_pictures(
    place: Place, paths: Sequence[str], names: Sequence[str], *, max_px: int
) -> list[Picture]:
    """Write one thumbnail per photo and return their links, in the order of the photos.

    Args:
        place: Where photos come from and where files go.
        paths: Of the photos, from the data root.
        names: File names below ``thumbs/``, without ending, all different.
        max_px: Longer side of a thumbnail.
    """
    if place.read is None or place.data_root is None:
        return [Picture(None, None, "the photos are not on this machine")] * len(paths)
    read, root = place.read, place.data_root

    def make(path: str, name: str) -> Picture:
        link = f"thumbs/{name}.jpg"
        thumb, trouble = _shrink(read, path, place.build_folder / link, max_px)
        small = quote(link, safe="/") if thumb else None
        trouble = outgoing.relative(trouble, place.page_folder.absolute().parents[1])
        return Picture(small, photo_link(root, path, place.page_folder) or small, trouble)

    (place.build_folder / "thumbs").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as pool:
        return list(pool.map(make, paths, names))


def _shrink(read: Callable[[str], bytes], path: str, file: Path, max_px: int) -> tuple[bool, str]:
    """Write a thumbnail; return whether it is there, or why not."""
    try:
        file.write_bytes(images.thumbnail(read(path), max_px))
    except FileNotFoundError:
        return False, "the photo is not there"
    except (OSError, images.BadPhotoError) as error:
        return False, printable(f"the photo: {error}")
    return True, ""
