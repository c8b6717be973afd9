"""Blend and swap pictures of a batch, as parameters say.

Axes: B samples shown, E more that are only pasted, C channels, H, W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

    def put(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device, non_blocking=True)

    swap_B4 = params.swap_B4[:num]
    source_B4 = None if params.source_B4 is None else put(params.source_B4[:num])
    result = pasted(images_BCHW[:num], images_BCHW[put(chosen_B)], put(swap_B4), source_B4)
    if params.own_share_B is None:
        return result
    is_cut_B = swap_B4[:, 2:].prod(axis=1) > 0
    is_blended_B = ~is_cut_B & (params.own_share_B[:num] < 1)
    if is_blended_B.any():
        own_B111 = put(np.where(is_blended_B, params.own_share_B[:num], 1))[:, None, None, None]
        others_BCHW = images_BCHW[put(chosen_B)]
        blend = torch.lerp(others_BCHW.float(), result.float(), own_B111).round_()
        result = blend.to(torch.uint8)
    return result.contiguous(memory_format=torch.channels_last)


def pasted(
    images_BCHW: Tensor, others_BCHW: Tensor, swap_B4: Tensor, source_B4: Tensor | None
) -> Tensor:
    """Return pictures with a rectangle of others in them.

    Args:
        images_BCHW: uint8.
        others_BCHW: What is pasted is of these, uint8.
        swap_B4: Where it is pasted: left, top, width, height; nothing is where it is empty.
        source_B4: What is stretched into it, antialiased; ``None``: the same rectangle.
    """
    if not (swap_B4[:, 2:].prod(dim=1) > 0).any():
        return images_BCHW.contiguous(memory_format=torch.channels_last)
    if source_B4 is not None:
        others_BCHW = _stretched(others_BCHW, swap_B4.tolist(), source_B4.tolist())
    left, top, width, height = swap_B4.T[:, :, None, None]
    across = torch.arange(images_BCHW.shape[3], device=images_BCHW.device)
    down = torch.arange(images_BCHW.shape[2], device=images_BCHW.device)[:, None]
    is_inside_B1HW = (
        (across >= left) & (across < left + width) & (down >= top) & (down < top + height)
    )[:, None]
    result = torch.where(is_inside_B1HW, others_BCHW, images_BCHW)
    return result.contiguous(memory_format=torch.channels_last)


def _stretched(others_BCHW: Tensor, swap_B4: list[list[int]], source_B4: list[list[int]]) -> Tensor:
    """Return pictures whose source rectangles lie, stretched, where they are pasted."""
    result = others_BCHW.clone()
    for row, (to, source) in enumerate(zip(swap_B4, source_B4, strict=True)):
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
