"""What a row of a table, dataset or shard says: its class, its file, a name of its own."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from carscale import contained, outgoing
from carscale.data.sources.scan import LEADS_OUT, Scan
from carscale.data.sources.split_folders import split_word
from carscale.errors import ConfigError, DataError

IMAGE_NAMES = ("path", "file_name", "image", "filename")
LABEL_NAMES = ("label", "class")
"""Columns that are taken when none is named, whatever their case."""


class BadRowError(Exception):
    """A row that can't be used; the text is the reason for the quarantine list."""


@dataclass(frozen=True)
class Reading:
    """How a source is to be read.

    Attributes:
        image_column: Column of paths or photos; ``None``: the one of a usual name.
        label_column: Column of classes; ``None``: the one of a usual name.
        keep_splits: Take splits from the source: folders, a column ``split``, splits of a set,
            words in names of shards.
        split_folders: Where splits aren't kept, what folders called train and test are:
            ``together`` leaves them out of classes, ``classes`` takes them for classes, ``ask``
            raises.
        class_depth: Of class folders: how many from the top are the class; ``None``: all.
        class_from: Of class folders: a template or expression that names the parts of paths that
            are the class, as ``class_folders.pattern_of`` takes it.
        alike: What classes are whose names differ in case, accents or separators alone: ``join``
            makes them one, ``apart`` leaves them, ``ask`` raises.
        follow_links: Take photos outside of the source that its links and paths name.
        crop: ``boxes``: each box of an annotation becomes a photo; ``none``: photos are whole,
            those with boxes of several classes are refused; ``ask``: they raise.
        box_margin: What is kept around a box, as a share of its sides.
        attributes: Names and regular expressions: what they find in a photo's relative path, or
            their first group, is an attribute of the photo.
    """

    image_column: str | None = None
    label_column: str | None = None
    keep_splits: bool = False
    split_folders: str = "ask"
    class_depth: int | None = None
    class_from: str | None = None
    alike: str = "apart"
    follow_links: bool = False
    crop: str = "ask"
    box_margin: float = 0.0
    attributes: tuple[tuple[str, str], ...] = ()

    def refuse_columns(self, where: Path | str) -> None:
        """Raise when a column is named for a source that has none."""
        for what, name in (("image", self.image_column), ("label", self.label_column)):
            if name is not None:
                raise ConfigError(f"--{what}-column {name}: {where} has class folders, no columns")

    def refuse_paths(self, where: Path | str) -> None:
        """Raise when classes are to be parts of paths and the source states them otherwise."""
        for option, value in (("depth", self.class_depth), ("from", self.class_from)):
            if value is not None:
                raise ConfigError(f"--class-{option} {value}: {where} has labels, no class folders")


class FreeNames:
    """Gives each sample a name that no other has: ``a/1.jpg``, ``a/1~2.jpg``, ..."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return the name, numbered where it is taken.

        Example:
            >>> names = FreeNames()
            >>> [names.take("a/1.jpg") for _ in range(3)]
            ['a/1.jpg', 'a/1~2.jpg', 'a/1~3.jpg']
        """
        free, number = name, self._next.get(name, 2)
        head, slash, last = name.rpartition("/")
        stem, dot, suffix = last.rpartition(".") if "." in last[1:] else (last, "", "")
        while free in self._next:
            free = f"{head}{slash}{stem}~{number}{dot}{suffix}"
            number += 1
        self._next[name] = number
        self._next.setdefault(free, 2)
        return free


def choose_column(
    where: Path | str,
    columns: Sequence[str],
    wanted: tuple[str, ...],
    given: str | None,
    what: str,
) -> str:
    """Return the column to read.

    Args:
        where: The source, for the error.
        columns: Those there are.
        wanted: Names that will do, in lower case.
        given: What the user typed; taken as it is.
        what: ``image`` or ``label``, as the option has it.

    Raises:
        DataError: There is none, or more than one that will do.
    """
    option = f"--{what}-column"
    there = ", ".join(columns) or "none"
    if given is not None:
        if given in columns:
            return lone_column(where, columns, given)
        raise DataError(f"{where}: {option} {given}: no such column", f"there are: {there}")
    found = list(dict.fromkeys(name for name in columns if name.casefold() in wanted))
    if len(found) == 1:
        return lone_column(where, columns, found[0])
    if found:
        raise DataError(
            f"{where}: {' and '.join(found)} may both be the {what} column",
            f"choose with: {outgoing.command(option, found[0])}",
        )
    raise DataError(
        f"{where}: no column for the {what}: none is called {' or '.join(wanted)}",
        f"there are: {there}",
        f"choose with: {option} NAME",
    )


def lone_column(where: Path | str, columns: Sequence[str], name: str) -> str:
    """Return a column's name, or raise ``DataError`` where several have it."""
    places = [place for place, other in enumerate(columns, start=1) if other == name]
    if len(places) > 1:
        raise DataError(
            f"{where}: columns {' and '.join(map(str, places))} are both called {name}",
            "rename all but the one that is meant",
        )
    return name


def split_of(name: object) -> str:
    """Return ``train``, ``val`` or ``test`` for what a source calls it.

    Raises:
        BadRowError: It is none of them.
    """
    split = split_word(str(name))
    if split is None:
        raise BadRowError(f"split {name!r} is none of train, val, test")
    return split


def locate(folder: Path, text: str) -> tuple[Path, str]:
    """Return the file that a row's path means, and its name in the source.

    Args:
        folder: Where relative paths start. Where a path may lead is ``check_file``'s to say.
        text: The path as written.

    Raises:
        BadRowError: The path is empty or of another system.
    """
    if not text or "\0" in text:
        raise BadRowError("no path" if not text else "NUL in its path")
    if "://" in text:
        raise BadRowError("an address, no file")
    if re.match(r"[A-Za-z]:", text):
        raise BadRowError("names a drive")
    if "\\" in text:
        raise BadRowError("backslash in its path: write / between folders")
    whole = posixpath.normpath(text)
    if whole.startswith("/"):
        path, root = Path(whole), folder.absolute()
        inside = path.is_relative_to(root) and path != root
        return path, path.relative_to(root).as_posix() if inside else whole.lstrip("/")
    below = re.sub(r"\A(\.\.(/|\Z))+", "", whole)
    return folder / whole, below or "."


def check_file(path: Path, folder: Path | None) -> None:
    """Raise ``BadRowError`` unless a file is there that can be read to its end.

    Args:
        path: The file.
        folder: What it may not lie outside of; ``None`` for anywhere.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None)
        missing = isinstance(error, FileNotFoundError)
        raise BadRowError("no such file" if missing else f"can't be read: {reason}") from error
    if not stat.S_ISREG(mode):
        raise BadRowError("no regular file")
    if folder is not None and contained.leads_out(str(path), _real(folder.absolute())):
        raise BadRowError(LEADS_OUT)


@lru_cache(maxsize=16)
def _real(folder: Path) -> str:
    """Return a folder without links; asked for each row of a table."""
    return os.path.realpath(folder)


def check_any(found: Scan, where: Path | str, what: str, *steps: str) -> None:
    """Raise when none of a source's rows can be used; steps are what to do then."""
    if found.files:
        return
    if not found.refused:
        raise DataError(f"{where}: holds no {what}")
    name, reason = found.refused[0]
    follow = "to take paths with .. and absolute paths: --follow-links"
    raise DataError(
        f"{where}: none of {len(found.refused)} {what} can be used; the first: {name}: {reason}",
        *((follow,) if any(LEADS_OUT in why for _, why in found.refused) else ()),
        *steps,
    )
