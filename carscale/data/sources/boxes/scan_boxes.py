"""From the boxes of any format to samples; what becomes of boxes and of splits.

Chosen: photos and annotations are found among the files that a source lists, so that the same works
in a folder and in a zip, and no annotation can name a file outside. Rejected: opening the paths
that annotations hold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from carscale.data.sources.boxes import coco, comp_cars, mat_files, voc, yolo
from carscale.data.sources.boxes.box_rows import BoxRow, PhotoIndex, usable
from carscale.data.sources.labels import name_class
from carscale.data.sources.rows import BadRowError, FreeNames, Reading, check_any
from carscale.data.sources.scan import Scan, SourceFile, check_train
from carscale.data.sources.split_folders import leave_splits
from carscale.errors import ConfigError, DataError, QuestionError
from carscale.images import BadBoxError

FORMATS = {
    "COCO": coco.read,
    "Pascal VOC": voc.read,
    "Stanford's devkit": mat_files.read,
    "YOLO": yolo.read,
}


def scan_boxes(found: Scan, where: Path | str, how: Reading) -> bool:
    """Turn the files of a folder or archive into samples where annotations lie among them.

    Args:
        found: All files; changed where there are annotations.
        where: The source, for messages.
        how: Crop, splits.

    Returns:
        Whether classes come from annotations. CompCars has boxes, and classes in folders.

    Raises:
        DataError: Annotations of several formats, or none of their boxes can be used.
        QuestionError: Splits or boxes can be taken in two ways, and nothing says which.
    """
    if comp_cars.attach(found, keep_splits=how.keep_splits):
        return False
    tried = {kind: read(found.files) for kind, read in FORMATS.items()}
    kinds = {kind: rows for kind, rows in tried.items() if rows is not None}
    if not kinds:
        return False
    if len(kinds) > 1:
        raise DataError(
            f"{where}: holds boxes of several kinds: {' and '.join(kinds)}",
            "leave the files of one kind in it",
        )
    how.refuse_columns(where)
    how.refuse_paths(where)
    (kind, rows) = kinds.popitem()
    photos = PhotoIndex(found.files)
    found.files, found.empty_classes = [], []
    _add(rows, photos, found, how)
    check_any(found, where, f"boxes of {kind}")
    found.notes.insert(0, f"classes and boxes are {kind}'s")
    _settle_splits(found, where, how)
    return True


def settle_crops(found: Scan, where: Path | str, how: Reading) -> None:
    """Cut photos to their boxes, or take them whole, as is asked.

    Raises:
        ConfigError: They are to be cut, and there are no boxes.
        DataError: They are to be whole, and all have boxes of several classes.
        QuestionError: A photo has boxes of several classes, and nothing says what it is.
    """
    if not any(file.box for file in found.files):
        if how.crop == "boxes":
            raise ConfigError(f"--crop boxes: {where} has no boxes", "leave it out")
        return
    if how.crop == "boxes":
        _cut(found, how.box_margin)
        return
    classes: dict[object, set[str]] = defaultdict(set)
    for file in found.files:
        classes[file.whole].add(file.class_name)
    mixed = {whole for whole, names in classes.items() if len(names) > 1}
    if mixed and how.crop == "ask":
        first = next(file for file in found.files if file.whole in mixed)
        raise QuestionError(
            f"{where}: {len(mixed)} of {len(classes)} photos have boxes of several classes; the "
            f"first: {first.relative}: {', '.join(sorted(classes[first.whole])[:4])}",
            answers={
                "each box becomes a photo": "--crop boxes",
                "whole photos, without those of several classes": "--crop none",
            },
            notes=found.notes,
        )
    _take_whole(found, mixed, where)


def _add(rows: Iterable[BoxRow], photos: PhotoIndex, found: Scan, how: Reading) -> None:
    """Add rows as samples; what can't be used, and photos that no row names, are refused."""
    names, seen = FreeNames(), set()
    named: set[str] = set()
    for row in rows:
        try:
            if row.problem and not row.photo:
                raise BadRowError(row.problem)
            photo = photos.find(row)
            named.add(photo.relative)
            if row.problem:
                raise BadRowError(row.problem)
            class_name = name_class(found, row.label)
            box = usable(row.box, how)
        except (BadRowError, BadBoxError) as error:
            found.refused.append((row.photo or row.where, f"{row.where}: {error}"))
            continue
        key = (photo.relative, class_name, box)
        if key in seen:  # the same in a second file
            continue
        seen.add(key)
        split = row.split or photos.split_of(photo)
        sample = replace(
            photo,
            relative=names.take(photo.relative),
            class_name=class_name,
            split=split,
            box=box,
            photo=photo.relative,
        )
        found.files.append(sample)
    for file in photos.photos:
        if file.relative not in named:
            found.refused.append((file.relative, "no annotation names it"))


def _settle_splits(found: Scan, where: Path | str, how: Reading) -> None:
    """Keep the splits of annotations or leave them, as is asked."""
    if how.keep_splits:
        check_train(found, where, "annotations or folders called train")
        without = [file for file in found.files if not file.split]
        found.refused += [(file.relative, "is in no split") for file in without]
        found.files = [file for file in found.files if file.split]
        return
    leave_splits(found, where, (file.split for file in found.files), how.split_folders)


def _cut(found: Scan, margin: float) -> None:
    """Keep boxes, with their margin; photos without one are refused."""
    kept = []
    for file in found.files:
        if file.box is None:
            found.refused.append((file.relative, "no box"))
        else:
            kept.append(replace(file, box=replace(file.box, margin=margin)))
    found.files = kept


def _take_whole(found: Scan, mixed: set[object], where: Path | str) -> None:
    """Take each photo once, without its boxes; those of several classes are refused."""
    kept: dict[object, SourceFile] = {}
    num_boxes = 0
    for file in found.files:
        num_boxes += file.box is not None
        if file.whole in mixed:
            found.refused.append((file.relative, "its photo has boxes of several classes"))
        else:
            kept.setdefault(file.whole, replace(file, box=None))
    found.files = list(kept.values())
    if not kept:
        raise DataError(
            f"--crop none: all {len(mixed)} photos of {where} have boxes of several classes",
            "to make each box a photo: --crop boxes",
        )
    found.notes.append(
        f"{num_boxes} boxes are not used; to cut photos to the car: --crop boxes --box-margin 0.1"
    )
