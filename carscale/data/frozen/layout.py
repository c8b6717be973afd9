"""The frozen folder: class folders, manifest, class list, quarantine list, card with the lock."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carscale import files
from carscale.data.frozen.names import folded, safe_name, shortened
from carscale.errors import DataError, RunError
from carscale.types import CarClass

FORMAT = 2
PACK_FORMAT = "pack-2"
"""Of a pack's card: the same card, with photos in shards instead of files."""
OLD_FORMATS = (1, "pack-1")

LOCKED_FILES = ("manifest.parquet", "classes.json", "quarantine.jsonl")


@dataclass
class Frozen:
    """What a freeze did: the card, and lines a person should read."""

    root: Path
    card: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def quarantine_lines(refused: Sequence[tuple[str, str]]) -> bytes:
    """Return paths and reasons as lines of ``quarantine.jsonl``."""
    return "".join(
        json.dumps({"path": as_text(path), "reason": reason}, ensure_ascii=False) + "\n"
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
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def json_bytes(value: object) -> bytes:
    """Return JSON bytes, the same for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def read_card(root: Path) -> dict[str, Any]:
    """Return the card of a frozen folder or pack.

    Raises:
        DataError: No frozen folder, or one of another format.
    """
    if not (root / "card.json").is_file():
        raise DataError(
            f"{root}: holds no frozen data (no card.json)",
            "freeze class folders with: carscale data freeze FOLDER " + str(root),
            "or try the demo: carscale data demo data/demo-raw",
        )
    try:
        card = files.read_json(root / "card.json")
    except RunError as error:
        raise DataError(str(error)) from error
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
    return card
