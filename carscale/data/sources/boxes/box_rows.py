"""What an annotation says of one box, and which photo of the source it means."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath

from carscale import images
from carscale.data.sources.rows import BadRowError, Reading
from carscale.data.sources.scan import SourceFile
from carscale.data.sources.split_folders import find_split_folders, split_word


@dataclass(frozen=True)
class BoxRow:
    """One box of an annotation, or why it can't be used.

    Attributes:
        where: File and number, for messages.
        photo: A photo's name or path as written; without a suffix it means any photo called so.
        other: Another name of it, after which the annotation is called.
        label: Its class.
        box: Where in the photo; ``None`` where all of it is meant.
        split: ``train``, ``val`` or ``test`` where the annotation says it.
        beside: Folder of the annotation: of several photos of a name the nearest is meant.
        problem: Why it can't be used; empty where it can.
    """

    where: str
    photo: str
    label: object = None
    box: images.Box | None = None
    split: str = ""
    beside: str = ""
    problem: str = ""
    other: str = ""


MANY = 64
"""Photos of one name, as frames of scenes have; above it each annotation looks at few of them."""


class PhotoIndex:
    """A source's photos by what annotations call them. Nothing but what was listed is ever found.

    Args:
        files: Of the source.
    """

    def __init__(self, files: Iterable[SourceFile]) -> None:
        self.photos = [file for file in files if images.is_photo_name(file.relative)]
        self._by_path = {file.relative: file for file in self.photos}
        self._by_name: dict[str, list[SourceFile]] = defaultdict(list)
        self._by_stem: dict[str, list[SourceFile]] = defaultdict(list)
        self._by_folder: dict[str, dict[str, list[SourceFile]]] = {}
        folders: set[str] = set()
        for file in self.photos:
            folder, _, name = file.relative.rpartition("/")
            self._by_name[name].append(file)
            self._by_stem[PurePosixPath(name).stem].append(file)
            folders.add(folder)
        self._folders = {part for folder in folders for part in folder.split("/")}
        splits = find_split_folders(folders - {""})
        self._splits = {folder: _split_above(folder, splits) for folder in folders}

    def find(self, row: BoxRow) -> SourceFile:
        """Return the photo that a row means.

        Raises:
            BadRowError: There is none, or several may be meant.
        """
        found = self._candidates(row.photo, row)
        others = self._candidates(row.other, row) if row.other else []
        if found and others and not {f.relative for f in found} & {f.relative for f in others}:
            raise BadRowError(f"names {row.photo}, but is called like {others[0].relative}")
        found = found or others
        if not found:
            raise BadRowError(f"no such photo: {row.photo}")
        if len(found) > 1:
            raise BadRowError(f"may mean {found[0].relative} or {found[1].relative}")
        return found[0]

    def _candidates(self, name: str, row: BoxRow) -> list[SourceFile]:
        """Return the photos that a name may mean: of its split and the nearest, where some are."""
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        while parts and parts[0] == "..":
            parts.pop(0)
        if not parts:
            raise BadRowError("no name of a photo")
        direct = self._by_path.get("/".join([*row.beside.split("/"), *parts]).lstrip("/"))
        if direct and self.split_of(direct) in ("", row.split):
            return [direct]
        there = self._called(parts[-1], parts[-2:-1] or row.beside.split("/"))
        found = [file for file in there if _parts(file)[:-1][-len(parts) + 1 :] == parts[:-1]]
        if not found:  # of another machine: C:/Users/me/cars/images/1.jpg is images/1.jpg here
            found = [file for file in there if _ends_in(parts[:-1], _parts(file)[:-1])]
        if len(parts) == 1 or (not found and parts[-2] not in self._folders):  # it was renamed
            found = there
        ranks = [(self.split_of(file) == row.split, _shared(file, row.beside)) for file in found]
        best = max(ranks, default=None)
        return [file for file, rank in zip(found, ranks, strict=True) if rank == best]

    def _called(self, name: str, folders: list[str]) -> list[SourceFile]:
        """Return photos of a name; of many of them the few in folders of some names, if any."""
        by = self._by_name if name in self._by_name else self._by_stem
        there = by.get(name, [])
        if len(there) <= MANY:
            return there
        if name not in self._by_folder:
            by_folder = defaultdict(list)
            for file in there:
                for part in {*_parts(file)[:-1]}:
                    by_folder[part].append(file)
            self._by_folder[name] = by_folder
        near = (self._by_folder[name].get(folder, []) for folder in folders)
        few = {file.relative: file for found in near if len(found) <= MANY for file in found}
        return list(few.values()) or there

    def split_of(self, file: SourceFile) -> str:
        """Return the split that a photo's folders say; empty where they say none."""
        return self._splits[folder_of(file)]


def usable(box: images.Box | None, how: Reading) -> images.Box | None:
    """Return a box; an odd one is none where nothing is cut out, so that its photo stays.

    Raises:
        BadBoxError: It is odd, and is to be cut out.
    """
    try:
        if box is not None:
            box.check()
    except images.BadBoxError:
        if how.crop == "boxes":
            raise
        return None
    return box


def split_in(path: str) -> str:
    """Return the split that an annotation's name or folders say; the nearest counts.

    Example:
        >>> split_in("annotations/instances_val2017.json"), split_in("train/_annotations.json")
        ('val', 'train')
    """
    *folders, name = path.split("/")
    parts = [*folders, name.rpartition(".")[0] or name]
    words = (split_word(part, anywhere=True) for part in reversed(parts))
    return next(filter(None, words), "")


def folder_of(file: SourceFile) -> str:
    """Return the folder of a file; empty at the top."""
    return file.relative.rpartition("/")[0]


def _parts(file: SourceFile) -> list[str]:
    """Return the parts of a file's path."""
    return file.relative.split("/")


def _split_above(folder: str, splits: dict[str, str]) -> str:
    """Return the split that a folder is or lies in; empty where it lies in none."""
    parts = folder.split("/")
    paths = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return next((splits[path] for path in paths if path in splits), "")


def _ends_in(folders: list[str], last: list[str]) -> bool:
    """Tell whether folders end in those of a photo, of which there are some."""
    return bool(last) and folders[-len(last) :] == last


def _shared(file: SourceFile, folder: str) -> int:
    """Return how many folders a file shares with another: from the top, and from the end."""
    one, other = folder_of(file).split("/"), folder.split("/")
    num_first = _num_alike(one, other)
    return num_first + _num_alike(one[num_first:][::-1], other[num_first:][::-1])


def _num_alike(one: list[str], other: list[str]) -> int:
    """Return how many names two paths begin with alike."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1] != "", pairs))
