"""What lies in a source folder: files with their classes, and what can't be used."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from carscale.errors import DataError

__all__ = ["IGNORED", "Scan", "SourceFile", "scan", "walk"]

IGNORED = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "truth.json"})
SPLIT_NAMES = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "test", "testing"}
)


@dataclass(frozen=True)
class SourceFile:
    """A file that may be a photo: where it lies and the class its folder names."""

    path: Path
    relative: str
    class_name: str


@dataclass
class Scan:
    """A source folder's files in order of their names.

    Attributes:
        files: What may be photos.
        refused: Relative path and reason of what can't be.
        empty_classes: Folders without any file below.
    """

    files: list[SourceFile] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    empty_classes: list[str] = field(default_factory=list)


def scan(root: Path) -> Scan:
    """Find the files below a folder; the class of a file is the path of its folder.

    Hidden files and folders are passed over. Links are followed; one that leads back to a folder
    above is refused.

    Raises:
        DataError: No such folder, no file below it, or it is split in train and test already.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    found = walk(root)
    if not found.files:
        raise DataError(
            f"{root}: holds no photos in class folders",
            "put each class's photos in a folder of its name",
            "or try: carscale data demo data/demo-raw",
        )
    tops = {file.relative.split("/")[0].lower() for file in found.files}
    if len(tops) > 1 and tops <= SPLIT_NAMES:
        raise DataError(
            f"{root}: is split already ({', '.join(sorted(tops))}); these would become classes",
            "keep these splits: --keep-splits; or give one of its folders",
        )
    return found


def walk(root: Path) -> Scan:
    """Find what ``scan`` finds, without asking whether it makes sense."""
    found = Scan()
    _walk(root, "", found, above=frozenset())
    found.files.sort(key=lambda file: os.fsencode(file.relative))
    found.refused.sort()
    found.empty_classes.sort()
    return found


def _walk(folder: Path, relative: str, found: Scan, above: frozenset[tuple[int, int]]) -> int:
    """Add a folder's files; return how many there are below it."""
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
        if entry.name.startswith(".") or entry.name in IGNORED:
            continue
        name = f"{relative}/{entry.name}" if relative else entry.name
        kind = _kind(entry)
        if kind == "folder":
            num_files += _walk(Path(entry.path), name, found, above | {here})
        elif kind != "file":
            found.refused.append((name, kind))
        elif not relative:
            found.refused.append((name, "lies in no class folder"))
        else:
            found.files.append(SourceFile(Path(entry.path), name, relative))
            num_files += 1
    if num_files == 0 and relative:
        found.empty_classes.append(relative)
    return num_files


def _kind(entry: os.DirEntry[str]) -> str:
    """Return ``folder``, ``file``, or why it is neither."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
    except OSError as error:  # a link to itself
        return f"link can't be followed: {error.strerror}"
    return "broken link" if entry.is_symlink() else "no regular file"
