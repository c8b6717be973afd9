"""Where a page's photos come from, where its files go, and whether they may go there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carscale import data
from carscale.errors import ConfigError
from carscale.runs import RunFolder

MARKS = {
    "data": "<!-- carscale: a data set -->",
    "duplicates": "<!-- carscale: duplicates -->",
    "gate": "<!-- carscale: a gate -->",
    "history": "<!-- carscale: runs over time -->",
    "runs": "<!-- carscale: several runs -->",
    "selection": "<!-- carscale: a selection -->",
    "study": "<!-- carscale: a study -->",
}
"""The comment that marks each kind of page."""
ALONE = ("data", "duplicates", "gate", "selection")
"""Pages whose folder is replaced as a whole."""
OWN = {"index.html", "data", "figures", "scripts", "strips", "tables", "thumbs"}


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


def check_page_folder(folder: Path, kind: str, *, replaces: bool | None = None) -> None:
    """Raise unless a page may be written to a folder.

    Args:
        folder: Where it would go; may be absent.
        kind: Of ``MARKS``.
        replaces: Whether a page there may be replaced; ``None`` replaces only one of this kind.

    Raises:
        ConfigError: It is no folder, a run folder, in frozen data, or holds what must stay.
    """
    again = "name another with: --out FOLDER"
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is no folder", again)
    if RunFolder(folder).has_settings:
        raise ConfigError(f"{folder}: is a run folder; a page would mix with it", again)
    for above in (folder, *folder.resolve().parents):
        if (above / "card.json").is_file():
            raise ConfigError(
                f"{folder}: {above} is frozen data; its lock allows no more files", again
            )
    names = {path.name for path in folder.iterdir()} if folder.exists() else set()
    pages = sorted(names & {"index.html", "results.json"})
    if pages and replaces is False:
        raise ConfigError(
            f"{folder}: holds a page already ({pages[0]})", "replace it with: --force"
        )
    page = folder / "index.html"
    is_other = page.is_file() and MARKS[kind] not in page.read_text("utf-8", errors="replace")
    others = (names - OWN if kind in ALONE else set()) or ({page.name} if is_other else set())
    if others and (kind in ALONE or not replaces):
        raise ConfigError(f"{folder}: holds other files than a page of ours ({min(others)})", again)
