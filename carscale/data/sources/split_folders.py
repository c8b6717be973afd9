"""Folders that are splits, not classes: at any depth, however spelled, whatever lies beside them.

Folders are splits where one parent holds a train and another split. Their names leave the classes:
``car_data/train/Audi A4`` and ``Audi A4/train`` are both the class Audi A4.

Chosen: who freezes says whether such splits are kept, put together or no splits. Rejected: keeping
them unasked (the fractions that were asked for are then ignored), and a prompt (nobody answers it
in a job).
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from carscale import images
from carscale.car_names import parse_name
from carscale.car_names.words import MAKE_WORDS
from carscale.data.sources.scan import Scan, SourceFile
from carscale.errors import QuestionError

SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trainings", "trn", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "eval", "evaluation"), "test"),
}
"""What sources call their splits, and what they are called here."""
_MAKES = frozenset(MAKE_WORDS.values())
_SUFFIX = r"(?:set|data|daten|split|images?|imgs?|photos|pics|files|cars)?"
_WORD = re.compile(rf"({'|'.join(SPLIT_WORDS)}){_SUFFIX}")
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+")
KEEP, TOGETHER, CLASSES = "--keep-splits", "--split-folders together", "--split-folders classes"


def split_word(name: str, *, anywhere: bool = False) -> str | None:
    """Return the split that a name says: with its first or last word, or with any.

    Example:
        >>> [split_word(name) for name in ("Train", "cars_test", "TestImages2", "01 valid set")]
        ['train', 'test', 'test', 'val']
        >>> split_word("Audi A4"), split_word("latest"), split_word("train_val")
        (None, None, 'train')
    """
    words = [match and SPLIT_WORDS[match[1]] for match in map(_WORD.fullmatch, _tokens(name))]
    if not anywhere and words and not (words[0] or words[-1]):
        return None
    found = set(filter(None, words))
    return "train" if found == {"train", "val"} else found.pop() if len(found) == 1 else None


def _tokens(name: str) -> list[str]:
    """Return a name's words, lower case, without numbers and words that tell nothing beside one."""
    words = [word.lower() for word in _TOKEN.findall(name)]
    return [word for word in words if word not in ("set", "data", "split")] or words


def find_split_folders(folders: Iterable[str], *, is_sure: bool = False) -> dict[str, str]:
    """Return the folders that are splits, and which.

    Args:
        folders: Of photos, ``/``-separated.
        is_sure: Someone says that there are splits: a lone one will do.

    Example:
        >>> find_split_folders(["cars/train/Audi", "cars/Test/Audi", "extra/Audi"])
        {'cars/Test': 'test', 'cars/train': 'train'}
    """
    below: dict[str, dict[str, str]] = defaultdict(dict)
    paths = {
        "/".join(parts[:depth]): None
        for parts in (folder.split("/") for folder in sorted(folders))
        for depth in range(1, len(parts) + 1)
    }
    for path in paths:
        parent, _, name = path.rpartition("/")
        if split := split_word(name):
            below[parent][path] = split
    sure = [kids for kids in below.values() if {"train"} < set(kids.values())]
    if not sure and is_sure and below:
        least = min(_depth(next(iter(kids))) for kids in below.values())
        sure = [kids for kids in below.values() if _depth(next(iter(kids))) == least]
    names = {(_depth(path), _name(path)) for kids in sure for path in kids}
    found: dict[str, str] = {}
    for path in paths:  # parents come first
        above = any(path.startswith(f"{folder}/") for folder in found)
        if (_depth(path), _name(path)) in names and not above:
            found[path] = split_word(path.rpartition("/")[2]) or ""
    return found


