"""Photos that are nearly the same: stored anew, resized, cut at their sides.

Chosen: candidates from hashes within a few bits, of the photo and of its crops; confirmed by the
correlation of small grey copies at the best crop. Rejected: hashes alone (of 8,144 Stanford photos
168 pairs lie within 8 bits, some 25 of them the same photo).
Chosen: of up to ``FEW`` photos, 36 crops each (a tenth off height and width, anywhere: 99 % of such
copies are found), and all against all. Of more, crops of 2 and 4 % at each side, and faiss' binary
multi-hash: exact within the radius, 1 M photos in two minutes of one core; all against all takes 7
minutes for each crop, an inverted file misses pairs.
Axes: N photos, S side of a signature, P pairs, Q queries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from carscale import images
from carscale.data.frozen.split_assignment import components

if TYPE_CHECKING:
    from numpy.typing import NDArray


RADIUS, CROP_RADIUS = 5, 8
MIN_CORRELATION = 0.965
ALMOST = 0.8
"""From here on a correlation is worth a search for the best crop."""
Crop = tuple[tuple[float, float], tuple[float, float]]
"""Where it starts and ends: down, across."""
PARTS = ((0, 1), (0, 0.95), (0.05, 1), (0, 0.9), (0.05, 0.95), (0.1, 1))
CROPS: tuple[Crop, ...] = tuple((down, across) for down in PARTS for across in PARTS)
TRIMS: tuple[Crop, ...] = tuple(((part, 1 - part), (part, 1 - part)) for part in (0, 0.02, 0.04))
FINE_TRIMS: tuple[Crop, ...] = tuple(
    ((part, 1 - part), (part, 1 - part)) for part in (0.01, 0.02, 0.03, 0.04, 0.05)
)
STEPS = (0.025, 0.0125, 0.00625)
"""By which the edges of a crop are moved to find the best, as shares of the side."""
MOST_CUT = 0.15
"""At an edge."""
MIN_CONTRAST = 4.0
"""Grey levels; a plainer photo shows nothing that could be the same."""

FEW = 30_000
NUM_BANDS, BAND_BITS = 3, 21
MAX_RADIUS = 8
"""More bits differing in each band would mean thousands of look-ups a photo."""
MOST_ALIKE = 32
"""Photos of one hash that are paired each with each; more are paired in a row."""
MOST_NEAR = 64
"""Hashes near one hash that are followed up."""
CHUNK = 8192
FEW_COMPARISONS = 2**24
"""Of hashes, in one search: 10 ms of one core."""
NUM_RESULTS = 4_000_000
"""Results of one search, about; bounds memory."""


class NearPairs(NamedTuple):
    """Pairs of photos that are nearly the same, ordered.

    Attributes:
        rows_P2: Rows of the arrays that came in, int64, the smaller first.
        correlations_P: Of their grey copies at the best cut, float32.
    """

    rows_P2: NDArray[np.int64]
    correlations_P: NDArray[np.float32]


def near_pairs(
    hashes_N: NDArray[np.uint64],
    signatures_NSS: NDArray[np.uint8],
    *,
    radius: int | None = None,
    min_correlation: float = MIN_CORRELATION,
) -> NearPairs:
    """Find the pairs of photos that are nearly the same.

    Every pair within the radius is looked at, with two exceptions that keep a flood of like photos
    from taking quadratic time: plain photos have no pairs, and where more than 32 photos have one
    hash, or more than 64 hashes lie near one, not each is paired with each; ``near_groups`` still
    finds them together.

    Args:
        hashes_N: Perceptual hashes, as ``images.perceptual_hashes`` makes them.
        signatures_NSS: Small grey copies, square.
        radius: Bits in which hashes may differ, 0 to 8; unless given, 8 of few photos, else 5: of
            more bits, a million photos take hours.
        min_correlation: Of grey copies; other photos of like cars reach 0.95.

    Returns:
        The pairs, by the first row, then the second.

    Raises:
        ValueError: Lengths differ, or the radius is out of range.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> photos_NSS = rng.integers(0, 256, (4, 32, 32)).astype(np.uint8)
        >>> photos_NSS[3] = photos_NSS[1]
        >>> near_pairs(images.perceptual_hashes(photos_NSS), photos_NSS).rows_P2.tolist()
        [[1, 3]]
    """
    if len(hashes_N) != len(signatures_NSS):
        raise ValueError(f"{len(hashes_N)} hashes for {len(signatures_NSS)} signatures")
    rows = _not_plain(signatures_NSS)
    is_few = len(rows) <= FEW
    if radius is None:
        radius = CROP_RADIUS if is_few else RADIUS
    if not 0 <= radius <= MAX_RADIUS:
        raise ValueError(f"radius must be 0 to {MAX_RADIUS} bits, got {radius}")
    if len(rows) < 2:
        return NearPairs(np.empty((0, 2), np.int64), np.empty(0, np.float32))
    book = _Book(hashes_N, rows)
    search = _searcher(book.codes_C, radius)
    found = [book.pair_equal()]
    for down, across in CROPS if is_few else TRIMS:
        is_whole = down == across == (0, 1)
        for part in np.array_split(book.asked_Q, -(-len(book.asked_Q) // CHUNK)):
            hashes_Q = (
                hashes_N[part]
                if is_whole
                else images.perceptual_hashes(signatures_NSS[part], down=down, across=across)
            )
            asked, codes = search(hashes_Q)
            found.append(book.pair_with(part[asked], codes))
    pairs_P2 = _distinct(found, len(hashes_N))
    best = _best_crop if is_few else _best_trim
    return _confirmed(pairs_P2, signatures_NSS, min_correlation, best)


def near_groups(pairs: NearPairs) -> list[NDArray[np.int64]]:
    """Return photos that are nearly the same as each other, directly or through others.

    Args:
        pairs: From ``near_pairs``.

    Returns:
        Rows of each group, ascending; groups by their first row.

    Example:
        >>> pairs = NearPairs(np.array([[1, 3], [3, 4], [5, 9]]), np.ones(3, np.float32))
        >>> [group.tolist() for group in near_groups(pairs)]
        [[1, 3, 4], [5, 9]]
    """
    rows, place_2P = np.unique(pairs.rows_P2.T, return_inverse=True)
    links: list[list[str]] = [[] for _ in rows]
    for pair, places in enumerate(place_2P.reshape(2, -1).T.tolist()):
        for place in places:
            links[place].append(str(pair))
    numbers = np.array(components(links), dtype=np.int64)
    order = np.argsort(numbers, kind="stable")
    edges = np.flatnonzero(np.diff(numbers[order])) + 1
    return np.split(rows[order], edges) if len(rows) else []


def correlations(
    signatures_NSS: NDArray[np.uint8], rows_P2: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return how similar pairs of photos are, however they were found.

    Args:
        signatures_NSS: Small grey copies, square.
        rows_P2: Pairs of rows.

    Returns:
        The correlation of each pair's grey copies at the best cut, float32 ``[P]``.
    """
    return _correlated(rows_P2, signatures_NSS, MIN_CORRELATION, _best_crop)


