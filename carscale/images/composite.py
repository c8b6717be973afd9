"""A car cut out of its photo, put on the ground of another.

Axes: height H and width W of a photo, h and w of a smaller copy or of a map.

Chosen: GrabCut from two starts that must find the same car. Rejected: one start. Why: GrabCut
always gives a mask; where two ways to begin lead to one, it follows the car's edge more often than
not, and a photo less is no loss. A third, by colours alone, looks for the roof: a low one is added,
a high one makes the mask unsure (of 60 photos all roofs are whole; before, seven were not).
Chosen: the new car covers the one that stood there. Rejected: painting that one over. Why: paint
of the size of a car shows, and what is left at its sides is small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MASK_PX = 192
"""Longer side of the copy that is cut; edges are smoothed at the photo's own size."""
LARGEST_PX = 4096
"""Of a photo that is composed; OpenCV's warps end at 32,767."""
ROUNDS = 4
STARTS = ((0.10, 0.5, 0.72), (0.04, 0.35, 0.6))
"""Probabilities of being car, below the first ground for sure, from the last on car for sure."""
BRIDGE = 0.05
"""Of the width: gaps that narrow are glass, and belong to the car."""
MIN_ALIKE = 0.88
"""Intersection over union of the masks of both starts."""
MIN_AREA, MAX_AREA = 0.1, 0.85
"""Of the photo that a car may fill."""
MIN_WHOLE = 0.9
"""Part of a mask that hangs together."""
MIN_SOLID = 0.85
"""Area of a mask over that of its convex hull: cars have no bays."""
MAX_ROOF = 0.05
"""Of a mask: what may stand above it that colours alone take for car; it is added."""
BORDER = 0.03
"""Of the height: what is ground for sure where colours alone decide."""
PROBABLE = 0.55
MIN_COVERED, MIN_MEANT = 0.96, 0.8
"""Part of what is probably car that a mask must cover, and of a mask that must be that."""
RIM_PX, PAINTED_PX = 2, 4
"""Of a copy of ``MASK_PX``: by how much a mask may be too small, and what is painted over."""
SHADOW = 0.45
"""Light that the ground loses right under a car."""


class BadMaskError(Exception):
    """A mask that does not hold; the text is the reason, its kind before a colon."""


