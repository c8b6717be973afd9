"""The frozen folder: class folders, manifest, class list, quarantine list, card with the lock."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from carscale import images, runs, tables
from carscale.data.names import folded, parse_car_name, safe_name, shortened, unique_folders
from carscale.data.scan import Scan, SourceFile
from carscale.data.splits import SPLITS
from carscale.errors import DataError
from carscale.types import CarClass

__all__ = [
    "FORMAT",
    "LOCKED_FILES",
    "PACK_FORMAT",
    "Frozen",
    "Sample",
    "as_text",
    "card_hash",
    "class_list_hash",
    "data_notes",
    "free_name",
    "free_path",
    "json_bytes",
    "lay_out",
    "manifest_row",
    "quarantine_lines",
    "split_hash",
]

FORMAT = 1
PACK_FORMAT = "pack-1"
"""Of a pack's card: the same card, with photos in shards instead of files."""

LOCKED_FILES = ("manifest.parquet", "classes.json", "quarantine.jsonl")
TRUE_SUFFIXES = {".jpg": (".jpg", ".jpeg"), ".png": (".png",)}
NUM_NAMED = 5


@dataclass(frozen=True)
class Sample:
    """A photo on its way into the frozen folder; its bytes lie at ``staged``."""

    file: SourceFile
    staged: Path
    photo: images.Photo
    sha256: str
    original_sha256: str
    num_bytes: int
    group_name: str = ""


@dataclass
class Frozen:
    """What a freeze did: the card, and lines a person should read."""

    root: Path
    card: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def lay_out(
    samples: list[Sample],
    splits_N: list[int],
    found: Scan,
    folder: Path,
    *,
    source_name: str,
    seed: int,
    rule: dict[str, Any],
) -> Frozen:
    """Write a frozen folder's files; photos are moved from where they are staged.

    Raises:
        DataError: No class is left in train.
    """
    class_folders = unique_folders({sample.file.class_name for sample in samples})
    classes = sorted(
        (parse_car_name(as_text(name), path) for name, path in class_folders.items()),
        key=lambda car_class: car_class.folder,
    )
    rows = _rows(samples, splits_N, class_folders, source_name)
    _move_photos(samples, rows, folder)
    columns = {name: [row[name] for row in rows] for name in tables.MANIFEST_SCHEMA.names}
    contents = {
        "manifest.parquet": tables.table_bytes(columns, tables.MANIFEST_SCHEMA),
        "classes.json": json_bytes({"classes": [asdict(car_class) for car_class in classes]}),
        "quarantine.jsonl": quarantine_lines(found.refused),
    }
    for name, content in contents.items():
        runs.write_atomic(folder / name, content)
    hashes = {name: split_hash(row for row in rows if row["split"] == name) for name in SPLITS}
    notes = data_notes(rows, [as_text(name) for name in found.empty_classes])
    card: dict[str, Any] = {
        "format": FORMAT,
        "source": as_text(source_name),
        "seed": seed,
        "rule": rule,
        "parent": None,
        "counts": {name: sum(row["split"] == name for row in rows) for name in SPLITS}
        | {
            "classes": len(classes),
            "made_plain": sum(bool(row["normalised"]) for row in rows),
            "quarantined": len(found.refused),
        },
        "hashes": hashes | {"classes": class_list_hash(classes)},
        "lock": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "notes": notes,
    }
    card["lock"]["card.json"] = card_hash(card)
    runs.write_atomic(folder / "card.json", json_bytes(card))
    if not card["counts"]["train"]:
        raise DataError(f"{source_name}: no photo is left for train")
    return Frozen(folder, card, _warnings(notes, found, rows))


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


def _rows(
    samples: list[Sample], splits_N: list[int], class_folders: dict[str, str], source_name: str
) -> list[dict[str, Any]]:
    """Return the manifest's rows, ordered by split, class and name; ids are their numbers."""
    order = sorted(
        range(len(samples)),
        key=lambda n: (
            splits_N[n],
            class_folders[samples[n].file.class_name],
            samples[n].file.relative,
        ),
    )
    taken: set[str] = set()
    seen: Counter[str] = Counter()
    shared = Counter(sample.sha256 for sample in samples)
    rows = []
    for row_id, n in enumerate(order):
        sample = samples[n]
        folder = f"{SPLITS[splits_N[n]]}/{class_folders[sample.file.class_name]}"
        twin = f"sha256:{sample.sha256[:16]}" if shared[sample.sha256] > 1 else ""
        rows.append(
            manifest_row(sample, key=f"{sample.sha256[:32]}-{seen[sample.sha256]}")
            | {
                "id": row_id,
                "path": free_name(folder, sample, taken),
                "class": as_text(sample.file.class_name),
                "split": SPLITS[splits_N[n]],
                "group": as_text(sample.group_name) or twin,
                "origin": as_text(sample.file.origin or source_name),
                "licence": "",
                "sample": n,
            }
        )
        seen[sample.sha256] += 1
    return rows


