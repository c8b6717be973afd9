"""COCO: JSON of images, annotations and categories.

Reference:
    https://cocodataset.org/#format-data
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from carscale import images
from carscale.data.sources.boxes.box_rows import BoxRow, folder_of, split_in
from carscale.data.sources.scan import SourceFile

MAX_FILES = 64
"""More JSON files are about a photo each, as other tools leave them."""


def read(files: list[SourceFile]) -> Iterator[BoxRow] | None:
    """Yield the boxes of all COCO files of a source; ``None`` where there is no such file."""
    named = [file for file in files if file.relative.lower().endswith(".json")]
    if len(named) > MAX_FILES:
        return None
    trees = [(file, tree) for file in named if (tree := _tree(file)) is not None]
    return (row for file, tree in trees for row in _rows(file, tree)) if trees else None


def _tree(file: SourceFile) -> dict[str, list[Any]] | None:
    """Return the three lists of a COCO file; ``None`` where it is none, or has no boxes."""
    try:
        tree = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    lists = ("images", "annotations", "categories")
    if not isinstance(tree, dict) or not all(isinstance(tree.get(name), list) for name in lists):
        return None
    first = (one for one in tree["annotations"][:100] if isinstance(one, dict))
    return tree if any(isinstance(one.get("bbox"), list) for one in first) else None


def _rows(file: SourceFile, tree: dict[str, list[Any]]) -> Iterator[BoxRow]:
    """Yield a file's boxes, and its photos that have none."""
    photos, double_photos = _by_id(tree["images"], "file_name")
    classes, double_classes = _by_id(tree["categories"], "name")
    split, beside = split_in(file.relative), folder_of(file)
    boxed = set()
    for number, one in enumerate(tree["annotations"]):
        where = f"{file.relative}: annotation {number}"
        if not isinstance(one, dict):
            yield BoxRow(where, "", problem="is no mapping")
            continue
        key, category = _key(one.get("image_id")), _key(one.get("category_id"))
        photo = photos.get(key, {})
        boxed.add(key)
        problem = _wrong_id("image_id", key, photos, double_photos)
        problem = problem or _wrong_id("category_id", category, classes, double_classes)
        if one.get("iscrowd") in (1, True):
            problem = problem or "a crowd, no single car"
        box = _box(one.get("bbox"), (photo.get("width"), photo.get("height")))
        if box is None:
            problem = problem or "its bbox is not four numbers"
        name = str(photo.get("file_name", ""))
        label = classes.get(category, {}).get("name")
        yield BoxRow(where, name, label, box, split, beside, problem)
    for key, photo in photos.items():
        if key not in boxed:
            name = str(photo.get("file_name", ""))
            where = f"{file.relative}: {name}"
            yield BoxRow(where, name, split=split, beside=beside, problem="no box")


def _by_id(listed: list[Any], what: str) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Return what has an id, by it, and the ids that mean two things."""
    found: dict[str, dict[str, Any]] = {}
    double = set()
    for one in listed:
        if isinstance(one, dict) and "id" in one:
            key = _key(one["id"])
            if found.setdefault(key, one).get(what) != one.get(what):
                double.add(key)
    return found, double


def _wrong_id(name: str, key: str, known: dict[str, dict[str, Any]], double: set[str]) -> str:
    """Return what is wrong with an id; empty where it means one thing."""
    if key not in known:
        return f"its {name} {key[:40]} is none of the file's"
    return f"its {name} {key[:40]} is given to two" if key in double else ""


def _key(value: object) -> str:
    """Return an id as text; some tools write numbers here and text there."""
    return str(value)


def _box(value: object, size: tuple[object, object]) -> images.Box | None:
    """Return the box of left, top, width and height."""
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        return None
    left, top, width, height = map(float, value)
    return images.Box(left, top, left + width, top + height, photo_size=images.photo_size(*size))


def _is_number(value: object) -> bool:
    """Tell whether JSON holds a number that a float can be."""
    is_one = isinstance(value, float) or (isinstance(value, int) and abs(value) < 1e300)
    return is_one and not isinstance(value, bool)
