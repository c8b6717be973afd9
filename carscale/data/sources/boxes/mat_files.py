"""MATLAB files: the devkit of Stanford Cars, the names of CompCars.

References:
    Krause et al., 3D Object Representations for Fine-Grained Categorization, 2013: corners count
    from 1 and belong to the box.
    Yang et al., A Large-Scale Car Dataset for Fine-Grained Categorization and Verification, 2015.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import images
from carscale.data.sources.boxes.box_rows import BoxRow, folder_of
from carscale.data.sources.rows import BadRowError
from carscale.data.sources.scan import SourceFile
from carscale.data.sources.split_folders import split_word

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_BYTES = 256 << 20
"""Of a file's content once unpacked; Stanford's take 2 MB."""
MAX_CONTAINERS = 1000
"""Cells and structs in a file: each may lie in the one before, and scipy reads them by recursion in
C, which ends the process some ten thousand deep. Stanford's have one."""
HEADER_BYTES, COMPRESSED, MATRIX = 128, 15, 14
CONTAINERS = (1, 2, 3, 16, 17)
"""Kinds of matrices that hold others."""
SIDES = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
WITH_LABELS = "_withlabels"


def read(files: list[SourceFile]) -> Iterator[BoxRow] | None:
    """Yield the boxes of Stanford's devkit; ``None`` where there is none."""
    mats = {f.relative: f for f in files if f.relative.lower().endswith(".mat")}
    annotated = {n: f for n, f in mats.items() if "annos" in PurePosixPath(n).name.lower()}
    if not annotated:
        return None
    return _all_rows(mats, annotated)


def read_mat(file: SourceFile, *names: str) -> dict[str, Any]:
    """Return variables of a MATLAB file of version 5 to 7.2; plain values alone.

    Raises:
        BadRowError: It is none, or unpacks to too much.
    """
    from scipy import io as scipy_io

    try:
        content = file.read_bytes()
        _check_size(content)
        found: dict[str, Any] = scipy_io.loadmat(
            io.BytesIO(content), squeeze_me=True, variable_names=names
        )
    except Exception as error:  # scipy raises kinds of its own, and zlib's
        raise BadRowError(f"can't be read: {' '.join(str(error).split())[:160]}") from error
    return {name: found[name] for name in names if name in found}


def _check_size(content: bytes) -> None:
    """Raise where packed variables are far larger than they look, or may lie too deep."""
    order = "<" if content[HEADER_BYTES - 2 : HEADER_BYTES] == b"IM" else ">"
    at, total, num_containers = HEADER_BYTES, 0, 0
    aligned = set()
    while at + 8 <= len(content):
        kind, size = (int(n) for n in np.frombuffer(content, f"{order}u4", 2, at))
        total += size
        if kind == COMPRESSED:
            unpacked = zlib.decompressobj().decompress(
                content[at + 8 : at + 8 + size], MAX_BYTES + 1
            )
            total += len(unpacked)
            num_containers += _num_containers(unpacked, order)
        elif at % 8 not in aligned:  # sizes may lie: all that is behind
            aligned.add(at % 8)
            num_containers += _num_containers(content[at:], order)
        if total > MAX_BYTES:
            raise BadRowError(f"unpacks to more than {MAX_BYTES >> 20} MB")
        if num_containers > MAX_CONTAINERS:
            raise BadRowError(f"holds {num_containers} cells and structs")
        at += 8 + size


def _num_containers(content: bytes, order: str) -> int:
    """Return how many cells and structs may begin in a variable; its parts begin at eights."""
    words = np.frombuffer(content, f"{order}u4", len(content) // 4)
    starts = np.flatnonzero(words[:-4:2] == MATRIX) * 2
    return int(np.isin(words[starts + 4] & 255, CONTAINERS).sum())


def _all_rows(mats: dict[str, SourceFile], annotated: dict[str, SourceFile]) -> Iterator[BoxRow]:
    """Yield the boxes of all files."""
    class_names: list[str] = []
    for file in mats.values():
        with suppress(BadRowError):  # annotations that can't be read are told below
            class_names = class_names or _texts(read_mat(file, "class_names").get("class_names"))
    labelled = {PurePosixPath(name).name for name in annotated if WITH_LABELS in name}
    for name, file in annotated.items():
        if PurePosixPath(name).name.replace(".mat", f"{WITH_LABELS}.mat") in labelled:
            continue  # of the same photos, in any folder
        try:
            rows = read_mat(file, "annotations").get("annotations")
        except BadRowError as error:
            yield BoxRow(name, "", problem=str(error))
            continue
        if rows is None or getattr(rows, "dtype", None) is None or rows.dtype.names is None:
            yield BoxRow(name, "", problem="holds no annotations")
            continue
        yield from _rows(file, np.atleast_1d(rows), class_names)


def _rows(file: SourceFile, rows: NDArray[Any], class_names: list[str]) -> Iterator[BoxRow]:
    """Yield the boxes of one file."""
    fields = rows.dtype.names or ()
    stem, beside = PurePosixPath(file.relative).stem, folder_of(file)
    file_split = split_word(stem, anywhere=True) or ""
    photo_field = "fname" if "fname" in fields else "relative_im_path"
    missing = [name for name in (photo_field, *SIDES) if name not in fields]
    for number, row in enumerate(rows):
        where = f"{file.relative}: annotation {number + 1}"
        photo = "" if missing else str(row[photo_field])
        split = file_split
        try:
            if "test" in fields:
                split = "test" if row["test"] else "train"
            if missing:
                raise BadRowError(f"lacks {', '.join(missing)}")
            if "class" not in fields:
                raise BadRowError(f"no class; download {stem}{WITH_LABELS}.mat beside it")
            label = _class(row["class"], class_names)
            left, top, right, bottom = (float(row[side]) for side in SIDES)
        except (BadRowError, TypeError, ValueError) as error:
            yield BoxRow(where, photo, split=split, beside=beside, problem=str(error))
            continue
        box = images.Box(left - 1, top - 1, right, bottom)
        yield BoxRow(where, photo, label, box, split, beside)


def _class(number: object, names: list[str]) -> object:
    """Return the name of a class that counts from 1; the number where there are no names."""
    if not names:
        return number
    place = int(str(number))
    if not 1 <= place <= len(names):
        raise BadRowError(f"class {place} is none of the {len(names)} names")
    return names[place - 1]


def _texts(values: Any) -> list[str]:  # noqa: ANN401 - scipy's
    """Return an array of texts as a list."""
    return [] if values is None else [str(value) for value in np.atleast_1d(values).tolist()]
