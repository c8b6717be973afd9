"""Small grey copies of photos, compared: 64-bit hashes, and those of crops.

Axes: N photos, S side of a signature, F lowest frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


NUM_FREQUENCIES = 8
MEDIAN_RANK = 31  # of the 63 cosines beside the brightness


Crop = tuple[tuple[float, float], tuple[float, float]]
"""Where a crop starts and ends, as shares of the sides: down, across."""
WHOLE: Crop = ((0.0, 1.0), (0.0, 1.0))


def perceptual_hashes(signatures_NSS: NDArray[Any]) -> NDArray[np.uint64]:
    """Return perceptual hashes: few bits differ between similar photos.

    Each bit says whether one of the lowest 8 x 8 cosines is above their median.

    Args:
        signatures_NSS: Grey copies, square, any real type.

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
    return hashes_of_crops(signatures_NSS, [WHOLE])[0]


def hashes_of_crops(signatures_NSS: NDArray[Any], crops: Sequence[Crop]) -> NDArray[np.uint64]:
    """Return perceptual hashes of crops of each photo.

    Args:
        signatures_NSS: Grey copies, square, any real type.
        crops: Those with one part across are cheaper side by side.

    Returns:
        uint64 ``[num_crops, N]``.
    """
    count, side = len(signatures_NSS), signatures_NSS.shape[-1]
    flat_RS = signatures_NSS.reshape(-1, side).astype(np.float32)
    hashes_CN = np.empty((len(crops), count), np.uint64)
    known: tuple[float, float] | None = None
    for number, (down, across) in enumerate(crops):
        if across != known:
            rows_NSF = (flat_RS @ _cut_cosines(side, *across).T).reshape(
                count, side, NUM_FREQUENCIES
            )
            columns_RS = np.ascontiguousarray(rows_NSF.swapaxes(1, 2)).reshape(-1, side)
            known = across
        cosines_NFF = columns_RS @ _cut_cosines(side, *down).T
        cosines_N64 = cosines_NFF.reshape(-1, *[NUM_FREQUENCIES] * 2).swapaxes(1, 2)
        cosines_N64 = cosines_N64.reshape(count, NUM_FREQUENCIES**2)
        middle_N1 = np.partition(cosines_N64[:, 1:], MEDIAN_RANK, axis=1)[:, MEDIAN_RANK, None]
        packed_N8 = np.packbits(cosines_N64 > middle_N1, axis=1, bitorder="little")
        hashes_CN[number] = np.ascontiguousarray(packed_N8).view("<u8")[:, 0]
    return hashes_CN


def crop_signatures(
    signatures_NSS: NDArray[Any],
    *,
    down: tuple[float, float] = WHOLE[0],
    across: tuple[float, float] = WHOLE[1],
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
        >>> crop_signatures(ramp_SS[None], across=(0.25, 0.75))[0, 0]
        array([0.75, 1.25, 1.75, 2.25], dtype=float32)
    """
    side = signatures_NSS.shape[-1]
    return _cut(side, *down) @ signatures_NSS.astype(np.float32) @ _cut(side, *across).T


@lru_cache(maxsize=8)
def _cosines(side: int) -> NDArray[np.float32]:
    """Return the lowest rows of the orthonormal DCT-II, ``[F, S]``."""
    frequency_F1 = np.arange(NUM_FREQUENCIES)[:, None]
    place_S = (2 * np.arange(side) + 1) / (2 * side)
    scale_F1 = np.sqrt(np.where(frequency_F1 == 0, 1, 2) / side)
    return (scale_F1 * np.cos(np.pi * frequency_F1 * place_S)).astype(np.float32)


@lru_cache(maxsize=64)
def _cut_cosines(side: int, start: float, end: float) -> NDArray[np.float32]:
    """Return the lowest cosines of a line between two places, ``[F, S]``."""
    return _cosines(side) @ _cut(side, start, end)


@lru_cache(maxsize=64)
def _cut(side: int, start: float, end: float) -> NDArray[np.float32]:
    """Return what resamples a line bilinearly between two places, ``[S, S]``."""
    place_S = ((np.arange(side) + 0.5) * (end - start) + side * start - 0.5).clip(0, side - 1)
    below_S = np.minimum(place_S.astype(int), side - 2)
    part_S = place_S - below_S
    weights_SS = np.zeros((side, side), np.float32)
    weights_SS[np.arange(side), below_S] = 1 - part_S
    weights_SS[np.arange(side), below_S + 1] = part_S
    return weights_SS