class _Book:
    """Photos by their hash: C distinct codes, each with its rows."""

    def __init__(self, hashes_N: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
        hashes = hashes_N[rows]
        self.rows = rows[np.argsort(hashes, kind="stable")]
        self.codes_C, self.sizes_C = np.unique(hashes, return_counts=True)
        self.starts_C = np.cumsum(self.sizes_C) - self.sizes_C
        rank = np.arange(len(rows)) - np.repeat(self.starts_C, self.sizes_C)
        self.asked_Q = self.rows[rank < MOST_ALIKE]
        self.rank = rank

    def pair_equal(self) -> NDArray[np.int64]:
        """Pair photos of one hash: each of the first with all before it, others with the last."""
        pairs = []
        for back in range(1, MOST_ALIKE):
            there = np.flatnonzero((self.rank >= back) & ((back == 1) | (self.rank < MOST_ALIKE)))
            pairs.append(np.stack([self.rows[there - back], self.rows[there]], axis=1))
        return np.concatenate(pairs)

    def pair_with(self, rows_Q: NDArray[np.int64], codes_Q: NDArray[np.int64]) -> NDArray[np.int64]:
        """Pair each row with the first photos of the code found for it."""
        counts_Q = np.minimum(self.sizes_C[codes_Q], MOST_ALIKE)
        within = np.arange(counts_Q.sum()) - np.repeat(np.cumsum(counts_Q) - counts_Q, counts_Q)
        others = self.rows[np.repeat(self.starts_C[codes_Q], counts_Q) + within]
        pairs_P2 = np.stack([np.repeat(rows_Q, counts_Q), others], axis=1)
        return pairs_P2[pairs_P2[:, 0] != pairs_P2[:, 1]]


def _not_plain(signatures_NSS: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the rows of photos that show something."""
    parts = [
        signatures_NSS[start : start + CHUNK].reshape(-1, signatures_NSS[0].size).std(axis=1)
        for start in range(0, len(signatures_NSS), CHUNK)
    ]
    return np.flatnonzero(np.concatenate([np.empty(0), *parts]) >= MIN_CONTRAST)


def _searcher(
    codes_C: NDArray[np.uint64], radius: int
) -> Callable[[NDArray[np.uint64]], tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return what finds, for hashes, which codes lie near: places of the hashes, of the codes."""
    import faiss

    index: Any
    if len(codes_C) <= FEW:
        index = faiss.IndexBinaryFlat(64)
    else:
        index = faiss.IndexBinaryMultiHash(64, NUM_BANDS, BAND_BITS)
        index.nflip = radius // NUM_BANDS  # two codes within the radius: one band is as close
    index.add(_as_bytes(codes_C))

    def search(hashes_Q: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        asked, codes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        start, at_once = 0, 256
        while start < len(hashes_Q):
            part = _as_bytes(hashes_Q[start : start + at_once])
            with _threads_for(len(part) * len(codes_C)):
                edges, _, near = index.range_search(part, radius + 1)  # nearer than that
            edges = edges.astype(np.int64)
            numbers = np.repeat(np.arange(len(part)), np.diff(edges))
            kept = np.arange(len(near)) - edges[numbers] < MOST_NEAR
            asked.append(numbers[kept] + start)
            codes.append(near[kept].astype(np.int64))
            start += len(part)
            at_once = int(np.clip(NUM_RESULTS * len(part) // (len(near) + 1), 16, CHUNK))
        return np.concatenate(asked), np.concatenate(codes)

    return search


@contextmanager
def _threads_for(num_comparisons: int) -> Iterator[None]:
    """Search by one thread where there is little to do.

    On busy cores threads wait for each other: seconds for what takes one of them milliseconds.
    """
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1 if num_comparisons <= FEW_COMPARISONS else before)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _as_bytes(hashes_N: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return hashes as faiss takes them."""
    return np.ascontiguousarray(hashes_N).view(np.uint8).reshape(-1, 8)


def _distinct(found: list[NDArray[np.int64]], count: int) -> NDArray[np.int64]:
    """Return each pair once, ordered, the smaller row first."""
    pairs_P2 = np.concatenate(found)
    keys = np.unique(pairs_P2.min(axis=1) * count + pairs_P2.max(axis=1))
    return np.stack([keys // count, keys % count], axis=1)


def _confirmed(
    pairs_P2: NDArray[np.int64],
    signatures_NSS: NDArray[np.uint8],
    least: float,
    best_of: Callable[[NDArray[Any], NDArray[Any], float], NDArray[np.float32]],
) -> NearPairs:
    """Return the pairs whose grey copies agree, as they are or one of them cut at its sides."""
    correlations_P = _correlated(pairs_P2, signatures_NSS, least, best_of)
    kept = correlations_P >= least
    return NearPairs(pairs_P2[kept], correlations_P[kept])


def _correlated(
    pairs_P2: NDArray[np.int64],
    signatures_NSS: NDArray[np.uint8],
    least: float,
    best_of: Callable[[NDArray[Any], NDArray[Any], float], NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Return the correlation of each pair; the best cut is searched while it is below ``least``."""
    correlations_P = np.empty(len(pairs_P2), np.float32)
    for start in range(0, len(pairs_P2), CHUNK):
        part = slice(start, start + CHUNK)
        one_PSS, other_PSS = (signatures_NSS[rows] for rows in pairs_P2[part].T)
        best = _correlations(one_PSS, other_PSS)
        for left, right in ((one_PSS, other_PSS), (other_PSS, one_PSS)):
            rest = np.flatnonzero(best < least)
            if len(rest):
                best[rest] = np.maximum(best[rest], best_of(left[rest], right[rest], least))
        correlations_P[part] = best
    return correlations_P


def _best_trim(one_PSS: NDArray[Any], other_PSS: NDArray[Any], least: float) -> NDArray[np.float32]:
    """Return the correlation of the best trim of one with the other, where it is worth a search."""
    best = _correlations(one_PSS, other_PSS)
    near = np.flatnonzero(best >= ALMOST)
    for down, across in FINE_TRIMS if len(near) else ():
        cut_PSS = images.crop_hashes(one_PSS[near], down=down, across=across)
        best[near] = np.maximum(best[near], _correlations(cut_PSS, other_PSS[near]))
    return best


def _best_crop(one_PSS: NDArray[Any], other_PSS: NDArray[Any], least: float) -> NDArray[np.float32]:
    """Return the correlation of the best crop of one with the other.

    Where the best of ``CROPS`` comes near enough, its edges are moved as long as that helps.
    """
    best = np.full(len(one_PSS), -1.0, np.float32)
    edges_P4 = np.tile((0.0, 1.0, 0.0, 1.0), (len(one_PSS), 1))
    for down, across in CROPS:
        found = _correlations(images.crop_hashes(one_PSS, down=down, across=across), other_PSS)
        is_better = found > best
        best[is_better], edges_P4[is_better] = found[is_better], (*down, *across)
    for step in STEPS:
        for edge, sign in product(range(4), (-1, 1)):
            rows = np.flatnonzero((best >= ALMOST) & (best < least))
            moved_P4 = edges_P4[rows]
            moved_P4[:, edge] += sign * step
            moved_P4 = moved_P4.clip((0, 1 - MOST_CUT) * 2, (MOST_CUT, 1) * 2)
            cut_PSS = images.crop_each(one_PSS[rows], moved_P4)
            found = _correlations(cut_PSS, other_PSS[rows])
            is_better = found > best[rows]
            best[rows[is_better]] = found[is_better]
            edges_P4[rows[is_better]] = moved_P4[is_better]
    return best


def _correlations(one_PSS: NDArray[Any], other_PSS: NDArray[Any]) -> NDArray[np.float32]:
    """Return the correlation of the grey levels of each pair; 0 where one is plain."""
    size = one_PSS.shape[1] * one_PSS.shape[2]
    flat = [part.reshape(-1, size).astype(np.float32) for part in (one_PSS, other_PSS)]
    one, other = (part - part.mean(axis=1, keepdims=True) for part in flat)
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.einsum("ps,ps->p", one, other) / np.maximum(norms, 1e-6)
