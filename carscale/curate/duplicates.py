"""Photos of a frozen folder that are there twice: groups, leaks, and what may go. Pure functions.

Axes: N photos, P pairs.

Chosen: exact and near duplicates make groups, directly or through others; what a model takes for
the same is listed as pairs and never dropped. Rejected: one graph of all. Why: an embedding also
joins two cars of one model before one wall.
Chosen: val and test stay as they are. Rejected: keeping the larger photo wherever it lies. Why:
results of before could not be compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from carscale import data

if TYPE_CHECKING:
    from numpy.typing import NDArray


Kind = Literal["exact", "near", "by embedding"]
LEARNED = ("train", "partial")
"""Splits that a model learns from; between them nothing leaks."""


@dataclass(frozen=True, eq=False)
class Photos:
    """Photos of a frozen folder, by id.

    Attributes:
        paths_N: Relative paths.
        splits_N: Names of splits.
        classes_N: Names of classes; in ``partial`` of makes.
        content_N: Hashes of the frozen bytes.
        originals_N: Hashes of the bytes they were made of.
        sizes_N2: Width and height.
        bytes_N: Sizes of the files.
    """

    paths_N: NDArray[Any]
    splits_N: NDArray[Any]
    classes_N: NDArray[Any]
    content_N: NDArray[Any]
    originals_N: NDArray[Any]
    sizes_N2: NDArray[np.int64]
    bytes_N: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.paths_N)


@dataclass(frozen=True)
class Link:
    """Why two photos are taken for one.

    Attributes:
        one, other: Rows.
        kind: How it was found.
        correlation: Of the grey copies at the best crop, 1 for the same bytes; NaN where they
            were not compared.
        cosine: Of the embeddings; NaN where these were not compared.
    """

    one: int
    other: int
    kind: Kind
    correlation: float
    cosine: float = float("nan")


@dataclass(frozen=True)
class DuplicateGroup:
    """Photos that are the same one, directly or through others.

    Attributes:
        rows: Ascending; ids of the manifest.
        paths, splits, classes: Of each.
        links: The pairs that make it a group.
        kind: ``exact`` when all have the same bytes, else how the weakest link was found.
        correlation: Of the weakest link; NaN where grey copies were not compared.
        is_leak: It lies in splits that must not know of each other.
        is_conflict: It lies in two classes: one label must be wrong.
    """

    rows: tuple[int, ...]
    paths: tuple[str, ...]
    splits: tuple[str, ...]
    classes: tuple[str, ...]
    links: tuple[Link, ...]
    kind: Kind
    correlation: float
    is_leak: bool
    is_conflict: bool

    @property
    def concern(self) -> str:
        """What a person should think of it: ``leak``, ``label``, or only ``duplicate``."""
        return "leak" if self.is_leak else "label" if self.is_conflict else "duplicate"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        paths = dict(zip(self.rows, self.paths, strict=True))
        return {
            "kind": self.kind,
            "is_leak": self.is_leak,
            "is_conflict": self.is_conflict,
            "correlation": _told(self.correlation),
            "photos": [
                {"id": row, "path": path, "split": split, "class": name}
                for row, path, split, name in zip(
                    self.rows, self.paths, self.splits, self.classes, strict=True
                )
            ],
            "pairs": [
                {
                    "paths": [paths[link.one], paths[link.other]],
                    "kind": link.kind,
                    "correlation": _told(link.correlation),
                    "cosine": _told(link.cosine),
                }
                for link in self.links
            ],
        }


@dataclass(frozen=True)
class Drops:
    """What a new version leaves out.

    Attributes:
        reasons: Why, by row.
        for_review: Groups of train photos in two classes, which all stay.
        held_out: Groups with photos in two of val and the tests, which stay as they are.
    """

    reasons: dict[int, str]
    for_review: tuple[DuplicateGroup, ...]
    held_out: tuple[DuplicateGroup, ...]


def duplicate_groups(photos: Photos, near: data.NearPairs | None = None) -> list[DuplicateGroup]:
    """Return photos that are there more than once: leaks first, then labels, then the rest.

    Args:
        photos: Of all splits.
        near: Pairs that are nearly the same; rows are those of ``photos``. ``None`` for exact
            duplicates alone.

    Returns:
        The groups; within a concern by the first path.
    """
    exact = _exact_links(photos)
    number = {row: n for n, rows in enumerate(_components(exact)) for row in rows}
    links = exact + [
        Link(one, other, "near", float(correlation))
        for (one, other), correlation in _pairs(near)
        if one not in number or number[one] != number.get(other)
    ]
    return _sorted(_group(photos, links))


def embedding_groups(
    photos: Photos,
    alike: data.EmbeddingPairs,
    rows_M: NDArray[np.int64],
    correlations_P: NDArray[np.floating] | None = None,
) -> list[DuplicateGroup]:
    """Return the pairs that a model takes for the same photo, as groups of their own.

    Args:
        photos: Of all splits.
        alike: Pairs by embedding.
        rows_M: The row of ``photos`` that each of the pairs' rows stands for.
        correlations_P: Of the pairs' grey copies, for a person to judge by.

    Returns:
        A group a pair; leaks first, then labels.
    """
    groups = []
    for n, (pair, cosine) in enumerate(zip(alike.rows_P2, alike.cosines_P.tolist(), strict=True)):
        one, other = sorted(rows_M[pair].tolist())
        correlation = float("nan") if correlations_P is None else float(correlations_P[n])
        groups += _group(photos, [Link(one, other, "by embedding", correlation, cosine)])
    return _sorted(groups)


def choose_drops(photos: Photos, groups: Iterable[DuplicateGroup]) -> Drops:
    """Choose which photos a new version leaves out: all but one of each group, if that is safe.

    Val and tests stay. A train photo that one of these shows too goes, whatever its class. Of
    duplicates within train the largest photo stays; in two classes all stay, for a person to say
    which label is wrong. Pairs by embedding are not touched.

    Args:
        photos: Of all splits.
        groups: From ``duplicate_groups``.

    Returns:
        What goes and why, and what a person must decide.
    """
    reasons: dict[int, str] = {}
    for_review, held_out = [], []
    for group in groups:
        if group.kind == "by embedding":
            continue
        learned = [row for row in group.rows if photos.splits_N[row] in LEARNED]
        held = [row for row in group.rows if photos.splits_N[row] not in LEARNED]
        if len({str(photos.splits_N[row]) for row in held}) > 1:
            held_out.append(group)
        if held:
            reasons |= _reasons(photos, group, learned, held)
            continue
        if group.is_conflict:
            for_review.append(group)
            continue
        best = min(learned, key=lambda row: _rank(photos, row))
        reasons |= _reasons(photos, group, [row for row in learned if row != best], [best])
    return Drops(reasons, tuple(for_review), tuple(held_out))


def _rank(photos: Photos, row: int) -> tuple[bool, int, int, str]:
    """Return what the photo that stays has least of: a known class, then size."""
    area = int(photos.sizes_N2[row].prod())
    is_partial = photos.splits_N[row] == "partial"
    return is_partial, -area, -int(photos.bytes_N[row]), str(photos.paths_N[row])


def _reasons(
    photos: Photos, group: DuplicateGroup, dropped: Iterable[int], kept: Sequence[int]
) -> dict[int, str]:
    """Return why photos go: the photo that shows the same, and how sure that is."""
    direct: dict[int, tuple[float, int, Kind]] = {}
    stay = set(kept)
    for link in group.links:
        for row, other in ((link.one, link.other), (link.other, link.one)):
            found = (link.correlation, -other, link.kind)
            if other in stay and found > direct.get(row, (-2.0, 0, "near")):
                direct[row] = found
    same = {str(photos.content_N[row]): row for row in reversed(kept)}
    reasons = {}
    for row in dropped:
        correlation, other, kind = direct.get(row, (0.0, 0, "near"))
        twin = same.get(str(photos.content_N[row]))
        if kind == "exact" or twin is not None:
            path = photos.paths_N[-other if twin is None else twin]
            reasons[row] = f"same bytes as {path}"
        elif row in direct:
            path = photos.paths_N[-other]
            reasons[row] = f"nearly the same as {path} (correlation {correlation:.3f})"
        else:
            reasons[row] = f"through others nearly the same as {photos.paths_N[kept[0]]}"
    return reasons


def _exact_links(photos: Photos) -> list[Link]:
    """Return a link from the first photo to each other one that was made of the same bytes."""
    same: dict[str, list[int]] = defaultdict(list)
    for row, hashes in enumerate(
        zip(photos.content_N.tolist(), photos.originals_N.tolist(), strict=True)
    ):
        for name in dict.fromkeys(hashes):
            same[name].append(row)
    pairs = {(rows[0], row) for rows in same.values() for row in rows[1:]}
    return [Link(one, other, "exact", 1.0) for one, other in sorted(pairs)]


def _pairs(near: data.NearPairs | None) -> list[tuple[tuple[int, int], float]]:
    """Return pairs as plain numbers."""
    if near is None:
        return []
    rows = [(one, other) for one, other in near.rows_P2.tolist()]
    return list(zip(rows, near.correlations_P.tolist(), strict=True))


def _components(links: Sequence[Link]) -> list[list[int]]:
    """Return the rows that links join."""
    if not links:
        return []
    rows_P2 = np.array([(link.one, link.other) for link in links], dtype=np.int64)
    pairs = data.NearPairs(rows_P2, np.ones(len(links), np.float32))
    return [group.tolist() for group in data.near_groups(pairs)]


def _group(photos: Photos, links: Sequence[Link]) -> list[DuplicateGroup]:
    """Return the groups that links make."""
    groups = _components(links)
    number = {row: n for n, rows in enumerate(groups) for row in rows}
    of_group: list[list[Link]] = [[] for _ in groups]
    for link in links:
        of_group[number[link.one]].append(link)
    return [_one_group(photos, rows, held) for rows, held in zip(groups, of_group, strict=True)]


def _one_group(photos: Photos, rows: Sequence[int], links: Sequence[Link]) -> DuplicateGroup:
    """Return one group with what a person should know of it."""
    splits = tuple(str(photos.splits_N[row]) for row in rows)
    classes = tuple(str(photos.classes_N[row]) for row in rows)
    roles = {"train" if split in LEARNED else split for split in splits}
    whole = {name for name, split in zip(classes, splits, strict=True) if split != "partial"}
    weakest = min(links, key=lambda link: (link.kind != "near", link.correlation))
    return DuplicateGroup(
        rows=tuple(rows),
        paths=tuple(str(photos.paths_N[row]) for row in rows),
        splits=splits,
        classes=classes,
        links=tuple(links),
        kind=weakest.kind,
        correlation=weakest.correlation,
        is_leak=len(roles) > 1,
        is_conflict=len(whole) > 1,
    )


def _sorted(groups: Sequence[DuplicateGroup]) -> list[DuplicateGroup]:
    """Return groups by concern, then by path."""
    order = ("leak", "label", "duplicate")
    return sorted(groups, key=lambda group: (order.index(group.concern), group.paths))


def _told(number: float) -> float | None:
    """Return a number for JSON, which knows no NaN."""
    return None if np.isnan(number) else round(number, 4)
