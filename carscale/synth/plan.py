"""How many synthetic photos of which class, of which parents, with which parameters.

Axes: K classes, N train photos.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from carscale.augment.draws import generator
from carscale.errors import ConfigError
from carscale.images.composite import LARGEST_PX, Place, fitted_size, place_car

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Split

Method = Literal["background", "viewpoint", "degrade", "generate"]
Kind = Literal["rare", "uniform"]
METHODS: tuple[Method, ...] = get_args(Method)
KINDS: tuple[Kind, ...] = get_args(Kind)
APPEARANCE = ("brightness", "contrast", "sharpness", "saturation")
"""Of ``images.PhotoStats``: what differs by camera and light."""
UNIFORM_SHARE, MIN_PHOTOS = 0.25, 8
"""A class is all of one kind where its variance is a quarter of the usual at most: half the spread.
Of random groups of 8 photos of Stanford Cars one in 7,000 is, of groups of 5 one in 190."""
NO_VARIANCE = 1e-6
"""A thousandth of a value: grey photos have no saturation that could differ."""
SPARE = 1.5
"""Photos that are made for each that is wanted: filters refuse some."""
TRIED = 120
"""Grounds that are tried for a car."""
MAX_LEFTOVER = 0.05
"""Part of a ground's photo where the car that stood there would have to be painted over."""
USED_AGAIN = 0.01
"""What a ground counts as worse for each car that it has got: masks that miss a wheel look best."""
MAX_SCALE = 1.6
"""Of a car's pixels: beyond this it is blurred."""


@dataclass(frozen=True)
class SynthRule:
    """What is to be made.

    Attributes:
        method: How.
        classes: Names; by ``kind`` where empty.
        per_class: Photos that join each class at most; ``None``: up to the median class, or of
            uniform classes as many as they have real photos.
        max_ratio: Synthetic photos for each real one of a class, at most.
        seed: Of all draws.
        kind: ``rare`` classes have fewer train photos than the median class, photos of ``uniform``
            ones are all of one kind (``uniform_classes``); the latter for ``degrade`` if ``None``.
    """

    method: Method
    classes: tuple[str, ...] = ()
    per_class: int | None = None
    max_ratio: float = 3.0
    seed: int = 0
    kind: Kind | None = None

    def check(self) -> None:
        """Raise ``ConfigError`` where the rule makes no sense."""
        if self.method not in METHODS:
            raise ConfigError(f"--method {self.method}: must be one of {', '.join(METHODS)}")
        if self.per_class is not None and self.per_class < 1:
            raise ConfigError(f"--per-class {self.per_class}: must be 1 or more")
        if not 0 < self.max_ratio < math.inf:
            raise ConfigError(f"--max-ratio {self.max_ratio}: must be above 0, and a number")
        if self.kind not in (None, *KINDS):
            raise ConfigError(f"kind {self.kind!r}: must be one of {', '.join(KINDS)}")

    @property
    def is_for_uniform(self) -> bool:
        """Tell whether classes get photos because theirs are all of one kind."""
        by_method = "uniform" if self.method == "degrade" else "rare"
        return not self.classes and (self.kind or by_method) == "uniform"


@dataclass(frozen=True)
class PlannedPhoto:
    """A photo to make.

    Attributes:
        row: Of the train photo that shows its car.
        number: Counts the photos of this parent from 0.
        parameters: All that decides on its pixels beside its parents, as JSON holds it.
        ground: Row of the photo that gives the ground, or -1.
    """

    row: int
    number: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    ground: int = -1


