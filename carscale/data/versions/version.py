"""A new version of a frozen folder: photos at new paths, lists, a card that names the parent."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carscale import contained, disk, files, images, outgoing, tables
from carscale.data.freezing.freeze import check_out
from carscale.data.frozen.answers import ANSWERS_LIST
from carscale.data.frozen.layout import (
    FORMAT,
    LOCKED_FILES,
    as_text,
    card_hash,
    json_bytes,
    read_card,
    read_list,
    split_hash,
)
from carscale.data.frozen.lock import verify
from carscale.data.frozen.manifest import made_of, read_manifest
from carscale.data.frozen.split_assignment import PARTIAL, SPLITS, split_names
from carscale.data.photos.duplicates import data_notes
from carscale.data.photos.near_folder import keep_near_of
from carscale.data.photos.quality import keep_stats
from carscale.errors import ConfigError, DataError
from carscale.files import staged_folder


@dataclass(frozen=True)
class Version:
    """What a new version holds.

    Attributes:
        rows: Of its manifest, in any order; ids are given anew.
        card: Entries of the card that are new.
        lists: Contents of files that differ from the parent's, by name.
        extra_splits: Names of splits beyond train, val and test.
    """

    rows: Sequence[dict[str, Any]]
    card: dict[str, Any]
    lists: dict[str, bytes] = field(default_factory=dict)
    extra_splits: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhotosBy:
    """How photos come to a version.

    Attributes:
        link: ``copy``, or ``hard`` to share bytes with the parent.
        force: Replace a frozen folder.
        advance: Called after each photo with the number of all.
    """

    link: str = "copy"
    force: bool = False
    advance: Callable[[int], None] = lambda total: None


def read_parent(root: Path, what_for: str, command: str) -> dict[str, Any]:
    """Return the card of a frozen folder that a version is to be made of.

    Args:
        root: The folder.
        what_for: What can't be done with a pack.
        command: To type for the folder that a pack was made of.

    Raises:
        DataError: No frozen folder, or a pack.
    """
    card = read_card(root)
    if card["format"] != FORMAT:
        raise DataError(f"{root}: is a pack; {what_for} in a frozen folder", command)
    return card


def open_parent(
    root: Path, out: Path, how: PhotosBy, *, doing: str, what_for: str
) -> dict[str, Any]:
    """Return the card of a frozen folder that a version is to be made of, checked with ``out``.

    Args:
        root: The folder.
        out: The version to be.
        how: How photos come to it.
        doing: The verb: ``relabel``.
        what_for: What can't be done with a pack: ``labels are corrected``.

    Raises:
        ConfigError: A way of linking that is none.
        DataError: No frozen folder, a pack, one that does not match its lock, or ``out`` is there.
    """
    if how.link not in ("copy", "hard"):
        raise ConfigError(f"--link {how.link}: must be copy or hard")
    pack = f"carscale data pack NEW {outgoing.command(out)}"
    parent = read_parent(root, what_for, f"{doing} the folder it was made of, then: {pack}")
    check_out(root, out, how.force)
    verify(root)
    return parent


def publish_version(
    root: Path, out: Path, parent: dict[str, Any], version: Version, how: PhotosBy, *, doing: str
) -> dict[str, Any]:
    """Write a version whose photos are its parent's, whole or not at all; return its card.

    What was measured of the photos holds for the version too.

    Args:
        root: The parent.
        out: The version to be.
        parent: The parent's card.
        version: Its rows are ordered.
        how: How photos come to it.
        doing: A word for the folder that it is staged in.
    """
    names = (*SPLITS, *version.extra_splits)
    with staged_folder(out, doing) as folder:
        place_rows(
            version.rows, folder, root=root, splits=names, link=how.link, advance=how.advance
        )
        card = write_version(root, folder, parent, version)
    keep_stats(out, (), images.empty_stats(0), parent=root)
    keep_near_of(out, root)
    return card


def manifest_rows(root: Path) -> list[dict[str, Any]]:
    """Return the manifest's rows; a row's id is its place."""
    columns = read_manifest(root)
    lists = {name: values.tolist() for name, values in columns.items()}
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def children(rows: Sequence[dict[str, Any]]) -> dict[int, list[tuple[int, bool]]]:
    """Return the synthetic photos made of each row, and whether they show its car."""
    row_of = {row["key"]: n for n, row in enumerate(rows)}
    found: dict[int, list[tuple[int, bool]]] = {}
    for n, row in enumerate(rows):
        for place, key in enumerate(made_of(row["synthetic"])):
            if key in row_of:
                found.setdefault(row_of[key], []).append((n, place == 0))
    return found


def ordered(rows: Iterable[dict[str, Any]], splits: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows as manifests have them, by split, folder and source, with their ids."""
    place = {name: n for n, name in enumerate(splits)}

    def key(row: dict[str, Any]) -> tuple[int, str, str, str]:
        return place[row["split"]], row["path"].split("/")[1], row["source"], row["path"]

    return [row | {"id": n} for n, row in enumerate(sorted(rows, key=key))]


