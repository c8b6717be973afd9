"""From paths to splits and classes: which parts of a path are the class.

A class is the path of a photo's folder, without folders that are splits. ``--class-depth 2`` takes
the first two folders alone; ``--class-from`` reads the parts that it names, from the path or the
file's name, and those fill make, model, body and year.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from carscale import outgoing
from carscale.data.sources.boxes.unread import check_labels
from carscale.data.sources.labels import clean_name, name_folders, name_of
from carscale.data.sources.rows import BadRowError, Reading
from carscale.data.sources.scan import NO_FOLDER, Scan, check_classes, check_train
from carscale.data.sources.split_folders import settle_splits, split_word
from carscale.errors import ConfigError, DataError, QuestionError

FIELDS = ("make", "model", "body", "year")
"""Parts that a class name is made of, in this order, unless a part ``class`` is the whole name."""
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Tables beside photos that an image folder of ``datasets`` has."""
_PIECE = re.compile(r"\{(\w*)\}|(\*\*)|(\*)")
_YEAR = re.compile(r"(19|20)\d\d( ?- ?((19|20)?\d\d|present))?")
_COLOURS = (
    "black white grey gray silver red blue green yellow orange brown beige gold purple pink bronze "
    "multicolour multicolor maroon turquoise burgundy navy indigo magenta"
)
_VIEWS = "front rear back side left right top interior exterior frontal lateral angle"
_SESSIONS = "session shoot sequence scene camera cam"
_KINDS = {
    **dict.fromkeys(_COLOURS.split(), "colours"),
    **dict.fromkeys(_VIEWS.split(), "views"),
    **dict.fromkeys(_SESSIONS.split(), "sessions"),
}
MIN_SHARE = 0.8
"""Of the folders at one depth that must look alike before anything is said."""


def settle_folders(found: Scan, where: Path | str, how: Reading) -> None:
    """Give a scan of folders its splits and classes.

    Args:
        found: A file's class is the path of its folder.
        where: The source, for errors.
        how: Which parts of paths are splits and classes.

    Raises:
        QuestionError: There are splits, and nothing says what is to be done.
        DataError: There is no photo in class folders, or splits are kept and there is no train.
    """
    tables, before = _take_tables(found), found.files
    problem: DataError | None = None
    try:
        _settle(found, where, how)
    except DataError as error:
        problem = error
    if tables and len({file.class_name for file in found.files}) < 2:
        steps = _labels_in(tables, where, how)
        raise DataError(f"{where}: its photos lie in no class folders", steps) from problem
    if not isinstance(problem, QuestionError):
        check_labels(before, found.files, where, how)
    if problem:
        raise problem
    if tables:
        found.notes.append(f"classes are folders; {_labels_in(tables, where, how)}")


def _settle(found: Scan, where: Path | str, how: Reading) -> None:
    """Give a scan of folders without other files its splits and classes."""
    name_folders(found)
    settle_splits(
        found,
        where,
        keep_splits=how.keep_splits,
        split_folders=how.split_folders,
        needs_folders=not how.class_from,
    )
    if how.class_from:
        _read_paths(found, where, how.class_from)
    _refuse_nameless(found)
    if how.class_depth:
        found.files = [
            replace(file, class_name="/".join(file.class_name.split("/")[: how.class_depth]))
            for file in found.files
        ]
    elif not how.class_from and (note := nested_note({f.class_name for f in found.files})):
        found.notes.append(note)
    if how.keep_splits:
        check_train(found, where, "a folder train that holds photos in class folders")
    check_classes(found, where)


def pattern_of(text: str) -> re.Pattern[str]:
    """Return the expression of a template or regular expression for paths.

    In a template ``{make}`` and the like are parts of a name, ``*`` is any text without ``/`` and
    takes as little as it can, ``**`` any text; one without ``/`` is for the file's name.

    Raises:
        ConfigError: It names no part, an unknown one, or is no expression.

    Example:
        >>> pattern_of("{make}_{model}_{year}/*").fullmatch("audi_a4_2012/1.jpg").groupdict()
        {'make': 'audi', 'model': 'a4', 'year': '2012'}
    """
    is_regex = "(?P<" in text
    try:
        pattern = re.compile(text if is_regex else _expression(text))
    except re.error as error:
        raise ConfigError(f"--class-from {text!r}: is no expression: {error}") from error
    unknown = [name for name in pattern.groupindex if name not in (*FIELDS, "class")]
    if unknown or not pattern.groupindex:
        said = f"names {unknown[0]}" if unknown else "names no part"
        raise ConfigError(
            f"--class-from {text!r}: {said}; parts are class, {', '.join(FIELDS)}",
            "for example: --class-from '{make}/{model}/{year}/*'; what is no part of the class: *",
        )
    return pattern