def wanted_photos(
    train: Split,
    rule: SynthRule,
    is_made_N: NDArray[np.bool_] | None = None,
    uniform: Sequence[int] = (),
) -> dict[int, int]:
    """Return how many photos each class should get, by its number; only classes that get some.

    Args:
        train: The train split.
        rule: What is to be made.
        is_made_N: Which of its photos are synthetic: of those a class has enough, or too many.
        uniform: Classes whose photos are all of one kind, for a rule that asks for them.

    Raises:
        ConfigError: A class that is none, no class lacks photos, or none is all of one kind.
    """
    counts_K = train.counts_K
    labels_M = train.labels_N[:0] if is_made_N is None else train.labels_N[is_made_N]
    made_K = np.bincount(labels_M, minlength=len(counts_K))[: len(counts_K)]
    names = [car.name for car in train.classes]
    if unknown := sorted(set(rule.classes) - set(names)):
        raise ConfigError(
            f"--classes {unknown[0]}: no class of {train.root}",
            "classes are listed in its classes.json; or take --classes rare",
        )
    if empty := [name for name in rule.classes if not counts_K[names.index(name)]]:
        raise ConfigError(
            f"--classes {empty[0]}: has no train photo to make others of",
            "leave it out, or add real photos first: carscale data merge",
        )
    median = float(np.median(counts_K[counts_K > 0]))
    by_kind = set(uniform) if rule.is_for_uniform else set(np.flatnonzero(counts_K < median))
    chosen = [
        label
        for label, name in enumerate(names)
        if counts_K[label] and (name in rule.classes if rule.classes else label in by_kind)
    ]
    if rule.is_for_uniform and not chosen:
        num_enough = int((counts_K - made_K >= MIN_PHOTOS).sum())
        raise ConfigError(
            f"{train.root}: none of the {num_enough} classes with {MIN_PHOTOS} or more real train "
            "photos has them all of one kind: of one light, sharpness and colour",
            "say which classes: --classes rare, or --classes NAME",
        )
    wanted, is_limited = {}, False
    for label in chosen:
        count, made = int(counts_K[label]), int(made_K[label])
        lacking = max(0, math.ceil(median - count))
        usual = max(0, count - 2 * made) if rule.is_for_uniform else lacking
        most = usual if rule.per_class is None else rule.per_class
        is_limited = is_limited or most > 0
        wanted[label] = max(0, min(most, int(rule.max_ratio * (count - made)) - made))
    if found := {label: number for label, number in wanted.items() if number}:
        return found
    if is_limited:
        raise ConfigError(
            f"{train.root}: --max-ratio {rule.max_ratio:g} leaves no photo to any class that was "
            "asked for",
            "raise it, or name classes with more real photos: --classes NAME",
        )
    raise ConfigError(
        f"{train.root}: none of the classes asked for has fewer train photos than the median class "
        f"({median:g})",
        "say which should get how many more: --classes NAME --per-class 20",
    )


