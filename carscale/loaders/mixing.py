"""Blend and swap pictures of a batch, as parameters say. B samples, C channels, H, W pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from carscale import augment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.augment import Params


def mixed(images_BCHW: Tensor, params: Params) -> Tensor:
    """Return pictures mixed with their partners'.

    Args:
        images_BCHW: uint8, on any device.
        params: With ``own_share_B`` and ``swap_B4``, of these pictures.

    Returns:
        uint8, in the same memory order; blends are rounded.
    """
    assert params.own_share_B is not None
    assert params.swap_B4 is not None

    def put(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(images_BCHW.device, non_blocking=True)

    is_cut_B = params.swap_B4[:, 2:].prod(axis=1) > 0
    others_BCHW = images_BCHW[put(augment.partners(len(images_BCHW)))]
    result = images_BCHW
    if is_cut_B.any():
        left, top, width, height = put(params.swap_B4).T[:, :, None, None]
        across = torch.arange(images_BCHW.shape[3], device=images_BCHW.device)
        down = torch.arange(images_BCHW.shape[2], device=images_BCHW.device)[:, None]
        is_inside_B1HW = (
            (across >= left) & (across < left + width) & (down >= top) & (down < top + height)
        )[:, None]
        result = torch.where(is_inside_B1HW, others_BCHW, result)
    is_blended_B = ~is_cut_B & (params.own_share_B < 1)
    if is_blended_B.any():
        own_B111 = put(np.where(is_blended_B, params.own_share_B, 1))[:, None, None, None]
        blend = torch.lerp(others_BCHW.float(), result.float(), own_B111).round_()
        result = blend.to(torch.uint8)
    return result.contiguous(memory_format=torch.channels_last)
