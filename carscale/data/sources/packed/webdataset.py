"""WebDataset shards: tars whose members of one base name are a sample.

``000123.jpg`` is a photo, and ``000123.cls``, ``.json`` or ``.txt`` beside it has its class. The
base name ends at the first dot after the last slash, as WebDataset has it; at the last one where
each label says so, as in ``A4 1.8 T.jpg`` and ``A4 1.8 T.cls``, of which WebDataset would make one
sample with all others of ``A4 1``.
"""

from __future__ import annotations

import glob
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from carscale import images
from carscale.data.frozen.names import is_clutter
from carscale.data.sources.labels import name_class
from carscale.data.sources.packed.archives import last_of_each
from carscale.data.sources.packed.zip_and_tar import TAR_SUFFIXES, Member
from carscale.data.sources.rows import (
    LABEL_NAMES,
    BadRowError,
    FreeNames,
    Reading,
    check_any,
)
from carscale.data.sources.scan import Scan, SourceFile, check_train
from carscale.data.sources.split_folders import leave_splits, split_word
from carscale.errors import DataError

PHOTO_KINDS = frozenset(suffix.removeprefix(".") for suffix in images.PHOTO_SUFFIXES)
LABEL_KINDS = ("cls", "json", "txt")
"""The first that is there counts."""
MAX_LABEL_BYTES = 1 << 20
MAX_SHARDS = 100_000
BRACES = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(\d+)\.\.(\d+)")


@dataclass
class _Sample:
    """The members of one base name, by what follows it."""

    parts: dict[str, tuple[str, Member]] = field(default_factory=dict)


def is_pattern(text: str) -> bool:
    """Tell whether a source is a pattern for several files."""
    return bool(BRACES.search(text)) or glob.has_magic(text)


def shards_in(folder: Path) -> list[Path]:
    """Return a folder's tars where it holds nothing else."""
    try:
        entries = list(folder.iterdir())
    except OSError:
        return []
    paths = [p for p in entries if not is_clutter(p.name)]
    is_all = all(path.name.lower().endswith(TAR_SUFFIXES) and path.is_file() for path in paths)
    return sorted(paths) if is_all else []


def expanded(pattern: str) -> list[Path]:
    """Return the shards that a pattern of braces, ``*`` and ``?`` names.

    Raises:
        DataError: There is none, a named one is missing, or one is no tar.

    Example:
        >>> [path.name for path in _braces("cars-{08..10}.tar")]
        ['cars-08.tar', 'cars-09.tar', 'cars-10.tar']
    """
    paths: list[Path] = []
    for path in _braces(pattern):
        found = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207 - absolute
        if not found:
            raise DataError(f"{path}: no such file", f"the pattern was: {pattern}")
        paths += found
    for path in paths:
        if not path.name.lower().endswith(TAR_SUFFIXES):
            raise DataError(f"{path}: is no tar", f"the pattern was: {pattern}")
    if not paths:
        raise DataError(f"{pattern}: names no file", "braces count upwards: {000..009}")
    return list(dict.fromkeys(paths))


def is_shard(members: list[Member]) -> bool:
    """Tell whether a tar is a shard, not class folders.

    It is when a photo has a ``.cls`` beside it, or one outside of any folder a ``.json`` or
    ``.txt``; in class folders those are notes about photos.
    """
    samples = _samples(last_of_each(members)[0])
    return any(
        _photos(sample, None)
        and ("cls" in sample.parts or ("/" not in base and {"json", "txt"} & sample.parts.keys()))
        for base, sample in samples.items()
    )


def scan_shards(shards: list[tuple[Path, list[Member]]], where: Path | str, how: Reading) -> Scan:
    """Group members into samples.

    Args:
        shards: Paths and members.
        where: The source, for errors.
        how: The image column is what follows the base name of a photo, where a sample has several;
            the label column is ``cls``, ``json``, ``txt`` or a key of the ``json``; kept splits are
            words in the shards' names, as in ``cars-train-000.tar``.

    Raises:
        DataError: No sample can be used, or there is none in train when splits are kept.
    """
    how.refuse_paths(where)
    found, names = Scan(), FreeNames()
    splits: set[str] = set()
    photos: list[tuple[str, str]] = []
    for path, members in shards:
        said = _split_of_shard(path)
        splits |= {said} if said else set()
        split = said if how.keep_splits else ""
        if split is None:
            found.refused.append((path.name, "its name says none of train, val, test"))
            continue
        kept, refused = last_of_each(members)
        found.refused += refused
        usable = {name: member for name, member in kept.items() if member.kind == "file"}
        found.refused += [
            (name, member.kind)
            for name, member in kept.items()
            if member.kind not in ("file", "folder")
        ]
        for base, sample in _samples(usable).items():
            try:
                name, photo = _photo(sample, how.image_column)
                class_name = name_class(found, _raw_label(sample, how.label_column))
            except BadRowError as error:
                found.refused.append((base, f"{path.name}: {error}"))
                continue
            photos.append((base, name))
            found.files.append(SourceFile(None, names.take(name), class_name, split, photo.read))
    check_any(found, where, "samples")
    if dotted := [name for base, name in photos if "." in base.rpartition("/")[2]]:
        found.notes.append(
            f"{len(dotted)} names of samples hold dots, the first is {dotted[0]}, and were read up "
            "to the last; WebDataset itself ends them at the first and would mix the samples"
        )
    if how.keep_splits:
        check_train(found, where, "shards with train in their names")
    else:
        leave_splits(found, where, splits, how.split_folders, "the names of its shards")
    return found


