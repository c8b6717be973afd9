"""Statistics of a photo: light, sharpness, information, a perceptual hash, a small grey copy.

Everything is measured on a copy whose longer side is ``SIDE_PX``, so that a large photo and a small
one of the same scene give the same numbers; a smaller photo stays as it is.
Axes: H height, W width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from carscale.images.phash import perceptual_hashes
from carscale.images.pixels import decode_down

if TYPE_CHECKING:
    from numpy.typing import NDArray


MEASURE_VERSION = 2
"""Stored with what was measured: another number, measured anew. Raise it with each change here."""

SIDE_PX = 128
SIGNATURE_PX = 32
FINE_SIGMA, MID_SIGMA, COARSE_SIGMA = 1.0, 2.0, 4.0
MID_FLOOR = 0.5
"""Grey levels: in a photo without structure, rounding is no detail."""
COLOURFUL = 40
"""Grey levels between a pixel's channels, from where its hue means something."""
USUAL_HUES = (range(30, 45), range(165, 180))
"""Half degrees: yellow greens of plants, the red side of crimson."""
MIRROR_HUES = (range(76, 91), range(121, 136))
"""What those become when red and blue are exchanged, ``120 - hue``: sea greens and violets."""


class PhotoStats(NamedTuple):
    """One photo, measured. Grey levels are BT.601 luma, 0 to 255.

    Attributes:
        brightness: Mean luma.
        shadow: Luma that 5 % of the pixels do not exceed.
        highlight: Luma that 95 % of the pixels do not exceed.
        contrast: Standard deviation of luma.
        sharpness: Detail finer than 1 px over structure of 2 to 4 px, of ``SIDE_PX``; free of
            light and contrast. Sharp photos have 0.6 to 1, blurred ones below 0.35.
        information: Entropy of luma, bits, 0 to 8.
        saturation: Mean of the largest minus the smallest channel, 0 to 255.
        red, green, blue: Mean colour, 0 to 255.
        usual_hues: Share of pixels in yellow green or crimson, as plants, rust and tail lights are.
        mirror_hues: Share of pixels in what these become when red and blue are exchanged: sea green
            and violet, which few things have.
        width, height: Pixels of the whole photo.
        phash: 64 signs of a cosine transform (pHash): few differ between similar photos.
        signature: The photo squashed to ``[SIGNATURE_PX, SIGNATURE_PX]`` luma, uint8.
    """

    brightness: float
    shadow: float
    highlight: float
    contrast: float
    sharpness: float
    information: float
    saturation: float
    red: float
    green: float
    blue: float
    usual_hues: float
    mirror_hues: float
    width: int
    height: int
    phash: int
    signature: NDArray[np.uint8]


STATS_DTYPE = np.dtype(
    [
        *((name, "<f4") for name in PhotoStats._fields[:-2]),
        ("phash", "<u8"),
        ("signature", "u1", (SIGNATURE_PX, SIGNATURE_PX)),
    ]
)
"""``PhotoStats`` of many photos as one array; the numbers of an unreadable photo are NaN."""


def empty_stats(count: int) -> NDArray[Any]:
    """Return ``PhotoStats`` of photos that are not measured, ``[count]`` of ``STATS_DTYPE``."""
    stats_N = np.zeros(count, STATS_DTYPE)
    for name in PhotoStats._fields[:-2]:
        stats_N[name] = np.nan
    return stats_N


def measure(encoded: bytes) -> PhotoStats:
    """Measure one frozen photo; from many threads at once.

    Args:
        encoded: Bytes of an upright 8-bit JPEG or PNG.

    Returns:
        Its statistics; the same bytes give the same numbers.

    Raises:
        ValueError: The bytes are no whole JPEG or PNG.

    Example:
        >>> from carscale.images import encode_png
        >>> found = measure(encode_png(np.full((40, 60, 3), 200, np.uint8)))
        >>> found.brightness, found.contrast, found.information, found.width
        (200.0, 0.0, 0.0, 60)
    """
    pixels_HWC, width, height = decode_down(encoded, longer_px=SIDE_PX)
    small_HWC = _fitted(pixels_HWC)
    luma_HW = cv2.cvtColor(small_HWC, cv2.COLOR_RGB2GRAY)
    shares_256 = cv2.calcHist([luma_HW], [0], None, [256], [0, 256]).ravel() / luma_HW.size
    shadow, highlight = np.searchsorted(shares_256.cumsum(), (0.05, 0.95 - 1e-6))
    present = shares_256[shares_256 > 0]
    mean, deviation = cv2.meanStdDev(luma_HW)
    red, green, blue, _ = cv2.mean(small_HWC)
    planes = cv2.split(small_HWC)
    most_HW = cv2.max(cv2.max(planes[0], planes[1]), planes[2])
    least_HW = cv2.min(cv2.min(planes[0], planes[1]), planes[2])
    usual, mirror = _hue_shares(small_HWC, cv2.subtract(most_HW, least_HW))
    signature = cv2.resize(luma_HW, (SIGNATURE_PX, SIGNATURE_PX), interpolation=cv2.INTER_AREA)
    return PhotoStats(
        brightness=float(mean[0, 0]),
        shadow=float(shadow),
        highlight=float(highlight),
        contrast=float(deviation[0, 0]),
        sharpness=_sharpness(luma_HW),
        information=abs(float(-(present * np.log2(present)).sum())),
        saturation=cv2.mean(most_HW)[0] - cv2.mean(least_HW)[0],
        red=red,
        green=green,
        blue=blue,
        usual_hues=usual,
        mirror_hues=mirror,
        width=width,
        height=height,
        phash=int(perceptual_hashes(signature[None])[0]),
        signature=np.asarray(signature),
    )


def _fitted(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels whose longer side is ``SIDE_PX`` at most."""
    height, width = pixels_HWC.shape[:2]
    share = SIDE_PX / max(height, width)
    if share >= 1:
        return pixels_HWC
    size = max(1, round(width * share)), max(1, round(height * share))
    return np.asarray(cv2.resize(pixels_HWC, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _hue_shares(pixels_HWC: NDArray[np.uint8], spread_HW: NDArray[Any]) -> tuple[float, float]:
    """Return the shares of pixels in ``USUAL_HUES`` and in ``MIRROR_HUES``."""
    hue_HW = cv2.extractChannel(cv2.cvtColor(pixels_HWC, cv2.COLOR_RGB2HSV), 0)
    is_colourful_HW = cv2.inRange(spread_HW, (COLOURFUL + 1,), (255,))
    counts_180 = cv2.calcHist([hue_HW], [0], is_colourful_HW, [180], [0, 180]).ravel()
    usual, mirror = (
        float(sum(counts_180[hues.start : hues.stop].sum() for hues in side)) / hue_HW.size
        for side in (USUAL_HUES, MIRROR_HUES)
    )
    return usual, mirror


def _sharpness(luma_HW: NDArray[Any]) -> float:
    """Return how much of a photo's structure is finer than a pixel or so."""
    values_HW = luma_HW.astype(np.float32)
    fine_HW, mid_HW, coarse_HW = (
        cv2.GaussianBlur(values_HW, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
        for sigma in (FINE_SIGMA, MID_SIGMA, COARSE_SIGMA)
    )
    _, detail = cv2.meanStdDev(cv2.subtract(values_HW, fine_HW))
    _, structure = cv2.meanStdDev(cv2.subtract(mid_HW, coarse_HW))
    return float(detail[0, 0] / (structure[0, 0] + MID_FLOOR))
