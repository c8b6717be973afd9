"""Decide which file shows what, and plant known problems: the truth of a demo set.

``plan_shots`` lays down every file of the set before one is drawn; ``render_shot`` turns one into
bytes. Both are pure functions of the seed, so the order of drawing doesn't matter. A file has at
most one problem, and the two scarce classes have none, so that their recall says something about
scarcity alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from carscale.demo.makes import CarClass
from carscale.demo.scene import take_photo
from carscale.images.canvas import blur_pixels, crop_pixels, encode_jpeg, resize_pixels

# how much is planted, as a share of all files; at least one of each
SWAPPED_SHARE = 0.02
EXACT_DUPLICATE_SHARE = 0.01
NEAR_DUPLICATE_SHARE = 0.01
EXIF_SHARE = 0.02
DARK_SHARE = 0.02
BLURRED_SHARE = 0.02
NUM_ACROSS_CLASSES = 1  # exact duplicates that lie in two classes
NUM_NEAR_OTHER_LABEL = 3
BROKEN_KINDS = ("truncated", "empty", "text", "garbage_png", "truncated")
EDITS = ("recompressed", "resized", "cropped")

DARK_GREY = (16.0, 26.0)  # mean grey of a dark photo
BLUR_SHARE = 0.02  # blur radius / long side
JPEG_QUALITY = (60, 95)
SHORTEST_PX = 200
PLAN_STREAM = 2**40  # the plan's own random stream; photos use their number


@dataclass(frozen=True)
class Shot:
    """One file: where it lies, the photo it shows, what is wrong with it."""

    path: str
    folder: int  # the class whose folder it lies in
    car: int  # the class it shows
    number: int  # the photo's number: equal numbers show the same photo
    problem: str = "none"


class _Planner:
    """Hold the files that are still without a problem, and hand them out in random order."""

    def __init__(self, classes: list[CarClass], rng: Generator) -> None:
        self.classes, self.rng = classes, rng
        self.shots: list[Shot] = []
        for k, car in enumerate(classes):
            for j in range(car.count):
                path = f"{car.name}/img_{j + 1:04d}.jpg"
                self.shots.append(Shot(path, k, k, len(self.shots)))
        common = [i for i, shot in enumerate(self.shots) if not self._is_scarce(shot.folder)]
        self.free = [int(i) for i in rng.permutation(common)]

    def take(self, folders: set[int] | None = None) -> int:
        """Return the index of a clean file (in one of ``folders``) and mark it as used."""
        for place, index in enumerate(self.free):
            if folders is None or self.shots[index].folder in folders:
                return self.free.pop(place)
        raise AssertionError("more problems than photos")

    def mark(self, index: int, **changes: Any) -> Shot:  # noqa: ANN401
        """Change one file and return it."""
        self.shots[index] = replace(self.shots[index], **changes)
        return self.shots[index]

    def others(self, folder: int) -> list[int]:
        """Return the common classes that aren't this one nor its look-alike."""
        role = self.classes[folder].role
        return [
            k
            for k, car in enumerate(self.classes)
            if k != folder
            and not self._is_scarce(k)
            and not (car.role == role and role.startswith("look_alike"))
        ]

    def plain(self, problem: str, share: float) -> list[str]:
        """Give a share of all files a problem that needs no second file; return their paths."""
        return sorted(self.mark(self.take(), problem=problem).path for _ in self.repeat(share))

    def pairs(self, problems: Iterator[str], num_pairs: int, *, is_across: bool) -> list[list[str]]:
        """Make files copies of others; return ``[original, copy]``, labels differ if across."""
        found = []
        for _ in range(num_pairs):
            source = self.shots[self.take()]
            folders = set(self.others(source.folder)) if is_across else {source.folder}
            copy = self.take(folders)
            shown = {"car": source.car, "number": source.number}
            found.append([source.path, self.mark(copy, problem=next(problems), **shown).path])
        return sorted(found)

    def repeat(self, share: float) -> range:
        """Return as many turns as ``share`` of the files, at least one."""
        return range(self.count(share))

    def count(self, share: float) -> int:
        """Return how many files a share is, at least one."""
        return max(1, round(share * len(self.shots)))

    def _is_scarce(self, k: int) -> bool:
        """Return whether a class is one of the two scarce ones."""
        return self.classes[k].role.startswith("scarce")


