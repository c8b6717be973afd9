"""YOLO: a text file a photo, class names in a YAML file or a list.

Reference:
    https://docs.ultralytics.com/datasets/detect/ (boxes) and .../segment/ (outlines, whose box is
    taken)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from carscale import config, images
from carscale.data.sources.boxes.box_rows import BoxRow, folder_of
from carscale.data.sources.scan import SourceFile
from carscale.errors import CarscaleError

NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
MOST_TRIED = 100
"""Text files of which one has to begin with a box."""
MOST_DIGITS = 9
_LINE = re.compile(r"\s*\d+(\s+-?[\d.]+(e-?\d+)?){4}")
MOST_OUTSIDE = 1.5
"""Shares of a photo are 0 to 1; beyond this they are pixels."""


def read(files: list[SourceFile]) -> Iterator[BoxRow] | None:
    """Yield the boxes of a YOLO set; ``None`` where there are no class names or no text files."""
    labels = {f.relative: f for f in files if f.relative.lower().endswith(".txt")}
    photos = [file for file in files if images.is_photo_name(file.relative)]
    first = list(islice(filter(None, (_label_file(photo, labels) for photo in photos)), MOST_TRIED))
    if not any(_LINE.match(_text(file)) for file in first):  # notes about photos
        return None
    names, splits = _described(files)
    return _rows(photos, labels, names, splits) if names else None


def _described(files: list[SourceFile]) -> tuple[dict[int, str], dict[str, str]]:
    """Return the names of classes by number, and the folders that are splits."""
    for file in sorted(files, key=lambda one: one.relative.count("/")):
        name = PurePosixPath(file.relative).name.lower()
        if name.endswith((".yaml", ".yml")):
            if found := _from_yaml(file):
                return found
        elif name in NAME_LISTS:
            lines = _text(file).splitlines()
            return {n: line.strip() for n, line in enumerate(lines) if line.strip()}, {}
    return {}, {}


def _from_yaml(file: SourceFile) -> tuple[dict[int, str], dict[str, str]] | None:
    """Return what a YAML file says; ``None`` where it names no classes."""
    try:
        tree: Any = config.parse_yaml(_text(file), Path(file.relative))
    except CarscaleError:
        return None
    listed = tree.get("names") if isinstance(tree, dict) else None
    pairs = dict(enumerate(listed)) if isinstance(listed, list) else listed
    if not isinstance(pairs, dict):
        return None
    known = ((_class_number(str(number)), str(name)) for number, name in pairs.items())
    names = {number: name for number, name in known if number is not None}
    splits: dict[str, str] = {}
    for split in ("train", "val", "test"):
        given = tree.get(split)
        for path in given if isinstance(given, list) else [given]:
            parts = [part for part in str(path or "").split("/") if part not in ("", ".", "..")]
            if parts:
                splits["/".join(parts)] = split
    return names, splits


def _rows(
    photos: list[SourceFile],
    labels: dict[str, SourceFile],
    names: dict[int, str],
    splits: dict[str, str],
) -> Iterator[BoxRow]:
    """Yield the boxes of each photo."""
    split_of = lru_cache(maxsize=None)(partial(_split_of, splits=splits))
    for photo in photos:
        file, split = _label_file(photo, labels), split_of(folder_of(photo))
        lines = [] if file is None else [line for line in _text(file).splitlines() if line.split()]
        if file is None or not lines:
            yield BoxRow(photo.relative, photo.relative, split=split, problem="no box")
            continue
        for number, line in enumerate(lines, start=1):
            where = f"{file.relative}: line {number}"
            label, box, problem = _parsed(line, names)
            yield BoxRow(where, photo.relative, label, box, split, problem=problem)


def _split_of(folder: str, *, splits: dict[str, str]) -> str:
    """Return the split of the longest path that lies in a folder's; empty where none does."""
    parts = folder.split("/")
    num = len(parts)
    places = ((size, start) for size in range(num, 0, -1) for start in range(num - size + 1))
    paths = ("/".join(parts[start : start + size]) for size, start in places)
    return next((splits[path] for path in paths if path in splits), "")


def _class_number(text: str) -> int | None:
    """Return the number of a class; ``None`` where a text is none."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else None


def _parsed(line: str, names: dict[int, str]) -> tuple[str | None, images.Box | None, str]:
    """Return a line's class and box, or why it has none."""
    first, *rest = line.split()
    try:
        numbers = [float(word) for word in rest]
    except ValueError:
        return None, None, "holds words where numbers were wanted"
    label = names.get(number) if (number := _class_number(first)) is not None else None
    if label is None:
        return None, None, f"class {first[:20]} is none of the {len(names)} names"
    if not all(abs(number) <= MOST_OUTSIDE for number in numbers):
        return label, None, "its numbers are no shares of the photo, 0 to 1"
    if len(numbers) in (4, 5):  # a fifth is how sure a model was
        x, y, width, height = numbers[:4]
        edges = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    elif len(numbers) >= 6 and len(numbers) % 2 == 0:
        across, down = numbers[::2], numbers[1::2]
        edges = (min(across), min(down), max(across), max(down))
    else:
        return label, None, f"has {len(numbers)} numbers; wanted x, y, width and height"
    return label, images.Box(*edges, is_share=True), ""


def _label_file(photo: SourceFile, labels: dict[str, SourceFile]) -> SourceFile | None:
    """Return a photo's text file: below ``labels`` where it is below ``images``, or beside it."""
    path = PurePosixPath(photo.relative).with_suffix(".txt")
    parts = list(path.parts)
    places = [str(path)]
    for place in range(len(parts) - 2, -1, -1):
        if parts[place].lower() == "images":
            places.insert(0, "/".join([*parts[:place], "labels", *parts[place + 1 :]]))
            break
    return next((labels[name] for name in places if name in labels), None)


def _text(file: SourceFile) -> str:
    """Return a small file's text; empty where it can't be read."""
    try:
        return file.read_bytes().decode("utf-8-sig", "replace")
    except OSError:
        return ""
