"""Where a page's photos come from and where its files go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carscale import data


@dataclass(frozen=True)
class Place:
    """Where photos come from and where files go.

    Attributes:
        data_root: Folder that the photos' paths start from; ``None`` when it is not here.
        build_folder: Where the page is written.
        page_folder: Where that folder will lie in the end; links to photos start there.
        read: Returns a photo's bytes by its path; ``None`` without photos.
    """

    data_root: Path | None
    build_folder: Path
    page_folder: Path
    read: Callable[[str], bytes] | None


def place_of(data_root: Path | None, build_folder: Path, page_folder: Path) -> Place:
    """Return a place; a pack's table is read once, here."""
    read = None if data_root is None else data.photo_reader(data_root)
    return Place(data_root, build_folder, page_folder, read)
