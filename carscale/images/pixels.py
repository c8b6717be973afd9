"""Pixels on the CPU: scaled decode, antialiased resize of a region, one warp, colour.

Coordinates are continuous: pixel ``i`` covers ``[i, i + 1)`` and has its centre at ``i + 0.5``.
Axes: H height, W width, C channels.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import simplejpeg
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["change_colour", "decode", "decode_scaled", "resize_box", "warp"]

cv2.setNumThreads(0)  # callers bring their own threads

JPEG_START = b"\xff\xd8"
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
WARPS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


def decode(data: bytes) -> NDArray[np.uint8]:
    """Decode a frozen photo to RGB ``[H, W, 3]``.

    Raises:
        ValueError: The bytes are no whole JPEG or PNG.
    """
    return decode_scaled(data, denominator=1)


def decode_scaled(data: bytes, *, denominator: int) -> NDArray[np.uint8]:
    """Decode a frozen photo to RGB at a part of its size.

    Args:
        data: Bytes of an upright 8-bit JPEG or PNG.
        denominator: 1, 2, 4 or 8. A JPEG comes out ``ceil(size / denominator)`` px, cheaper; a PNG
            always whole.

    Raises:
        ValueError: The bytes are no whole JPEG or PNG.
    """
    if data[:2] == JPEG_START:
        if denominator == 1:
            return simplejpeg.decode_jpeg(data)
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        return simplejpeg.decode_jpeg(
            data,
            min_height=-(-height // denominator),
            min_width=-(-width // denominator),
            min_factor=denominator,
        )
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise ValueError(str(error)) from error


def resize_box(
    pixels_HWC: NDArray[np.uint8],
    box: tuple[float, float, float, float],
    *,
    width: int,
    height: int,
    interpolation: str = "bilinear",
) -> NDArray[np.uint8]:
    """Resize a region, antialiased.

    Args:
        pixels_HWC: RGB.
        box: Left, top, right, bottom in continuous coordinates, inside the picture.
        width: Of the result, px.
        height: Of the result, px.
        interpolation: ``bilinear`` or ``bicubic``.
    """
    left, top = int(box[0]), int(box[1])
    right, bottom = int(np.ceil(box[2])), int(np.ceil(box[3]))
    pad = 3 * max(
        1, int(np.ceil((box[2] - box[0]) / width)), int(np.ceil((box[3] - box[1]) / height))
    )
    x0, y0 = max(0, left - pad), max(0, top - pad)  # what the filter can reach, no more
    near = np.ascontiguousarray(pixels_HWC[y0 : bottom + pad, x0 : right + pad])
    inner = (box[0] - x0, box[1] - y0, box[2] - x0, box[3] - y0)
    small = Image.fromarray(near).resize((width, height), FILTERS[interpolation], box=inner)
    return np.asarray(small)


def warp(
    pixels_HWC: NDArray[np.uint8],
    affine_23: NDArray[Any],
    *,
    side_px: int,
    fill: tuple[int, int, int],
    interpolation: str = "bilinear",
) -> NDArray[np.uint8]:
    """Sample a square through an affine; outside the picture lies ``fill``.

    Args:
        pixels_HWC: RGB.
        affine_23: Output to source, continuous coordinates.
        side_px: Side of the result.
        fill: RGB.
        interpolation: ``bilinear`` or ``bicubic``.
    """
    matrix = affine_23.astype(np.float64)
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV puts pixel centres at whole numbers
    warped: NDArray[Any] = cv2.warpAffine(
        pixels_HWC,
        matrix,
        (side_px, side_px),
        flags=WARPS[interpolation] | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )
    return warped.astype(np.uint8, copy=False)


def change_colour(
    pixels_HWC: NDArray[np.uint8], matrix_34: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return ``matrix[:, :3] @ rgb + matrix[:, 3]``, rounded and clipped to 0..255."""
    changed: NDArray[Any] = cv2.transform(pixels_HWC, matrix_34)
    return changed.astype(np.uint8, copy=False)
