"""Duplicate images of a data set: groups, leaks between splits, label conflicts. Pure functions.

Axes: N photos, P pairs.

Chosen: exact and near duplicates make groups, directly or through others; what a model takes for
the same is listed as pairs. Rejected: one graph of all. Why: an embedding also joins two cars of
one model before one wall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from carscale.data.frozen.layout import read_card
from carscale.data.frozen.manifest import read_manifest
from carscale.data.frozen.split_assignment import PARTIAL
from carscale.data.photos.near_duplicates import NearPairs, near_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.data.photos.embedding_duplicates import EmbeddingPairs


Kind = Literal["exact", "near", "by embedding"]
COLUMNS = (
    *("path", "split", "class", "sha256", "original_sha256", "width", "height", "num_bytes", "box"),
)
LEARNED = ("train", PARTIAL)
"""Splits that a model learns from; between them nothing leaks."""


@dataclass(frozen=True, eq=False)
class PhotoRows:
    """Photos of a frozen folder, by id.

    Attributes:
        paths_N: Relative paths.
        splits_N: Names of splits.
        classes_N: Names of classes; in ``partial`` of makes.
        content_N: Hashes of the frozen bytes.
        originals_N: Hashes of the bytes they were made of, with the box that was cut out.
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
            "correlation": _for_json(self.correlation),
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
                    "correlation": _for_json(link.correlation),
                    "cosine": _for_json(link.cosine),
                }
                for link in self.links
            ],
        }


def read_photos(root: Path) -> PhotoRows:
    """Return what the manifest of a frozen folder or pack says of its photos.

    Raises:
        DataError: No frozen folder.
    """
    read_card(root)
    columns = read_manifest(root, COLUMNS)
    sizes_N2 = np.stack([columns["width"], columns["height"]], axis=1).astype(np.int64)
    return PhotoRows(
        paths_N=columns["path"],
        splits_N=columns["split"],
        classes_N=columns["class"],
        content_N=columns["sha256"],
        originals_N=columns["original_sha256"] + columns["box"],
        sizes_N2=sizes_N2,
        bytes_N=columns["num_bytes"].astype(np.int64),
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
        PhotoRows(sources_N, splits_N, classes_N, hashes_N, hashes_N, sizes_N2, sizes_N2[:, 0])
    )
    return {
        "empty_classes": empty_classes,
        "classes_of_one_photo": sorted(name for name, count in per_class.items() if count == 1),
        "num_exact_duplicates": sum(len(group.rows) - 1 for group in groups),
        "label_conflicts": sorted(sorted(group.paths) for group in groups if group.is_conflict),
    }


def duplicate_groups(photos: PhotoRows, near: NearPairs | None = None) -> list[DuplicateGroup]:
    """Return photos that are there more than once: leaks first, then labels, then the rest.

    Args:
        photos: Of all splits.
        near: Pairs that are nearly the same; rows are those of ``photos``. ``None`` for exact
            duplicates alone.

    Returns:
        The groups; within a concern by the first path.
    """
    return _sorted(_group(photos, duplicate_links(photos, near)))


def duplicate_links(photos: PhotoRows, near: NearPairs | None = None) -> list[Link]:
    """Return exact duplicates, each with the first of them, and pairs that are nearly the same.

    Args:
        photos: Of all splits.
        near: As ``duplicate_groups`` takes it; pairs of exact duplicates are left out.
    """
    exact = _exact_links(photos)
    number = {row: n for n, rows in enumerate(_components(exact)) for row in rows}
    return exact + [
        link
        for link in near_links(near)
        if link.one not in number or number[link.one] != number.get(link.other)
    ]


def near_links(near: NearPairs | None) -> list[Link]:
    """Return near duplicates as links; none of ``None``."""
    if near is None:
        return []
    pairs = zip(near.rows_P2.tolist(), near.correlations_P.tolist(), strict=True)
    return [Link(one, other, "near", correlation) for (one, other), correlation in pairs]


def pair_groups(photos: PhotoRows, links: Iterable[Link]) -> list[DuplicateGroup]:
    """Return each link as a group of its own, in their order."""
    return [_one_group(photos, sorted((link.one, link.other)), [link]) for link in links]


def embedding_groups(
    photos: PhotoRows,
    pairs: EmbeddingPairs,
    rows_M: NDArray[np.int64],
    correlations_P: NDArray[np.floating] | None = None,
) -> list[DuplicateGroup]:
    """Return the pairs that a model takes for the same photo, as groups of their own.

    Args:
        photos: Of all splits.
        pairs: By embedding.
        rows_M: The row of ``photos`` that each of the pairs' rows stands for.
        correlations_P: Of the pairs' grey copies, for a person to judge by.

    Returns:
        A group a pair; leaks first, then labels.
    """
    links = []
    for n, (pair, cosine) in enumerate(zip(pairs.rows_P2, pairs.cosines_P.tolist(), strict=True)):
        one, other = sorted(rows_M[pair].tolist())
        correlation = float("nan") if correlations_P is None else float(correlations_P[n])
        links.append(Link(one, other, "by embedding", correlation, cosine))
    return _sorted(pair_groups(photos, links))


def _exact_links(photos: PhotoRows) -> list[Link]:
    """Return a link from the first photo to each other one of the same, or made of the same, bytes.

    Of the same original two versions of carscale may have made other bytes.
    """
    content = photos.content_N.tolist()
    pairs = set(_pairs_with_first(content))
    originals = _pairs_with_first(photos.originals_N.tolist())
    pairs.update((one, other) for one, other in originals if content[one] != content[other])
    return [Link(one, other, "exact", 1.0) for one, other in sorted(pairs)]


def _pairs_with_first(names: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Yield the place where a name came first and each place where it came again."""
    first: dict[str, int] = {}
    for place, name in enumerate(names):
        if first.setdefault(name, place) != place:
            yield first[name], place


def _components(links: Sequence[Link]) -> list[list[int]]:
    """Return the rows that links join."""
    if not links:
        return []
    rows_P2 = np.array([(link.one, link.other) for link in links], dtype=np.int64)
    pairs = NearPairs(rows_P2, np.ones(len(links), np.float32))
    return [group.tolist() for group in near_groups(pairs)]


def _group(photos: PhotoRows, links: Sequence[Link]) -> list[DuplicateGroup]:
    """Return the groups that links make."""
    groups = _components(links)
    number = {row: n for n, rows in enumerate(groups) for row in rows}
    of_group: list[list[Link]] = [[] for _ in groups]
    for link in links:
        of_group[number[link.one]].append(link)
    return [
        _one_group(photos, rows, members) for rows, members in zip(groups, of_group, strict=True)
    ]


def _one_group(photos: PhotoRows, rows: Sequence[int], links: Sequence[Link]) -> DuplicateGroup:
    """Return one group with what a person should know of it."""
    splits = tuple(str(photos.splits_N[row]) for row in rows)
    classes = tuple(str(photos.classes_N[row]) for row in rows)
    roles = {"train" if split in LEARNED else split for split in splits}
    whole = {name for name, split in zip(classes, splits, strict=True) if split != PARTIAL}
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


def _for_json(number: float) -> float | None:
    """Return a number for JSON, which knows no NaN."""
    return None if np.isnan(number) else round(number, 4)