def settle_splits(
    found: Scan,
    where: Path | str,
    *,
    keep_splits: bool,
    split_folders: str = "ask",
    needs_folders: bool = True,
) -> None:
    """Take folders that are splits out of a scan's classes.

    Args:
        found: Of class folders; a file's class is the path of its folder.
        where: The source, for errors.
        keep_splits: Take the splits.
        split_folders: ``together`` leaves them out, ``classes`` takes them for classes, ``ask``
            raises where there are any.
        needs_folders: Classes are folders; else names of files may tell them.

    Raises:
        QuestionError: There are splits, and nothing says what is to be done.
    """
    if split_folders == "classes" and not keep_splits:
        return
    photos = [f for f in found.files if images.is_photo_name(f.relative)] or found.files
    folders = find_split_folders({f.class_name for f in photos} - {""}, is_sure=keep_splits)
    if not folders:
        if not keep_splits:
            _leave_out_lone(found)
        if needs_folders:
            _leave_out_shared(found)
        return
    _without_splits(found, folders)
    if needs_folders and not any(file.class_name for file in found.files):
        raise _no_classes(found, folders, where, keep_splits)
    if keep_splits:
        return
    if split_folders == "ask":
        _ask(found, folders, where)
    found.notes.append(
        f"splits {_named(folders)} are put together and drawn anew; keep them: {KEEP}"
    )
    found.files = [replace(file, split="") for file in found.files]


def leave_splits(
    found: Scan, where: Path | str, names: Iterable[str], split_folders: str, what: str = ""
) -> None:
    """Leave the splits that a source gives, if someone says so.

    Args:
        found: Its samples; they lose their splits.
        where: The source, for the error.
        names: ``train``, ``val``, ``test``: those it has. Without a train and another there is
            nothing to leave.
        split_folders: ``ask`` raises.
        what: Where it says them: ``its column split``.

    Raises:
        QuestionError: There are splits, and nothing says what is to be done.
    """
    given = sorted(set(names) - {""})
    if "train" in given and len(given) > 1:
        if split_folders == "ask":
            raise QuestionError(
                f"{where}: is split already{f', by {what}' if what else ''}: {', '.join(given)}",
                answers={"keep these splits": KEEP, "put them together, draw new ones": TOGETHER},
                notes=found.notes,
            )
        by = f" of {what}" if what else ""
        found.notes.append(
            f"splits {', '.join(given)}{by} are put together and drawn anew; keep them: {KEEP}"
        )
    found.files = [replace(file, split="") if file.split else file for file in found.files]


def split_paths(found: Scan, where: Path | str, keep_splits: bool, split_folders: str) -> bool:
    """Give the photos of a table the splits that their paths say; tell whether any do.

    Args:
        found: Of a table without a column of splits.
        where: The table, for the error.
        keep_splits: Take them.
        split_folders: As ``leave_splits`` has it.

    Raises:
        QuestionError: There are splits, and nothing says what is to be done.
    """
    paths = {file.relative.rpartition("/")[0] for file in found.files}
    folders = find_split_folders(paths - {""})
    if not folders:
        return False
    if not keep_splits:
        what = f"the folders {_named(folders)}"
        leave_splits(found, where, folders.values(), split_folders, what)
        return True
    files = []
    for file in found.files:
        if place := _inside(file.relative, folders):
            files.append(replace(file, split=folders[place]))
        else:
            found.refused.append((file.relative, "lies in no split folder"))
    found.files = files
    return True


def _without_splits(found: Scan, folders: dict[str, str]) -> None:
    """Give files their splits, and classes without them; refuse what lies beside."""
    above = os.path.commonpath([f"/{path}".rpartition("/")[0] or "/" for path in folders])
    start = _depth(above.strip("/"))
    files: list[SourceFile] = []
    outside: set[str] = set()
    for file in found.files:
        place = _inside(file.relative, folders)
        if place is None:
            outside.add(_beside(file.relative, folders))
            continue
        rest = file.class_name.split("/")[_depth(place) :]
        while rest and rest[0].casefold() == _name(place):  # cars_train/cars_train
            rest.pop(0)
        name = "/".join(place.split("/")[start:-1] + rest)
        files.append(replace(file, class_name=name, split=folders[place]))
    found.files = files
    found.refused = [
        (path, why)
        for path, why in found.refused
        if not any(path == top or path.startswith(f"{top}/") for top in outside)
    ]
    found.refused += [(top, "lies in no split folder") for top in outside]
    found.empty_classes = [
        path for path in found.empty_classes if _inside(path, folders) not in (None, path)
    ]


