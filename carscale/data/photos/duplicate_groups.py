"""Duplicate images as columns: photos, links, groups.

Axes: N photos, G groups, M members of all groups, L links.

Chosen: columns, and one object for each group that is shown. Rejected: an object a pair: most
are only counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from carscale.data.frozen.split_assignment import PARTIAL

if TYPE_CHECKING:
    from numpy.typing import NDArray


Kind = Literal["exact", "near", "by embedding"]
KINDS: tuple[Kind, ...] = ("exact", "near", "by embedding")
EXACT, NEAR, BY_EMBEDDING = range(3)


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
        keys_N: What names a photo in all versions of a data set.
        groups_N: Names of groups by a rule; empty where there is none.
    """

    paths_N: NDArray[Any]
    splits_N: NDArray[Any]
    classes_N: NDArray[Any]
    content_N: NDArray[Any]
    originals_N: NDArray[Any]
    sizes_N2: NDArray[np.int64]
    bytes_N: NDArray[np.int64]
    keys_N: NDArray[Any]
    groups_N: NDArray[Any]

    def __len__(self) -> int:
        return len(self.paths_N)


@dataclass(frozen=True, eq=False)
class Links:
    """Why photos are taken for one, as columns.

    Attributes:
        rows_L2: Rows of both photos.
        kinds_L: Places in ``KINDS``: how each was found.
        agreements_L: Shares of details that coincide, 1 for the same bytes; NaN where the photos
            were not compared.
        cosines_L: Of the embeddings; NaN where these were not compared.
    """

    rows_L2: NDArray[np.int64]
    kinds_L: NDArray[np.int8]
    agreements_L: NDArray[np.float32]
    cosines_L: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows_L2)

    def taken(self, numbers: NDArray[Any]) -> Links:
        """Return some of the links."""
        return Links(
            self.rows_L2[numbers],
            self.kinds_L[numbers],
            self.agreements_L[numbers],
            self.cosines_L[numbers],
        )


@dataclass(frozen=True)
class Link:
    """One of ``Links``."""

    one: int
    other: int
    kind: Kind
    agreement: float
    cosine: float = float("nan")


@dataclass(frozen=True)
class DuplicateGroup:
    """Photos that are the same one.

    Attributes:
        rows: Ascending; ids of the manifest.
        paths, splits, classes: Of each.
        links: The pairs that make it a group.
        kind: ``exact`` when all have the same bytes, else how the weakest link was found.
        agreement: Of the weakest link; NaN where photos were not compared.
        is_leak: It lies in splits that must not know of each other.
        is_conflict: It lies in two classes, and nobody has said which is right.
    """

    rows: tuple[int, ...]
    paths: tuple[str, ...]
    splits: tuple[str, ...]
    classes: tuple[str, ...]
    links: tuple[Link, ...]
    kind: Kind
    agreement: float
    is_leak: bool
    is_conflict: bool

    @property
    def concern(self) -> str:
        """What a person should think of it: ``leak``, ``label``, or only ``duplicate``."""
        return "leak" if self.is_leak else "label" if self.is_conflict else "duplicate"

    def example(self, parts: Sequence[str]) -> str:
        """Return two photos of different parts, and how many more there are.

        Args:
            parts: ``splits`` or ``classes``; where all are one, the first two photos are named.
        """
        other = next((n for n, part in enumerate(parts) if part != parts[0]), 1)
        sign = "=" if self.kind == "exact" else "~"
        more = f" and {len(self.paths) - 2} more" if len(self.paths) > 2 else ""
        return f"{self.paths[0]} {sign} {self.paths[other]}{more}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        paths = dict(zip(self.rows, self.paths, strict=True))
        return {
            "kind": self.kind,
            "is_leak": self.is_leak,
            "is_conflict": self.is_conflict,
            "agreement": _for_json(self.agreement),
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
                    "agreement": _for_json(link.agreement),
                    "cosine": _for_json(link.cosine),
                }
                for link in self.links
            ],
        }


