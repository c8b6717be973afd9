"""What lies in a source: samples with their classes, and what can't be used; class folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carscale import contained, images
from carscale.data.frozen.names import is_clutter
from carscale.errors import DataError

MAX_DEPTH = 64
"""Folders of a class's name below each other: a path may have some 2000, makes and models are 2."""
NO_FOLDER = "lies in no class folder"
FROM_NAMES = "or read classes from names of files: --class-from '{make}_{model}_{year}_*.jpg'"
LEADS_OUT = "leads out of the source; to take it all the same: --follow-links"


@dataclass(frozen=True)
class SourceFile:
    """What may be a photo.

    Attributes:
        path: The file it is; ``None`` where it lies inside another, as in an archive.
        relative: Its name in the source, ``/``-separated; no other has it.
        class_name: What its folder or label says.
        split: ``train``, ``val`` or ``test`` where the source says and its splits are kept.
        read: Reads what has no file; must be thread-safe.
        origin: The source it came from, where this one was put together of several.
        box: Where in the photo the car is; that is cut out.
        photo: The photo's name, where several samples are boxes in it.
        attributes: Names and values of what else is known of it.
        known: Columns that a manifest has of the photo that it was made of, where it is frozen.
    """

    path: Path | None
    relative: str
    class_name: str
    split: str = ""
    read: Callable[[], bytes] | None = None
    origin: str = ""
    box: images.Box | None = None
    photo: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    known: tuple[tuple[str, Any], ...] = ()

    @property
    def whole(self) -> object:
        """Return what tells the photo, of which this may be a part."""
        return self.photo or self.path or self.relative

    def read_bytes(self) -> bytes:
        """Read the bytes of the sample; safe in many threads.

        Raises:
            OSError: They can't be read, or the box can't be cut out.
        """
        content = self.read_whole()
        if self.box is None:
            return content
        try:
            return images.read_photo(content, self.box).content
        except images.BadPhotoError as error:
            raise OSError(str(error)) from error

    def read_whole(self) -> bytes:
        """Read the bytes of the photo, whatever is cut out of it.

        Raises:
            OSError: They can't be read.
        """
        if self.path is not None:
            return contained.read_named(self.path, max_bytes=contained.MAX_PHOTO_BYTES)
        if self.read is None:
            raise ValueError(f"{self.relative} must have a path or a reader")
        return self.read()


@dataclass
class Scan:
    """A source's samples in order of their names.

    Attributes:
        files: What may be photos.
        refused: Name and reason of what can't be.
        empty_classes: Classes without any photo.
        name: The source's short name: of the folder or file, or ``owner/name``.
        notes: What a person should know of how the source was read.
        cars: Make, model, body and year of a class where its paths say them by name.
        spellings: How each class was written, where that is not its name.
    """

    files: list[SourceFile] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    empty_classes: list[str] = field(default_factory=list)
    name: str = ""
    notes: list[str] = field(default_factory=list)
    cars: dict[str, dict[str, str]] = field(default_factory=dict)
    spellings: dict[str, set[str]] = field(default_factory=dict)

    def put_in_order(self) -> None:
        """Sort all lists, so that the same source gives the same scan."""
        self.files.sort(key=lambda file: os.fsencode(file.relative))
        self.refused.sort()
        self.empty_classes.sort()


def check_classes(found: Scan, where: Path | str) -> None:
    """Raise when class folders hold no file."""
    if not found.files:
        refused = f"; {_first_refused(found)}" if found.refused else ""
        raise DataError(
            f"{where}: holds no photos in class folders{refused}",
            "put each class's photos in a folder of its name",
            *([FROM_NAMES] if any(why == NO_FOLDER for _, why in found.refused) else ()),
            "or try: carscale data demo data/demo-raw",
        )


def check_train(found: Scan, where: Path | str, wanted: str) -> None:
    """Raise when splits are to be kept and nothing is in train."""
    if not any(file.split == "train" for file in found.files):
        raise DataError(
            f"{where}: --keep-splits wants {wanted}",
            "without it, carscale data freeze draws the splits",
        )


def _first_refused(found: Scan) -> str:
    """Say how many were refused, and the first with its reason."""
    name, reason = min(found.refused)
    return f"{len(found.refused)} refused, the first: {name}: {reason}"


def walk(folder: Path, *, follow_links: bool = False) -> Scan:
    """Find the files below a folder; the class of a file is the path of its folder.

    It is empty at the top. Hidden files and folders are passed over, and what systems leave. Links
    are followed where they stay in the folder, or anywhere with ``follow_links``; one that leads
    back to a folder above is refused.

    Raises:
        DataError: No such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    found = Scan()
    limit = None if follow_links else os.path.realpath(folder)
    _walk(folder, "", found, above=frozenset(), limit=limit)
    found.put_in_order()
    return found


def _walk(
    folder: Path,
    relative: str,
    found: Scan,
    *,
    above: frozenset[tuple[int, int]],
    limit: str | None,
) -> int:
    """Add a folder's files; return how many there are below it."""
    if len(above) > MAX_DEPTH:
        found.refused.append((relative, f"lies more than {MAX_DEPTH} folders deep"))
        return 0
    try:
        stat = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        found.refused.append((relative, f"folder can't be read: {error.strerror}"))
        return 0
    here = (stat.st_dev, stat.st_ino)
    if here in above:
        found.refused.append((relative, "link leads back to a folder above"))
        return 0
    num_files = 0
    for entry in entries:
        name = f"{relative}/{entry.name}" if relative else entry.name
        if entry.name.startswith(".") and entry.name.endswith(".icloud"):
            found.refused.append((name, "a placeholder of iCloud: download it first"))
        if is_clutter(entry.name):
            continue
        kind = _kind(entry, limit)
        if kind == "folder":
            num_files += _walk(Path(entry.path), name, found, above=above | {here}, limit=limit)
        elif kind != "file":
            found.refused.append((name, kind))
        else:
            found.files.append(SourceFile(Path(entry.path), name, relative))
            num_files += 1
    if num_files == 0 and relative:
        found.empty_classes.append(relative)
    return num_files


def _kind(entry: os.DirEntry[str], limit: str | None) -> str:
    """Return ``folder``, ``file``, or why it is neither; links may not lead out of a limit."""
    try:
        is_dir, is_file = entry.is_dir(), entry.is_file()
        is_link = entry.is_symlink() and (is_dir or is_file)
        if is_link and limit is not None and contained.leads_out(entry.path, limit):
            return LEADS_OUT
        if is_dir or is_file:
            return "folder" if is_dir else "file"
    except OSError as error:  # a link to itself
        return f"link can't be followed: {error.strerror}"
    is_broken = entry.is_symlink() and not Path(entry.path).exists()
    return "broken link" if is_broken else "no regular file"