def manifest_row(sample: Sample, *, key: str) -> dict[str, Any]:
    """Return what a manifest says of a photo wherever it lies.

    Args:
        sample: The photo.
        key: Content hash and occurrence.
    """
    photo = sample.photo
    return {
        "key": key,
        "source": as_text(sample.file.relative),
        "sha256": sample.sha256,
        "num_bytes": sample.num_bytes,
        "original_sha256": sample.original_sha256,
        "original_mode": photo.original_mode,
        "original_orientation": photo.original_orientation,
        "normalised": photo.normalised,
        "width": photo.width,
        "height": photo.height,
        "original_class": as_text(sample.file.class_name),
    }


def free_name(folder: str, sample: Sample, taken: set[str]) -> str:
    """Return a path for a photo: its own name with the suffix of what it is.

    Numbered where two would meet.

    Args:
        folder: Split and class folder.
        sample: The photo.
        taken: As ``free_path`` has it; grows by this one.
    """
    name = PurePosixPath(sample.file.relative).name
    stem, dot, suffix = name.rpartition(".")
    if not dot or f".{suffix.lower()}" not in TRUE_SUFFIXES[sample.photo.suffix]:
        stem, suffix = (stem if dot and stem else name), sample.photo.suffix[1:]
    return free_path(folder, stem, suffix, taken)


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


def _move_photos(samples: list[Sample], rows: list[dict[str, Any]], folder: Path) -> None:
    """Move staged photos to their paths."""
    for split in SPLITS:
        (folder / split).mkdir()
    made: set[Path] = set()
    for row in rows:
        target = folder / row["path"]
        if target.parent not in made:
            target.parent.mkdir(exist_ok=True)
            made.add(target.parent)
        samples[row["sample"]].staged.rename(target)


def data_notes(rows: list[dict[str, Any]], empty_classes: list[str]) -> dict[str, Any]:
    """Return what a person should know of the data.

    Args:
        rows: Of the manifest.
        empty_classes: Folders of the source that hold no photo.
    """
    per_class = Counter(row["class"] for row in rows)
    by_hash: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_hash[row["sha256"]].append(row)
    twins = [group for group in by_hash.values() if len(group) > 1]
    torn = [group for group in twins if len({row["class"] for row in group}) > 1]
    return {
        "empty_classes": empty_classes,
        "classes_of_one_photo": sorted(name for name, count in per_class.items() if count == 1),
        "num_exact_duplicates": sum(len(group) - 1 for group in twins),
        "identical_photos_in_two_classes": sorted(
            sorted(row["source"] for row in group) for group in torn
        ),
    }


def _warnings(notes: dict[str, Any], found: Scan, rows: list[dict[str, Any]]) -> list[str]:
    """Return the notes in words, and which classes can't be learned."""
    lines = list(found.notes)
    learned = {row["class"] for row in rows if row["split"] == "train"}
    unlearned = sorted({row["class"] for row in rows} - learned)
    if found.refused:
        lines.append(
            f"{len(found.refused)} {'file' if len(found.refused) == 1 else 'files'} in "
            "quarantine.jsonl: " + _some(f"{path} ({reason})" for path, reason in found.refused)
        )
    if notes["empty_classes"]:
        lines.append(f"folders without a photo: {_some(notes['empty_classes'])}")
    if lone := [name for name in notes["classes_of_one_photo"] if name in learned]:
        lines.append(f"classes of one photo, in train only: {_some(lone)}")
    if unlearned:
        lines.append(
            f"{len(unlearned)} classes without a photo in train, never to be learned: "
            + _some(unlearned)
        )
    if notes["num_exact_duplicates"]:
        lines.append(
            f"{notes['num_exact_duplicates']} exact duplicates, kept in one split with their twin"
        )
    torn = notes["identical_photos_in_two_classes"]
    if torn:
        lines.append(
            f"{len(torn)} photos lie in two classes, one must be wrong: "
            + _some(" = ".join(group) for group in torn)
        )
    if len({row["class"] for row in rows}) == 1:
        lines.append("only one class: there is nothing to tell apart")
    return lines


def _some(names: Iterable[str]) -> str:
    """Return the first names and how many more there are."""
    every = [as_text(name) for name in names]
    more = f" and {len(every) - NUM_NAMED} more" if len(every) > NUM_NAMED else ""
    return "; ".join(every[:NUM_NAMED]) + more


def as_text(name: str) -> str:
    """Return a name as valid Unicode: other bytes become hex escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def json_bytes(value: object) -> bytes:
    """Return JSON bytes, the same for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