def uniform_classes(labels_N: NDArray[np.int64], measured_NF: NDArray[np.floating]) -> list[int]:
    """Return the classes whose photos are all of one kind: of one camera, in one light.

    Their variance is at most ``UNIFORM_SHARE`` of that within all classes: of each measure (its
    logarithm) by itself, then the mean of those that vary at all.

    Args:
        labels_N: Classes of real train photos.
        measured_NF: ``APPEARANCE`` of each; NaN where a photo can't be read.
    """
    logs_NF = np.log1p(measured_NF.astype(np.float64))
    is_read_N = np.isfinite(logs_NF).all(axis=1)
    logs_NF, labels_N = logs_NF[is_read_N], labels_N[is_read_N]
    counts_K = np.bincount(labels_N)
    freedom = len(labels_N) - np.count_nonzero(counts_K)
    if freedom < 1:
        return []

    def class_sums(values_NF: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack([np.bincount(labels_N, one_N) for one_N in values_NF.T], axis=1)

    means_KF = class_sums(logs_NF) / np.maximum(1, counts_K)[:, None]
    squares_KF = class_sums((logs_NF - means_KF[labels_N]) ** 2)
    usual_F = squares_KF.sum(axis=0) / freedom
    varies_F = usual_F > NO_VARIANCE
    if not varies_F.any():
        return []
    share_K = (squares_KF[:, varies_F] / usual_F[varies_F]).mean(axis=1)
    is_so_K = (counts_K >= MIN_PHOTOS) & (share_K <= UNIFORM_SHARE * (counts_K - 1))
    return np.flatnonzero(is_so_K).tolist()


def plan_photos(
    train: Split, rule: SynthRule, wanted: Mapping[int, int], usable: Sequence[int] | None = None
) -> list[PlannedPhoto]:
    """Return the photos to make: ``SPARE`` times as many as wanted, parents by turns.

    Args:
        train: The train split.
        rule: What is to be made.
        wanted: From ``wanted_photos``.
        usable: Rows that may be parents; all by default. A class without any gets none.
    """
    may_be_N = np.ones(len(train), bool)
    if usable is not None:
        may_be_N[:] = False
        may_be_N[list(usable)] = True
    planned = []
    for label, number in sorted(wanted.items()):
        rows = np.flatnonzero((train.labels_N == label) & may_be_N)
        if not len(rows):
            continue
        rng = generator(rule.seed, f"synth {rule.method} {train.classes[label].name}")
        rows = rng.permutation(rows)
        for turn in range(math.ceil(SPARE * number)):
            row, again = int(rows[turn % len(rows)]), turn // len(rows)
            words = _parameters(rule, str(train.keys_N[row]), again)
            planned.append(PlannedPhoto(row, again, words))
    return planned


def _parameters(rule: SynthRule, key: str, number: int) -> dict[str, Any]:
    """Return what is drawn for one photo: by its parent's key, so the same in every version."""
    rng = generator(rule.seed, f"synth {rule.method} {key}", number)
    if rule.method == "viewpoint":
        side = 1 if rng.random() < 0.5 else -1
        return {
            "yaw": round(side * rng.uniform(6, 14), 2),
            "pitch": round(rng.uniform(-6, 6), 2),
            "roll": round(rng.uniform(-3, 3), 2),
        }
    if rule.method == "degrade":
        return {
            "exposure": round(rng.uniform(-0.8, 0.8), 2),
            "scale": round(rng.uniform(0.5, 1), 3),
            "blur": round(rng.uniform(0, 0.012), 4),
            "angle": round(rng.uniform(0, 180), 1),
            "noise": round(rng.uniform(1, 9), 2),
            "quality": int(rng.integers(35, 80)),
        }
    if rule.method == "generate":
        return {"seed": int(rng.integers(2**31))}
    return {}


def choose_grounds(
    train: Split,
    rule: SynthRule,
    planned: Sequence[PlannedPhoto],
    masks: Mapping[int, NDArray[np.bool_]],
) -> list[PlannedPhoto]:
    """Return the photos that find a ground: one of another class where the car covers its car.

    Of ``TRIED`` grounds that are drawn the one is taken where least would have to be painted over,
    none twice for the same car, and others before one that was taken.

    Args:
        train: The train split.
        rule: What is to be made.
        planned: Cars, all with a mask.
        masks: By row; rows of other classes may give their ground.
    """
    rows = np.array(sorted(masks), dtype=np.int64)
    found: list[PlannedPhoto] = []
    taken: dict[int, set[int]] = {}
    times: Counter[int] = Counter()
    for photo in planned:
        used = taken.setdefault(photo.row, set())
        others = rows[train.labels_N[rows] != train.labels_N[photo.row]]
        others = others[~np.isin(others, list(used))]
        if not len(others):
            continue
        key = str(train.keys_N[photo.row])
        rng = generator(rule.seed, f"ground {key}", photo.number)
        tried = rng.choice(others, size=min(TRIED, len(others)), replace=False).tolist()
        size = _size(train, photo.row)
        places = {
            row: place_car(masks[photo.row], size, masks[row], _size(train, row)) for row in tried
        }
        badness = {row: _badness(places[row]) + USED_AGAIN * times[row] for row in tried}
        ground = min(tried, key=lambda row: (badness[row], row))
        place = places[ground]
        if place.leftover <= MAX_LEFTOVER and place.scale <= MAX_SCALE:
            words = {"scale": place.scale, "left": place.left, "top": place.top}
            found.append(replace(photo, parameters=words, ground=ground))
            used.add(ground)
            times[ground] += 1
    return found


def _size(train: Split, row: int) -> tuple[int, int]:
    """Return a photo's width and height, as ``make`` decodes it."""
    width, height = train.sizes_N2[row].tolist()
    return fitted_size(width, height, LARGEST_PX)


def _badness(place: Place) -> float:
    """Return how much a place asks of the eye: paint, and pixels that are stretched."""
    return place.leftover + 0.05 * max(0.0, place.scale - 1)