def nested_note(names: set[str]) -> str:
    """Return what to say where the last folders of classes look like no classes; may be empty.

    Example:
        >>> nested_note({"911/2012/Black", "911/2012/Red", "911/2013/Red", "Cayman/2012/Red"})[:51]
        'the last folders of 4 classes are colours and years'
    """
    nested = [name.split("/") for name in names if "/" in name]
    if len(nested) < 2 or len(nested) < MIN_SHARE * len(names):
        return ""
    depth, kinds = min(map(len, nested)), []
    while depth > 1 and (kind := _kind_of([parts[depth - 1] for parts in nested])):
        kinds.append(kind)
        depth -= 1
    if not kinds:
        return ""
    heads = {"/".join(parts[:depth]) for parts in nested}
    return (
        f"the last folders of {len(nested)} classes are {' and '.join(kinds)}; for the "
        f"{len(heads)} classes above them: --class-depth {depth}"
    )


def _kind_of(leaves: list[str]) -> str:
    """Return what folders are by their names, where most are one kind and several repeat."""
    if max(Counter(leaves).values()) < 2:
        return ""
    kinds: Counter[str] = Counter()
    for leaf in leaves:
        words = [_KINDS.get(word) for word in re.findall(r"[a-z]+", leaf.lower())]
        kinds["years" if _YEAR.fullmatch(leaf) else next(filter(None, words), "")] += 1
    kind, count = kinds.most_common(1)[0]
    return kind if count >= MIN_SHARE * len(leaves) else ""


def _expression(template: str) -> str:
    """Return a template as a regular expression."""
    text, last = "", 0
    for piece in _PIECE.finditer(template):
        text += re.escape(template[last : piece.start()])
        if piece[1] is not None:
            inside = {"year": "(?:19|20)[0-9][0-9]", "make": "[^/]+?"}.get(piece[1], "[^/]+")
            text += f"(?P<{piece[1]}>{inside})"
        else:
            text += ".*" if piece[2] else "[^/]*?"
        last = piece.end()
    text += re.escape(template[last:])
    return rf"\A{text}(?:/.*)?\Z" if "/" in template else rf"(?:\A|/){text}\Z"


def _read_paths(found: Scan, where: Path | str, text: str) -> None:
    """Give files the classes that a pattern reads from their paths; refuse what it doesn't fit."""
    pattern = pattern_of(text)
    kept = []
    for file in found.files:
        name = file.relative.rpartition("/")[2]
        path = f"{file.class_name}/{name}" if file.class_name else name
        match = pattern.search(path)
        parts = {
            part: clean_name(value.replace("_", " "))
            for part, value in (match.groupdict() if match else {}).items()
            if value
        }
        written = parts.get("class") or " ".join(parts[p] for p in FIELDS if p in parts)
        try:
            class_name = name_of(written)
        except BadRowError:
            found.refused.append((file.relative, f"--class-from finds no class in {path}"))
            continue
        found.cars.setdefault(class_name, {p: parts[p] for p in FIELDS if p in parts})
        kept.append(replace(file, class_name=class_name))
    if found.files and not kept:
        raise DataError(
            f"{where}: --class-from {text!r} fits none of {len(found.files)} paths; the first: "
            f"{min(file.relative for file in found.files)}"
        )
    found.files = kept


def _take_tables(found: Scan) -> list[str]:
    """Take the tables that ``datasets`` reads labels from out of a scan, and return them."""
    tables = [
        file.relative
        for file in found.files
        if file.relative.rpartition("/")[2].lower() in METADATA
    ]
    found.files = [file for file in found.files if file.relative not in tables]
    return tables


def _labels_in(tables: list[str], where: Path | str, how: Reading) -> str:
    """Return how to read a folder's labels from the tables in it."""
    first, folder = min(tables), Path(where)
    if not folder.is_dir():
        return f"labels may stand in its {first}: unpack it and give that table, or hf://FOLDER"
    is_split = split_word(first.rpartition("/")[0])
    is_ours = len(tables) == 1 and not is_split and not first.endswith(".jsonl")
    source = folder / first if is_ours else f"hf://{folder}"
    read = outgoing.command("carscale", "data", "freeze", source, "OUT")
    keep = " --keep-splits" if how.keep_splits else ""
    return f"for labels in {' and '.join(sorted(tables)[:3])}: {read}{keep}"


def _refuse_nameless(found: Scan) -> None:
    """Refuse files in no class folder."""
    found.refused += [(file.relative, NO_FOLDER) for file in found.files if not file.class_name]
    found.files = [file for file in found.files if file.class_name]
