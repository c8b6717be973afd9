"""Has a new run become worse anywhere? By class, by slice, and photo by photo.

Axes: N photos, G groups of photos, S further seeds.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from carscale import stats
from carscale.verdicts.verdict import ALPHA

if TYPE_CHECKING:
    from numpy.typing import NDArray


MIN_CHANGED = 4
"""Photos of a class that must have changed for it to tell how much classes shift."""
MIN_CLASSES = 8
"""Fewer such classes tell nothing."""
ASSUMED_SHIFT = 0.03
"""Where nothing tells."""
QUARTILE, EFFICIENCY = 1.3233, 0.6
"""Upper quartile of a chi-squared variable; the part of what is known of a variance that it tells.
"""


@dataclass(frozen=True, eq=False)
class PhotoGroup:
    """Photos that are judged together.

    Attributes:
        kind: ``all``, ``class`` or ``slice``.
        name: Of the class; of a slice ``brightness: below 63``.
        is_in_N: Which photos.
    """

    kind: Literal["all", "class", "slice"]
    name: str
    is_in_N: NDArray[np.bool_]


@dataclass(frozen=True)
class GroupChange:
    """What became of a group.

    Attributes:
        kind, name: Of the group.
        num_photos: In it.
        num_gained, num_lost: Photos that only the new, only the old run predicted correctly.
        num_right: That the old run predicted correctly.
        p: That a drop so large comes by chance, corrected for all groups; 1 without a drop.
        smallest_drop: Smallest drop that could be shown, as a share; ``None`` where none could.
        is_worse: Whether it is refused.
    """

    kind: str
    name: str
    num_photos: int
    num_gained: int
    num_lost: int
    num_right: int
    p: float
    smallest_drop: float | None
    is_worse: bool

    @property
    def drop(self) -> float:
        """Return how much accuracy fell, as a share; negative where it rose."""
        return (self.num_lost - self.num_gained) / self.num_photos if self.num_photos else 0.0


@dataclass(frozen=True)
class Flips:
    """Photos that the old run predicted correctly and the new one does not.

    Attributes:
        num_right: What the old run predicted correctly.
        num_lost: Of these, wrong now.
        by_chance: Share that another seed of the old run's recipe loses; ``None`` where no such run
            is at hand, 0 where the new run starts from the old one's weights.
        limit: Share beyond that which is allowed.
        p: That so many come by chance within the limit; ``None`` where it is not judged.
        is_too_many: Whether they are refused.
    """

    num_right: int
    num_lost: int
    by_chance: float | None
    limit: float
    p: float | None
    is_too_many: bool

    @property
    def share(self) -> float:
        """Return the share of what was right that is wrong now."""
        return self.num_lost / self.num_right if self.num_right else 0.0


@dataclass(frozen=True)
class Shift:
    """How far whole classes shift beyond their photos: two seeds move borders between classes.

    Attributes:
        value: Standard deviation of a class's recall, as a share.
        freedom: Degrees of freedom of that.
        source: What told: other ``seeds`` of the old recipe, the ``new`` run itself, nothing
            (``assumed``), or ``none``: a run that goes on from the old weights has no such luck.
    """

    value: float
    freedom: float
    source: Literal["seeds", "new", "assumed", "none"]


@dataclass(frozen=True)
class GateResult:
    """What a gate found.

    Attributes:
        groups: All photos first, then classes, then slices.
        flips: Photo by photo.
        shift: How far whole classes shift beyond their photos.
        num_tested: Groups that could have been refused.
        is_blind: Whether classes shift so far between the two runs, with no other seed to tell luck
            from damage, that no class can be judged.
        max_class_drop: Drop of a group that was allowed, as a share.
    """

    groups: tuple[GroupChange, ...]
    flips: Flips
    shift: Shift
    num_tested: int
    is_blind: bool
    max_class_drop: float

    @property
    def worse(self) -> tuple[GroupChange, ...]:
        """Return the groups that are refused, the surest first."""
        return tuple(sorted((one for one in self.groups if one.is_worse), key=lambda one: one.p))

    @property
    def has_passed(self) -> bool:
        """Tell whether nothing became worse beyond noise and limits."""
        return not self.worse and not self.flips.is_too_many


def judge_gate(
    labels_N: NDArray[np.int64],
    old_N: NDArray[np.bool_],
    new_N: NDArray[np.bool_],
    groups: Sequence[PhotoGroup],
    *,
    max_class_drop: float = 0.05,
    max_negative_flips: float = 0.02,
    seeds_SN: NDArray[np.bool_] | None = None,
    is_continued: bool = False,
) -> GateResult:
    """Judge a new run against an old one on the same photos.

    A group is refused where its drop is larger than the limit and larger than chance: McNemar's
    exact test, one-sided, its variance larger by as much as whole classes shift beyond their
    photos, corrected for all groups that could be shown. Flips are one test more.

    Args:
        labels_N: True classes.
        old_N: Whether the old run predicts a photo correctly.
        new_N: The same of the new run.
        groups: Classes, slices, all photos.
        max_class_drop: Drop of a group that is allowed, as a share.
        max_negative_flips: Share of what was right that may be wrong now, beyond chance.
        seeds_SN: The same of other seeds of the old run's recipe.
        is_continued: Whether the new run starts from the old one's weights: nothing flips by seed.

    Raises:
        ValueError: No photos, or arrays of other lengths.

    Reference:
        Variance by a quantile of many tests: Devlin and Roeder 1999,
        https://doi.org/10.1111/j.0006-341X.1999.00997.x. Correction for discrete tests: Tarone
        1990, https://doi.org/10.2307/2531456.

    Example:
        >>> labels = np.repeat([0, 1], 200)
        >>> old, new = np.ones(400, dtype=bool), np.arange(400) >= 60
        >>> found = judge_gate(labels, old, new, class_groups(labels, ["a", "b"]))
        >>> [(one.name, one.drop) for one in found.worse]
        [('a', 0.3), ('all photos', 0.15)]
    """
    if len(old_N) == 0 or not labels_N.shape == old_N.shape == new_N.shape:
        raise ValueError(f"a gate needs photos of both runs, got {old_N.shape} and {new_N.shape}")
    changed_N, lost_N = old_N != new_N, old_N & ~new_N
    shift = _shift(labels_N, old_N, new_N, seeds_SN, is_continued=is_continued)
    changed_G = np.array([int(changed_N[one.is_in_N].sum()) for one in groups], dtype=np.int64)
    lost_G = np.array([int(lost_N[one.is_in_N].sum()) for one in groups], dtype=np.int64)
    shift_G = shift.value**2 * np.array([_squares(labels_N[one.is_in_N]) for one in groups])
    inflation_G = 1 + shift_G / np.maximum(1, changed_G)
    flips_p, by_chance = _flips(old_N, lost_N, seeds_SN, max_negative_flips, is_continued)
    least_G = stats.deflated(0.5 ** changed_G.astype(float), inflation_G, shift.freedom)
    num_tested = _num_tested(least_G, others=int(flips_p is not None))
    plain_G = stats.binomial_tail(lost_G, changed_G, 0.5)
    p_G = np.minimum(1.0, num_tested * stats.deflated(plain_G, inflation_G, shift.freedom))
    changes = []
    for number, one in enumerate(groups):
        num_photos, num_right = int(one.is_in_N.sum()), int(old_N[one.is_in_N].sum())
        lost, gained = int(lost_G[number]), int(changed_G[number] - lost_G[number])
        is_large = lost - gained > max_class_drop * num_photos
        p = float(p_G[number]) if lost > gained else 1.0
        counted = range(math.floor(max_class_drop * num_photos) + 1, num_right + 1)
        enough = _least_lost(counted, float(shift_G[number]), shift.freedom, num_tested)
        smallest = None if enough is None else enough / num_photos
        counts = (num_photos, gained, lost, num_right)
        changes.append(
            GroupChange(one.kind, one.name, *counts, p, smallest, is_large and p < ALPHA)
        )
    adjusted = None if flips_p is None else min(1.0, flips_p * num_tested)
    flips = Flips(
        int(old_N.sum()),
        int(lost_N.sum()),
        by_chance,
        max_negative_flips,
        adjusted,
        adjusted is not None and adjusted < ALPHA,
    )
    is_blind = shift.source == "new" and shift.value > max_class_drop / 2
    return GateResult(tuple(changes), flips, shift, num_tested, is_blind, max_class_drop)


def _least_lost(counted: range, shift: float, freedom: float, num_tested: int) -> int | None:
    """Return the fewest photos that would be shown, were all of them lost and none gained."""

    def is_shown(num: int) -> bool:
        return bool(num_tested * stats.deflated(0.5**num, 1 + shift / num, freedom) < ALPHA)

    place = bisect.bisect_left(counted, True, key=is_shown)  # p falls with every photo
    return counted[place] if place < len(counted) else None


def class_groups(labels_N: NDArray[np.int64], names: Sequence[str]) -> list[PhotoGroup]:
    """Return a group of all photos and one of each class that has some."""
    whole = PhotoGroup("all", "all photos", np.ones(len(labels_N), dtype=bool))
    present = np.unique(labels_N).tolist()
    return [whole, *(PhotoGroup("class", names[k], labels_N == k) for k in present)]


def _shift(
    labels_N: NDArray[np.int64],
    old_N: NDArray[np.bool_],
    new_N: NDArray[np.bool_],
    seeds_SN: NDArray[np.bool_] | None,
    *,
    is_continued: bool,
) -> Shift:
    """Return how far classes shift by luck, from the best that tells."""
    if is_continued:
        return Shift(0.0, float("inf"), "none")
    others = list(seeds_SN) if seeds_SN is not None else []
    found = [class_shift(labels_N, old_N, one) for one in others or [new_N]]
    told = [one for one in found if one is not None]
    if not told:
        return Shift(ASSUMED_SHIFT, float("inf"), "assumed")
    value = float(np.sqrt(np.mean([shift**2 for shift, _ in told])))
    return Shift(value, min(freedom for _, freedom in told), "seeds" if others else "new")


def class_shift(
    labels_N: NDArray[np.int64], old_N: NDArray[np.bool_], other_N: NDArray[np.bool_]
) -> tuple[float, float] | None:
    """Return how far whole classes shift between two runs, and its degrees of freedom.

    The net change of a class of n photos, m of which changed, has the variance ``m + (shift n)^2``:
    two seeds of one recipe move borders between classes. The shift is the one with which a quarter
    of the classes lies as far from the common change as it would by chance: classes that became
    worse, up to a quarter, hardly move it.

    Returns:
        ``None`` where too few classes changed to tell.
    """
    changed_N, lost_N = old_N != other_N, old_N & ~other_N
    counts_K = np.bincount(labels_N)
    changed_K = np.bincount(labels_N[changed_N], minlength=len(counts_K))
    is_told_K = changed_K >= MIN_CHANGED
    if (num_told := int(is_told_K.sum())) < MIN_CLASSES:
        return None
    net_K = 2 * np.bincount(labels_N[lost_N], minlength=len(counts_K)) - changed_K
    common = float(net_K.sum() / changed_K.sum())
    moved_K = (net_K - common * changed_K)[is_told_K] ** 2
    photos_K = changed_K[is_told_K] * max(1e-9, 1 - common**2)
    sizes_K = counts_K[is_told_K].astype(float)

    def excess(shift: float) -> float:
        return float(np.quantile(moved_K / (photos_K + (shift * sizes_K) ** 2), 0.75)) - QUARTILE

    low, high = 0.0, 1.0
    if excess(low) <= 0:
        return 0.0, EFFICIENCY * num_told
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return high, EFFICIENCY * num_told


def _num_tested(least_G: NDArray[np.float64], *, others: int) -> int:
    """Return how many tests are corrected for: those that could be significant at all (Tarone)."""
    for number in range(1, len(least_G) + others + 1):
        if (least_G <= ALPHA / number).sum() + others <= number:
            return number
    return max(1, len(least_G) + others)


def _flips(
    old_N: NDArray[np.bool_],
    lost_N: NDArray[np.bool_],
    seeds_SN: NDArray[np.bool_] | None,
    limit: float,
    is_continued: bool,
) -> tuple[float | None, float | None]:
    """Return the p of negative flips, and the share of them that comes by seed."""
    num_right, num_lost = int(old_N.sum()), int(lost_N.sum())
    if is_continued:
        tail = stats.binomial_tail(np.array([num_lost]), np.array([num_right]), limit)
        return float(tail[0]), 0.0
    if seeds_SN is None or not len(seeds_SN) or num_right < 2:
        return None, None
    flipped_SN = ~seeds_SN[:, old_N]
    by_seed_N = flipped_SN.mean(axis=0)
    excess_N = lost_N[old_N] - by_seed_N - limit
    variance = float(excess_N.var(ddof=1)) / num_right
    if len(seeds_SN) > 1:  # seeds flip more or fewer photos, and so would another one
        variance += float(flipped_SN.mean(axis=1).var(ddof=1)) * (1 + 1 / len(seeds_SN))
    error = variance**0.5
    z = float(excess_N.mean()) / error if error > 0 else float(np.sign(excess_N.mean()) * 40)
    return float(1 - stats.normal_share([z])[0]), float(by_seed_N.mean())


def _squares(labels_M: NDArray[np.int64]) -> float:
    """Return the sum of squared counts of classes."""
    return float((np.bincount(labels_M).astype(float) ** 2).sum()) if len(labels_M) else 0.0