def place_rows(
    rows: Sequence[dict[str, Any]],
    folder: Path,
    *,
    root: Path,
    splits: Sequence[str],
    link: str,
    advance: Callable[[int], None],
) -> None:
    """Put every row's photo at its path.

    Args:
        rows: Of the new manifest; ``staged`` says where bytes of ours lie, ``old_path`` where in
            the parent a photo lies that has another path there.
        folder: The version to be.
        root: The parent.
        splits: Names of all splits; one without photos has a folder too.
        link: ``copy`` or ``hard``.
        advance: Called after each photo with the number of all.

    Raises:
        DiskError: There is no room for the copies.
    """
    if link == "copy":
        num_bytes = sum(row["num_bytes"] for row in rows if "staged" not in row)
        disk.check_room(folder.parent, num_bytes, "copying photos")
    made: set[Path] = set()
    for name in splits:
        (folder / name).mkdir()
    for row in rows:
        target = folder / row["path"]
        if target.parent not in made:
            target.parent.mkdir(exist_ok=True)
            made.add(target.parent)
        old_path = row.get("old_path", row["path"])
        if "staged" in row:
            _place_staged(Path(row["staged"]), target, link)
        elif link == "hard":
            target.hardlink_to(contained.inside(root, old_path, "file"))
        else:
            with (
                os.fdopen(contained.open_inside(root, old_path), "rb") as source,
                target.open("xb") as copy,
            ):
                shutil.copyfileobj(source, copy)
        advance(len(rows))


def _place_staged(staged: Path, target: Path, link: str) -> None:
    """Put bytes of our own at their path."""
    if link == "hard":
        target.hardlink_to(staged)
    else:
        files.link_or_copy(staged, target)


def write_version(
    root: Path, folder: Path, parent: dict[str, Any], version: Version
) -> dict[str, Any]:
    """Write manifest, lists and card of a version; its photos lie there already.

    Args:
        root: The parent.
        folder: The version to be.
        parent: The parent's card.
        version: What it holds; its rows are ordered.

    Returns:
        The card.

    Raises:
        DataError: No photo is left for train.
    """
    rows = version.rows
    if not any(row["split"] == "train" for row in rows):
        raise DataError(f"{root}: no photo would be left for train")
    names = split_names({"extra_splits": version.extra_splits})
    columns = {name: [row[name] for row in rows] for name in tables.MANIFEST_SCHEMA.names}
    lasting = [name for name in (*LOCKED_FILES, ANSWERS_LIST) if name in parent["lock"]]
    kept = {name: read_list(root, name) for name in lasting if name not in version.lists}
    contents = kept | version.lists
    contents["manifest.parquet"] = tables.table_bytes(columns, tables.MANIFEST_SCHEMA)
    for name, content in contents.items():
        files.write_atomic(folder / name, content)
    hashes = {name: split_hash(row for row in rows if row["split"] == name) for name in names}
    counts = {name: sum(row["split"] == name for row in rows) for name in names}
    counts["converted"] = sum(bool(row["normalised"]) for row in rows)
    card = parent | {
        "parent": {
            "name": as_text(root.resolve().name),
            "card": parent["lock"]["card.json"],
            "hashes": parent["hashes"],
        },
        "extra_splits": list(version.extra_splits),
        "counts": parent["counts"] | counts,
        "hashes": parent["hashes"] | hashes,
        "notes": data_notes(
            [row for row in rows if row["split"] != PARTIAL], parent["notes"]["empty_classes"]
        ),
    }
    for name in ("relabelled", "merged", "deduped", "refined"):
        card.pop(name, None)  # of the parent; it is named
    card = _merged(card, version.card)
    card["lock"] = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    card["lock"]["card.json"] = card_hash(card)
    files.write_atomic(folder / "card.json", json_bytes(card))
    return card


def _merged(card: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return a card with new entries; entries of both that hold entries are joined."""
    joined = {
        name: card[name] | value
        for name, value in new.items()
        if isinstance(value, dict) and isinstance(card.get(name), dict)
    }
    return card | new | joined
