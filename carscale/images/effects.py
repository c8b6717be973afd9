"""What op slots do to pixels, on the CPU: RGB uint8 ``[H, W, 3]`` in and out."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import simplejpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray


LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
MID_GREY = 128.0
SMOOTH_33 = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=np.float32) / 13  # Pillow's SMOOTH
CENTRE_33 = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=np.float32)
PLATE_SEED = 20_261_124


def colour_matrix(brightness: float, contrast: float, saturation: float) -> NDArray[np.float32]:
    """Return ``b * (c * (S x - 128) + 128)`` as matrix and offset; S keeps BT.601 grey.

    Example:
        >>> colour_matrix(1, 1, 0)[0].round(3)
        array([0.299, 0.587, 0.114, 0.   ], dtype=float32)
    """
    keep_grey_33 = saturation * np.eye(3) + (1 - saturation) * LUMA
    matrix_33 = brightness * contrast * keep_grey_33
    offset_31 = np.full((3, 1), brightness * MID_GREY * (1 - contrast))
    return np.concatenate([matrix_33, offset_31], axis=1).astype(np.float32)


def change_colour(
    pixels_HWC: NDArray[np.uint8], matrix_34: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return ``matrix[:, :3] @ rgb + matrix[:, 3]``, rounded and clipped to 0..255."""
    changed: NDArray[Any] = cv2.transform(pixels_HWC, matrix_34)
    return changed.astype(np.uint8, copy=False)


def sharpen(pixels_HWC: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Move pixels away from their smoothed value: 0 smooths, 1 changes nothing, 2 sharpens."""
    kernel_33 = factor * CENTRE_33 + (1 - factor) * SMOOTH_33
    return np.asarray(cv2.filter2D(pixels_HWC, -1, kernel_33, borderType=cv2.BORDER_REFLECT_101))


def posterize(pixels_HWC: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Keep the upper ``bits`` of 8."""
    return pixels_HWC & np.uint8(256 - (1 << (8 - bits)))


def solarize(pixels_HWC: NDArray[np.uint8], threshold: float) -> NDArray[np.uint8]:
    """Invert values from ``threshold`` on."""
    values = np.arange(256)
    table = np.where(values >= threshold, 255 - values, values).astype(np.uint8)
    return table[pixels_HWC]


def blur(pixels_HWC: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Blur with a Gaussian, cut at three sigma; the border mirrors."""
    side = 2 * int(np.ceil(3 * sigma)) + 1
    blurred = cv2.GaussianBlur(pixels_HWC, (side, side), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred)


def jpeg(pixels_HWC: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """Pass the picture through a JPEG of that quality, chroma at half size."""
    packed = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels_HWC), quality=quality, colorsubsampling="420"
    )
    return simplejpeg.decode_jpeg(packed)


@lru_cache(maxsize=4)
def noise_plate(side_px: int) -> NDArray[np.float32]:
    """Return standard normal noise ``[S, S, 3]``, always the same: samples show windows of it."""
    rng = np.random.Generator(np.random.Philox(PLATE_SEED))
    plate = rng.standard_normal((side_px, side_px, 3), dtype=np.float32)
    plate.setflags(write=False)
    return plate


def add_noise(
    pixels_HWC: NDArray[np.uint8], window_HWC: NDArray[np.float32], level: float
) -> NDArray[np.uint8]:
    """Add a window of the noise plate times ``level``, rounded and clipped."""
    noisy: NDArray[Any] = np.rint(pixels_HWC + np.float32(level) * window_HWC)
    return noisy.clip(0, 255).astype(np.uint8)


def expose(pixels_HWC: NDArray[np.uint8], stops: float) -> NDArray[np.uint8]:
    """Return a photo as if exposed by so many stops more: in linear light, gamma 2.2.

    Example:
        >>> expose(np.full((1, 1, 3), 100, np.uint8), 1.0)[0, 0, 0]
        np.uint8(137)
    """
    table = 255 * (2.0**stops) ** (1 / 2.2) * np.arange(256) / 255
    return np.rint(table).clip(0, 255).astype(np.uint8)[pixels_HWC]


def motion_blur(pixels_HWC: NDArray[np.uint8], length_px: float, angle: float) -> NDArray[np.uint8]:
    """Return a photo taken while the camera moved straight; nothing below a pixel.

    Args:
        pixels_HWC: The photo.
        length_px: How far it moved, pixels.
        angle: Which way, degrees from the horizontal.
    """
    if length_px < 1:
        return pixels_HWC
    side = 2 * int(np.ceil(length_px / 2)) + 1
    kernel = np.zeros((side, side), np.float32)
    reach = length_px / 2 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    middle = (side - 1) / 2
    ends = [tuple(np.rint(16 * (middle + sign * reach)).astype(int).tolist()) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, shift=4)
    kernel /= kernel.sum()
    return np.asarray(cv2.filter2D(pixels_HWC, -1, kernel, borderType=cv2.BORDER_REFLECT_101))