def _no_classes(
    found: Scan, folders: dict[str, str], where: Path | str, keep_splits: bool
) -> QuestionError:
    """Return the error for photos that lie in splits and in no class folders."""
    return QuestionError(
        f"{where}: {_named(folders)} are splits and hold no class folders: nothing says what the "
        f"{len(found.files)} files show",
        "list them in a table path,label,split: carscale data freeze TABLE.csv OUT --keep-splits",
        answers={} if keep_splits else {"they are no splits but classes": CLASSES},
        notes=found.notes,
    )


def _ask(found: Scan, folders: dict[str, str], where: Path | str) -> None:
    """Raise with the answers that there are."""
    counts = dict.fromkeys(("train", "val", "test"), 0)
    for file in found.files:
        counts[file.split] += 1
    said = ", ".join(f"{count} {split}" for split, count in counts.items() if count)
    raise QuestionError(
        f"{where}: is split already ({_named(folders)}: {said})",
        answers={
            "keep these splits": KEEP,
            "put them together and draw new ones": TOGETHER,
            "they are no splits but classes": CLASSES,
        },
        notes=found.notes,
    )


def _leave_out_lone(found: Scan) -> None:
    """Start classes below a lone folder train, val or test that holds all of them."""
    tops = {file.class_name.split("/")[0] for file in found.files}
    is_deep = all("/" in file.class_name for file in found.files)
    if len(tops) != 1 or not is_deep or _name(top := tops.pop()) not in SPLIT_WORDS:
        return
    found.notes.append(f"all photos lie below {top}/, which is no class; classes start there")
    found.files = [
        replace(file, class_name=file.class_name.partition("/")[2]) for file in found.files
    ]


def _leave_out_shared(found: Scan) -> None:
    """Start classes below the folders that hold all of them, where makes start there and not above.

    ``archive/cars/Audi A4`` and ``archive/cars/BMW M3`` are of no make called archive.
    """
    photos = [f for f in found.files if images.is_photo_name(f.relative)] or found.files
    names = {file.class_name for file in photos} - {""}
    if len(names) < 2:
        return
    tops = os.path.commonpath(names)
    if not tops or any(map(_is_make, tops.split("/"))) or not _are_cars(names, tops):
        return
    found.notes.append(f"all photos lie below {tops}/, which is no class; classes start there")
    found.files = [
        replace(file, class_name=file.class_name.removeprefix(tops).removeprefix("/"))
        for file in found.files
    ]


def _are_cars(names: set[str], top: str) -> bool:
    """Tell whether all names begin with makes below a folder, and with several."""
    below = [name.removeprefix(f"{top}/") for name in names if name != top]
    are_makes = len(below) == len(names) and all(map(_is_make, below))
    return are_makes and len({parse_name(name).make for name in below}) > 1


def _is_make(name: str) -> bool:
    """Tell whether a name begins with a make that is known."""
    return parse_name(name).make in _MAKES


def _inside(path: str, folders: dict[str, str]) -> str | None:
    """Return the split folder that a path lies in or is."""
    parts = path.split("/")
    places = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return next((place for place in places if place in folders), None)


def _beside(path: str, folders: dict[str, str]) -> str:
    """Return the topmost part of a path that holds no split folder."""
    parts = path.split("/")
    for depth in range(1, len(parts)):
        place = "/".join(parts[:depth])
        if not any(folder.startswith(f"{place}/") for folder in folders):
            return place
    return path


def _named(folders: dict[str, str]) -> str:
    """Return the names of split folders."""
    return ", ".join(sorted({path.rpartition("/")[2] for path in folders}))


def _name(path: str) -> str:
    """Return a path's last part as it is compared."""
    return path.rpartition("/")[2].casefold()


def _depth(path: str) -> int:
    """Return how many parts a path has."""
    return len(path.split("/")) if path else 0
