"""One photo's bytes and parameters to uint8 pixels, on the CPU.

Follows ``augment.Geometry``: decode, cut the region, shrink it antialiased, place it or warp it
once; then colour, op slots, the erased rectangle. Axes: H height, W width, C channels.

Chosen to shrink: torch's antialiased uint8 resize: Pillow's filter and its values within one grey
level, 0.22 ms against 1.03 ms a photo of 537x272 px to 224 px, one thread, no lock held. Rejected:
OpenCV's ``INTER_AREA`` (0.69 ms, and another filter than every other backend's). The table is
benchmarks/decoders_cpu2_2026-11.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from carscale import images
from carscale.augment import PLATE_SPARE_PX, SLOT_OPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from carscale.augment import Params
    from carscale.types import View


JPEG_START = b"\xff\xd8"
RESIZES = {
    "bilinear": torch.ops.aten._upsample_bilinear2d_aa,
    "bicubic": torch.ops.aten._upsample_bicubic2d_aa,
}


def render(data: bytes, params: Params, index: int, view: View) -> NDArray[np.uint8]:
    """Return a square view of a photo.

    Args:
        data: Bytes of a frozen photo.
        params: From a policy or ``augment.plain``.
        index: Which row of them.
        view: Side, fill and interpolation.

    Returns:
        uint8 ``[view.image_px, view.image_px, 3]``.

    Raises:
        ValueError: The bytes are no whole photo, or one of another size.
    """
    small = _shrunk(data, params, index, view)
    pixels = _square(small, params, index, view)
    if params.colour_B3 is not None:
        matrix_34 = images.colour_matrix(*params.colour_B3[index].tolist())
        pixels = images.change_colour(pixels, matrix_34)
    if params.ops_BS is not None:
        pixels = _with_slots(pixels, params, index)
    if params.erase_B4 is not None:
        left, top, width, height = params.erase_B4[index]
        pixels[top : top + height, left : left + width] = view.fill
    return pixels


def _shrunk(data: bytes, params: Params, index: int, view: View) -> NDArray[np.uint8]:
    """Decode a photo and shrink the region that its square sees."""
    plan, (width, height) = params.geometry, params.sizes_B2[index].tolist()
    by = int(plan.denominator_B[index]) if data[:2] == JPEG_START else 1
    whole = images.decode_scaled(data, denominator=by)
    if whole.shape[:2] != (-(-height // by), -(-width // by)):
        found = " x ".join(str(size * by) for size in whole.shape[1::-1])
        raise ValueError(f"decodes to {found} px, frozen as {width} x {height} px")
    left, top, right, bottom = plan.region_B4[index].tolist()
    region = whole[top // by : -(-bottom // by), left // by : -(-right // by)]
    small_w, small_h = plan.small_B2[index].tolist()
    span_w, span_h = (plan.span_B2[index] / by).tolist()
    if (span_w, span_h) == (small_w, small_h):
        return region
    packed = np.ascontiguousarray(region)  # torch would copy with all its threads
    source_1CHW = torch.from_numpy(packed)[None].permute(0, 3, 1, 2)  # strides say channels_last
    size, scales = [small_h, small_w], (small_h / span_h, small_w / span_w)
    small_1CHW = RESIZES[view.interpolation](source_1CHW, size, False, *scales)
    small: NDArray[np.uint8] = small_1CHW[0].permute(1, 2, 0).numpy()
    return small


def _square(small: NDArray[np.uint8], params: Params, index: int, view: View) -> NDArray[np.uint8]:
    """Return the square: a warp, or the shrunk region in its place."""
    plan, side = params.geometry, view.image_px
    if plan.is_warped_B[index]:
        matrix_23 = plan.warp_B23[index]
        return images.warp(small, matrix_23, side_px=side, fill=view.fill)
    shown = images.mirror(small) if plan.is_mirrored_B[index] else small
    if small.shape[:2] == (side, side):
        return shown
    left, top = plan.place_B2[index].tolist()
    height, width = small.shape[:2]
    if plan.is_mirrored_B[index]:
        left = side - left - width
    shown = shown[max(0, -top) : side - top, max(0, -left) : side - left]
    height, width = shown.shape[:2]
    if (height, width) == (side, side):
        return np.ascontiguousarray(shown)
    square = np.empty((side, side, 3), dtype=np.uint8)
    square[:] = view.fill
    left, top = max(0, left), max(0, top)
    square[top : top + height, left : left + width] = shown
    return square


def _with_slots(pixels: NDArray[np.uint8], params: Params, index: int) -> NDArray[np.uint8]:
    """Apply a sample's op slots in order."""
    assert params.ops_BS is not None
    assert params.magnitudes_BS is not None
    magnitudes = params.magnitudes_BS[index].tolist()
    for number, magnitude in zip(params.ops_BS[index].tolist(), magnitudes, strict=True):
        name = SLOT_OPS[number]
        if name == "noise":
            assert params.noise_B2 is not None
            side = len(pixels)
            left, top = params.noise_B2[index]
            plate = images.noise_plate(side + PLATE_SPARE_PX)
            window = plate[top : top + side, left : left + side]
            pixels = images.add_noise(pixels, window, magnitude)
        elif name != "none":
            pixels = EFFECTS[name](pixels, magnitude)
    return pixels


def _twist(
    pixels: NDArray[np.uint8], *, b: float = 1, c: float = 1, s: float = 1
) -> NDArray[np.uint8]:
    """Change brightness, contrast or saturation."""
    return images.change_colour(pixels, images.colour_matrix(b, c, s))


EFFECTS: dict[str, Callable[[NDArray[np.uint8], float], NDArray[np.uint8]]] = {
    "brightness": lambda pixels, factor: _twist(pixels, b=factor),
    "contrast": lambda pixels, factor: _twist(pixels, c=factor),
    "saturation": lambda pixels, factor: _twist(pixels, s=factor),
    "sharpness": images.sharpen,
    "posterize": lambda pixels, bits: images.posterize(pixels, int(bits)),
    "solarize": images.solarize,
    "blur": images.blur,
    "jpeg": lambda pixels, quality: images.jpeg(pixels, int(quality)),
}
"""What each slot op but ``noise`` does."""
