"""A new version of frozen data with other classes: some merged, some split; the photos stay.

Chosen: the version says what each photo was before, so that it can be taken back. Rejected: a map
that loaders apply: every reader of the folder would have to know it.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from carscale import tables
from carscale.data.frozen.layout import (
    Frozen,
    as_text,
    class_list_hash,
    free_path,
    json_bytes,
    read_card,
    read_list,
)
from carscale.data.frozen.names import folded
from carscale.data.frozen.reader import read_splits
from carscale.data.frozen.split_assignment import PARTIAL, SPLITS, split_names
from carscale.data.versions.add_photos import classes_with
from carscale.data.versions.version import (
    PhotosBy,
    Version,
    manifest_rows,
    open_parent,
    ordered,
    publish_version,
)
from carscale.errors import ConfigError, DataError
from carscale.types import CarClass

BEFORE_LIST = "before.jsonl"
"""Class and path of each photo that has others now; in the version's lock."""


@dataclass
class Refined(Frozen):
    """What a refinement did.

    Attributes:
        num_changed: Photos of another class now.
        num_classes: Of the new version.
    """

    num_changed: int = 0
    num_classes: int = 0


@dataclass(frozen=True)
class _Change:
    """What the version holds: rows, classes, and what its card and lists say of it."""

    rows: Sequence[dict[str, Any]]
    classes: Sequence[CarClass]
    num_changed: int
    entry: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, bytes] = field(default_factory=dict)


def read_merge(text: str) -> tuple[tuple[str, ...], str]:
    """Return the classes that become one, and its name.

    Raises:
        ConfigError: It is not written so.

    Example:
        >>> read_merge("Audi TT 2011 + Audi TTS 2012 -> Audi TT")
        (('Audi TT 2011', 'Audi TTS 2012'), 'Audi TT')
    """
    left, arrow, name = text.rpartition(" -> ")
    parts = tuple(part.strip() for part in left.split(" + "))
    if not arrow or not name.strip() or len(parts) < 2 or not all(parts):
        raise ConfigError(f"--merge {text!r}: must be written 'CLASS + CLASS -> NAME'")
    return parts, name.strip()


def refine_classes(
    root: Path,
    out: Path,
    *,
    merges: Sequence[tuple[Sequence[str], str]] = (),
    split: Path | None = None,
    link: str = "copy",
    force: bool = False,
    advance: Callable[[int], None] = lambda total: None,
) -> Refined:
    """Make a version of a frozen folder with classes merged or split; its photos and splits stay.

    Keys stay; ids are numbered anew. The folder appears whole or not at all.

    Args:
        root: A frozen folder that matches its lock.
        out: The frozen folder to make.
        merges: Classes that become one, and its name: a new one, or that of one of them.
        split: CSV of ``path`` (or ``key``) and ``class``: photos that become another class, of any
            split; all photos of a class that is split should be in it.
        link: ``copy``, or ``hard`` to share bytes with ``root``.
        force: Replace a frozen folder at ``out``.
        advance: Called after each photo with the number of all.

    Raises:
        ConfigError: A class that is none, a name that is taken, one class that would be left, or
            nothing to change.
        DataError: ``root`` is a pack or does not match its lock, the table names other photos, or
            ``out`` is there already or can't be written.
    """
    how = PhotosBy(link, force, advance)
    parent = open_parent(root, out, how, doing="refine", what_for="classes are refined")
    rows, classes = manifest_rows(root), read_splits(root).classes
    new_class = _merged(rows, merges, classes, root)
    if split is not None:
        new_class |= _split(split, rows, set(new_class))
    if not new_class:
        raise ConfigError(
            "nothing to change", "name classes: --merge 'A + B -> C', or --split FILE.csv"
        )
    joined = classes_with(classes, sorted(set(new_class.values())))
    stay = {folded(row["path"]) for n, row in enumerate(rows) if n not in new_class}
    changed = []
    for n, row in enumerate(rows):
        new = row | {"old_path": row["path"]}
        if n in new_class:
            stem, _, suffix = PurePosixPath(row["path"]).name.rpartition(".")
            folder = f"{row['split']}/{joined.folders[new_class[n]]}"
            new |= {"class": new_class[n], "path": free_path(folder, stem, suffix, stay)}
        changed.append(new)
    used = {row["class"] for row in changed if row["split"] != PARTIAL}
    emptied = {row["class"] for row in rows} - used
    left = tuple(one for one in joined.classes if one.name not in emptied)
    if len(left) < 2:
        raise ConfigError(f"{len(left)} class would be left; a classifier needs two")
    lines = [
        json.dumps({"key": rows[n]["key"], "class": rows[n]["class"], "path": rows[n]["path"]})
        for n in sorted(new_class)
    ]
    entry = {
        "refined": {
            "merges": [{"classes": list(parts), "to": name} for parts, name in merges],
            "num_photos": len(new_class),
            "classes_before": [asdict(one) for one in classes],
        }
    }
    lists = {BEFORE_LIST: "".join(f"{line}\n" for line in lines).encode()}
    change = _Change(changed, left, len(new_class), entry, lists)
    return _write(root, out, parent, change, how)


