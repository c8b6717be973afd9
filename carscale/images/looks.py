"""Small grey copies of photos, compared: 64-bit hashes and zoomed copies of them.

Axes: N photos, S side of a signature, F lowest frequencies.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["NUM_FREQUENCIES", "hash_looks", "zoom_looks"]

NUM_FREQUENCIES = 8
MIDDLE = 31  # of the 63 cosines beside the brightness


def hash_looks(signatures_NSS: NDArray[Any], *, zoom: float = 0.0) -> NDArray[np.uint64]:
    """Return perceptual hashes: alike for photos that look alike.

    Each bit says whether one of the lowest 8 x 8 cosines is above their median.

    Args:
        signatures_NSS: Grey copies, square, any real type.
        zoom: Share that is cut off at each side first, in ``[0, 0.5)``: the hash that a crop of the
            photo would have.

    Returns:
        uint64 ``[N]``.

    Reference:
        Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", DCT hash.

    Example:
        >>> ramp_SS = np.arange(256).reshape(16, 16)
        >>> np.bitwise_count(hash_looks(ramp_SS[None]) ^ hash_looks(255 - ramp_SS[None])) > 20
        array([ True])
    """
    side = signatures_NSS.shape[-1]
    basis_SF = (_cosines(side) @ _zooming(side, zoom)).T
    flat_RS = signatures_NSS.reshape(-1, side).astype(np.float32)
    rows_NSF = (flat_RS @ basis_SF).reshape(-1, side, NUM_FREQUENCIES)  # one product, not N
    columns_NFS = np.ascontiguousarray(rows_NSF.swapaxes(1, 2))
    cosines_NFF = (columns_NFS.reshape(-1, side) @ basis_SF).reshape(-1, *[NUM_FREQUENCIES] * 2)
    cosines_N64 = cosines_NFF.swapaxes(1, 2).reshape(len(signatures_NSS), NUM_FREQUENCIES**2)
    middle_N1 = np.partition(cosines_N64[:, 1:], MIDDLE, axis=1)[:, MIDDLE, None]
    packed_N8 = np.packbits(cosines_N64 > middle_N1, axis=1, bitorder="little")
    return np.ascontiguousarray(packed_N8).view("<u8")[:, 0].astype(np.uint64)


def zoom_looks(signatures_NSS: NDArray[Any], zoom: float) -> NDArray[np.float32]:
    """Return grey copies with a share cut off at each side, stretched to the old size.

    Args:
        signatures_NSS: Grey copies, square, any real type.
        zoom: The share, in ``[0, 0.5)``.

    Returns:
        float32 ``[N, S, S]``.

    Example:
        >>> zoom_looks(np.arange(4.0)[None, None].repeat(4, axis=1), 0.25)[0, 0]
        array([0.75, 1.25, 1.75, 2.25], dtype=float32)
    """
    across_SS = _zooming(signatures_NSS.shape[-1], zoom)
    return across_SS @ signatures_NSS.astype(np.float32) @ across_SS.T


@lru_cache(maxsize=8)
def _cosines(side: int) -> NDArray[np.float32]:
    """Return the lowest rows of the orthonormal DCT-II, ``[F, S]``."""
    frequency_F1 = np.arange(NUM_FREQUENCIES)[:, None]
    place_S = (2 * np.arange(side) + 1) / (2 * side)
    scale_F1 = np.sqrt(np.where(frequency_F1 == 0, 1, 2) / side)
    return (scale_F1 * np.cos(np.pi * frequency_F1 * place_S)).astype(np.float32)


@lru_cache(maxsize=32)
def _zooming(side: int, zoom: float) -> NDArray[np.float32]:
    """Return what resamples a line bilinearly between its cut ends, ``[S, S]``."""
    place_S = ((np.arange(side) + 0.5) * (1 - 2 * zoom) + side * zoom - 0.5).clip(0, side - 1)
    below_S = np.minimum(place_S.astype(int), side - 2)
    part_S = place_S - below_S
    across_SS = np.zeros((side, side), np.float32)
    across_SS[np.arange(side), below_S] = 1 - part_S
    across_SS[np.arange(side), below_S + 1] = part_S
    return across_SS
