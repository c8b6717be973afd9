"""Lay one photo over another: do their details coincide?

Tells copies of one photo (stored anew, resized, cropped, mirrored, with a logo) from photos of two
like cars before one wall: the outline of these agrees, their details do not.
Axes: H height, W width; ``SIDE_PX`` squares, whatever the photo's aspect.

Chosen: OpenCV's ECC from a start that the perceptual hash gives, then correlations of small
windows, each weighted by what there is to see. Rejected: one correlation of all pixels (a uniform
background agrees with any other), matched features with a geometric check (SIFT also finds copies
on a wider margin, and takes one render in another colour for the same photo).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from carscale.images.pixels import decode_down

if TYPE_CHECKING:
    from numpy.typing import NDArray


SIDE_PX, HALF_PX = 128, 64
SMOOTH_SIGMA = 0.8
"""Of both pictures, px: one may be blurred, small or strongly compressed."""
WINDOWS = {SIDE_PX: 11, HALF_PX: 7}
"""Sides of the windows that are compared, px."""
LEAST_DETAIL, MOST_DETAIL = 3.0, 20.0
"""Deviation of a window, grey levels: below there is nothing to see, above it counts no more."""
SAME_WINDOW = 0.75
"""Correlation of two windows that show the same."""
NOISE = 4.0
"""Variance that storing a photo adds, grey levels squared."""
COLOURED, COLOUR_WEIGHT = 12.0, 0.5
"""Distance from grey from which a plain window shows something; what that counts beside detail."""
COLOUR_OFF, COLOUR_SHARE = 12.0, 0.35
"""How far colours may lie apart: levels, and a share of their distance from grey."""
LIGHT_OFF = 24.0
"""How far grey levels may lie apart once exposure and contrast are matched."""
MOST_CONTRAST = 1.5
"""By which exposure may stretch grey levels; before a light wall a dark and a light car differ by
more."""
LEAST_COLOUR = 0.82
"""Share of the middle of a picture whose colour must agree."""
MIDDLE = (0.2, 0.85), (0.12, 0.88)
"""Where cars are: down and across. Logos and banners rather lie outside."""
LEAST_OVERLAP = 0.45
MOST_SCALE, MOST_TURN = 1.5, 0.02
"""Copies are scaled and shifted; another pose of a car would be turned and leant, too."""
UNLIKE, HOPELESS = 0.1, 0.45
"""Of the agreement at ``HALF_PX``: before alignment, below which none is tried; after it, below
which ``SIDE_PX`` is not looked at. Of copies that a crop of the hash missed by up to 2.5 % of a
side 1 in 100 has less than 0.14 before alignment."""
SURE = 0.95
"""From here on no better alignment is looked for."""
ITERATIONS, STEP = 8, 1e-3


class Comparable(NamedTuple):
    """A photo made ready for ``agreement``.

    Attributes:
        full, half: Squashed to squares of ``SIDE_PX`` and ``HALF_PX``: YCrCb, uint8.
        full_detail, half_detail: Their structure, free of light and contrast, float32.
    """

    full: NDArray[np.uint8]
    half: NDArray[np.uint8]
    full_detail: NDArray[np.float32]
    half_detail: NDArray[np.float32]

    def mirrored(self) -> Comparable:
        """Return the same with left and right exchanged."""
        return Comparable(*(cv2.flip(part, 1) for part in self))  # type: ignore[arg-type]


def comparable(encoded: bytes) -> Comparable:
    """Make a frozen photo ready for ``agreement``; from many threads at once.

    Args:
        encoded: Bytes of an upright 8-bit JPEG or PNG.

    Raises:
        ValueError: The bytes are no whole JPEG or PNG.
    """
    pixels_HWC = decode_down(encoded, longer_px=2 * SIDE_PX)[0]
    square = cv2.resize(pixels_HWC, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    full = cv2.GaussianBlur(cv2.cvtColor(square, cv2.COLOR_RGB2YCrCb), (0, 0), SMOOTH_SIGMA)
    half = cv2.resize(full, (HALF_PX, HALF_PX), interpolation=cv2.INTER_AREA)
    return Comparable(
        np.asarray(full, np.uint8),
        np.asarray(half, np.uint8),
        _detail(full[..., 0]),
        _detail(half[..., 0]),
    )


def agreement(one: Comparable, other: Comparable, starts: NDArray[np.floating]) -> float:
    """Return which share of the details of two photos coincides when one is laid over the other.

    Args:
        one: From ``comparable``.
        other: From ``comparable``.
        starts: Where the search starts: for each a crop of ``other`` and one of ``one`` that may
            show the same, ``[num, 8]``: top, bottom, left, right of each, as shares of the sides.

    Returns:
        0 to 1: the mean of the share in the whole picture and of that in its middle; details are
        edges, textures and colours. 0 where light or colour of a large part is another.

    Example:
        >>> from carscale.images import encode_png
        >>> ramp = np.add.outer(np.arange(96) % 32 * 4, np.arange(96) % 24 * 4).astype(np.uint8)
        >>> photo = comparable(encode_png(np.repeat(ramp[..., None], 3, axis=2)))
        >>> agreement(photo, photo, np.array([[0, 1, 0, 1, 0, 1, 0, 1]]))
        1.0
    """
    best, matrix = -1.0, np.eye(2, 3)
    for start in starts:
        first = _matrix(start, HALF_PX)
        found = _Overlay(one.half, other.half, first).share()
        if found > best:
            best, matrix = found, first
        if found < UNLIKE:
            continue
        if found > SURE:
            break
        tried = _aligned(one.half_detail, other.half_detail, first)
        found = 0.0 if tried is None else _Overlay(one.half, other.half, tried).share()
        if tried is not None and found > best:
            best, matrix = found, tried
        if best > SAME_WINDOW:
            break
    if best < HOPELESS:
        return max(0.0, best) / 2
    matrix = matrix * (1, 1, SIDE_PX / HALF_PX)
    laid = _Overlay(one.full, other.full, matrix)
    if laid.share() < SURE:
        fine = _aligned(one.full_detail, other.full_detail, matrix)
        if fine is not None:
            laid = max(laid, _Overlay(one.full, other.full, fine), key=_Overlay.share)
    return laid.share(laid.same_colours())


def _detail(grey_HW: NDArray[Any]) -> NDArray[np.float32]:
    """Return structure free of light and contrast; edges of banners count no more than others."""
    sigma = len(grey_HW) / 16
    off_HW = grey_HW - cv2.GaussianBlur(grey_HW.astype(np.float32), (0, 0), sigma)
    spread_HW = np.sqrt(cv2.GaussianBlur(off_HW * off_HW, (0, 0), sigma)) + 6
    return np.asarray(np.clip(off_HW / spread_HW, -2, 2), np.float32)


def _matrix(start: NDArray[np.floating], side: int) -> NDArray[np.float64]:
    """Return what takes pixels of one picture to those of the other, by the crops of a start."""
    (top, bottom, left, right), (top_1, bottom_1, left_1, right_1) = start[:4], start[4:]
    across, down = (right - left) / (right_1 - left_1), (bottom - top) / (bottom_1 - top_1)
    half = 0.5 * np.array([across - 1, down - 1])  # centres of pixels lie at + 0.5
    shift = side * np.array([left - left_1 * across, top - top_1 * down]) + half
    return np.array([[across, 0, shift[0]], [0, down, shift[1]]])


def _aligned(
    one_HW: NDArray[np.float32], other_HW: NDArray[np.float32], start_23: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return the best affine near a start; ``None`` where there is none that a crop could be.

    Reference:
        Evangelidis and Psarakis 2008, "Parametric image alignment using enhanced correlation
        coefficient maximization".
    """
    limit = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, ITERATIONS, STEP)
    try:
        _, found_23 = cv2.findTransformECC(
            one_HW, other_HW, start_23.astype(np.float32), cv2.MOTION_AFFINE, limit
        )
    except cv2.error:  # it leaves the picture, or there is nothing to see
        return None
    (across, turn), (lean, down) = np.abs(found_23[:, :2])
    is_likely = max(turn, lean) <= MOST_TURN
    is_likely &= min(across, down) > 1 / MOST_SCALE and max(across, down) < MOST_SCALE
    return found_23.astype(np.float64) if is_likely else None


