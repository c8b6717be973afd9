"""One picture through a network, to see what it does. C channels, H height, W width."""

from __future__ import annotations

import torch
from torch import nn


def run_once(net: nn.Module, image_px: int) -> None:
    """Run one plain picture through a network; weights, statistics and mode stay as they were.

    Args:
        net: Takes float ``[1, 3, H, W]``.
        image_px: H and W.
    """
    device = next(net.parameters()).device
    was_training = net.training
    net.eval()
    try:
        with torch.no_grad():  # not inference mode: networks may keep tables that they compute
            net(torch.zeros(1, 3, image_px, image_px, device=device))
    finally:
        net.train(was_training)
