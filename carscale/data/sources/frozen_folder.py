"""A frozen folder or pack as a source for another."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from carscale.data.frozen.manifest import read_manifest
from carscale.data.frozen.reader import read_splits
from carscale.data.frozen.split_assignment import PARTIAL
from carscale.data.sources.scan import Scan, SourceFile

KEPT = (
    *("original_sha256", "original_mode", "original_orientation", "normalised"),
    *("box", "box_margin", "attributes", "synthetic_method", "synthetic"),
)
"""Columns that tell what a frozen photo was made of; they go with it into another set."""


def scan_frozen(root: Path) -> Scan:
    """Return the photos of a frozen folder or pack, with the classes and splits they have.

    Photos of which only the make is known are left out, and a note says so.

    Raises:
        DataError: No frozen folder.
    """
    found = Scan(name=root.resolve().name)
    columns = read_manifest(root, ["id", *KEPT])
    row_of = dict(zip(columns["id"].tolist(), range(len(columns["id"])), strict=True))
    lists = [columns[name].tolist() for name in KEPT]
    for split in read_splits(root).every:
        if split.name == PARTIAL:
            found.notes.append(f"{len(split)} photos of which only the make is known are left out")
            continue
        found.files += [
            SourceFile(
                None if split.store else root / path,
                path,
                split.classes[label].name,
                split.name,
                partial(split.read_bytes, row),
                known=tuple(
                    (name, values[row_of[n]]) for name, values in zip(KEPT, lists, strict=True)
                ),
            )
            for row, (n, path, label) in enumerate(
                zip(
                    split.ids_N.tolist(),
                    split.paths_N.tolist(),
                    split.labels_N.tolist(),
                    strict=True,
                )
            )
        ]
    found.put_in_order()
    return found
