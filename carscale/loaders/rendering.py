"""One photo's bytes and parameters to uint8 pixels, on the CPU.

The affine maps output to source in continuous pixels. Without rotation, where the photo covers
whole output pixels, one antialiased resize of a region does it; else the region is decoded, shrunk
antialiased to about the output's scale, and warped once. Axes: H height, W width, C channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import View

__all__ = ["render"]

WHOLE_PX = 1e-3
"""A border this near to a whole output pixel counts as one."""


def render(
    data: bytes,
    size: tuple[int, int],
    affine_23: NDArray[np.float64],
    view: View,
    colour_34: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """Return a square view of a photo.

    Args:
        data: Bytes of a frozen photo.
        size: Its width and height, px.
        affine_23: Output to source.
        view: Side, fill and interpolation.
        colour_34: Colour matrix and offset; the fill is not changed by it where colours stay.

    Returns:
        uint8 ``[view.image_px, view.image_px, 3]``.

    Raises:
        ValueError: The bytes are no whole photo, or one of another size.
    """
    if affine_23[0, 0] < 0 and affine_23[0, 1] == 0:  # mirrored: render straight, then flip
        straight = affine_23.copy()
        straight[:, 2] += affine_23[:, 0] * view.image_px
        straight[:, 0] *= -1
        return np.ascontiguousarray(render(data, size, straight, view, colour_34)[:, ::-1])
    scale = np.hypot(affine_23[0, :2], affine_23[1, :2]).min()
    denominator = next(d for d in (8, 4, 2, 1) if scale >= d or d == 1)
    whole = images.decode_scaled(data, denominator=denominator)
    _check_size(whole, size, denominator, data)
    ratio = np.array([whole.shape[1] / size[0], whole.shape[0] / size[1]])
    pixels = _resized(whole, affine_23 * ratio[:, None], view)
    return pixels if colour_34 is None else images.change_colour(pixels, colour_34)


def _check_size(
    whole: NDArray[np.uint8], size: tuple[int, int], denominator: int, data: bytes
) -> None:
    """Raise when a photo is not the one that was frozen."""
    by = denominator if data[:2] == b"\xff\xd8" else 1
    wanted = (-(-size[1] // by), -(-size[0] // by))
    if whole.shape[:2] != wanted:
        raise ValueError(f"decodes to {whole.shape[1::-1]} px, frozen as {size} px")


def _resized(
    whole: NDArray[np.uint8], affine_23: NDArray[np.float64], view: View
) -> NDArray[np.uint8]:
    """Return the square, by one resize where that is exact, else by a warp."""
    height, width = whole.shape[:2]
    if affine_23[0, 1] != 0 or affine_23[1, 0] != 0:
        return _warped(whole, affine_23, view)
    across = _covered(affine_23[0, 0], affine_23[0, 2], width, view.image_px)
    down = _covered(affine_23[1, 1], affine_23[1, 2], height, view.image_px)
    if across is None or down is None:
        return _warped(whole, affine_23, view)
    (left, right, x0, x1), (top, bottom, y0, y1) = across, down
    inner = images.resize_box(
        whole,
        (x0, y0, x1, y1),
        width=right - left,
        height=bottom - top,
        interpolation=view.interpolation,
    )
    if inner.shape[:2] == (view.image_px, view.image_px):
        return inner
    square = np.empty((view.image_px, view.image_px, 3), dtype=np.uint8)
    square[:] = view.fill
    square[top:bottom, left:right] = inner
    return square


def _covered(
    scale: float, offset: float, length: int, side_px: int
) -> tuple[int, int, float, float] | None:
    """Return the output pixels that the photo covers along one axis, and their source.

    ``None`` when not whole ones.
    """
    first, last = max(0.0, -offset / scale), min(float(side_px), (length - offset) / scale)
    start, stop = round(first), round(last)
    if stop <= start or abs(first - start) > WHOLE_PX or abs(last - stop) > WHOLE_PX:
        return None
    begin = min(max(offset + start * scale, 0.0), length - WHOLE_PX)
    end = min(max(offset + stop * scale, begin + WHOLE_PX), float(length))
    return start, stop, begin, end


def _warped(whole: NDArray[np.uint8], affine_23: NDArray[Any], view: View) -> NDArray[np.uint8]:
    """Crop to what the square sees, shrink it antialiased, warp once."""
    height, width = whole.shape[:2]
    side = view.image_px
    corners_24 = affine_23 @ np.array([[0, side, 0, side], [0, 0, side, side], [1, 1, 1, 1]])
    scale_2 = np.maximum(1.0, np.hypot(affine_23[:, 0], affine_23[:, 1]))
    low = np.floor(corners_24.min(axis=1) - 2 * scale_2).clip(0, (width - 1, height - 1))
    high = np.ceil(corners_24.max(axis=1) + 2 * scale_2).clip(low + 1, (width, height))
    (x0, y0), (x1, y1) = low.astype(int), high.astype(int)
    region = np.ascontiguousarray(whole[y0:y1, x0:x1])
    small_w = max(1, int(np.ceil((x1 - x0) / scale_2[0])))
    small_h = max(1, int(np.ceil((y1 - y0) / scale_2[1])))
    if (small_w, small_h) != (x1 - x0, y1 - y0):
        region = images.resize_box(region, (0, 0, x1 - x0, y1 - y0), width=small_w, height=small_h)
    to_region = affine_23.copy()
    to_region[:, 2] -= low
    to_region *= np.array([small_w / (x1 - x0), small_h / (y1 - y0)])[:, None]
    return images.warp(
        region, to_region, side_px=side, fill=view.fill, interpolation=view.interpolation
    )
