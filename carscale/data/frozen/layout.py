"""The frozen folder: class folders, manifest, class list, quarantine list, card with the lock."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carscale import contained, files
from carscale.data.frozen.names import folded, safe_name, shortened
from carscale.data.frozen.split_assignment import PARTIAL, split_names
from carscale.errors import DataError, RunError
from carscale.shapes import problem
from carscale.types import CarClass

FORMAT = 2
PACK_FORMAT = "pack-2"
"""Of a pack's card: the same card, with photos in shards instead of files."""
OLD_FORMATS = (1, "pack-1")

LOCKED_FILES = ("manifest.parquet", "classes.json", "quarantine.jsonl")

CARD: dict[str, Any] = {
    "lock": {str: str},
    "hashes": {"classes": str, str: str},
    "counts": {str: int},
    "notes": {"empty_classes": [str], "label_conflicts": [[str]]},
    "source?": str,
    "extra_splits?": [str],
    "makes?": [{"name": str, "folder": str, "classes": [str]}],
    "parent?": {"name": str, "card?": str, "hashes": {str: str}},
}
SHARDS = [{"path": str, "num_bytes": int, "sha256": str}]


@dataclass
class Frozen:
    """What a freeze did: the card, and lines a person should read."""

    root: Path
    card: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def quarantine_lines(refused: Sequence[tuple[str, str]]) -> bytes:
    """Return paths and reasons as lines of ``quarantine.jsonl``."""
    return "".join(
        json.dumps({"path": as_text(path), "reason": as_text(reason)}, ensure_ascii=False) + "\n"
        for path, reason in refused
    ).encode()


def split_hash(rows: Iterable[dict[str, Any]]) -> str:
    """Return a hash of which bytes a split holds under which class.

    Whatever the files are called.
    """
    lines = sorted(f"{row['sha256']} {row['class']}\n" for row in rows)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def class_list_hash(classes: Iterable[CarClass]) -> str:
    """Return a hash of the class names in order."""
    return hashlib.sha256(json.dumps([c.name for c in classes]).encode()).hexdigest()


def card_hash(card: dict[str, Any]) -> str:
    """Return a hash of all that a card says but this hash."""
    lock = {name: value for name, value in card.get("lock", {}).items() if name != "card.json"}
    return hashlib.sha256(json_bytes(card | {"lock": lock})).hexdigest()


def free_path(folder: str, stem: str, suffix: str, taken: set[str]) -> str:
    """Return a path in a folder that no other file has, and take it.

    Args:
        folder: Split and class folder.
        stem: Of the file's name.
        suffix: Without the dot.
        taken: What ``names.folded`` makes of the paths there are; grows by this one.
    """
    path = f"{folder}/{_file_name(stem, suffix)}"
    number = 1
    while folded(path) in taken:
        number += 1
        path = f"{folder}/{_file_name(f'{stem}~{number}', suffix)}"
    taken.add(folded(path))
    return path


def _file_name(stem: str, suffix: str) -> str:
    """Return a file's name that no reader trips over."""
    return shortened(safe_name(f"{stem}.{suffix}"), suffix=f".{suffix}")


def as_text(name: str) -> str:
    """Return a name as valid Unicode: other bytes become hex escapes."""
    try:
        content = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a pair, as JSON may hold
        content = name.encode("utf-8", "surrogatepass")
    return content.decode("utf-8", "backslashreplace")


