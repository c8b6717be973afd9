"""Duplicate images of a data set: groups, leaks between splits, label conflicts. Pure functions.

Axes: N photos, G groups, M members of all groups, L links.

Chosen: exact and near duplicates make groups; what a model takes for the same is listed as pairs.
Rejected: one graph of all. Why: an embedding also joins two cars of one model before one wall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import stats, tables
from carscale.data.frozen.layout import read_card
from carscale.data.frozen.manifest import MADE_GROUPS, read_manifest
from carscale.data.frozen.split_assignment import PARTIAL
from carscale.data.photos.duplicate_groups import (
    BY_EMBEDDING,
    EXACT,
    NEAR,
    DuplicateGroups,
    Links,
    PhotoRows,
    open_pairs,
)
from carscale.data.photos.near_groups import near_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.data.photos.embedding_duplicates import EmbeddingPairs
    from carscale.data.photos.near_duplicates import NearPairs


COLUMNS = (
    *("path", "split", "class", "key", "sha256", "original_sha256", "width", "height"),
    *("num_bytes", "box", "group"),
)
LEARNED = ("train", PARTIAL)
"""Splits that a model learns from; between them nothing leaks."""


def read_photos(root: Path) -> PhotoRows:
    """Return what the manifest of a frozen folder or pack says of its photos.

    Raises:
        DataError: No frozen folder.
    """
    read_card(root)
    columns = read_manifest(root, COLUMNS)
    sizes_N2 = np.stack([columns["width"], columns["height"]], axis=1).astype(np.int64)
    groups = ["" if name.startswith(MADE_GROUPS) else name for name in columns["group"].tolist()]
    return PhotoRows(
        paths_N=columns["path"],
        splits_N=columns["split"],
        classes_N=columns["class"],
        content_N=columns["sha256"],
        originals_N=columns["original_sha256"] + columns["box"],
        sizes_N2=sizes_N2,
        bytes_N=columns["num_bytes"].astype(np.int64),
        keys_N=columns["key"],
        groups_N=np.array(groups, dtype=object),
    )


def data_notes(rows: Sequence[dict[str, Any]], empty_classes: list[str]) -> dict[str, Any]:
    """Return what a card says of duplicates and of classes with too few photos.

    Args:
        rows: Of the manifest.
        empty_classes: Folders of the source that hold no photo.
    """
    per_class = Counter(row["class"] for row in rows)
    sources_N, splits_N, classes_N, hashes_N = (
        np.array([row[name] for row in rows], dtype=object)
        for name in ("source", "split", "class", "sha256")
    )
    sizes_N2 = np.zeros((len(rows), 2), np.int64)
    groups = duplicate_groups(
        PhotoRows(
            *(sources_N, splits_N, classes_N, hashes_N, hashes_N),
            *(sizes_N2, sizes_N2[:, 0], hashes_N, np.full(len(rows), "", dtype=object)),
        )
    )
    conflicts = groups.taken(groups.is_conflict_G)
    return {
        "empty_classes": empty_classes,
        "classes_of_one_photo": sorted(name for name, count in per_class.items() if count == 1),
        "num_exact_duplicates": groups.num_spare,
        "label_conflicts": sorted(sorted(group.paths) for group in conflicts),
    }


def same_bytes(paths: Sequence[str]) -> str:
    """Return photos of the same bytes in words: the first, the last, and how many more there are.

    Args:
        paths: Of the photos, ordered: the first and the last rather lie in two folders.

    Example:
        >>> same_bytes(["a/1.jpg", "a/2.jpg", "b/1.jpg"])
        'a/1.jpg = b/1.jpg and 1 more'
    """
    more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
    return f"{paths[0]} = {paths[-1]}{more}"


def duplicate_groups(
    photos: PhotoRows,
    near: NearPairs | None = None,
    *,
    settled_P2: NDArray[np.int64] | None = None,
) -> DuplicateGroups:
    """Return photos that are there more than once: leaks first, then labels, then the rest.

    Args:
        photos: Of all splits.
        near: Pairs that are nearly the same; rows are those of ``photos``, of photos with the same
            bytes the first. ``None`` for exact duplicates alone.
        settled_P2: Pairs of which a person said that both labels are right.

    Returns:
        The groups; within a concern by the first photo.
    """
    exact_L2 = _exact_links(photos)
    parts = [exact_L2]
    near_L2, agreements = np.empty((0, 2), np.int64), np.empty(0, np.float32)
    if near is not None and len(near.rows_P2):
        number_N = np.full(len(photos), -1, np.int64)
        for number, rows in enumerate(near_groups(near)):
            number_N[rows] = number
        numbers_P2 = number_N[near.rows_P2]
        kept = (numbers_P2[:, 0] >= 0) & (numbers_P2[:, 0] == numbers_P2[:, 1])
        kept &= ~_joined(exact_L2, near.rows_P2, len(photos))
        near_L2, agreements = near.rows_P2[kept], near.agreements_P[kept]
        parts.append(near_L2)
    links = Links(
        np.concatenate(parts),
        np.repeat([EXACT, NEAR], [len(exact_L2), len(near_L2)]).astype(np.int8),
        np.concatenate([np.ones(len(exact_L2), np.float32), agreements]),
        np.full(len(exact_L2) + len(near_L2), np.nan, np.float32),
    )
    number_N = np.full(len(photos), -1, np.int64)
    for number, rows in enumerate(stats.connected(links.rows_L2)):
        number_N[rows] = number
    rows_M = np.flatnonzero(number_N >= 0)
    groups = _grouped(
        photos, rows_M, number_N[rows_M], links, numbers_L=number_N[links.rows_L2[:, 0]]
    )
    return _sorted(groups if settled_P2 is None else _settled(groups, settled_P2))


def pair_groups(
    photos: PhotoRows, links: Links, settled_P2: NDArray[np.int64] | None = None
) -> DuplicateGroups:
    """Return each link as a group of its own, in their order.

    Args:
        photos: Of all splits.
        links: The pairs.
        settled_P2: Pairs of which a person said that both labels are right.
    """
    numbers = np.repeat(np.arange(len(links)), 2)
    rows_M = np.sort(links.rows_L2, axis=1).ravel()
    groups = _grouped(photos, rows_M, numbers, links, numbers_L=np.arange(len(links)))
    return groups if settled_P2 is None else _settled(groups, settled_P2)


def embedding_groups(
    photos: PhotoRows,
    pairs: EmbeddingPairs,
    rows_M: NDArray[np.int64],
    agreements_P: NDArray[np.floating] | None = None,
) -> DuplicateGroups:
    """Return the pairs that a model takes for the same photo, as groups of their own.

    Args:
        photos: Of all splits.
        pairs: By embedding.
        rows_M: The row of ``photos`` that each of the pairs' rows stands for.
        agreements_P: Shares of the pairs' details that coincide, for a person to judge by.

    Returns:
        A group a pair; leaks first, then labels.
    """
    count = len(pairs.rows_P2)
    agreements = np.full(count, np.nan) if agreements_P is None else agreements_P
    links = Links(
        np.sort(rows_M[pairs.rows_P2], axis=1),
        np.full(count, BY_EMBEDDING, np.int8),
        np.asarray(agreements, np.float32),
        pairs.cosines_P,
    )
    return _sorted(pair_groups(photos, links))


def _exact_links(photos: PhotoRows) -> NDArray[np.int64]:
    """Return a pair of the first photo and each other one of the same, or made of the same, bytes.

    Of the same original two versions of carscale may have made other bytes.
    """
    content_N, originals_N = map(tables.numbered, (photos.content_N, photos.originals_N))
    pairs = _pairs_with_first(content_N)
    others = _pairs_with_first(originals_N)
    others = others[content_N[others[:, 0]] != content_N[others[:, 1]]] if len(others) else others
    found = np.concatenate([pairs, others])
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def _pairs_with_first(numbers_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where a number came first, with each place where it came again."""
    _, first, place_N = np.unique(numbers_N, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[place_N] != np.arange(len(numbers_N)))
    return np.stack([first[place_N[again]], again], axis=1).astype(np.int64)