def _samples(members: dict[str, Member]) -> dict[str, _Sample]:
    """Group members by base name, in order."""
    samples: dict[str, _Sample] = {}
    for base, sample in _grouped(members, str.partition).items():
        if _ends_at_last_dot(sample):
            samples |= _grouped(dict(sample.parts.values()), str.rpartition)
        else:
            samples[base] = sample
    return samples


def _grouped(
    members: dict[str, Member], cut: Callable[[str, str], tuple[str, str, str]]
) -> dict[str, _Sample]:
    """Group members by what is before a dot, each with what is behind it."""
    samples: dict[str, _Sample] = {}
    for name, member in members.items():
        folder, slash, last = name.rpartition("/")
        base, dot, kind = cut(last, ".")
        if member.kind == "file" and dot:
            parts = samples.setdefault(f"{folder}{slash}{base}", _Sample()).parts
            parts[kind if kind.lower() in parts else kind.lower()] = (name, member)
    return samples


def _ends_at_last_dot(sample: _Sample) -> bool:
    """Tell whether a base name has no label, and what follows it up to the last dot has one."""
    if sample.parts.keys() & LABEL_KINDS:
        return False
    heads: dict[bool, set[str]] = {True: set(), False: set()}
    for kind in sample.parts:
        head, _, last = kind.lower().rpartition(".")
        if last in (*PHOTO_KINDS, *LABEL_KINDS):
            heads[last in PHOTO_KINDS].add(head)
    return bool(heads[True] & heads[False])


def _photos(sample: _Sample, wanted: str | None) -> list[tuple[str, Member]]:
    """Return the photos of a sample: of the wanted kind, or all."""
    if wanted is not None:
        return [part for kind, part in sample.parts.items() if kind == wanted.lower().lstrip(".")]
    return [p for kind, p in sample.parts.items() if kind.lower().rpartition(".")[2] in PHOTO_KINDS]


def _photo(sample: _Sample, wanted: str | None) -> tuple[str, Member]:
    """Return the name and member of a sample's photo."""
    photos = _photos(sample, wanted)
    if len(photos) == 1:
        return photos[0]
    if not photos:
        raise BadRowError(f"no photo among: {', '.join(sample.parts)}")
    raise BadRowError(f"several photos ({', '.join(sample.parts)}): choose with --image-column")


def _raw_label(sample: _Sample, wanted: str | None) -> object:
    """Return what a sample says of its class."""
    kinds = [wanted] if wanted in LABEL_KINDS else ["json"] if wanted else list(LABEL_KINDS)
    keys = (wanted,) if wanted and wanted not in LABEL_KINDS else LABEL_NAMES
    for kind in kinds:
        if kind not in sample.parts:
            continue
        label = _label(sample.parts[kind][1], kind, keys)
        if label is not None:
            return label
    raise BadRowError(f"no label: no {' or '.join(f'.{kind}' for kind in kinds)} with one")


def _label(member: Member, kind: str, keys: tuple[str, ...]) -> object:
    """Read a label; ``None`` when a JSON has none of the keys."""
    try:
        data = member.read()
    except OSError as error:
        raise BadRowError(f"label can't be read: {error}") from error
    if len(data) > MAX_LABEL_BYTES:
        raise BadRowError(f"label of {len(data)} bytes")
    try:
        text = data.decode("utf-8-sig")
        value = json.loads(text) if kind == "json" else text
    except (ValueError, RecursionError) as error:
        raise BadRowError(f"label can't be read: .{kind}: {error}") from error
    if kind != "json":
        return value
    if not isinstance(value, dict):
        return None
    return next((value[key] for key in keys if key in value), None)


def _split_of_shard(path: Path) -> str | None:
    """Return the split that a shard's name tells, or that of its folder."""
    name = path.name.partition(".")[0]
    return split_word(name, anywhere=True) or split_word(path.parent.name)


def _braces(pattern: str) -> Iterator[Path]:
    """Yield a pattern with each of its braces filled in."""
    pieces = BRACES.split(pattern)
    choices: list[list[str]] = [
        _choices(piece) if n % 2 else [piece] for n, piece in enumerate(pieces)
    ]
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > MAX_SHARDS:
        raise DataError(f"{pattern}: names {count} files", f"at most {MAX_SHARDS} are read")
    for words in itertools.product(*choices):
        yield Path("".join(words))


def _choices(inside: str) -> list[str]:
    """Return what braces stand for: ``00..12`` or ``a,b``."""
    found = RANGE.fullmatch(inside)
    if not found:
        return inside.split(",")
    first, last = found.groups()
    count = int(last) - int(first) + 1
    if count > MAX_SHARDS:
        raise DataError(f"{{{inside}}}: names {count} files", f"at most {MAX_SHARDS} are read")
    return [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
