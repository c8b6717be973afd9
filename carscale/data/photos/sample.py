"""A photo on its way into a frozen folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from carscale import images
from carscale.data.frozen.layout import as_text, free_path
from carscale.data.sources.scan import SourceFile

TRUE_SUFFIXES = {".jpg": (".jpg", ".jpeg"), ".png": (".png",)}


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


def manifest_row(sample: Sample, *, key: str) -> dict[str, Any]:
    """Return what a manifest says of a photo wherever it lies.

    Args:
        sample: The photo.
        key: Content hash and occurrence.
    """
    photo, box = sample.photo, sample.file.box
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
        "box": str(box or ""),
        "box_margin": f"{box.margin:g}" if box else "",
        "attributes": _attributes(sample.file),
        "synthetic_method": "",
        "synthetic": "",
    } | dict(sample.file.known)


def _attributes(file: SourceFile) -> str:
    """Return a photo's attributes as the manifest holds them: JSON, empty without any."""
    return json.dumps(dict(sorted(file.attributes)), ensure_ascii=False) if file.attributes else ""


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
