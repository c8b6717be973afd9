"""Blend and swap pictures of a batch, as parameters say.

Axes: B samples shown, E more that are only pasted, C channels, H, W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from carscale import augment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.augment import Params


def mixed(
    images_BCHW: Tensor, params: Params, partners_B: NDArray[np.int64] | None = None
) -> Tensor:
    """Return pictures mixed with their partners'.

    Args:
        images_BCHW: uint8, on any device; with partners of their own ``B + E``.
        params: With ``swap_B4``, of these pictures.
        partners_B: Which picture is mixed into each; ``None``: rows 2k and 2k + 1 are partners.

    Returns:
        uint8 ``[B, C, H, W]``, in the same memory order; blends are rounded.
    """
    assert params.swap_B4 is not None
    chosen_B = augment.partners(len(images_BCHW)) if partners_B is None else partners_B
    num, device = len(chosen_B), images_BCHW.device
    swap_B4, own_share_B = params.swap_B4[:num], params.own_share_B
    is_cut_B = swap_B4[:, 2:].prod(axis=1) > 0
    is_blended_B = np.zeros(num, bool) if own_share_B is None else own_share_B[:num] < 1
    is_blended_B &= ~is_cut_B
    result = images_BCHW[:num]
    if is_cut_B.any() or is_blended_B.any():
        others_BCHW = images_BCHW[torch.from_numpy(chosen_B).to(device, non_blocking=True)]
    if is_cut_B.any():
        source_B4 = None if params.source_B4 is None else params.source_B4[:num]
        result = paste_rectangles(result, others_BCHW, swap_B4, source_B4)
    if is_blended_B.any():
        assert own_share_B is not None
        own_B = torch.from_numpy(np.where(is_blended_B, own_share_B[:num], 1))
        own_B111 = own_B.to(device, non_blocking=True)[:, None, None, None]
        blend = torch.lerp(others_BCHW.float(), result.float(), own_B111).round_()
        result = blend.to(torch.uint8)
    return result.contiguous(memory_format=torch.channels_last)


def paste_rectangles(
    images_BCHW: Tensor,
    others_BCHW: Tensor,
    swap_B4: NDArray[np.int64],
    source_B4: NDArray[np.int64] | None,
) -> Tensor:
    """Return pictures with a rectangle of others in them.

    Args:
        images_BCHW: uint8, on any device.
        others_BCHW: What is pasted is of these, uint8.
        swap_B4: Where it is pasted: left, top, width, height; nothing is where it is empty.
        source_B4: What is stretched into it, antialiased; ``None``: the same rectangle.
    """
    if source_B4 is not None:
        others_BCHW = _stretched(others_BCHW, swap_B4, source_B4)
    is_inside_B1HW = within(swap_B4, images_BCHW)[:, None]
    result = torch.where(is_inside_B1HW, others_BCHW, images_BCHW)
    return result.contiguous(memory_format=torch.channels_last)


def within(boxes_B4: NDArray[np.int64], like_BxHW: Tensor) -> Tensor:
    """Return which pixels lie within rectangles, bool ``[B, H, W]``, on the device of pictures."""
    device = like_BxHW.device
    across = torch.arange(like_BxHW.shape[-1], device=device)
    down = torch.arange(like_BxHW.shape[-2], device=device)[:, None]
    boxes = torch.from_numpy(boxes_B4).to(device, non_blocking=True)
    left, top, width, height = boxes.T[:, :, None, None]
    return (across >= left) & (across < left + width) & (down >= top) & (down < top + height)


def _stretched(
    others_BCHW: Tensor, swap_B4: NDArray[np.int64], source_B4: NDArray[np.int64]
) -> Tensor:
    """Return pictures whose source rectangles lie, stretched, where they are pasted."""
    result = others_BCHW.clone()
    for row, (to, source) in enumerate(zip(swap_B4.tolist(), source_B4.tolist(), strict=True)):
        if to[2] * to[3] == 0:
            continue
        part = others_BCHW[row : row + 1, :, *_area(source)].float()
        size = (to[3], to[2])
        small = F.interpolate(part, size, mode="bilinear", antialias=True, align_corners=False)
        result[row, :, *_area(to)] = small[0].round_().clamp_(0, 255).to(torch.uint8)
    return result


def _area(box: list[int]) -> tuple[slice, slice]:
    """Return the rows and columns of left, top, width, height."""
    left, top, width, height = box
    return slice(top, top + height), slice(left, left + width)
