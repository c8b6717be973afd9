"""Which photos may be near duplicates: hashes within a few bits, of a photo and of its crops.

Axes: N photos, S side of a signature, C distinct hashes, Q queries, P pairs.

Chosen: of up to ``FEW`` photos ``ASKS`` crops each, as they are and mirrored, all against all. Of
more, as many crops as ``MOST_QUERIES`` allow, the likeliest first, and tables of two bands of the
bits: exact within the radius, floods aside. Rejected: all against all (1 M photos: 7 minutes for
each crop), faiss' binary multi-hash (of 1 M photos 66 us a hash, tables take 12; the same pairs but
one of 9,286), an inverted file (misses pairs),
neighbours of an embedding (of like cars in one pose a cropped copy is not among the nearest).
Chosen: of a flood of like photos the likeliest pairs alone, and the number of the others is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from carscale import images, threads


class Ask(NamedTuple):
    """A crop of a photo, perhaps mirrored, that may be another whole photo."""

    crop: images.Crop
    is_mirrored: bool = False


def _asks() -> tuple[Ask, ...]:
    """Return crops, the likeliest first: whole, trimmed, cut off any side; straight, mirrored."""
    whole, narrow, wide = [images.WHOLE[0]], _parts(0.05, 0.05), _parts(0.1, 0.05)
    trims = [((cut, 1 - cut), (cut, 1 - cut)) for cut in (0.02, 0.04)]
    kept_shape = _crops(narrow) + _crops(wide)
    straight = [*trims, *kept_shape, *_crops(whole + narrow + wide), *_crops(_parts(0.15, 0.05))]
    asks = [Ask(images.WHOLE), Ask(images.WHOLE, is_mirrored=True), *map(Ask, straight)]
    return tuple(dict.fromkeys(asks + [Ask(crop, is_mirrored=True) for crop in kept_shape]))


def _parts(cut: float, step: float) -> list[tuple[float, float]]:
    """Return what is left of a side of which a share is cut off, at either end or both."""
    starts = np.arange(round(cut / step) + 1) * step
    return [(round(float(start), 3), round(float(start) + 1 - cut, 3)) for start in starts]


def _crops(parts: list[tuple[float, float]]) -> list[images.Crop]:
    """Return each part down with each part across."""
    return [(down, across) for across in parts for down in parts]


ASKS = _asks()
RADIUS, FEW_RADIUS = 5, 8
"""Bits in which hashes may differ; of more bits, a million photos take hours."""
FEW = 30_000
MOST_QUERIES = 4_000_000
"""Of more than ``FEW`` photos, over all crops; four a photo at least."""
LEAST_ASKS = 4
MOST_SHARED = 64
"""Codes with the same bits in two bands that are looked at, of more than ``FEW``."""
MOST_ALIKE = 32
"""Photos of one hash that are paired each with each; more are paired with the first."""
MOST_NEAR = 12
"""Hashes near one hash that are followed up, the nearest."""
CHUNK = 8192
MOST_HELD = 4_000_000
"""Pairs in memory before the less likely are put aside."""
MOST_OF_PHOTO = 24
"""Candidates of one photo, the likeliest."""
NUM_RESULTS = 4_000_000
"""Results of one search, about; bounds memory."""


class Candidates(NamedTuple):
    """Pairs that may be one photo, each once.

    Attributes:
        rows_P2: int64; a crop of the first may be the whole second.
        asks_P: Which of ``ASKS`` that is.
        bits_P: In which their hashes differ.
        num_left_out: Pairs that were put aside in a flood.
    """

    rows_P2: NDArray[np.int64]
    asks_P: NDArray[np.int16]
    bits_P: NDArray[np.uint8]
    num_left_out: int = 0


def find_candidates(
    hashes_N: NDArray[np.uint64],
    signatures_NSS: NDArray[np.uint8],
    rows: NDArray[np.int64],
    advance: Callable[[int], None] = lambda total: None,
) -> Candidates:
    """Find pairs of photos whose hashes differ in few bits.

    Args:
        hashes_N: As ``images.perceptual_hashes`` makes them.
        signatures_NSS: Small grey copies, square.
        rows: Those that are asked and searched, each once.
        advance: Called after each part of the search with the number of all.

    Returns:
        The pairs, by their rows.
    """
    book = _Book(hashes_N, rows)
    is_few = len(rows) <= FEW
    search = _searcher(book.codes_C, FEW_RADIUS if is_few else RADIUS)
    most = max(LEAST_ASKS, MOST_QUERIES // max(1, len(book.asked_Q)))
    numbers = list(range(len(ASKS) if is_few else min(most, len(ASKS))))
    held = _Held(len(hashes_N), num_left_out=book.num_unpaired)
    held.add(book.pair_equal(), 0, np.uint8(0))
    jobs = [
        (part, of_kind)
        for is_mirrored in (False, True)
        for of_kind in [[n for n in numbers if ASKS[n].is_mirrored == is_mirrored]]
        for part in np.array_split(book.asked_Q, -(-len(book.asked_Q) // CHUNK))
        if of_kind
    ]

    def ask(job: tuple[NDArray[np.int64], list[int]]) -> list[tuple[NDArray[np.int64], int, Any]]:
        part, of_kind = job
        of_kind = sorted(of_kind, key=lambda n: ASKS[n].crop[1])  # one product a part across
        signatures_QSS = signatures_NSS[part]
        if ASKS[of_kind[0]].is_mirrored:
            signatures_QSS = signatures_QSS[:, :, ::-1]
        found = []
        for start in range(0, len(of_kind), 8):
            some = of_kind[start : start + 8]
            crops = [ASKS[n].crop for n in some if n]
            crops_CQ = iter(images.hashes_of_crops(signatures_QSS, crops))
            for number in some:
                hashes_Q = next(crops_CQ) if number else hashes_N[part]  # the whole is known
                asked, codes, bits = search(hashes_Q)
                found.append((*book.pair_with(part[asked], codes, bits), number))
        return [(pairs_P2, number, bits_P) for pairs_P2, bits_P, number in found]

    with ThreadPoolExecutor(threads.num_cores(), "carscale-near") as pool:
        for found in threads.in_order(pool, ask, jobs, ahead=threads.num_cores()):
            for pairs_P2, number, bits_P in found:
                held.add(pairs_P2, number, bits_P)
            advance(len(jobs))
    return held.candidates()


class _Held:
    """Pairs found so far, the best ask of each: keys of both rows, and which was asked."""

    def __init__(self, count: int, *, num_left_out: int = 0) -> None:
        self.count = count
        self.new: list[NDArray[np.int64]] = []
        self.num_new = 0
        self.best = np.empty(0, np.int64), np.empty(0, np.int64)
        self.num_left_out = num_left_out

    def add(
        self, pairs_P2: NDArray[np.int64], number: int, bits_P: NDArray[Any] | np.uint8
    ) -> None:
        """Take pairs of one ask."""
        low, high = pairs_P2.min(axis=1), pairs_P2.max(axis=1)
        is_turned = pairs_P2[:, 0] > pairs_P2[:, 1]
        how = (np.asarray(bits_P, np.int64) << 32) + (number << 1) + is_turned
        self.new.append(np.stack([low * self.count + high, how]))
        self.num_new += len(low)
        if self.num_new > MOST_HELD:
            self._settle()

    def _settle(self) -> None:
        """Keep the best ask of each pair; in a flood the best pairs of each photo."""
        keys, how = np.concatenate([np.stack(self.best), *self.new], axis=1)
        self.new, self.num_new = [], 0
        order = np.lexsort((how, keys))
        keys, how = keys[order], how[order]
        is_first = np.diff(keys, prepend=-1) != 0
        keys, how = keys[is_first], how[is_first]
        if len(keys) > MOST_HELD:
            kept = _likeliest(np.stack([keys // self.count, keys % self.count], 1), how)
            self.num_left_out += len(keys) - int(kept.sum())
            keys, how = keys[kept], how[kept]
        self.best = keys, how

    def candidates(self) -> Candidates:
        """Return what was found."""
        self._settle()
        keys, how = self.best
        rows_P2 = np.stack([keys // self.count, keys % self.count], axis=1)
        turned = (how & 1).astype(bool)
        rows_P2[turned] = rows_P2[turned][:, ::-1]
        asks_P = ((how & 0xFFFFFFFF) >> 1).astype(np.int16)
        return Candidates(rows_P2, asks_P, (how >> 32).astype(np.uint8), self.num_left_out)


def _likeliest(rows_P2: NDArray[np.int64], costs_P: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which pairs are among the ``MOST_OF_PHOTO`` cheapest of one of their photos."""
    kept = np.zeros(len(rows_P2), bool)
    for side in range(2):
        order = np.lexsort((costs_P, rows_P2[:, side]))
        rows = rows_P2[order, side]
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        rank = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
        kept[order[rank < MOST_OF_PHOTO]] = True
    return kept


