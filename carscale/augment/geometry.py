"""From affines to what a backend does: decode a region, shrink it once, warp it if it must.

Axes: B samples. ``affine_B23`` maps output to source, both in continuous pixels (pixel ``i`` covers
``[i, i + 1)``); pairs are width or x first.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from carscale import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray


DENOMINATORS = (8, 4, 2, 1)
"""Scales that libjpeg decodes at, cheapest first: 1/8, 1/4, 1/2, 1/1."""

WHOLE_PX = 1e-3
"""A border this near to a whole pixel counts as one."""

MARGIN_PX = 2
"""Output pixels that a warp may read beyond the square's corners."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """What every backend does with each photo, in order.

    Attributes:
        region_B4: Left, top, right, bottom of what to decode, whole source px, int64; the first two
            are multiples of ``denominator_B``.
        denominator_B: The photo may be decoded at ``1 / denominator``: that covers the output.
        span_B2: Source px, from the region's left and top, that are shrunk to ``small_B2``,
            antialiased; a part of the last pixel may be left over.
        small_B2: Size after shrinking, int64.
        is_warped_B: Whether ``warp_B23`` makes the square; else it lies at ``place_B2``, and all is
            mirrored where ``is_mirrored_B`` says so.
        place_B2: Left and top of the shrunk region in the square, before mirroring, int64; below 0
            where it sticks out and is cut.
        is_mirrored_B: Only of samples that are not warped.
        warp_B23: Output to shrunk region, continuous px.
    """

    region_B4: NDArray[np.int64]
    denominator_B: NDArray[np.int64]
    span_B2: NDArray[np.float64]
    small_B2: NDArray[np.int64]
    is_warped_B: NDArray[np.bool_]
    place_B2: NDArray[np.int64]
    is_mirrored_B: NDArray[np.bool_]
    warp_B23: NDArray[np.float64]

    def rows(self, first: int, last: int) -> Geometry:
        """Return the geometry of samples ``first`` to ``last - 1``."""
        return Geometry(**{f.name: getattr(self, f.name)[first:last] for f in fields(self)})

    def joined(self, more: Geometry) -> Geometry:
        """Return the geometry of these samples, then that of more."""
        pairs = {f.name: (getattr(self, f.name), getattr(more, f.name)) for f in fields(self)}
        return Geometry(**{name: np.concatenate(pair) for name, pair in pairs.items()})


def straight(
    begin_B2: NDArray[np.int64],
    span_B2: NDArray[np.int64],
    small_B2: NDArray[np.int64],
    place_B2: NDArray[np.int64],
) -> Geometry:
    """Return plans of one resize each, of regions decoded whole."""
    num = len(begin_B2)
    return Geometry(
        region_B4=np.concatenate([begin_B2, begin_B2 + span_B2], axis=1),
        denominator_B=np.ones(num, dtype=np.int64),
        span_B2=span_B2.astype(np.float64),
        small_B2=small_B2,
        is_warped_B=np.zeros(num, dtype=bool),
        place_B2=place_B2,
        is_mirrored_B=np.zeros(num, dtype=bool),
        warp_B23=np.broadcast_to(np.eye(2, 3), (num, 2, 3)),
    )


def axis_aligned(
    scale_B2: NDArray[np.float64], offset_B2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return affines that scale and move."""
    affine_B23 = np.zeros((len(scale_B2), 2, 3))
    affine_B23[:, 0, 0], affine_B23[:, 1, 1] = scale_B2[:, 0], scale_B2[:, 1]
    affine_B23[:, :, 2] = offset_B2
    return affine_B23


def mirrored(
    affine_B23: NDArray[np.float64], flips_B: NDArray[np.bool_], side_px: int
) -> NDArray[np.float64]:
    """Mirror the output left and right where ``flips_B`` says so."""
    turned_B23 = affine_B23.copy()
    turned_B23[:, :, 2] += affine_B23[:, :, 0] * side_px
    turned_B23[:, :, 0] *= -1
    return np.where(flips_B[:, None, None], turned_B23, affine_B23)


