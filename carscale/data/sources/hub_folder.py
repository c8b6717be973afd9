"""What a folder for ``datasets`` says that it is made of, before ``datasets`` opens it.

``load_dataset`` reads whatever the settings in a folder's README name, on this machine or another;
``load_from_disk`` whatever its ``state.json`` names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from carscale import config, contained, files, tables
from carscale.data.sources.scan import LEADS_OUT
from carscale.errors import CarscaleError, DataError
from carscale.shapes import problem

README_BYTES = 8 << 20
FRONT = re.compile(r"\A\ufeff?---\r?\n(.*?)(?:\r?\n---|\Z)", re.DOTALL)
PLACES = frozenset({"data_files", "data_dir", "path"})


def check_folder(folder: Path, *, follow_links: bool) -> None:
    """Raise where a folder names files outside of it.

    Args:
        folder: As ``load_dataset`` or ``load_from_disk`` would open it.
        follow_links: Whether links in it may lead anywhere.

    Raises:
        DataError: Its settings name an address, an absolute path or one with ``..``; a link leads
            out; a Parquet file would become far larger than it is; the settings can't be read.
    """
    try:
        for where, name in (*_named_by_settings(folder), *_named_by_states(folder)):
            if not _stays(name):
                raise DataError(
                    f"{where}: names {name[:160]!r}, which lies outside of the folder",
                    "if you trust it, download what it names and give that folder",
                )
    except DataError:
        raise
    except CarscaleError as error:
        raise DataError(*error.lines) from error
    root = os.path.realpath(folder)
    for above, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = Path(above, name)
            if path.is_symlink() and not follow_links and contained.leads_out(str(path), root):
                raise DataError(f"{path}: {LEADS_OUT}")
            if name.lower().endswith(".parquet") and path.is_file():
                tables.check_table(path)


def _stays(name: str) -> bool:
    """Tell whether a pattern or path of settings stays in their folder.

    Example:
        >>> [_stays(name) for name in ("train/*.jpg", ".", "/etc", "a/../..", "http://a/b", "z::a")]
        [True, True, False, False, False, False]
    """
    is_elsewhere = "://" in name or "::" in name or "\\" in name or "\0" in name
    return not (is_elsewhere or name.startswith(("/", "~")) or ".." in name.split("/"))


def _named_by_settings(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what the README and its twin name, and where."""
    for file in (folder / "README.md", folder / ".huggingface.yaml"):
        if not file.exists():
            continue
        content = contained.read_named(file, max_bytes=README_BYTES)
        text = content.decode("utf-8", errors="replace")
        if file.suffix == ".md":
            found = FRONT.match(text)
            text = found[1] if found else ""
        for name in _texts(config.parse_yaml(text, file), is_place=False):
            yield file, name


def _texts(tree: object, *, is_place: bool) -> Iterator[str]:
    """Yield all texts below keys that name places."""
    if isinstance(tree, str) and is_place:
        yield tree
    if isinstance(tree, list):
        for one in tree:
            yield from _texts(one, is_place=is_place)
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _texts(value, is_place=is_place or key in PLACES)


def _named_by_states(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what the files of ``save_to_disk`` name, and where."""
    listing = folder / "dataset_dict.json"
    splits = _checked(listing, {"splits": [str]})["splits"] if listing.exists() else []
    for name in splits:
        yield listing, name
    for part in ("", *(name for name in splits if contained.is_plain(name))):
        state = folder / part / "state.json"
        if state.exists():
            for entry in _checked(state, {"_data_files": [{"filename": str}]})["_data_files"]:
                yield state, entry["filename"]


def _checked(path: Path, shape: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON file of a shape."""
    tree: dict[str, Any] = files.read_json(path)
    if wrong := problem(tree, shape):
        raise DataError(f"{path}: {wrong}")
    return tree
