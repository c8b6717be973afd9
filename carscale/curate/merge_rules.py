"""Which photos of a source join a data set, and why the others do not. Pure functions.

Axes: N photos of the base, M of the source.

Chosen: the rules have an order, a photo one reason. Rejected: all that speaks against it.
Chosen: photos of the source that lie in two classes join neither. Rejected: the first: one of the
labels is wrong, and nothing says which.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from carscale import data
from carscale.data.frozen.layout import is_test_name
from carscale.data.photos.duplicates import LEARNED
from carscale.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray


Kind = Literal["match", "new", "make", "skip"]
Judge = Callable[[Mapping[int, str]], Mapping[int, tuple[str, str]]]
"""Class by row of a source's photos -> cause and reason of those that are not good enough."""


MAX_PARENT = 0.97


@dataclass(frozen=True)
class MergeRule:
    """What may join.

    Attributes:
        as_split: ``train``, or the name of a test of its own, ``test_...``.
        make_only: ``drop`` photos of which only the make is known, or ``keep`` them as partial
            labels.
        max_per_class: Photos of one base class that join at most; ``None`` for all.
        max_ratio: As many for each train photo that the base has of the class; ``None`` for all. A
            new class has none, so that this does not cut it.
        near_train: ``drop`` photos that are nearly the same as one of base train, or ``keep`` them.
            Those of val and tests are always dropped, and so are all for a test of its own.
        seed: Of the draw where there are too many.
        max_parent: Agreement of a synthetic photo with one of the same car, or of that one's group,
            above which it is that photo again.
    """

    as_split: str = "train"
    make_only: str = "drop"
    max_per_class: int | None = None
    max_ratio: float | None = None
    near_train: str = "drop"
    seed: int = 0
    max_parent: float = MAX_PARENT

    def check(self) -> None:
        """Raise ``ConfigError`` when the rule makes no sense."""
        if self.as_split != "train" and not is_test_name(self.as_split):
            raise ConfigError(
                f"--as {self.as_split}: must be train, or a test of its own: test_ and a word",
                "for example: --as test_external",
            )
        if self.max_per_class is not None and self.max_per_class < 1:
            raise ConfigError(f"--max-per-class {self.max_per_class}: must be 1 or more")
        if self.max_ratio is not None and not 0 < self.max_ratio < math.inf:
            raise ConfigError(f"--max-ratio {self.max_ratio}: must be above 0, and a number")
        for option, value in (("make-only", self.make_only), ("near-train", self.near_train)):
            if value not in ("drop", "keep"):
                raise ConfigError(f"--{option} {value}: must be drop or keep")


@dataclass(frozen=True)
class ClassTarget:
    """Where a source class goes.

    Attributes:
        kind: ``match`` a base class, ``new`` class, ``make`` alone, or ``skip``.
        name: Of that class or make.
        max_photos: Of this source class at most; ``None`` for all.
    """

    kind: Kind
    name: str = ""
    max_photos: int | None = None


@dataclass(frozen=True, eq=False)
class BasePhotos:
    """The base's photos.

    Attributes:
        paths_N: Relative paths.
        splits_N: Names of splits.
        classes_N: Names of classes.
        content_N: Hashes of the frozen bytes.
        originals_N: Hashes of the bytes they were made of.
        keys_N: The same in every version of the data.
        cars_N: Of a synthetic photo the key of the one that shows its car, else its own.
        groups_N: Names that photos share which must not be parted.
        hashes_N: Perceptual hashes.
        signatures_NSS: Small grey copies.
        read: Returns the bytes of a row's photo.
    """

    paths_N: NDArray[Any]
    splits_N: NDArray[Any]
    classes_N: NDArray[Any]
    content_N: NDArray[Any]
    originals_N: NDArray[Any]
    keys_N: NDArray[Any]
    cars_N: NDArray[Any]
    groups_N: NDArray[Any]
    hashes_N: NDArray[np.uint64]
    signatures_NSS: NDArray[np.uint8]
    read: Callable[[int], bytes]


@dataclass(frozen=True, eq=False)
class SourcePhotos:
    """The source's photos: as ``BasePhotos``, with paths and classes of the source.

    ``parents_M`` holds the keys of the photos that a synthetic one was made of, that of its car
    first.
    """

    paths_M: Sequence[str]
    classes_M: Sequence[str]
    content_M: Sequence[str]
    originals_M: Sequence[str]
    hashes_M: NDArray[np.uint64]
    signatures_MSS: NDArray[np.uint8]
    read: Callable[[int], bytes]
    parents_M: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Decision:
    """What becomes of a photo.

    Attributes:
        split: That it joins; empty when it is left out.
        class_name: Its class there, for ``partial`` its make.
        reason: Why it is left out, in words.
        cause: That in a word, to count by.
        group: Name shared with source photos that are nearly the same.
    """

    split: str = ""
    class_name: str = ""
    reason: str = ""
    cause: str = ""
    group: str = ""