def json_bytes(value: object) -> bytes:
    """Return JSON bytes, the same for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_card(root: Path) -> dict[str, Any]:
    """Return the card of a frozen folder or pack.

    Raises:
        DataError: No frozen folder, or one of another format.
    """
    if not is_frozen(root):
        raise _not_frozen_error(root)
    try:
        card = files.read_json(contained.inside(root, "card.json", "file"))
    except RunError as error:
        raise DataError(*error.lines) from error
    stored = card.get("format") if isinstance(card, dict) else None
    if stored in OLD_FORMATS:
        again = "pack FOLDER" if stored == "pack-1" else "freeze SOURCE"
        raise DataError(
            f"{root}: was made by an older version of carscale (format {stored}; this version's "
            f"are {FORMAT} and {PACK_FORMAT})",
            f"make it again with: carscale data {again} {shlex.quote(str(root))} --force",
        )
    if stored not in (FORMAT, PACK_FORMAT):
        raise DataError(
            f"{root}/card.json: format {stored}, this carscale reads {FORMAT} and {PACK_FORMAT}"
        )
    _check_card(root, card)
    return card


def _not_frozen_error(root: Path) -> DataError:
    """Return the error for a folder without a card; one that holds photos may be the source."""
    found = "no card.json" if root.exists() else f"no such folder, seen from {Path.cwd()}"
    is_taken = root.is_file() or (root.is_dir() and any(root.iterdir()))
    name = shlex.quote(str(root))
    force = " --force" if root.is_dir() else ""  # an empty folder there
    return DataError(
        f"{root}: holds no frozen data ({found})",
        "give a folder that was frozen; a run takes it as data.root=FOLDER",
        f"or freeze the photos in it: carscale data freeze {name} NEW_FOLDER"
        if is_taken
        else f"or freeze class folders with: carscale data freeze FOLDER {name}{force}",
        "or try the demo: carscale data demo data/demo-raw",
    )


def _check_card(root: Path, card: dict[str, Any]) -> None:
    """Raise where a card lacks what is read of it, or a name in it leads out of the folder."""
    shape = CARD | ({"shards": SHARDS} if card["format"] == PACK_FORMAT else {})
    wrong = problem(card, shape)
    extra = [] if wrong else card.get("extra_splits") or []
    odd = [
        *(name for name in extra if name != PARTIAL and not is_test_name(name)),
        *(name for name in extra if extra.count(name) > 1),
    ]
    if odd:
        wrong = f"extra_splits names {odd[0][:80]!r}, wanted {PARTIAL} or test_ and a word, once"
    if not wrong:
        names = split_names(card)
        missing = [name for name in names if name not in card["hashes"]]
        places = [
            *(("lock", name) for name in card["lock"]),
            *(("shards", one["path"]) for one in card.get("shards", ())),
            *(("makes", make["folder"]) for make in card.get("makes") or ()),
        ]
        wrong = next(
            (
                f"{what} names {path[:160]!r}, no path inside the folder"
                for what, path in places
                if not contained.is_plain(path) or (what == "makes" and "/" in path)
            ),
            f"hashes.{missing[0]}: is missing" if missing else None,
        )
    if wrong:
        raise DataError(f"{root}/card.json: {wrong}", "freeze or merge it anew")


def is_frozen(root: Path) -> bool:
    """Tell whether a folder has a card."""
    return os.path.lexists(root / "card.json")


def is_test_name(name: str) -> bool:
    """Tell whether a word may name a test of its own: ``test_`` and a word."""
    return name.startswith("test_") and name.isidentifier()


def read_classes(root: Path) -> tuple[CarClass, ...]:
    """Return the class list of a frozen folder or pack.

    Raises:
        DataError: It is missing or damaged, or a class's folder is no plain name.
    """
    path = contained.inside(root, "classes.json", "file")
    try:
        tree = files.read_json(path)
        if wrong := problem(tree, {"classes": [{"name": str, "folder": str}]}):
            raise DataError(f"{path}: {wrong}")
        classes = tuple(CarClass(**entry) for entry in tree["classes"])
    except (RunError, TypeError) as error:
        raise DataError(f"{path}: can't be used: {error}") from error
    odd = [car.folder for car in classes if "/" in car.folder or not contained.is_plain(car.folder)]
    if odd:
        raise DataError(f"{path}: the folder {odd[0][:160]!r} of a class is no plain name")
    return classes


def read_list(root: Path, name: str) -> bytes:
    """Return the bytes of one of a frozen folder's lists, to be kept in another version."""
    return contained.read_inside(root, name, max_bytes=files.MAX_LINES_BYTES)


def read_reasons(root: Path, name: str) -> list[tuple[str, str]]:
    """Return path and reason of each line of a list; empty without one.

    Args:
        root: The frozen folder.
        name: ``quarantine.jsonl``, ``merge.jsonl``, ``deduped.jsonl``.

    Raises:
        RunError: It can't be read.
    """
    path = contained.inside(root, name, "file")
    rows = files.read_lines(path)
    for number, row in enumerate(rows, start=1):
        if wrong := problem(row, {"path": str, "reason": str}):
            raise RunError(f"{path}: line {number}: {wrong}", "it is part of the lock: data check")
    return [(row["path"], row["reason"]) for row in rows]
