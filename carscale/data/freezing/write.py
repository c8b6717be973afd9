"""Write a frozen folder: photos at their places, manifest, class list, card with the lock."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from carscale import files, tables
from carscale.car_names import car_class
from carscale.data.frozen.layout import (
    FORMAT,
    Frozen,
    as_text,
    card_hash,
    class_list_hash,
    json_bytes,
    quarantine_lines,
    split_hash,
)
from carscale.data.frozen.names import unique_folders
from carscale.data.frozen.split_assignment import SPLITS
from carscale.data.photos.duplicates import data_notes, same_bytes
from carscale.data.photos.sample import Sample, free_name, manifest_row
from carscale.data.sources.scan import Scan
from carscale.errors import DataError

NUM_NAMED = 5


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
    """Write a frozen folder's files; photos are linked to where they are staged.

    Raises:
        DataError: No class is left in train.
    """
    class_folders = unique_folders({sample.file.class_name for sample in samples})
    classes = sorted(
        (
            car_class(as_text(name), path, found.cars.get(name))
            for name, path in class_folders.items()
        ),
        key=lambda car_class: car_class.folder,
    )
    rows = _rows(samples, splits_N, class_folders, source_name)
    _place_photos(samples, rows, folder)
    columns = {name: [row[name] for row in rows] for name in tables.MANIFEST_SCHEMA.names}
    contents = {
        "manifest.parquet": tables.table_bytes(columns, tables.MANIFEST_SCHEMA),
        "classes.json": json_bytes({"classes": [asdict(car_class) for car_class in classes]}),
        "quarantine.jsonl": quarantine_lines(found.refused),
    }
    for name, content in contents.items():
        files.write_atomic(folder / name, content)
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
            "converted": sum(bool(row["normalised"]) for row in rows),
            "quarantined": len(found.refused),
        },
        "hashes": hashes | {"classes": class_list_hash(classes)},
        "lock": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "notes": notes,
    }
    card["lock"]["card.json"] = card_hash(card)
    files.write_atomic(folder / "card.json", json_bytes(card))
    if not card["counts"]["train"]:
        raise DataError(f"{source_name}: no photo is left for train")
    return Frozen(folder, card, _warnings(notes, found, rows))


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
    cut = Counter(sample.original_sha256 for sample in samples if sample.file.box)
    rows = []
    for row_id, n in enumerate(order):
        sample = samples[n]
        folder = f"{SPLITS[splits_N[n]]}/{class_folders[sample.file.class_name]}"
        same_bytes = f"sha256:{sample.sha256[:16]}" if shared[sample.sha256] > 1 else ""
        same_photo = (
            f"photo:{sample.original_sha256[:16]}" if cut[sample.original_sha256] > 1 else ""
        )
        rows.append(
            manifest_row(sample, key=f"{sample.sha256[:32]}-{seen[sample.sha256]}")
            | {
                "id": row_id,
                "path": free_name(folder, sample, taken),
                "class": as_text(sample.file.class_name),
                "split": SPLITS[splits_N[n]],
                "group": as_text(sample.group_name) or same_photo or same_bytes,
                "origin": as_text(sample.file.origin or source_name),
                "licence": "",
                "sample": n,
            }
        )
        seen[sample.sha256] += 1
    return rows


def _place_photos(samples: list[Sample], rows: list[dict[str, Any]], folder: Path) -> None:
    """Give staged photos their paths; they stay staged too, for a restart."""
    for split in SPLITS:
        (folder / split).mkdir()
    made: set[Path] = set()
    for row in rows:
        target = folder / row["path"]
        if target.parent not in made:
            target.parent.mkdir(exist_ok=True)
            made.add(target.parent)
        files.link_or_copy(samples[row["sample"]].staged, target)


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
        lines.append(f"{notes['num_exact_duplicates']} exact duplicates, {_where_kept(rows)}")
    if conflicts := notes["label_conflicts"]:
        lines.append(
            f"{len(conflicts)} photos lie in two classes, one must be wrong: "
            + _some(same_bytes(group) for group in conflicts)
        )
    if len({row["class"] for row in rows}) == 1:
        lines.append("only one class: there is nothing to tell apart")
    return lines


def _where_kept(rows: list[dict[str, Any]]) -> str:
    """Say whether photos of the same bytes are in one split; kept splits may part them."""
    splits = {(row["sha256"], row["split"]) for row in rows}
    num_apart = len(splits) - len({digest for digest, _ in splits})
    if not num_apart:
        return "kept in one split"
    return f"{num_apart} of them in val and test of the source, where they stay"


def _some(names: Iterable[str]) -> str:
    """Return the first names and how many more there are."""
    every = [as_text(name) for name in names]
    more = f" and {len(every) - NUM_NAMED} more" if len(every) > NUM_NAMED else ""
    return "; ".join(every[:NUM_NAMED]) + more