def decide(
    base: BasePhotos,
    source: SourcePhotos,
    targets: Mapping[str, ClassTarget],
    rule: MergeRule,
    *,
    judge: Judge | None = None,
    advance: Callable[[str, int], None] = lambda what, total: None,
) -> list[Decision]:
    """Decide on each photo of a source.

    In this order: the map, photos made of held-out ones, exact and near duplicates of the base,
    what the judge refuses, duplicates within the source, caps. Near duplicates in the source stay.

    Args:
        base: What is there.
        source: What comes.
        targets: By source class; has all of them.
        rule: What may join.
        judge: Asked once, of the photos that are left by then.
        advance: As ``data.near_pairs`` tells it.

    Returns:
        A decision a photo, in the source's order.
    """
    known = set(base.classes_N.tolist())
    decisions = [_mapped(targets[name], rule, known) for name in source.classes_M]
    decisions = _without_held_out(base, source, decisions)
    decisions = _without_exact(base, source, decisions)
    decisions = _without_near(base, source, decisions, rule, advance)
    if judge is not None:
        left = {n: decision.class_name for n, decision in enumerate(decisions) if decision.split}
        for n, (cause, reason) in judge(left).items():
            decisions[n] = Decision(cause=cause, reason=reason)
    decisions = _without_copies(source, decisions)
    return _capped(base, source, targets, rule, decisions)


def _mapped(target: ClassTarget, rule: MergeRule, known: set[str]) -> Decision:
    """Return where a photo goes by the map alone."""
    is_train = rule.as_split == "train"
    if target.kind == "skip":
        return Decision(cause="map", reason="the map skips its class")
    if target.kind == "make":
        if rule.make_only == "keep" and is_train:
            return Decision(split="partial", class_name=target.name)
        return Decision(cause="make only", reason=f"only its make is known: {target.name}")
    if target.kind == "new" and not is_train and target.name not in known:
        return Decision(cause="new class", reason=f"the base has no class {target.name}")
    return Decision(split=rule.as_split, class_name=target.name)


def _without_held_out(
    base: BasePhotos, source: SourcePhotos, decisions: list[Decision]
) -> list[Decision]:
    """Leave out synthetic photos that were made of one that the base holds out."""
    is_held_out_N = ~np.isin(base.splits_N, LEARNED)
    pairs = (base.keys_N[is_held_out_N].tolist(), base.paths_N[is_held_out_N].tolist())
    path_of = dict(zip(*pairs, strict=True))
    decisions = list(decisions)
    for n, keys in enumerate(source.parents_M):
        if decisions[n].split and (paths := [path_of[key] for key in keys if key in path_of]):
            reason = f"made of {paths[0]}, which is held out"
            decisions[n] = Decision(cause="parent held out", reason=reason)
    return decisions


def _without_exact(
    base: BasePhotos, source: SourcePhotos, decisions: list[Decision]
) -> list[Decision]:
    """Leave out photos whose bytes the base has."""
    where: dict[str, int] = {}
    for hashes_N in (base.originals_N, base.content_N):
        where |= {name: row for row, name in enumerate(hashes_N.tolist())}

    def checked(n: int, decision: Decision) -> Decision:
        same = where.get(source.content_M[n], where.get(source.originals_M[n]))
        if not decision.split or same is None:
            return decision
        reason = f"same bytes as {base.paths_N[same]}" + _doubt(base, same, decision)
        return Decision(cause="exact duplicate", reason=reason)

    return [checked(n, decision) for n, decision in enumerate(decisions)]


def _doubt(base: BasePhotos, row: int, decision: Decision) -> str:
    """Return what to add where a photo's label is not that of the same photo in the base."""
    is_open = "partial" in (decision.split, base.splits_N[row])
    if is_open or base.classes_N[row] == decision.class_name:
        return ""
    return f", which is no {decision.class_name}: one of both labels is wrong"


def _without_near(
    base: BasePhotos,
    source: SourcePhotos,
    decisions: list[Decision],
    rule: MergeRule,
    advance: Callable[[str, int], None],
) -> list[Decision]:
    """Leave out photos that show what one of the base shows; group those of the source."""
    rows = np.array([n for n, decision in enumerate(decisions) if decision.split], dtype=np.int64)
    if not len(rows):
        return decisions
    num_base = len(base.paths_N)
    contents = [*base.content_N.tolist(), *(source.content_M[row] for row in rows)]
    pairs = data.near_pairs(
        np.concatenate([base.hashes_N, source.hashes_M[rows]]),
        np.concatenate([base.signatures_NSS, source.signatures_MSS[rows]]),
        lambda n: base.read(n) if n < num_base else source.read(int(rows[n - num_base])),
        contents_N=contents,
        advance=advance,
    )
    copies: dict[str, list[int]] = defaultdict(list)  # the first of each stands for the others
    for row in rows.tolist():
        copies[source.content_M[row]].append(row)
    decisions = list(decisions)
    is_allowed = _of_one_car(base, source, rows, rule)
    for other, one, agreement in _nearest(base, pairs, is_allowed):
        if base.splits_N[one] in LEARNED and rule.near_train == "keep" and rule.as_split == "train":
            continue
        text = f"nearly the same as {base.paths_N[one]} ({agreement:.0%} of the details agree)"
        for row in copies[contents[other]]:
            doubt = _doubt(base, one, decisions[row])
            decisions[row] = Decision(cause="near duplicate", reason=text + doubt)
    is_kept = np.array([n >= num_base for n in range(len(contents))])
    is_kept[num_base:] = [bool(decisions[row].split) for row in rows]
    is_kept_P = is_kept[pairs.rows_P2[:, 0]] & is_kept[pairs.rows_P2[:, 1]]
    for group in data.near_groups(pairs.kept(is_kept_P)):
        name = f"near:{contents[group[0]][:16]}"
        for row in (row for n in group for row in copies[contents[n]]):
            decisions[row] = replace(decisions[row], group=name)
    return decisions