def compose(outer_B23: NDArray[np.float64], inner_B23: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``outer(inner(x))``."""
    linear_B22 = outer_B23[:, :, :2] @ inner_B23[:, :, :2]
    moved_B2 = (outer_B23[:, :, :2] @ inner_B23[:, :, 2:])[:, :, 0] + outer_B23[:, :, 2]
    return np.concatenate([linear_B22, moved_B2[:, :, None]], axis=2)


def snapped(
    affine_B23: NDArray[np.float64], sizes_B2: NDArray[np.int64], side_px: int
) -> NDArray[np.float64]:
    """Move axis-aligned affines to whole pixels, so that one resize renders them exactly.

    Where the photo ends inside the square, it ends at a whole output pixel. Where the square begins
    inside the photo, it begins at a whole pixel of the scaled decode. No border moves by more than
    one pixel, of the output or of the photo, whichever is larger.

    Args:
        affine_B23: Positive scales, no rotation.
        sizes_B2: Width and height of the photos.
        side_px: Side of the square.
    """
    scale_B2 = np.stack([affine_B23[:, 0, 0], affine_B23[:, 1, 1]], axis=1)
    offset_B2 = affine_B23[:, :, 2]
    step_B1 = _denominators(scale_B2.min(axis=1))[:, None]
    first_B2 = np.rint((-offset_B2 / scale_B2).clip(0, side_px - 1))
    last_B2 = np.rint(((sizes_B2 - offset_B2) / scale_B2).clip(0, side_px))
    last_B2 = np.maximum(last_B2, first_B2 + 1)
    begins_inside_B2 = (first_B2 == 0) & (offset_B2 > 0)
    begin_B2 = np.where(begins_inside_B2, np.floor(offset_B2 / step_B1) * step_B1, 0)
    ends_inside_B2 = (last_B2 == side_px) & (offset_B2 + side_px * scale_B2 < sizes_B2)
    kept_end_B2 = begin_B2 + scale_B2 * (last_B2 - first_B2)
    end_B2 = np.where(ends_inside_B2, np.minimum(kept_end_B2, sizes_B2), sizes_B2)
    snapped_B2 = (end_B2 - begin_B2) / (last_B2 - first_B2)
    return axis_aligned(snapped_B2, begin_B2 - first_B2 * snapped_B2)


def planned(affine_B23: NDArray[np.float64], sizes_B2: NDArray[np.int64], side_px: int) -> Geometry:
    """Return how to render affines: by one resize where that is exact, by a warp elsewhere.

    Args:
        affine_B23: Output to source.
        sizes_B2: Width and height of the photos.
        side_px: Side of the square.

    Raises:
        ValueError: An affine is not finite, or a photo has no pixels.

    Example:
        >>> whole = axis_aligned(np.array([[4.0, 2.0]]), np.zeros((1, 2)))
        >>> plan = planned(whole, np.array([[400, 200]]), 100)
        >>> plan.region_B4.tolist(), plan.small_B2.tolist(), plan.denominator_B.tolist()
        ([[0, 0, 400, 200]], [[100, 100]], [2])
    """
    stats.finite("affine_B23", affine_B23)
    stats.finite("sizes_B2", sizes_B2, low=1)
    resized, is_straight_B = _straight(affine_B23, sizes_B2, side_px)
    if is_straight_B.all():
        return resized
    warped = _warped(affine_B23, sizes_B2, side_px)
    chosen = {}
    for field in fields(Geometry):
        one, other = getattr(resized, field.name), getattr(warped, field.name)
        shape = (len(one),) + (1,) * (one.ndim - 1)
        chosen[field.name] = np.where(is_straight_B.reshape(shape), one, other)
    return Geometry(**chosen)


def _denominators(scale_B: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the largest denominator that still covers the output."""
    found_B = np.ones(len(scale_B), dtype=np.int64)
    for denominator in reversed(DENOMINATORS):
        found_B[scale_B >= denominator - 1e-9] = denominator
    return found_B


def _straight(
    affine_B23: NDArray[np.float64], sizes_B2: NDArray[np.int64], side_px: int
) -> tuple[Geometry, NDArray[np.bool_]]:
    """Return the plans of one resize each, and where they are exact."""
    is_mirrored_B = affine_B23[:, 0, 0] < 0
    upright_B23 = mirrored(affine_B23, is_mirrored_B, side_px)
    scale_B2 = np.stack([upright_B23[:, 0, 0], upright_B23[:, 1, 1]], axis=1)
    is_turned_B = (upright_B23[:, 0, 1] != 0) | (upright_B23[:, 1, 0] != 0)
    is_flat_B = is_turned_B | (scale_B2 <= 0).any(axis=1)
    scale_B2 = np.where(is_flat_B[:, None], 1.0, scale_B2)  # any number: these are warped
    offset_B2 = upright_B23[:, :, 2]
    first_B2 = (-offset_B2 / scale_B2).clip(0, side_px)
    last_B2 = ((sizes_B2 - offset_B2) / scale_B2).clip(0, side_px)
    start_B2, stop_B2 = np.rint(first_B2), np.rint(last_B2)
    begin_B2 = offset_B2 + start_B2 * scale_B2
    whole_B2 = np.rint(begin_B2).clip(0, sizes_B2 - 1)
    end_B2 = np.minimum(offset_B2 + stop_B2 * scale_B2, sizes_B2)
    is_exact_B2 = (
        (np.abs(first_B2 - start_B2) < WHOLE_PX)
        & (np.abs(last_B2 - stop_B2) < WHOLE_PX)
        & (np.abs(begin_B2 - whole_B2) < WHOLE_PX)
        & (stop_B2 > start_B2)
        & (end_B2 > whole_B2)
    )
    is_straight_B = is_exact_B2.all(axis=1) & ~is_flat_B
    near_end_B2 = np.rint(end_B2)
    end_B2 = np.where(np.abs(end_B2 - near_end_B2) < WHOLE_PX, near_end_B2, end_B2)
    denominator_B = _denominators(scale_B2.min(axis=1))
    for denominator in DENOMINATORS[:-1]:
        is_off_B = (whole_B2 % denominator != 0).any(axis=1) & (denominator_B == denominator)
        denominator_B[is_off_B] //= 2
    geometry = Geometry(
        region_B4=np.concatenate([whole_B2, np.ceil(end_B2)], axis=1).astype(np.int64),
        denominator_B=denominator_B,
        span_B2=end_B2 - whole_B2,
        small_B2=(stop_B2 - start_B2).astype(np.int64),
        is_warped_B=np.zeros(len(affine_B23), dtype=bool),
        place_B2=start_B2.astype(np.int64),
        is_mirrored_B=is_mirrored_B,
        warp_B23=np.broadcast_to(np.eye(2, 3), affine_B23.shape),
    )
    return geometry, is_straight_B


def _warped(affine_B23: NDArray[np.float64], sizes_B2: NDArray[np.int64], side_px: int) -> Geometry:
    """Return the plans that shrink what the square sees to about its scale, then warp once."""
    along_B2 = np.hypot(affine_B23[:, :, 0], affine_B23[:, :, 1])  # source px an output px crosses
    across_B2 = np.hypot(affine_B23[:, 0, :2], affine_B23[:, 1, :2])
    step_B1 = _denominators(np.minimum(along_B2.min(axis=1), across_B2.min(axis=1)))[:, None]
    scale_B2 = np.maximum(1.0, along_B2)
    square_34 = np.array([[0, side_px, 0, side_px], [0, 0, side_px, side_px], [1, 1, 1, 1]])
    corners_B24 = affine_B23 @ square_34
    low_B2 = np.floor(corners_B24.min(axis=2) - MARGIN_PX * scale_B2).clip(0, sizes_B2 - 1)
    high_B2 = np.ceil(corners_B24.max(axis=2) + MARGIN_PX * scale_B2).clip(low_B2 + 1, sizes_B2)
    low_B2 = np.floor(low_B2 / step_B1) * step_B1
    high_B2 = np.minimum(np.ceil(high_B2 / step_B1) * step_B1, sizes_B2)
    span_B2 = high_B2 - low_B2
    small_B2 = np.maximum(1, np.ceil(span_B2 / scale_B2))
    warp_B23 = affine_B23.copy()
    warp_B23[:, :, 2] -= low_B2
    warp_B23 *= (small_B2 / span_B2)[:, :, None]
    return Geometry(
        region_B4=np.concatenate([low_B2, high_B2], axis=1).astype(np.int64),
        denominator_B=step_B1[:, 0],
        span_B2=span_B2,
        small_B2=small_B2.astype(np.int64),
        is_warped_B=np.ones(len(affine_B23), dtype=bool),
        place_B2=np.zeros((len(affine_B23), 2), dtype=np.int64),
        is_mirrored_B=np.zeros(len(affine_B23), dtype=bool),
        warp_B23=warp_B23,
    )
