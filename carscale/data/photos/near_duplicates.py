"""Near duplicates: photos that were stored anew, resized, cropped, mirrored or slightly edited.

Chosen: two stages. Hashes propose (``near_candidates``), the details of both photos decide
(``images.agreement``), whatever the background. Rejected: hashes, or the correlation of small grey
copies, alone: before one studio wall nearly all pairs were of different cars.
Axes: N photos, S side of a signature, P pairs.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import images, stats, tables, threads
from carscale.data.photos.near_candidates import ASKS, find_candidates

if TYPE_CHECKING:
    from numpy.typing import NDArray


MIN_AGREEMENT = 0.75
"""Share of the details of two photos that must coincide. Of labelled copies 97 to 99 in 100 are
found so, and of 100 pairs found at most one was false: benchmarks/near_cpu2_2026-11.md."""
MIN_OF_OTHER_GROUPS = 0.9
"""The same where a rule put the photos into different groups."""
MIN_CONTRAST = 4.0
"""Grey levels; a plainer photo shows nothing that could be the same."""
WORTH = 0.65
"""Correlation of the small grey copies from which a pair is looked at."""
CLEAR = 0.9
"""From here on the hash's crop is believed; below it the whole photos are compared too."""
MOST_PAIRS, MOST_PAIRS_A_PHOTO = 20_000, 2
"""Pairs whose pixels are compared at most: a number, and for each photo."""
Advance = Callable[[str, int], None]
NEAR_UNITS = {"search": "parts", "compare": "pairs", "compare in groups": "pairs"}
"""What ``near_pairs`` tells that it does, and what it counts."""

SMALL = 16
"""Photos of a group of which each is compared with each."""
BLOCK = 32
MOST_OPEN = 600
"""Photos held ready, of 0.14 MB each."""
CHUNK = 8192


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Pairs of photos that are nearly the same, ordered.

    Attributes:
        rows_P2: Rows of the arrays that came in, int64, the smaller first.
        agreements_P: Shares of their details that coincide, float32, 0 to 1.
        num_plain: Photos that show nothing and have no pairs.
        num_left_out: Pairs of like photos that were not compared: there were too many.
    """

    rows_P2: NDArray[np.int64]
    agreements_P: NDArray[np.float32]
    num_plain: int = 0
    num_left_out: int = 0

    def kept(self, is_kept_P: NDArray[np.bool_]) -> NearPairs:
        """Return some of the pairs."""
        return NearPairs(
            self.rows_P2[is_kept_P], self.agreements_P[is_kept_P], self.num_plain, self.num_left_out
        )

    def notes(self) -> list[str]:
        """Return what a person should know of the search."""
        lines = []
        if self.num_plain:
            lines.append(f"{self.num_plain:,} photos without any detail were not compared")
        if self.num_left_out:
            lines.append(
                f"{self.num_left_out:,} pairs of like photos were not compared: "
                "there are too many; the likeliest were"
            )
        return lines


def near_pairs(
    hashes_N: NDArray[np.uint64],
    signatures_NSS: NDArray[np.uint8],
    read: Callable[[int], bytes],
    *,
    contents_N: Sequence[str] | NDArray[Any] | None = None,
    groups_N: Sequence[str] | NDArray[Any] | None = None,
    advance: Advance = lambda what, total: None,
) -> NearPairs:
    """Find the pairs of photos that are nearly the same; the one measure for all that asks.

    Args:
        hashes_N: Perceptual hashes, as ``images.perceptual_hashes`` makes them.
        signatures_NSS: Small grey copies, square.
        read: Returns the bytes of a row's photo; called from threads, for candidates alone.
        contents_N: Names of the bytes. Of photos with the same bytes the first is compared, and
            pairs among them are none of these.
        groups_N: Names of groups by a rule; empty where there is none. Between two groups photos
            must agree in ``MIN_OF_OTHER_GROUPS``.
        advance: Told ``search``, ``compare``, ``compare in groups``, and how much of it there is:
            parts, then pairs.

    Returns:
        The pairs, by the first row, then the second.

    Raises:
        ValueError: Lengths differ.
    """
    if len(hashes_N) != len(signatures_NSS):
        raise ValueError(f"{len(hashes_N)} hashes for {len(signatures_NSS)} signatures")
    shown = _not_plain(signatures_NSS)
    rows = shown
    if contents_N is not None:
        first = np.unique(tables.numbered(contents_N), return_index=True)[1]
        rows = np.intersect1d(first, shown)
    num_plain = len(hashes_N) - len(shown)
    judge = _Judge(signatures_NSS, read, groups_N)
    if len(rows) < 2:
        return NearPairs(np.empty((0, 2), np.int64), np.empty(0, np.float32), num_plain)
    found = find_candidates(hashes_N, signatures_NSS, rows, lambda total: advance("search", total))
    grey_P = _correlations(signatures_NSS, found.rows_P2, found.asks_P)
    order = np.argsort(-grey_P, kind="stable")
    order = order[: np.count_nonzero(grey_P >= WORTH)]
    most = max(MOST_PAIRS, MOST_PAIRS_A_PHOTO * len(rows))
    num_left_out = found.num_left_out + max(0, len(order) - most)
    order = order[:most]
    pairs = judge.decide(
        found.rows_P2[order],
        found.asks_P[order],
        grey_P[order],
        lambda total: advance("compare", total),
    )
    pairs = _completed(pairs, judge, most, advance)
    num_left_out += pairs.num_left_out
    return NearPairs(pairs.rows_P2, pairs.agreements_P, num_plain, num_left_out)


def agreements(
    signatures_NSS: NDArray[np.uint8],
    read: Callable[[int], bytes],
    rows_P2: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Return which share of the details of pairs coincides, however these were found.

    Args:
        signatures_NSS: Small grey copies, square.
        read: Returns the bytes of a row's photo.
        rows_P2: Pairs of rows.

    Returns:
        float32 ``[P]``, 0 to 1.
    """
    return _Judge(signatures_NSS, read, None).agreements(*_turned(signatures_NSS, rows_P2))


