"""CompCars: ``image/MAKE/MODEL/YEAR/*.jpg``, a text file of the same path below ``label``.

Makes and models are numbers; ``misc/make_model_name.mat`` names them.

Reference:
    Yang et al., A Large-Scale Car Dataset for Fine-Grained Categorization and Verification, 2015:
    the text's third line holds the corners of the box.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from carscale import images
from carscale.data.sources.boxes.mat_files import read_mat
from carscale.data.sources.rows import BadRowError, FreeNames
from carscale.data.sources.scan import Scan, SourceFile

IMAGE, LABEL = "image/", "label/"
NAMES = "misc/make_model_name.mat"
SPLITS = "train_test_split/classification/"
"""Lists of photos of 431 models: the split that papers compare on; most photos are in none."""


def attach(found: Scan, *, keep_splits: bool = False) -> bool:
    """Give a scan's photos their boxes and names; tell whether it is CompCars.

    What remains are class folders: make, model and year. To keep its splits, photos that are in
    none are refused.
    """
    root, labels = _labels(found.files)
    if not labels:
        return False
    image = f"{root}{IMAGE}"
    names = next((file for file in found.files if file.relative == f"{root}{NAMES}"), None)
    makes, models = _names(names, found)
    splits = _splits(found.files, f"{root}{SPLITS}")
    if splits and not keep_splits:
        found.notes.append(f"{len(splits)} photos are in splits of {SPLITS}: --keep-splits")
    files, found.files, free = found.files, [], FreeNames()
    for file in files:
        if not file.relative.startswith(image):
            if images.is_photo_name(file.relative):
                found.refused.append((file.relative, f"lies outside of {image}"))
            continue
        below = file.relative.removeprefix(image)
        make, _, rest = below.rpartition("/")[0].partition("/")
        model, _, year = rest.partition("/")
        folders = [makes.get(make, make), models.get(model, model), year]
        class_name = "/".join(part.replace("/", "-") for part in folders if part)
        label = labels.get(below.rpartition(".")[0])
        try:
            box = None if label is None else _box(label)
        except (OSError, ValueError, BadRowError) as error:
            found.refused.append((file.relative, f"its box can't be read: {error}"))
            continue
        split = splits.get(below, "") if keep_splits else ""
        if keep_splits and splits and not split:
            found.refused.append((file.relative, "is in no split"))
            continue
        relative = free.take(f"{class_name}/{below.rpartition('/')[2]}".lstrip("/"))
        found.files.append(
            replace(file, relative=relative, class_name=class_name, split=split, box=box)
        )
    found.empty_classes = []
    return True


def _labels(files: list[SourceFile]) -> tuple[str, dict[str, SourceFile]]:
    """Return the folder that holds both trees, and the label files by what their photos share."""
    photos = {f.relative.rpartition(".")[0] for f in files if images.is_photo_name(f.relative)}
    texts = [file for file in files if file.relative.endswith(".txt")]
    root = next(
        (
            head
            for file in texts
            for head, middle, tail in [f"/{file.relative}".partition(f"/{LABEL}")]
            if middle and f"{head[1:]}/{IMAGE}{tail[:-4]}".lstrip("/") in photos
        ),
        None,
    )
    if root is None:
        return "", {}
    top = f"{root[1:]}/" if root else ""
    below = f"{top}{LABEL}"
    return top, {f.relative[len(below) : -4]: f for f in texts if f.relative.startswith(below)}


def _splits(files: list[SourceFile], folder: str) -> dict[str, str]:
    """Return the splits of photos by their paths below the photos' folder."""
    found: dict[str, str] = {}
    for split in ("train", "test"):  # test counts where one is in both
        for file in files:
            if file.relative == f"{folder}{split}.txt":
                lines = file.read_bytes().decode("utf-8", "replace").split("\n")
                found |= dict.fromkeys((line.strip() for line in lines if line.strip()), split)
    return found


def _names(file: SourceFile | None, found: Scan) -> tuple[dict[str, str], dict[str, str]]:
    """Return the names of makes and models by their numbers; none where they can't be read."""
    if file is None:
        return {}, {}
    try:
        stored = read_mat(file, "make_names", "model_names")
    except BadRowError as error:
        found.notes.append(f"{file.relative}: {error}; makes and models keep their numbers")
        return {}, {}

    def by_number(name: str) -> dict[str, str]:
        values = np.atleast_1d(stored.get(name, [])).tolist()
        return {
            str(n): value.strip()
            for n, value in enumerate(values, start=1)
            if isinstance(value, str) and value.strip()
        }

    return by_number("make_names"), by_number("model_names")


def _box(file: SourceFile) -> images.Box | None:
    """Return the box of a label file; ``None`` where it says that there is none."""
    lines = file.read_bytes().decode("ascii", "replace").split("\n")
    if len(lines) < 3 or not lines[2].split():
        return None
    left, top, right, bottom = (float(word) for word in lines[2].split()[:4])
    return images.Box(left - 1, top - 1, right, bottom)