@dataclass(frozen=True, eq=False)
class DuplicateGroups(Sequence[DuplicateGroup]):
    """Groups as columns; one of them becomes an object when it is asked for.

    Attributes:
        photos: All of the data set.
        rows_M: Rows of the first group, ascending, then of the next.
        starts_G1: Where each group starts, and the end.
        links: Of the first group, then of the next.
        link_starts_G1: As ``starts_G1``, of the links.
        is_leak_G, is_conflict_G: As ``DuplicateGroup`` has them.
    """

    photos: PhotoRows
    rows_M: NDArray[np.int64]
    starts_G1: NDArray[np.int64]
    links: Links
    link_starts_G1: NDArray[np.int64]
    is_leak_G: NDArray[np.bool_]
    is_conflict_G: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.is_leak_G)

    def __iter__(self) -> Iterator[DuplicateGroup]:
        return (self._group(number) for number in range(len(self)))

    def __getitem__(self, number: Any) -> Any:  # noqa: ANN401 - a number, or a slice
        if isinstance(number, slice):
            return self.taken(np.arange(len(self))[number])
        return self._group(range(len(self))[number])

    @property
    def num_spare(self) -> int:
        """How many photos there are beyond one a group."""
        return len(self.rows_M) - len(self)

    @property
    def concerns_G(self) -> NDArray[np.int64]:  # noqa: N802 - G groups
        """0 for a leak, 1 for two classes, 2 for neither."""
        return np.where(self.is_leak_G, 0, np.where(self.is_conflict_G, 1, 2))

    def taken(self, numbers: NDArray[Any]) -> DuplicateGroups:
        """Return some of the groups, by their numbers or a mask."""
        numbers = np.arange(len(self))[numbers]
        rows, starts = _parts(self.starts_G1, numbers)
        links, link_starts = _parts(self.link_starts_G1, numbers)
        return DuplicateGroups(
            self.photos,
            self.rows_M[rows],
            starts,
            self.links.taken(links),
            link_starts,
            self.is_leak_G[numbers],
            self.is_conflict_G[numbers],
        )

    def _group(self, number: int) -> DuplicateGroup:
        """Return one group with what a person should know of it."""
        rows = self.rows_M[slice(*self.starts_G1[number : number + 2])]
        links = self.links.taken(np.arange(*self.link_starts_G1[number : number + 2]))
        kinds, agreements = links.kinds_L, links.agreements_L
        weakest = int(np.lexsort((agreements, kinds != NEAR))[0])
        columns = (links.rows_L2.tolist(), kinds.tolist(), agreements.tolist())
        return DuplicateGroup(
            rows=tuple(rows.tolist()),
            paths=tuple(map(str, self.photos.paths_N[rows])),
            splits=tuple(map(str, self.photos.splits_N[rows])),
            classes=tuple(map(str, self.photos.classes_N[rows])),
            links=tuple(
                Link(one, other, KINDS[kind], agreement, cosine)
                for (one, other), kind, agreement, cosine in zip(
                    *columns, links.cosines_L.tolist(), strict=True
                )
            ),
            kind=KINDS[kinds[weakest]],
            agreement=float(agreements[weakest]),
            is_leak=bool(self.is_leak_G[number]),
            is_conflict=bool(self.is_conflict_G[number]),
        )


def open_pairs(
    photos: PhotoRows, rows: Sequence[int], settled_P2: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """Yield the pairs of photos that look the same in two classes, where nobody said why.

    An answer is about all copies of a photo in its class; makes contradict nothing.

    Args:
        photos: Of all splits.
        rows: Of a group, or of those of it that are shown; ascending.
        settled_P2: Pairs of which a person said that both labels are right.
    """

    def said(*pair: int) -> frozenset[tuple[Any, Any]]:
        return frozenset((photos.content_N[row], photos.classes_N[row]) for row in pair)

    known = {said(*pair) for pair in settled_P2.tolist()}
    whole = [(row, photos.classes_N[row]) for row in rows if photos.splits_N[row] != PARTIAL]
    for place, (one, name) in enumerate(whole):
        for other, other_name in whole[place + 1 :]:
            if name != other_name and said(one, other) not in known:
                yield one, other


def _parts(
    starts_G1: NDArray[np.int64], numbers: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of some groups' members, and where each of these groups starts then."""
    sizes = np.diff(starts_G1)[numbers]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    within = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    return np.repeat(starts_G1[numbers], sizes) + within, starts


def _for_json(number: float) -> float | None:
    """Return a number for JSON, which knows no NaN."""
    return None if np.isnan(number) else round(number, 4)
