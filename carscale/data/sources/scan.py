"""What lies in a source: samples with their classes, and what can't be used; class folders."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from carscale import contained
from carscale.errors import DataError

IGNORED = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", "truth.json"})
GIVEN_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What sources call their splits, and what they are called here."""


MAX_DEPTH = 64
"""Folders of a class's name below each other: a path may have some 2000, makes and models are 2."""
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
    """

    path: Path | None
    relative: str
    class_name: str
    split: str = ""
    read: Callable[[], bytes] | None = None
    origin: str = ""

    def read_bytes(self) -> bytes:
        """Read the bytes; safe in many threads.

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
    """

    files: list[SourceFile] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    empty_classes: list[str] = field(default_factory=list)
    name: str = ""
    notes: list[str] = field(default_factory=list)

    def put_in_order(self) -> None:
        """Sort all lists, so that the same source gives the same scan."""
        self.files.sort(key=lambda file: os.fsencode(file.relative))
        self.refused.sort()
        self.empty_classes.sort()


def scan(root: Path, *, follow_links: bool = False) -> Scan:
    """Find the files below a folder; the class of a file is the path of its folder.

    Hidden files and folders are passed over. Links are followed where they stay in the folder, or
    anywhere with ``follow_links``; one that leads back to a folder above is refused.

    Raises:
        DataError: No such folder, no file below it, or it is split in train and test already.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    found = walk(root, follow_links=follow_links)
    check_classes(found, root)
    return found


def scan_splits(root: Path, *, follow_links: bool = False) -> Scan:
    """Find the files of a folder whose top folders are splits, with classes below.

    Raises:
        DataError: No such folder, or no train with files in it.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder")
    whole = Scan()
    for top in sorted(root.iterdir()):
        if top.name.startswith(".") or top.name in IGNORED:
            continue
        if top.name.lower() not in GIVEN_SPLITS or not top.is_dir():
            whole.refused.append((top.name, "lies in no split folder"))
            continue
        if not follow_links and contained.leads_out(str(top), os.path.realpath(root)):
            whole.refused.append((top.name, LEADS_OUT))
            continue
        part, split = walk(top, root, follow_links=follow_links), GIVEN_SPLITS[top.name.lower()]
        whole.files += [
            SourceFile(file.path, f"{top.name}/{file.relative}", file.class_name, split)
            for file in part.files
        ]
        whole.refused += [(f"{top.name}/{path}", reason) for path, reason in part.refused]
        whole.empty_classes += [f"{top.name}/{path}" for path in part.empty_classes]
    check_train(whole, root, "a folder train that holds photos in class folders")
    return whole


def check_classes(found: Scan, where: Path | str) -> None:
    """Raise when class folders hold no file, or are splits."""
    if not found.files:
        refused = f"; {_first_refused(found)}" if found.refused else ""
        raise DataError(
            f"{where}: holds no photos in class folders{refused}",
            "put each class's photos in a folder of its name",
            "or try: carscale data demo data/demo-raw",
        )
    tops = {file.relative.split("/")[0].lower() for file in found.files}
    if len(tops) > 1 and tops <= GIVEN_SPLITS.keys():
        raise DataError(
            f"{where}: is split already ({', '.join(sorted(tops))}); these would become classes",
            "keep these splits: --keep-splits; or give one of its folders",
        )


def check_train(found: Scan, where: Path | str, wanted: str) -> None:
    """Raise when splits are to be kept and nothing is in train."""
    if not any(file.split == "train" for file in found.files):
        raise DataError(
            f"{where}: --keep-splits wants {wanted}",
            "without it: carscale data freeze draws the splits",
        )


def _first_refused(found: Scan) -> str:
    """Say how many were refused, and the first with its reason."""
    name, reason = min(found.refused)
    return f"{len(found.refused)} refused, the first: {name}: {reason}"


def walk(folder: Path, root: Path | None = None, *, follow_links: bool = False) -> Scan:
    """Find what ``scan`` finds, without asking whether it makes sense.

    Args:
        folder: Where to look.
        root: What links may not lead out of; the folder itself when ``None``.
        follow_links: Whether they may lead anywhere.
    """
    found = Scan()
    limit = None if follow_links else os.path.realpath(root or folder)
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
        if entry.name.startswith(".") or entry.name in IGNORED:
            continue
        name = f"{relative}/{entry.name}" if relative else entry.name
        kind = _kind(entry, limit)
        if kind == "folder":
            num_files += _walk(Path(entry.path), name, found, above=above | {here}, limit=limit)
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