def cut_out(pixels_HWC: NDArray[np.uint8], car_hw: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return where the car is.

    Args:
        pixels_HWC: The photo, RGB.
        car_hw: How probable it is that a place shows the car, in [0, 1]; of the whole photo, on a
            coarse grid of any size.

    Returns:
        Bool ``[h, w]``, the photo's shape with ``MASK_PX`` on the longer side.

    Raises:
        BadMaskError: The mask does not hold; says why.

    Reference:
        Rother et al. 2004, https://doi.org/10.1145/1015706.1015720 (GrabCut).
    """
    small_hwC = fitted(pixels_HWC, MASK_PX)
    size = small_hwC.shape[1], small_hwC.shape[0]
    probability_hw = cv2.resize(car_hw.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    masks = [_grab(small_hwC, probability_hw.clip(0, 1), *start) for start in STARTS]
    alike = float((masks[0] & masks[1]).sum() / max(1, (masks[0] | masks[1]).sum()))
    if alike < MIN_ALIKE:
        raise BadMaskError(
            f"unsure outline: two ways to cut the car out agree on {alike:.0%} of it"
        )
    check_mask(masks[0] & masks[1])
    mask_hw = masks[0] & masks[1]
    roof_hw = _roof(small_hwC, mask_hw)
    if (lost := float(roof_hw.sum() / mask_hw.sum())) > MAX_ROOF:
        raise BadMaskError(f"unsure roof: by colours the car is {lost:.0%} larger upwards")
    mask_hw = tidied(mask_hw | roof_hw)
    check_mask(mask_hw)
    is_car_hw = probability_hw >= PROBABLE
    covered = float(mask_hw[is_car_hw].mean()) if is_car_hw.any() else 0.0
    meant = float(is_car_hw[mask_hw].mean())
    if covered < MIN_COVERED or meant < MIN_MEANT:
        raise BadMaskError(
            f"not where the run sees a car: it covers {covered:.0%} of that, which is {meant:.0%} "
            "of it"
        )
    return mask_hw


def rimmed(pixels_HWC: NDArray[np.uint8], inner_px: int, rim_px: int) -> NDArray[np.uint8]:
    """Return a photo squashed to a square, with so many pixels mirrored around it."""
    square = cv2.resize(pixels_HWC, (inner_px, inner_px), interpolation=cv2.INTER_AREA)
    rim = cv2.copyMakeBorder(square, *(rim_px,) * 4, cv2.BORDER_REFLECT_101)
    return np.asarray(rim, dtype=np.uint8)


def check_mask(mask_hw: NDArray[np.bool_]) -> None:
    """Raise unless a mask may be a car's: its area, one piece, no bays.

    Raises:
        BadMaskError: Says what it is.
    """
    area = float(mask_hw.mean())
    if not MIN_AREA <= area <= MAX_AREA:
        raise BadMaskError(f"too small or too large: it fills {area:.0%} of the photo")
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask_hw.astype(np.uint8))
    whole = stats[1:, cv2.CC_STAT_AREA].max() / mask_hw.sum()
    if whole < MIN_WHOLE:
        raise BadMaskError(f"in pieces: the largest is {whole:.0%} of it")
    hull = cv2.convexHull(cv2.findNonZero(mask_hw.astype(np.uint8)))
    solid = float(mask_hw.sum()) / max(1.0, cv2.contourArea(hull))
    if solid < MIN_SOLID:
        raise BadMaskError(f"ragged: it is {solid:.0%} of its hull")


def tidied(mask_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask's largest piece, holes filled, thin spikes and cracks gone."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    bits_hw = cv2.morphologyEx(mask_hw.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    bits_hw = cv2.morphologyEx(bits_hw, cv2.MORPH_OPEN, kernel)
    contours, _ = cv2.findContours(bits_hw, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled_hw = np.zeros_like(bits_hw)
    if contours:
        cv2.drawContours(filled_hw, [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return filled_hw.astype(bool)


def fitted_size(width: int, height: int, longer_px: int) -> tuple[int, int]:
    """Return a size whose longer side is at most so many pixels.

    Example:
        >>> fitted_size(300, 200, 150), fitted_size(30, 20, 150)
        ((150, 100), (30, 20))
    """
    share = min(1.0, longer_px / max(height, width))
    return max(1, round(width * share)), max(1, round(height * share))


def fitted(pixels_HWC: NDArray[np.uint8], longer_px: int) -> NDArray[np.uint8]:
    """Return pixels whose longer side is at most so many."""
    height, width = pixels_HWC.shape[:2]
    size = fitted_size(width, height, longer_px)
    if size == (width, height):
        return pixels_HWC
    return np.asarray(cv2.resize(pixels_HWC, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _grab(
    small_hwC: NDArray[np.uint8],
    car_hw: NDArray[np.float32],
    ground_below: float,
    car_from: float,
    sure_from: float,
) -> NDArray[np.bool_]:
    """Return what GrabCut makes of a start, with the glass of the car."""
    mask_hw = np.where(car_hw >= car_from, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask_hw[car_hw > sure_from] = cv2.GC_FGD
    mask_hw[car_hw < ground_below] = cv2.GC_BGD
    found_hw = _grab_cut(small_hwC, mask_hw).astype(np.uint8)
    reach = max(1, round(BRIDGE * found_hw.shape[1]))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    wide = cv2.copyMakeBorder(found_hw, *(reach,) * 4, cv2.BORDER_CONSTANT)
    closed_hw = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, kernel)
    return closed_hw[reach:-reach, reach:-reach].astype(bool)


def _roof(small_hwC: NDArray[np.uint8], mask_hw: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return what GrabCut takes for car above a mask where it knows but the mask and the border.

    A run knows wheels and lamps; roofs and glass look like the sky that they mirror.
    """
    height, width = mask_hw.shape
    rim = max(2, round(BORDER * height))
    start_hw = np.full(mask_hw.shape, cv2.GC_BGD, np.uint8)
    start_hw[rim : height - 2, rim : width - rim] = cv2.GC_PR_FGD
    start_hw[cv2.erode(mask_hw.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0] = cv2.GC_FGD
    found_hw = _grab_cut(small_hwC, start_hw)
    top_w = np.where(mask_hw.any(axis=0), mask_hw.argmax(axis=0), 0)
    return found_hw & (np.arange(height)[:, None] < top_w)


def _grab_cut(small_hwC: NDArray[np.uint8], start_hw: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return what GrabCut takes for car from a start of OpenCV's marks.

    Raises:
        BadMaskError: The start is all car, or has none.
    """
    is_car_hw = np.isin(start_hw, (cv2.GC_FGD, cv2.GC_PR_FGD))
    if not is_car_hw.any() or is_car_hw.all():
        raise BadMaskError("the run saw a car everywhere, or nowhere")
    bgr_hwC = np.ascontiguousarray(small_hwC[..., ::-1])
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # GrabCut begins with k-means
    cv2.grabCut(bgr_hwC, start_hw, (0, 0, 1, 1), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.isin(start_hw, (cv2.GC_FGD, cv2.GC_PR_FGD))


@dataclass(frozen=True)
class Place:
    """Where a car goes on another photo's ground.

    Attributes:
        scale: Pixels of the ground's photo for each of the car's.
        left, top: Of the car's photo on the ground, pixels; may lie outside.
        leftover: Part of the ground's photo where the car that stood there would still show.
    """

    scale: float
    left: float
    top: float
    leftover: float = 0.0


def place_car(
    mask_hw: NDArray[np.bool_],
    size: tuple[int, int],
    hidden_hw: NDArray[np.bool_],
    ground_size: tuple[int, int],
) -> Place:
    """Return where a car covers, as well as its shape allows, the one that stood there.

    Args:
        mask_hw: Of the car.
        size: Width and height of its photo.
        hidden_hw: Mask of the car on the ground.
        ground_size: Width and height of that photo.

    Example:
        >>> mask = np.zeros((60, 80), bool)
        >>> mask[20:50, 10:70] = True
        >>> place_car(mask, (80, 60), mask, (160, 120))
        Place(scale=2.1, left=-4.0, top=-3.8, leftover=0.0338)
    """
    left, top, right, bottom = _bounds(mask_hw, size)
    there = _bounds(hidden_hw, ground_size)
    wanted = max((there[2] - there[0]) / (right - left), (there[3] - there[1]) / (bottom - top))
    fits = min(0.98 * ground_size[0] / (right - left), 0.98 * ground_size[1] / (bottom - top))
    scale = min(1.05 * wanted, fits)
    middle = (there[0] + there[2]) / 2 - scale * (left + right) / 2
    middle = min(max(middle, -scale * left), ground_size[0] - scale * right)  # in the frame
    foot = there[3] + 0.02 * (there[3] - there[1]) - scale * bottom
    foot = min(max(foot, -scale * top), ground_size[1] - scale * bottom)
    place = Place(round(scale, 4), round(middle, 1), round(foot, 1))
    covered_hw = _moved(mask_hw.astype(np.float32), size, place, hidden_hw.shape, ground_size) > 0.5
    left_over = float((_grown(hidden_hw, RIM_PX) & ~covered_hw).mean())
    return Place(place.scale, place.left, place.top, round(left_over, 4))


def put_on_ground(
    car_HWC: NDArray[np.uint8],
    mask_hw: NDArray[np.bool_],
    ground_HWC: NDArray[np.uint8],
    hidden_hw: NDArray[np.bool_],
    place: Place,
) -> NDArray[np.uint8]:
    """Return the ground's photo with another car on it: soft edge, its light, a shadow below.

    Args:
        car_HWC: The photo that the car is cut out of, RGB.
        mask_hw: Where it is there.
        ground_HWC: The other photo.
        hidden_hw: Where its own car is.
        place: From ``place_car``, of photos of these sizes.
    """
    height, width = ground_HWC.shape[:2]
    size, ground_size = (car_HWC.shape[1], car_HWC.shape[0]), (width, height)
    blurred_hw = cv2.GaussianBlur(mask_hw.astype(np.float32), (0, 0), 0.8)
    # a little inside the edge, where there is no rim of the old ground
    soft_hw = np.asarray(((blurred_hw - 0.35) / 0.6).clip(0, 1), dtype=np.float32)
    alpha_HW = _moved(soft_hw, size, place, (height, width), ground_size)
    grown_hw = _grown(hidden_hw, PAINTED_PX)
    ground_HWC = _painted_over(ground_HWC, grown_hw, alpha_HW)
    lit_HWC = _in_light_of(car_HWC, mask_hw, ground_HWC, hidden_hw)
    if place.scale < 1:  # OpenCV's warp does not average
        longer_px = max(1, round(place.scale * max(size)))
        lit_HWC = fitted(lit_HWC, longer_px)
    across, down = (
        place.scale * side / now for side, now in zip(size, lit_HWC.shape[1::-1], strict=True)
    )
    matrix_23 = np.array([[across, 0, place.left], [0, down, place.top]], np.float32)
    car = cv2.warpAffine(
        lit_HWC, matrix_23, ground_size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    ground = ground_HWC * _shade(alpha_HW)[..., None]
    mixed = ground + alpha_HW[..., None] * (car - ground)
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def _bounds(mask_hw: NDArray[np.bool_], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the box around a mask, in pixels of its photo."""
    x, y, width, height = cv2.boundingRect(mask_hw.astype(np.uint8))
    across, down = size[0] / mask_hw.shape[1], size[1] / mask_hw.shape[0]
    return x * across, y * down, (x + width) * across, (y + height) * down


def _grown(mask_hw: NDArray[np.bool_], by_px: int) -> NDArray[np.bool_]:
    """Return a mask that reaches so many pixels farther."""
    kernel = np.ones((2 * by_px + 1, 2 * by_px + 1), np.uint8)
    return np.asarray(cv2.dilate(mask_hw.astype(np.uint8), kernel), dtype=bool)


def _moved(
    values_hw: NDArray[np.float32],
    size: tuple[int, int],
    place: Place,
    shape: tuple[int, int],
    ground_size: tuple[int, int],
) -> NDArray[np.float32]:
    """Return a map of the car's photo where it goes, on a copy of the ground of a shape."""
    across, down = shape[1] / ground_size[0], shape[0] / ground_size[1]
    from_map = size[0] / values_hw.shape[1], size[1] / values_hw.shape[0]
    matrix_23 = np.array(
        [
            [across * place.scale * from_map[0], 0, across * place.left],
            [0, down * place.scale * from_map[1], down * place.top],
        ],
        np.float32,
    )
    moved = cv2.warpAffine(values_hw, matrix_23, (shape[1], shape[0]), flags=cv2.INTER_LINEAR)
    return np.asarray(moved, dtype=np.float32)


def _painted_over(
    ground_HWC: NDArray[np.uint8], hidden_hw: NDArray[np.bool_], alpha_HW: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return the ground without what of its own car would look out."""
    height, width = ground_HWC.shape[:2]
    hidden_HW = cv2.resize(
        hidden_hw.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
    )
    small_hwC = fitted(ground_HWC, MASK_PX)
    size = small_hwC.shape[1], small_hwC.shape[0]
    out_hw = cv2.resize(hidden_HW, size, interpolation=cv2.INTER_NEAREST)
    under_hw = np.asarray(cv2.resize(alpha_HW, size)) > 0.98
    seen_hw = np.where(under_hw, 0, out_hw).astype(np.uint8)
    painted_hwC = cv2.inpaint(small_hwC, seen_hw, 5, cv2.INPAINT_TELEA)
    large_HWC = cv2.resize(painted_hwC, (width, height), interpolation=cv2.INTER_CUBIC)
    edge_HW1 = cv2.GaussianBlur(hidden_HW.astype(np.float32), (0, 0), 2.0)[..., None]
    mixed = ground_HWC + edge_HW1 * (large_HWC.astype(np.float32) - ground_HWC)
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def _in_light_of(
    car_HWC: NDArray[np.uint8],
    mask_hw: NDArray[np.bool_],
    ground_HWC: NDArray[np.uint8],
    hidden_hw: NDArray[np.bool_],
) -> NDArray[np.uint8]:
    """Return the car's photo moved half way to the other's light, a third to its colour."""
    own_3, other_3 = (
        cv2.resize(pixels, mask.shape[::-1], interpolation=cv2.INTER_AREA)[~mask].mean(axis=0) + 8
        for pixels, mask in ((car_HWC, mask_hw), (ground_HWC, hidden_hw))
    )
    light = float(other_3.mean() / own_3.mean())
    cast_3 = (other_3 / own_3) / light
    gain_3 = np.clip(light**0.5, 0.7, 1.4) * np.clip(cast_3**0.33, 0.85, 1.15)
    return np.rint(car_HWC * gain_3).clip(0, 255).astype(np.uint8)


def _shade(alpha_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the light that a car leaves the ground: less in a soft strip below it."""
    height = alpha_HW.shape[0]
    _, y, across, down = cv2.boundingRect((alpha_HW > 0.5).astype(np.uint8))
    drop = max(1, round(0.04 * down))
    below_HW = np.zeros_like(alpha_HW)
    below_HW[drop:] = alpha_HW[: height - drop]
    below_HW[: y + round(0.6 * down)] = 0
    soft_HW = cv2.GaussianBlur(below_HW, (0, 0), max(1.0, 0.02 * across))
    return np.asarray(1 - SHADOW * soft_HW, dtype=np.float32)
