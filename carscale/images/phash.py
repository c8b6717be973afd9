"""Small grey copies of photos, compared: 64-bit hashes, and those of crops.

Axes: N photos, S side of a signature, F lowest frequencies.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


NUM_FREQUENCIES = 8
MEDIAN_RANK = 31  # of the 63 cosines beside the brightness


WHOLE = (0.0, 1.0)


def perceptual_hashes(
    signatures_NSS: NDArray[Any],
    *,
    down: tuple[float, float] = WHOLE,
    across: tuple[float, float] = WHOLE,
) -> NDArray[np.uint64]:
    """Return perceptual hashes: few bits differ between similar photos.

    Each bit says whether one of the lowest 8 x 8 cosines is above their median.

    Args:
        signatures_NSS: Grey copies, square, any real type.
        down: Where a crop starts and ends, as shares of the height: its hash is returned.
        across: The same of the width.

    Returns:
        uint64 ``[N]``.

    Reference:
        Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", DCT hash.

    Example:
        >>> ramp_SS = np.arange(256).reshape(16, 16)
        >>> one, other = perceptual_hashes(ramp_SS[None]), perceptual_hashes(255 - ramp_SS[None])
        >>> np.bitwise_count(one ^ other) > 20
        array([ True])
    """
    side = signatures_NSS.shape[-1]
    down_SF, across_SF = ((_cosines(side) @ _cut(side, *part)).T for part in (down, across))
    flat_RS = signatures_NSS.reshape(-1, side).astype(np.float32)
    rows_NSF = (flat_RS @ across_SF).reshape(-1, side, NUM_FREQUENCIES)  # one product, not N
    columns_NFS = np.ascontiguousarray(rows_NSF.swapaxes(1, 2))
    cosines_NFF = (columns_NFS.reshape(-1, side) @ down_SF).reshape(-1, *[NUM_FREQUENCIES] * 2)
    cosines_N64 = cosines_NFF.swapaxes(1, 2).reshape(len(signatures_NSS), NUM_FREQUENCIES**2)
    middle_N1 = np.partition(cosines_N64[:, 1:], MEDIAN_RANK, axis=1)[:, MEDIAN_RANK, None]
    packed_N8 = np.packbits(cosines_N64 > middle_N1, axis=1, bitorder="little")
    return np.ascontiguousarray(packed_N8).view("<u8")[:, 0].astype(np.uint64)


def crop_hashes(
    signatures_NSS: NDArray[Any],
    *,
    down: tuple[float, float] = WHOLE,
    across: tuple[float, float] = WHOLE,
) -> NDArray[np.float32]:
    """Return grey copies of one crop of each photo, stretched to the old size.

    Args:
        signatures_NSS: Grey copies, square, any real type.
        down: Where the crop starts and ends, as shares of the height.
        across: The same of the width.

    Returns:
        float32 ``[N, S, S]``.

    Example:
        >>> ramp_SS = np.arange(4.0)[None].repeat(4, axis=0)
        >>> crop_hashes(ramp_SS[None], across=(0.25, 0.75))[0, 0]
        array([0.75, 1.25, 1.75, 2.25], dtype=float32)
    """
    side = signatures_NSS.shape[-1]
    return _cut(side, *down) @ signatures_NSS.astype(np.float32) @ _cut(side, *across).T


def crop_each(signatures_NSS: NDArray[Any], edges_N4: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return grey copies of a crop of its own of each photo, as ``crop_hashes`` does.

    Args:
        signatures_NSS: Grey copies, square, any real type.
        edges_N4: Top, bottom, left and right of each crop, as shares of height and width.

    Returns:
        float32 ``[N, S, S]``.
    """
    side = signatures_NSS.shape[-1]
    rows_NSS = _cuts(side, edges_N4[:, 0], edges_N4[:, 1])
    columns_NSS = _cuts(side, edges_N4[:, 2], edges_N4[:, 3])
    return rows_NSS @ signatures_NSS.astype(np.float32) @ columns_NSS.swapaxes(1, 2)


@lru_cache(maxsize=8)
def _cosines(side: int) -> NDArray[np.float32]:
    """Return the lowest rows of the orthonormal DCT-II, ``[F, S]``."""
    frequency_F1 = np.arange(NUM_FREQUENCIES)[:, None]
    place_S = (2 * np.arange(side) + 1) / (2 * side)
    scale_F1 = np.sqrt(np.where(frequency_F1 == 0, 1, 2) / side)
    return (scale_F1 * np.cos(np.pi * frequency_F1 * place_S)).astype(np.float32)


@lru_cache(maxsize=64)
def _cut(side: int, start: float, end: float) -> NDArray[np.float32]:
    """Return what resamples a line between two places, ``[S, S]``."""
    return _cuts(side, np.array([start]), np.array([end]))[0]


def _cuts(
    side: int, start_N: NDArray[np.floating], end_N: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Return what resamples lines bilinearly between two places of each, ``[N, S, S]``."""
    step_NS = (np.arange(side) + 0.5)[None] * (end_N - start_N)[:, None]
    place_NS = (step_NS + side * start_N[:, None] - 0.5).clip(0, side - 1)
    below_NS = np.minimum(place_NS.astype(int), side - 2)
    part_NS = place_NS - below_NS
    rows_NS = np.arange(len(start_N))[:, None], np.arange(side)[None]
    weights_NSS = np.zeros((len(start_N), side, side), np.float32)
    weights_NSS[(*rows_NS, below_NS)] = 1 - part_NS
    weights_NSS[(*rows_NS, below_NS + 1)] = part_NS
    return weights_NSS
