"""Arrow files that ``datasets.load_from_disk`` opens; the door to ``datasets``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from datasets import ClassLabel, Features, Image, Value
from datasets.arrow_writer import ArrowWriter

from carscale.data.frozen.layout import json_bytes
from carscale.types import CarClass, Split

BATCH_BYTES = 16 << 20
"""Of photos written at once."""


@dataclass(frozen=True)
class PackedPhoto:
    """A photo of a split on its way into a shard; ``reason`` is empty when it was not shrunk."""

    row: int
    content: bytes
    num_bytes: int
    sha256: str
    width: int
    height: int
    reason: str


def hf_features(classes: tuple[CarClass, ...]) -> Features:
    """Return the columns as ``datasets`` users see them."""
    names = [car_class.folder for car_class in classes]
    return Features({"id": Value("int64"), "image": Image(), "label": ClassLabel(names=names)})


def write_shards(
    split: Split, photos: Iterator[PackedPhoto], folder: Path, features: Features, max_bytes: int
) -> Iterator[tuple[Path, list[PackedPhoto]]]:
    """Write a split's photos; yield each finished file and what it holds, without contents.

    A split without photos is one file without rows, since ``datasets`` wants one.
    """
    batches = _batches(photos)
    batch = next(batches, None)
    number = 0
    while batch or number == 0:
        path = folder / split.name / f"data-{number:05d}.arrow"
        written: list[PackedPhoto] = []
        num_bytes = 0
        with path.open("wb") as file, ArrowWriter(stream=file, features=features) as writer:
            while batch and num_bytes < max_bytes:
                writer.write_batch(_rows(split, batch), writer_batch_size=len(batch))
                num_bytes += sum(photo.num_bytes for photo in batch)
                written += [replace(photo, content=b"") for photo in batch]
                batch = next(batches, None)
            writer.finalize(close_stream=False)
        yield path, written
        number += 1


def hf_lists(
    shards: list[str], features: Features, fingerprint: str, splits: Sequence[str]
) -> dict[str, bytes]:
    """Return the files that tell ``datasets`` what lies where.

    Args:
        shards: Paths of all shards, ``<split>/<file>``.
        features: The columns.
        fingerprint: What the content hashes to; ``datasets`` caches results under it.
        splits: Their names.
    """
    files = [PurePosixPath(shard) for shard in shards]
    contents = {"dataset_dict.json": json_bytes({"splits": list(splits)})}
    for name in splits:
        state: dict[str, Any] = {
            "_data_files": [{"filename": file.name} for file in files if file.parts[0] == name],
            "_fingerprint": hashlib.sha256(f"{fingerprint} {name}".encode()).hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": name,
        }
        contents[f"{name}/state.json"] = json_bytes(state)
        contents[f"{name}/dataset_info.json"] = json_bytes({"features": features.to_dict()})
    return contents


def _batches(photos: Iterator[PackedPhoto]) -> Iterator[list[PackedPhoto]]:
    """Yield photos in lists of bounded size."""
    batch: list[PackedPhoto] = []
    num_bytes = 0
    for photo in photos:
        batch.append(photo)
        num_bytes += photo.num_bytes
        if num_bytes >= BATCH_BYTES:
            yield batch
            batch, num_bytes = [], 0
    if batch:
        yield batch


def _rows(split: Split, batch: list[PackedPhoto]) -> dict[str, list[Any]]:
    """Return the columns of some photos."""
    return {
        "id": [int(split.ids_N[photo.row]) for photo in batch],
        "image": [{"bytes": photo.content, "path": split.paths_N[photo.row]} for photo in batch],
        "label": [_label(split, photo.row) for photo in batch],
    }


def _label(split: Split, row: int) -> int:
    """Return a photo's class number; -1, as ``datasets`` has it, where only the make is known."""
    label = int(split.labels_N[row])
    return label if label < len(split.classes) else -1
