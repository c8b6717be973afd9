"""A source's classes and their photos, whatever the source is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from carscale.data.layout import as_text
from carscale.data.scan import scan
from carscale.data.store import read_splits

__all__ = ["SourcePhoto", "evenly", "source_classes"]


@dataclass(frozen=True)
class SourcePhoto:
    """A photo that may turn out to be none.

    Attributes:
        where: What messages call it.
        read: Returns its bytes, or raises ``OSError``.
    """

    where: str
    read: Callable[[], bytes]


def source_classes(source: Path) -> dict[str, list[SourcePhoto]]:
    """Return the photos of each class of a source, in the order of names.

    Args:
        source: Class folders, a frozen folder or a pack.

    Raises:
        DataError: No such folder, or it holds no classes.
    """
    found: dict[str, list[SourcePhoto]] = {}
    if not (source / "card.json").is_file():
        for file in scan(source).files:
            photo = SourcePhoto(str(file.path), file.path.read_bytes)
            found.setdefault(as_text(file.class_name), []).append(photo)
        return found
    splits = read_splits(source)
    found = {car.name: [] for car in splits.classes}
    for split in (splits.train, splits.val, splits.test):
        for row, label in enumerate(split.labels_N.tolist()):
            photo = SourcePhoto(split.where(row), partial(split.read_bytes, row))
            found[splits.classes[label].name].append(photo)
    return found


def evenly(photos: Sequence[SourcePhoto], most: int) -> list[SourcePhoto]:
    """Return at most so many photos, spread over all: neighbours are often near duplicates.

    Example:
        >>> [photo.where for photo in evenly([SourcePhoto(str(n), bytes) for n in range(10)], 3)]
        ['0', '4', '9']
    """
    if len(photos) <= most:
        return list(photos)
    if most == 1:
        return [photos[0]]
    return [photos[place * (len(photos) - 1) // (most - 1)] for place in range(most)]