class _Judge:
    """Looks at pairs of photos; holds those that it opened last."""

    def __init__(
        self,
        signatures_NSS: NDArray[np.uint8],
        read: Callable[[int], bytes],
        groups_N: Sequence[str] | NDArray[Any] | None,
    ) -> None:
        self.signatures_NSS = signatures_NSS
        self.read = read
        self.groups_N = None if groups_N is None else np.asarray(groups_N, dtype=object)
        self.open: OrderedDict[int, images.Comparable] = OrderedDict()
        self.lock = Lock()

    def decide(
        self,
        rows_P2: NDArray[np.int64],
        asks_P: NDArray[np.integer],
        grey_P: NDArray[np.float32],
        advance: Callable[[int], None] = lambda total: None,
    ) -> NearPairs:
        """Return the pairs that agree, ordered."""
        found_P = self.agreements(rows_P2, asks_P, grey_P, advance)
        least_P = np.full(len(rows_P2), MIN_AGREEMENT)
        if self.groups_N is not None:
            one, other = self.groups_N[rows_P2].T
            is_apart = (one != "") & (other != "") & (one != other)
            least_P[is_apart] = MIN_OF_OTHER_GROUPS
        kept = found_P >= least_P
        return _ordered(np.sort(rows_P2[kept], axis=1), found_P[kept])

    def agreements(
        self,
        rows_P2: NDArray[np.int64],
        asks_P: NDArray[np.integer],
        grey_P: NDArray[np.float32],
        advance: Callable[[int], None] = lambda total: None,
    ) -> NDArray[np.float32]:
        """Return how far pairs agree; a crop of the first, its ask, may be the second."""
        found_P = np.zeros(len(rows_P2), np.float32)
        order = np.lexsort((rows_P2.max(axis=1), rows_P2.min(axis=1)))  # near in the folder too
        blocks = [order[start : start + BLOCK] for start in range(0, len(order), BLOCK)]

        def look(block: NDArray[np.int64]) -> list[float]:
            return [
                self._agreement(int(one), int(other), int(asks_P[n]), float(grey_P[n]))
                for n in block
                for one, other in [rows_P2[n]]
            ]

        with ThreadPoolExecutor(threads.num_cores(), "carscale-overlay") as pool:
            results = threads.in_order(pool, look, blocks, ahead=2 * threads.num_cores())
            for block, values in zip(blocks, results, strict=True):
                found_P[block] = values
                for _ in block:
                    advance(len(rows_P2))
        return found_P

    def _agreement(self, first: int, second: int, number: int, grey: float) -> float:
        """Return how far one pair agrees."""
        ask = ASKS[number]
        one, other = self._opened(first), self._opened(second)
        if ask.is_mirrored:
            one = one.mirrored()
        starts = [[*images.WHOLE[0], *images.WHOLE[1], *ask.crop[0], *ask.crop[1]]]
        if grey < CLEAR and ask.crop != images.WHOLE:
            starts.append([*images.WHOLE[0], *images.WHOLE[1]] * 2)
        return images.agreement(one, other, np.array(starts))

    def _opened(self, row: int) -> images.Comparable:
        """Return a photo that is ready to be compared."""
        with self.lock:
            if row in self.open:
                self.open.move_to_end(row)
                return self.open[row]
        made = images.comparable(self.read(row))
        with self.lock:
            self.open[row] = made
            if len(self.open) > MOST_OPEN:
                self.open.popitem(last=False)
        return made