def _joined(
    links_L2: NDArray[np.int64], rows_P2: NDArray[np.int64], count: int
) -> NDArray[np.bool_]:
    """Tell which pairs links join already."""
    number_N = np.arange(count) + count
    for number, rows in enumerate(stats.connected(links_L2)):
        number_N[rows] = number
    numbers_P2 = number_N[rows_P2]
    return numbers_P2[:, 0] == numbers_P2[:, 1]


def _grouped(
    photos: PhotoRows,
    rows_M: NDArray[np.int64],
    numbers_M: NDArray[np.int64],
    links: Links,
    *,
    numbers_L: NDArray[np.int64],
) -> DuplicateGroups:
    """Return groups from the number that each photo, and each link, has."""
    order, link_order = (np.argsort(part, kind="stable") for part in (numbers_M, numbers_L))
    rows_M = rows_M[order]
    count = int(numbers_M.max(initial=-1)) + 1
    starts_G1 = np.searchsorted(numbers_M[order], np.arange(count + 1))
    split_N, class_N = tables.numbered(photos.splits_N), tables.numbered(photos.classes_N)
    for name in LEARNED:
        split_N[photos.splits_N == name] = -1
    class_N[photos.splits_N == PARTIAL] = -1
    return DuplicateGroups(
        photos,
        rows_M,
        starts_G1,
        links.taken(link_order),
        np.searchsorted(numbers_L[link_order], np.arange(count + 1)),
        _differ(split_N[rows_M], starts_G1),
        _differ(class_N[rows_M], starts_G1, passed_over=-1),
    )