def _of_one_car(
    base: BasePhotos, source: SourcePhotos, rows: NDArray[np.int64], rule: MergeRule
) -> Callable[[int, int, float], bool]:
    """Return what tells that two photos are alike because a synthetic one shows the other's car."""
    num_base = len(base.paths_N)
    group_of = dict(zip(base.keys_N.tolist(), base.groups_N.tolist(), strict=True))

    def is_of_one_car(other: int, one: int, agreement: float) -> bool:
        keys = source.parents_M[int(rows[other - num_base])]
        if not keys or agreement > rule.max_parent or base.splits_N[one] not in LEARNED:
            return False
        group = group_of.get(keys[0], "")
        return base.cars_N[one] == keys[0] or (group != "" and base.groups_N[one] == group)

    return is_of_one_car


def _nearest(
    base: BasePhotos, pairs: data.NearPairs, is_allowed: Callable[[int, int, float], bool]
) -> Iterator[tuple[int, int, float]]:
    """Yield each photo of the source that one of the base shows, and which: one held out first.

    Pairs that are allowed are passed over.
    """
    num_base = len(base.paths_N)
    held_out = {  # of photos with the same bytes the first stands for all
        content: row
        for row, content in enumerate(base.content_N.tolist())
        if base.splits_N[row] not in LEARNED
    }
    nearest: dict[int, tuple[bool, float, int]] = {}
    is_between_P = (pairs.rows_P2 < num_base).sum(axis=1) == 1
    found = (pairs.rows_P2[is_between_P].tolist(), pairs.agreements_P[is_between_P].tolist())
    for (one, other), agreement in zip(*found, strict=True):
        row = held_out.get(str(base.content_N[one]), one)
        if is_allowed(other, row, agreement):
            continue
        is_held_out = base.splits_N[row] not in LEARNED
        nearest[other] = max(nearest.get(other, (False, 0.0, -1)), (is_held_out, agreement, row))
    for other, (_, agreement, one) in nearest.items():
        yield other, one, agreement


def _without_copies(source: SourcePhotos, decisions: list[Decision]) -> list[Decision]:
    """Leave out all but one of the source's photos with the same bytes; a class beats a make."""
    same: dict[str, list[int]] = defaultdict(list)
    for n, decision in enumerate(decisions):
        if decision.split:
            same[source.content_M[n]].append(n)
    decisions = list(decisions)
    for rows in same.values():
        rows.sort(key=lambda n: decisions[n].split == "partial")
        targets = {(decisions[n].split, decisions[n].class_name) for n in rows}
        first = source.paths_M[rows[0]]
        if len({target for target in targets if target[0] != "partial"} or targets) > 1:
            names = " and ".join(sorted(name for _, name in targets))
            for n in rows:
                decisions[n] = Decision(
                    cause="two classes", reason=f"the source has the same bytes in {names}"
                )
            continue
        for n in rows[1:]:
            decisions[n] = Decision(cause="exact duplicate", reason=f"same bytes as {first} there")
    return decisions


def _capped(
    base: BasePhotos,
    source: SourcePhotos,
    targets: Mapping[str, ClassTarget],
    rule: MergeRule,
    decisions: list[Decision],
) -> list[Decision]:
    """Leave out what is above the caps, by a draw that the seed and the bytes decide."""

    def draw(n: int) -> str:
        return hashlib.sha256(f"{rule.seed} {source.content_M[n]}".encode()).hexdigest()

    order = sorted((n for n, decision in enumerate(decisions) if decision.split), key=draw)
    in_train = base.classes_N[base.splits_N == "train"].tolist()
    counts = Counter(in_train)
    by_goal: Counter[tuple[str, str]] = Counter()
    by_class: Counter[str] = Counter()
    decisions = list(decisions)
    for n in order:
        decision, name = decisions[n], source.classes_M[n]
        caps = [rule.max_per_class]
        if rule.max_ratio is not None and counts[decision.class_name]:
            caps.append(int(rule.max_ratio * counts[decision.class_name]))
        limit = min((cap for cap in caps if cap is not None), default=None)
        most = targets[name].max_photos
        key = (decision.split, decision.class_name)
        if (limit is not None and by_goal[key] >= limit) or (
            most is not None and by_class[name] >= most
        ):
            cap = limit if limit is not None and by_goal[key] >= limit else most
            decisions[n] = Decision(
                cause="cap", reason=f"above the cap of {cap} photos for {decision.class_name}"
            )
            continue
        by_goal[key] += 1
        by_class[name] += 1
    return decisions
