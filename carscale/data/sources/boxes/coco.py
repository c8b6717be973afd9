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
    has_boxes = any(isinstance(one, dict) and "bbox" in one for one in tree["annotations"][:100])
    return tree if has_boxes else None


def _rows(file: SourceFile, tree: dict[str, list[Any]]) -> Iterator[BoxRow]:
    """Yield a file's boxes, and its photos that have none."""
    photos = {_key(one.get("id")): one for one in tree["images"] if isinstance(one, dict)}
    classes = {
        _key(one.get("id")): one.get("name") for one in tree["categories"] if isinstance(one, dict)
    }
    split, beside = split_in(file.relative), folder_of(file)
    boxed = set()
    for number, one in enumerate(tree["annotations"]):
        where = f"{file.relative}: annotation {number}"
        if not isinstance(one, dict):
            yield BoxRow(where, "", problem="is no mapping")
            continue
        photo = photos.get(_key(one.get("image_id")), {})
        boxed.add(_key(one.get("image_id")))
        category = _key(one.get("category_id"))
        problem = "" if photo else f"image_id {one.get('image_id')!r} is none of the images"
        if category not in classes:
            problem = problem or f"category_id {one.get('category_id')!r} is none of the categories"
        if one.get("iscrowd") in (1, True):
            problem = problem or "a crowd, no single car"
        box = _box(one.get("bbox"), (photo.get("width"), photo.get("height")))
        if box is None:
            problem = problem or "its bbox is not four numbers"
        name = str(photo.get("file_name", ""))
        yield BoxRow(where, name, classes.get(category), box, split, beside, problem)
    for key, photo in photos.items():
        if key not in boxed:
            name = str(photo.get("file_name", ""))
            where = f"{file.relative}: {name}"
            yield BoxRow(where, name, split=split, beside=beside, problem="no box")


def _key(value: object) -> str:
    """Return an id as text; some tools write numbers here and text there."""
    return str(value)


def _box(value: object, size: tuple[object, object]) -> images.Box | None:
    """Return the box of left, top, width and height."""
    if not isinstance(value, list) or len(value) != 4 or not all(map(_is_number, value)):
        return None
    left, top, width, height = map(float, value)
    is_size = all(isinstance(side, int) and side > 0 for side in size)
    stated = (int(str(size[0])), int(str(size[1]))) if is_size else None
    return images.Box(left, top, left + width, top + height, photo_size=stated)


def _is_number(value: object) -> bool:
    """Tell whether JSON holds a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