def _differ(
    values_M: NDArray[np.int64], starts_G1: NDArray[np.int64], passed_over: int | None = None
) -> NDArray[np.bool_]:
    """Tell in which groups values differ."""
    if len(starts_G1) < 2:
        return np.zeros(0, bool)
    low_M = np.where(values_M == passed_over, np.iinfo(np.int64).max, values_M)
    low_G = np.minimum.reduceat(low_M, starts_G1[:-1])
    high_G = np.maximum.reduceat(values_M, starts_G1[:-1])
    return low_G < high_G


def _settled(groups: DuplicateGroups, settled_P2: NDArray[np.int64]) -> DuplicateGroups:
    """Return groups without the conflicts that a person has answered."""
    touched = np.isin(groups.rows_M, settled_P2)
    is_conflict_G = groups.is_conflict_G.copy()
    numbers_M = np.repeat(np.arange(len(groups)), np.diff(groups.starts_G1))
    for number in np.unique(numbers_M[touched]).tolist():
        rows = groups.rows_M[slice(*groups.starts_G1[number : number + 2])]
        own_P2 = settled_P2[np.isin(settled_P2, rows).all(axis=1)]
        distinct = _distinct(groups.photos, rows)
        is_conflict_G[number] = any(open_pairs(groups.photos, distinct, own_P2))
    return replace(groups, is_conflict_G=is_conflict_G)


def _distinct(photos: PhotoRows, rows: NDArray[np.int64]) -> list[int]:
    """Return one row of each content and class: of copies, an answer on one is on all."""
    columns = photos.content_N[rows], photos.classes_N[rows], photos.splits_N[rows] == PARTIAL
    found = dict(zip(zip(*columns, strict=True), rows.tolist(), strict=True))
    return sorted(found.values())


def _sorted(groups: DuplicateGroups) -> DuplicateGroups:
    """Return groups by concern, then by their first photo."""
    first_G = groups.rows_M[groups.starts_G1[:-1]]
    return groups.taken(np.lexsort((first_G, groups.concerns_G)))