def plan_shots(classes: list[CarClass], seed: int) -> tuple[list[Shot], dict[str, Any]]:
    """Return every file of a demo set and the truth about them.

    Args:
        classes: From ``build_classes``; its counts are the numbers of files.
        seed: ``>= 0``.

    Returns:
        The files, and what ``truth.json`` says; all lists are sorted, pairs are ``[original,
        copy]``.

    Example:
        >>> from carscale.demo.makes import build_classes
        >>> shots, truth = plan_shots(build_classes(6, 120), seed=0)
        >>> len(shots), len(truth["broken"])
        (120, 5)
    """
    plan = _Planner(classes, Generator(Philox(key=[seed, PLAN_STREAM])))
    edits, same = cycle(EDITS), cycle(["copied"])
    truth: dict[str, Any] = {
        "seed": seed,
        "classes": [
            {key: getattr(car, key) for key in ("name", "make", "model", "body", "year", "count")}
            for car in classes
        ],
        "look_alike_pairs": [
            [car.name for car in classes if car.role == f"look_alike_{n}"] for n in (1, 2)
        ],
        "scarce_hard": next(car.name for car in classes if car.role == "scarce_hard"),
        "scarce_easy": next(car.name for car in classes if car.role == "scarce_easy"),
        "swapped_labels": _swap_labels(plan),
        "exact_duplicates": plan.pairs(same, plan.count(EXACT_DUPLICATE_SHARE), is_across=False),
        "duplicates_across_classes": plan.pairs(same, NUM_ACROSS_CLASSES, is_across=True),
        "near_duplicates": plan.pairs(edits, plan.count(NEAR_DUPLICATE_SHARE), is_across=False),
        "near_duplicates_other_label": plan.pairs(edits, NUM_NEAR_OTHER_LABEL, is_across=True),
        "broken": _break_files(plan),
        "exif_rotated": _rotate_files(plan),
        "dark": plan.plain("dark", DARK_SHARE),
        "blurred": plan.plain("blurred", BLURRED_SHARE),
    }
    return plan.shots, truth


def render_shot(shot: Shot, classes: list[CarClass], seed: int) -> bytes:
    """Return the bytes of one file.

    Args:
        shot: From ``plan_shots``.
        classes: The same classes.
        seed: The same seed.

    Returns:
        A JPEG file, or what is left of one where ``shot.problem`` says so.
    """
    rng = Generator(Philox(key=[seed, shot.number]))
    if shot.problem == "empty":
        return b""
    if shot.problem == "text":
        return b"404 Not Found: the photo that was here has moved.\n"
    if shot.problem == "garbage_png":
        return b"\x89PNG\r\n\x1a\n" + rng.bytes(4000)
    quality = int(rng.integers(JPEG_QUALITY[0], JPEG_QUALITY[1] + 1))
    photo = take_photo(classes[shot.car], rng)
    if shot.problem.startswith("exif_"):
        orientation = int(shot.problem.removeprefix("exif_"))
        return encode_jpeg(photo, quality=quality, orientation=orientation)
    if shot.problem == "truncated":
        whole = encode_jpeg(photo, quality=quality)
        return whole[: int(len(whole) * 0.45)]
    if shot.problem in EDITS:
        quality += -15 if quality > 77 else 15
    return encode_jpeg(_altered(photo, shot.problem, rng), quality=quality)


def _altered(photo_HWC: NDArray[np.uint8], problem: str, rng: Generator) -> NDArray[np.uint8]:
    """Return the pixels of a photo with a problem that shows in them."""
    height, width = photo_HWC.shape[:2]
    if problem == "dark":
        level = float(rng.uniform(*DARK_GREY)) / float(photo_HWC.mean())
        return (photo_HWC * min(1.0, level)).astype(np.uint8)
    if problem == "blurred":
        return blur_pixels(photo_HWC, BLUR_SHARE * max(height, width))
    if problem == "resized" and 0.8 * max(height, width) >= SHORTEST_PX:
        return resize_pixels(photo_HWC, round(width * 0.8), round(height * 0.8))
    if problem == "cropped":
        return crop_pixels(photo_HWC, 0.02)
    return photo_HWC


def _swap_labels(plan: _Planner) -> list[dict[str, str]]:
    """Let files show a car of another class than their folder's."""
    found = []
    for _ in plan.repeat(SWAPPED_SHARE):
        index = plan.take()
        folder = plan.shots[index].folder
        car = int(plan.rng.choice(plan.others(folder)))
        shot = plan.mark(index, car=car, problem="swapped")
        names = plan.classes[folder].name, plan.classes[car].name
        found.append({"path": shot.path, "label": names[0], "true": names[1]})
    return sorted(found, key=lambda row: row["path"])


def _break_files(plan: _Planner) -> list[dict[str, str]]:
    """Make files that can't be decoded."""
    found = []
    for kind in BROKEN_KINDS:
        index = plan.take()
        path = plan.shots[index].path
        if kind == "garbage_png":
            path = path.removesuffix(".jpg") + ".png"
        found.append({"path": plan.mark(index, path=path, problem=kind).path, "kind": kind})
    return sorted(found, key=lambda row: row["path"])


def _rotate_files(plan: _Planner) -> list[dict[str, Any]]:
    """Store photos turned, with the EXIF tag that says so."""
    found = []
    for _, orientation in zip(plan.repeat(EXIF_SHARE), cycle((6, 3, 8)), strict=False):
        shot = plan.mark(plan.take(), problem=f"exif_{orientation}")
        found.append({"path": shot.path, "orientation": orientation})
    return sorted(found, key=lambda row: row["path"])
