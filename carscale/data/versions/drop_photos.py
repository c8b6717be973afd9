"""A new version of frozen data without some photos, each with the reason why it is not there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from carscale.data.frozen.layout import Frozen
from carscale.data.frozen.split_assignment import SPLITS, split_names
from carscale.data.versions.version import (
    PhotosBy,
    Version,
    children,
    manifest_rows,
    open_parent,
    ordered,
    publish_version,
)

DEDUPE_LIST = "deduped.jsonl"
"""A line for each photo that was left out: path, class, split, reason."""


def drop_photos(
    root: Path,
    out: Path,
    reasons: Mapping[int, str],
    *,
    entry: Mapping[str, Any],
    link: str = "copy",
    force: bool = False,
    advance: Callable[[int], None] = lambda total: None,
) -> Frozen:
    """Make a new version of a frozen folder without some of its photos.

    What was made of a photo that goes, goes with it. Classes and their numbers, keys and the
    quarantine list stay; ids are numbered anew. The folder appears whole or not at all; the same
    folder and reasons give the same bytes.

    Args:
        root: A frozen folder that matches its lock.
        out: The frozen folder to make.
        reasons: Why a photo is left out, by its id.
        entry: What the new card says of it, as ``deduped``; how many is added.
        link: ``copy``, or ``hard`` to share bytes with ``root``.
        force: Replace a frozen folder at ``out``.
        advance: Called after each photo with the number of all.

    Returns:
        The card, and lines a person should read.

    Raises:
        ConfigError: ``link`` is another word.
        DataError: ``root`` is a pack or does not match its lock, no photo would be left for train,
            or ``out`` is there already or can't be written.
    """
    how = PhotosBy(link, force, advance)
    parent = open_parent(root, out, how, doing="dedupe", what_for="photos are left out")
    rows = manifest_rows(root)
    reasons = _with_children(rows, reasons)
    names = split_names(parent)
    kept = ordered((row for n, row in enumerate(rows) if n not in reasons), names)
    entries = {"deduped": {**entry, "num_left_out": len(reasons)}}
    lists = {DEDUPE_LIST: _lines(rows, reasons)}
    version = Version(kept, entries, lists, extra_splits=names[len(SPLITS) :])
    card = publish_version(root, out, parent, version, how, doing="deduping")
    return Frozen(out, card, _warnings(rows, kept))


def _with_children(rows: list[dict[str, Any]], reasons: Mapping[int, str]) -> dict[int, str]:
    """Return reasons with those of synthetic photos whose parents go."""
    made, found = children(rows), dict(reasons)
    todo = list(reasons)
    while todo:
        parent = todo.pop()
        for child, _ in made.get(parent, ()):
            if child not in found:
                found[child] = f"made of {rows[parent]['path']}, which is left out"
                todo.append(child)
    return found


def _lines(rows: list[dict[str, Any]], reasons: Mapping[int, str]) -> bytes:
    """Return a line for each photo that is left out."""
    lines = [
        {name: rows[n][name] for name in ("path", "class", "split", "key")} | {"reason": reasons[n]}
        for n in sorted(reasons)
    ]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()


def _warnings(rows: list[dict[str, Any]], kept: list[dict[str, Any]]) -> list[str]:
    """Return what a person may not have meant."""
    before, after = (
        {row["class"] for row in table if row["split"] == "train"} for table in (rows, kept)
    )
    lost = sorted(before - after)
    return [f"classes without a photo in train now: {'; '.join(lost)}"] if lost else []