class _Book:
    """Photos by their hash: C distinct codes, each with its rows."""

    def __init__(self, hashes_N: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
        hashes = hashes_N[rows]
        self.rows = rows[np.argsort(hashes, kind="stable")]
        self.codes_C, self.sizes_C = np.unique(hashes, return_counts=True)
        self.starts_C = np.cumsum(self.sizes_C) - self.sizes_C
        self.rank = np.arange(len(rows)) - np.repeat(self.starts_C, self.sizes_C)
        self.asked_Q = self.rows[self.rank < MOST_ALIKE]
        late = self.rank[self.rank >= MOST_ALIKE]
        self.num_unpaired = int((late - 1).sum())

    def pair_equal(self) -> NDArray[np.int64]:
        """Pair photos of one hash: the first each with each, others with the very first."""
        pairs = [np.empty((0, 2), np.int64)]
        for back in range(1, MOST_ALIKE):
            there = np.flatnonzero((self.rank >= back) & (self.rank < MOST_ALIKE))
            pairs.append(np.stack([self.rows[there - back], self.rows[there]], axis=1))
        late = np.flatnonzero(self.rank >= MOST_ALIKE)
        pairs.append(np.stack([self.rows[late - self.rank[late]], self.rows[late]], axis=1))
        return np.concatenate(pairs)

    def pair_with(
        self, rows_Q: NDArray[np.int64], codes_Q: NDArray[np.int64], bits_Q: NDArray[np.uint8]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Pair each row with the first photos of the code found for it."""
        counts_Q = np.minimum(self.sizes_C[codes_Q], MOST_ALIKE)
        within = np.arange(counts_Q.sum()) - np.repeat(np.cumsum(counts_Q) - counts_Q, counts_Q)
        others = self.rows[np.repeat(self.starts_C[codes_Q], counts_Q) + within]
        pairs_P2 = np.stack([np.repeat(rows_Q, counts_Q), others], axis=1)
        is_pair = pairs_P2[:, 0] != pairs_P2[:, 1]
        return pairs_P2[is_pair], np.repeat(bits_Q, counts_Q)[is_pair]


Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]
"""Places of the hashes that were asked, places of the codes near them, and the bits between."""


def _searcher(codes_C: NDArray[np.uint64], radius: int) -> Callable[[NDArray[np.uint64]], Found]:
    """Return what finds the codes near hashes."""
    index = _Flat(codes_C) if len(codes_C) <= FEW else _Bands(codes_C, radius)

    def search(hashes_Q: NDArray[np.uint64]) -> Found:
        parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8))]
        start, at_once = 0, 256
        while start < len(hashes_Q):  # few at once where much is found
            part = hashes_Q[start : start + at_once]
            asked, near, bits = index.near(part, radius)
            order = np.lexsort((bits, asked))
            edges = np.searchsorted(asked[order], np.arange(len(part)))
            kept = order[np.arange(len(asked)) - edges[asked[order]] < MOST_NEAR]
            parts.append((asked[kept] + start, near[kept], bits[kept]))
            start += len(part)
            at_once = int(np.clip(NUM_RESULTS * len(part) // (len(near) + 1), 16, CHUNK))
        asked, near, bits = (np.concatenate(column) for column in zip(*parts, strict=True))
        return asked, near, bits

    return search


class _Flat:
    """All codes against all hashes, by faiss."""

    def __init__(self, codes_C: NDArray[np.uint64]) -> None:
        import faiss

        self.faiss: Any = faiss
        self.index: Any = faiss.IndexBinaryFlat(64)
        self.index.add(_as_bytes(codes_C))

    def near(self, hashes_Q: NDArray[np.uint64], radius: int) -> Found:
        """Return the codes within a radius of each hash."""
        self.faiss.omp_set_num_threads(1)  # of this thread: several of ours search
        edges, bits, near = self.index.range_search(_as_bytes(hashes_Q), radius + 1)
        asked = np.repeat(np.arange(len(hashes_Q)), np.diff(edges.astype(np.int64)))
        return asked, near.astype(np.int64), bits.astype(np.uint8)


class _Bands:
    """Codes by two of ``radius + 2`` bands of their bits: within the radius two bands are equal.

    Of a flood of codes that share two bands the first ``MOST_SHARED`` are looked at.
    """

    def __init__(self, codes_C: NDArray[np.uint64], radius: int) -> None:
        self.codes_C = codes_C
        edges = np.linspace(0, 64, radius + 3).astype(int)
        self.bands = [(int(low), int(high - low)) for low, high in pairwise(edges)]
        self.tables = [(one, other, *self._table(one, other)) for one, other in self._pairs()]

    def _pairs(self) -> Iterator[tuple[int, int]]:
        return combinations(range(len(self.bands)), 2)

    def _keys(self, hashes_Q: NDArray[np.uint64], one: int, other: int) -> NDArray[np.int64]:
        """Return the bits of two bands."""
        parts = [self._bits(hashes_Q, band) for band in (one, other)]
        return (parts[0] << self.bands[other][1]) | parts[1]

    def _bits(self, hashes_Q: NDArray[np.uint64], band: int) -> NDArray[np.int64]:
        """Return the bits of one band."""
        low, width = self.bands[band]
        return ((hashes_Q >> np.uint64(low)) & np.uint64((1 << width) - 1)).astype(np.int64)

    def _table(self, one: int, other: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return codes in the order of their keys, and where each key starts."""
        keys_C = self._keys(self.codes_C, one, other)
        num_keys = 1 << (self.bands[one][1] + self.bands[other][1])
        starts = np.concatenate([[0], np.cumsum(np.bincount(keys_C, minlength=num_keys))])
        return np.argsort(keys_C, kind="stable").astype(np.int32), starts.astype(np.int32)

    def near(self, hashes_Q: NDArray[np.uint64], radius: int) -> Found:
        """Return the codes within a radius of each hash."""
        parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.uint8))]
        for one, other, order, starts in self.tables:
            keys_Q = self._keys(hashes_Q, one, other)
            first_Q = starts[keys_Q]
            counts_Q = np.minimum(starts[keys_Q + 1] - first_Q, MOST_SHARED)
            asked = np.repeat(np.arange(len(hashes_Q)), counts_Q)
            within = np.arange(len(asked)) - np.repeat(np.cumsum(counts_Q) - counts_Q, counts_Q)
            near = order[first_Q[asked] + within]
            differ = hashes_Q[asked] ^ self.codes_C[near]
            bits = np.bitwise_count(differ)
            kept = np.flatnonzero(bits <= radius)
            kept = kept[self._is_first(differ[kept], one, other)]
            parts.append((asked[kept], near[kept].astype(np.int64), bits[kept]))
        asked, near, bits = (np.concatenate(column) for column in zip(*parts, strict=True))
        return asked, near, bits

    def _is_first(self, differ: NDArray[np.uint64], one: int, other: int) -> NDArray[np.bool_]:
        """Tell where two bands are the first two that are equal: each pair is told once."""
        is_first = np.ones(len(differ), bool)
        for band in set(range(other)) - {one}:
            is_first &= self._bits(differ, band) != 0
        return is_first


def _as_bytes(hashes_N: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Return hashes as faiss takes them."""
    return np.ascontiguousarray(hashes_N).view(np.uint8).reshape(-1, 8)