def _completed(pairs: NearPairs, judge: _Judge, most: int, advance: Advance) -> NearPairs:
    """Return pairs with those that the hash did not propose but the groups have.

    Of a small group all are compared, of a large one each with the photo that has the most pairs;
    of all groups as many pairs as ``most``, and the number of the others is told.
    """
    known = set(map(tuple, pairs.rows_P2.tolist()))
    missing: list[tuple[int, int]] = []
    degrees = Counter(pairs.rows_P2.ravel().tolist())
    for rows in stats.connected(pairs.rows_P2):
        if len(rows) < 3:
            continue
        members = rows.tolist()
        wanted: Iterable[tuple[int, int]] = combinations(members, 2)
        if len(members) > SMALL:
            leader = max(members, key=lambda row: (degrees[row], -row))
            wanted = ((min(row, leader), max(row, leader)) for row in members if row != leader)
        missing += [pair for pair in wanted if pair not in known]
    if not missing:
        return pairs
    rows_P2 = np.array(missing[:most], np.int64)
    more = judge.decide(
        *_turned(judge.signatures_NSS, rows_P2), lambda total: advance("compare in groups", total)
    )
    every = _ordered(
        np.concatenate([pairs.rows_P2, more.rows_P2]),
        np.concatenate([pairs.agreements_P, more.agreements_P]),
    )
    return replace(every, num_left_out=len(missing) - len(rows_P2))


def _ordered(rows_P2: NDArray[np.int64], agreements_P: NDArray[np.float32]) -> NearPairs:
    """Return pairs by their first row, then the second."""
    order = np.lexsort((rows_P2[:, 1], rows_P2[:, 0]))
    return NearPairs(rows_P2[order], agreements_P[order])


def _not_plain(signatures_NSS: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the rows of photos that show something."""
    parts = [
        signatures_NSS[start : start + CHUNK].reshape(-1, signatures_NSS[0].size).std(axis=1)
        for start in range(0, len(signatures_NSS), CHUNK)
    ]
    return np.flatnonzero(np.concatenate([np.empty(0), *parts]) >= MIN_CONTRAST)


def _turned(
    signatures_NSS: NDArray[np.uint8], rows_P2: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return pairs with the ask, and the order, in which their grey copies correlate best."""
    best_P2, asks_P = rows_P2.copy(), np.zeros(len(rows_P2), np.int64)
    grey_P = _correlations(signatures_NSS, rows_P2, asks_P)
    for number in range(1, len(ASKS)):
        for turned_P2 in (rows_P2, rows_P2[:, ::-1]):
            some = np.flatnonzero(grey_P < CLEAR)
            if not len(some):
                break
            tried = np.full(len(some), number)
            found = _correlations(signatures_NSS, turned_P2[some], tried)
            is_better = found > grey_P[some]
            rows = some[is_better]
            grey_P[rows], asks_P[rows] = found[is_better], number
            best_P2[rows] = turned_P2[rows]
    return best_P2, asks_P, grey_P


def _correlations(
    signatures_NSS: NDArray[np.uint8], rows_P2: NDArray[np.int64], asks_P: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Return the correlation of the grey copies of a crop of the first and of the whole second."""
    found_P = np.empty(len(rows_P2), np.float32)
    order = np.argsort(asks_P, kind="stable")
    edges = np.flatnonzero(np.diff(asks_P[order])) + 1
    for same in np.split(order, edges):
        for start in range(0, len(same), CHUNK):
            part = same[start : start + CHUNK]
            ask = ASKS[int(asks_P[part[0]])]
            one_PSS, other_PSS = (signatures_NSS[rows] for rows in rows_P2[part].T)
            if ask.is_mirrored:
                one_PSS = one_PSS[:, :, ::-1]
            cut_PSS = images.crop_signatures(one_PSS, down=ask.crop[0], across=ask.crop[1])
            flat = [part.reshape(len(part), -1).astype(np.float32) for part in (cut_PSS, other_PSS)]
            one, other = (values - values.mean(axis=1, keepdims=True) for values in flat)
            norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
            found_P[part] = np.einsum("ps,ps->p", one, other) / np.maximum(norms, 1e-6)
    return found_P