class _Overlay:
    """One picture laid over another by an affine."""

    def __init__(
        self, one: NDArray[Any], other: NDArray[Any], matrix_23: NDArray[np.float64]
    ) -> None:
        self.side, self.window = len(one), WINDOWS[len(one)]
        size, flags = (self.side, self.side), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        self.one, self.laid = one, cv2.warpAffine(other, matrix_23, size, flags=flags)
        there = cv2.warpAffine(np.full(size, 255, np.uint8), matrix_23, size, flags=flags)
        element = np.ones((self.window, self.window), np.uint8)
        self.inside = cv2.erode(there, element, borderValue=255) == 255
        self.middle = tuple(slice(*(int(edge * self.side) for edge in part)) for part in MIDDLE)
        self.is_enough = self.inside.mean() >= LEAST_OVERLAP
        first, second = (part[..., 0].astype(np.float32) for part in (self.one, self.laid))
        self.light = self._mean(first), self._mean(second)
        variances = [
            cv2.max(self._mean(part * part) - middle * middle, 0.0)  # type: ignore[call-overload]
            for part, middle in zip((first, second), self.light, strict=True)
        ]
        shared = self._mean(first * second) - self.light[0] * self.light[1]
        norm = cv2.sqrt((variances[0] + NOISE) * (variances[1] + NOISE))
        self.is_same = shared >= SAME_WINDOW * norm
        self.deviation = cv2.sqrt(cv2.max(*variances))

    def _mean(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the means of all windows."""
        return cv2.blur(values, (self.window, self.window))

    def share(self, colours: tuple[NDArray[np.bool_], NDArray[Any]] | None = None) -> float:
        """Return the share of details that coincide, by structure alone or by colours too."""
        has_detail = self.deviation >= LEAST_DETAIL
        weight = np.where(has_detail, np.minimum(self.deviation, MOST_DETAIL), 0)
        agrees = self.is_same
        if colours is not None:
            same, tint = colours
            if same[self.middle][self.inside[self.middle]].mean() < LEAST_COLOUR:
                return 0.0
            tinted = np.where(tint >= COLOURED, COLOUR_WEIGHT * np.minimum(tint, MOST_DETAIL), 0)
            weight = np.maximum(weight, tinted)
            agrees = same & (self.is_same | ~has_detail)
        weight = weight * self.inside
        parts = (weight, weight[self.middle])
        both = (weight * agrees, (weight * agrees)[self.middle])
        sums = [
            (float(part.sum()), float(agreed.sum()))
            for part, agreed in zip(parts, both, strict=True)
        ]
        if not self.is_enough or min(whole for whole, _ in sums) < 1:
            return 0.0
        return sum(agreed / whole for whole, agreed in sums) / 2

    def same_colours(self) -> tuple[NDArray[np.bool_], NDArray[Any]]:
        """Return where colours are the same, tint and exposure aside; how far they are from grey.

        Exposure and contrast are a line through the grey levels of both: least squares of the seven
        tenths of the picture that fit best, so that a car of another colour does not bend it.
        """
        colours = [self._mean(part[..., 1:].astype(np.float32)) for part in (self.one, self.laid)]
        some = slice(None, None, self.side // 32), slice(None, None, self.side // 32)
        inside = self.inside[some]
        off = colours[0] - colours[1]
        off = off - np.median(off[some][inside], axis=0)
        tint = np.maximum(*(np.linalg.norm(part - 128, axis=2) for part in colours))
        is_same = np.linalg.norm(off, axis=2) <= COLOUR_OFF + COLOUR_SHARE * tint
        one, other = (part[some][inside] for part in self.light)
        gain, shift = 1.0, float(np.median(other - one))
        for _ in range(3):
            far = np.abs(other - gain * one - shift)
            x, y = (part[far <= np.quantile(far, 0.7)] for part in (one, other))
            spread = float(x.var())
            slope = float(((x - x.mean()) * (y - y.mean())).mean()) / max(spread, 1e-6)
            gain = float(np.clip(slope, 1 / MOST_CONTRAST, MOST_CONTRAST)) if spread > 1 else 1.0
            shift = float(y.mean() - gain * x.mean())
        far = np.abs(self.light[1] - gain * self.light[0] - shift)
        return is_same & (far <= LIGHT_OFF * max(1.0, gain)), tint
