"""Pixels on the CPU: scaled decode and one warp.

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


cv2.setNumThreads(0)  # callers bring their own threads

JPEG_START = b"\xff\xd8"
FORMATS = (
    *("JPEG", "PNG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "AVIF", "JPEG2000", "PPM"),
    "TGA",
)
"""What is read; Pillow's others run programs (PostScript) or are no photos."""
MAX_SIDE_PX = 65_500
"""Of a photo: what a JPEG can hold."""
MAX_PIXELS = 120_000_000
"""Of a photo: more than twice 50 megapixels; decoded and converted, it takes about 1.5 GB."""
Image.MAX_IMAGE_PIXELS = MAX_PIXELS  # Pillow asks of each frame; we of a side too
BOMBS = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def size_problem(width: int, height: int) -> str | None:
    """Return why a picture that states its size is not decoded; ``None`` when it is.

    Example:
        >>> size_problem(8_000, 6_000) is None, size_problem(100_000_000, 1)[:25]
        (True, '100000000 x 1 pixels; at ')
    """
    if max(width, height) <= MAX_SIDE_PX and width * height <= MAX_PIXELS:
        return None
    return (
        f"{width} x {height} pixels; at most {MAX_SIDE_PX} a side and "
        f"{MAX_PIXELS // 1_000_000} million in all are decoded"
    )


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
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        if problem := size_problem(width, height):
            raise ValueError(problem)
        if denominator == 1:
            return simplejpeg.decode_jpeg(data)
        return simplejpeg.decode_jpeg(
            data,
            min_height=-(-height // denominator),
            min_width=-(-width // denominator),
            min_factor=denominator,
        )
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if problem := size_problem(*image.size):
                raise ValueError(problem)
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, *BOMBS) as error:
        raise ValueError(str(error)) from error


def decode_down(data: bytes, *, longer_px: int) -> tuple[NDArray[np.uint8], int, int]:
    """Decode a frozen photo at the smallest part of its size that is large enough.

    Args:
        data: Bytes of an upright 8-bit JPEG or PNG.
        longer_px: What the longer side must have; a smaller photo stays as it is.

    Returns:
        RGB ``[H, W, 3]``, and width and height of the whole photo.

    Raises:
        ValueError: The bytes are no whole JPEG or PNG.
    """
    if data[:2] != JPEG_START:
        pixels_HWC = decode_scaled(data, denominator=1)
        return pixels_HWC, pixels_HWC.shape[1], pixels_HWC.shape[0]
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    fits = [part for part in (8, 4, 2) if max(height, width) >= part * longer_px]
    return decode_scaled(data, denominator=fits[0] if fits else 1), width, height


def warp(
    pixels_HWC: NDArray[np.uint8],
    affine_23: NDArray[Any],
    *,
    side_px: int,
    fill: tuple[int, int, int],
) -> NDArray[np.uint8]:
    """Sample a square bilinearly through an affine; outside the picture lies ``fill``.

    Args:
        pixels_HWC: RGB.
        affine_23: Output to source, continuous coordinates.
        side_px: Side of the result.
        fill: RGB.
    """
    matrix = affine_23.astype(np.float64)
    matrix[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5  # OpenCV puts pixel centres at whole numbers
    warped: NDArray[Any] = cv2.warpAffine(
        pixels_HWC,
        matrix,
        (side_px, side_px),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=fill,
    )
    return warped.astype(np.uint8, copy=False)


def mirror(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the picture with left and right exchanged."""
    return np.asarray(cv2.flip(pixels_HWC, 1))
