"""A source's classes and their photos, whatever the source is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from carscale.data.frozen.layout import as_text
from carscale.data.sources.frozen_folder import scan_frozen
from carscale.data.sources.open_source import open_source
from carscale.data.sources.rows import Reading
from carscale.data.sources.scan import Scan
from carscale.errors import ConfigError


@dataclass(frozen=True)
class SourcePhoto:
    """A photo that may turn out to be none.

    Attributes:
        where: What messages call it.
        read: Returns its bytes, or raises ``OSError``.
    """

    where: str
    read: Callable[[], bytes]


@contextmanager
def open_photos(
    spec: str | Path, how: Reading | None = None, *, scratch: Path | None = None
) -> Iterator[Scan]:
    """Open a source, or a frozen folder or pack as one; its splits are put together.

    Args:
        spec: As ``data.open_source`` takes it, or a frozen folder.
        how: Columns, classes, boxes, links.
        scratch: A folder with room for what a compressed tar holds.

    Raises:
        ConfigError: A frozen folder is to be read in another way than it is.
        DataError: There is no such source, or it holds no classes.
    """
    if (Path(spec) / "card.json").is_file():
        _refuse_reading(spec, how or Reading())
        yield scan_frozen(Path(spec))
        return
    how = replace(how or Reading(), split_folders="together", alike="apart")
    with open_source(spec, how, scratch=scratch) as source:
        yield source


def _refuse_reading(spec: str | Path, how: Reading) -> None:
    """Raise where options ask for other photos or classes than a frozen folder has."""
    for name in ("image_column", "label_column", "class_depth", "class_from", "crop", "attributes"):
        if getattr(how, name) not in (getattr(Reading(), name), "none"):
            option = name.replace("_", "-").removesuffix("s")
            raise ConfigError(f"--{option}: {spec} is frozen; its photos and classes are settled")


@contextmanager
def source_classes(
    spec: str | Path, how: Reading | None = None
) -> Iterator[dict[str, list[SourcePhoto]]]:
    """Open a source; its photos, by class in the order of names, can be read inside the block.

    Args:
        spec: As ``open_photos`` takes it.
        how: Columns, classes, boxes, links.

    Raises:
        DataError: There is no such source, or it holds no classes.
    """
    with open_photos(spec, how) as source:
        found: dict[str, list[SourcePhoto]] = {}
        for file in source.files:
            photo = SourcePhoto(str(file.path or file.relative), file.read_bytes)
            found.setdefault(as_text(file.class_name), []).append(photo)
        yield dict(sorted(found.items()))


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