def undo_refinement(
    root: Path,
    out: Path,
    *,
    link: str = "copy",
    force: bool = False,
    advance: Callable[[int], None] = lambda total: None,
) -> Refined:
    """Make a version with the classes of before the last refinement.

    Args:
        root: What ``refine_classes`` made.
        out: The frozen folder to make; its manifest is that of the refined version's parent.
        link: ``copy`` or ``hard``.
        force: Replace a frozen folder at ``out``.
        advance: Called after each photo with the number of all.

    Raises:
        DataError: ``root`` was not refined, or does not match its lock.
    """
    how = PhotosBy(link, force, advance)
    parent = open_parent(root, out, how, doing="refine", what_for="classes are refined")
    refined = parent.get("refined")
    if not refined or BEFORE_LIST not in parent["lock"]:
        raise DataError(f"{root}: its classes were not refined, so nothing can be taken back")
    lines = [json.loads(line) for line in read_list(root, BEFORE_LIST).decode().splitlines()]
    before = {line["key"]: line for line in lines}
    changed = []
    for row in manifest_rows(root):
        new = row | {"old_path": row["path"]}
        if row["key"] in before:
            new |= {name: before[row["key"]][name] for name in ("class", "path")}
        changed.append(new)
    classes = tuple(CarClass(**one) for one in refined["classes_before"])
    change = _Change(changed, classes, len(before))
    return _write(root, out, parent, change, how)


def _merged(
    rows: Sequence[Mapping[str, Any]],
    merges: Sequence[tuple[Sequence[str], str]],
    classes: Sequence[CarClass],
    root: Path,
) -> dict[int, str]:
    """Return the new class of each row that a merge changes."""
    names = {one.name for one in classes}
    to: dict[str, str] = {}
    for parts, name in merges:
        missing = [part for part in parts if part not in names]
        if missing:
            near = difflib.get_close_matches(missing[0], sorted(names), n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"--merge: {missing[0]!r} is no class of {root}{hint}")
        twice = [part for part in parts if part in to]
        if twice or len(set(parts)) < len(parts):
            raise ConfigError(f"--merge: {(twice or parts)[0]!r} is merged twice")
        if as_text(name) in names - set(parts):
            raise ConfigError(
                f"--merge: {name!r} is another class already", "name it otherwise, or merge it too"
            )
        if as_text(name) in to.values():
            raise ConfigError(f"--merge: {name!r} is the name of two merges")
        to |= dict.fromkeys(parts, as_text(name))
    return {
        n: to[row["class"]]
        for n, row in enumerate(rows)
        if row["split"] != PARTIAL and to.get(row["class"], row["class"]) != row["class"]
    }


def _split(path: Path, rows: Sequence[Mapping[str, Any]], merged: set[int]) -> dict[int, str]:
    """Return the new class of each row that a table names."""
    table = tables.read_text_table(path, ("key", "path", "class"))
    by = next((name for name in ("key", "path") if name in table.columns), None)
    if by is None or "class" not in table.columns:
        raise DataError(f"{path}: must have the columns path (or key) and class")
    place = {row[by]: n for n, row in enumerate(rows) if row["split"] != PARTIAL}
    found: dict[int, str] = {}
    for number, cells in table.rows():
        row = dict(zip(table.columns, cells, strict=False))
        n, name = place.get(row.get(by, "")), as_text(row.get("class", "").strip())
        if n is None or not name:
            what = "names no class" if n is not None else f"{row.get(by)!r} is no photo of the data"
            raise DataError(f"{path}: line {number}: {what}")
        if n in merged or n in found:
            raise DataError(f"{path}: line {number}: {row[by]!r} is changed twice")
        if name != rows[n]["class"]:
            found[n] = name
    return found


def _write(
    root: Path, out: Path, parent: dict[str, Any], change: _Change, how: PhotosBy
) -> Refined:
    """Write the version."""
    names = split_names(parent)
    rows = ordered(change.rows, names)
    entry = change.entry | {
        "counts": {"classes": len(change.classes)},
        "hashes": {"classes": class_list_hash(change.classes)},
    }
    classes = {"classes": [asdict(one) for one in change.classes]}
    lists = change.lists | {"classes.json": json_bytes(classes)}
    version = Version(rows, entry, lists, extra_splits=names[len(SPLITS) :])
    card = publish_version(root, out, parent, version, how, doing="refining")
    return Refined(
        root=out, card=card, num_changed=change.num_changed, num_classes=len(change.classes)
    )


def class_map(root: Path, before: Sequence[str]) -> dict[str, str]:
    """Return what each class of before is called in a version whose classes were merged.

    Args:
        root: The version.
        before: The class names of before, in their order.

    Raises:
        DataError: It is no refinement of such classes, or one that split some.
    """
    refined = read_card(root).get("refined")
    if not refined or [one["name"] for one in refined["classes_before"]] != list(before):
        raise DataError(f"{root}: its classes are no refinement of those of before")
    names = {name: name for name in before}
    for merge in refined["merges"]:
        names |= dict.fromkeys(merge["classes"], as_text(merge["to"]))
    now = {one.name for one in read_splits(root).classes}
    if split := sorted(set(names.values()) - now) or sorted(now - set(names.values())):
        raise DataError(f"{root}: {split[0]} was split, so nobody said what it was before")
    return names
