"""How fast a model takes images that lie ready. B batch, C channels, H height, W width."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from carscale.models.factory import Classifier


def stepper(
    model: Classifier,
    *,
    num_images: int,
    image_px: int,
    device: torch.device,
    trains: bool,
    autocast: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Callable[[], None]:
    """Return a function that takes one step on the same random images.

    Args:
        model: On the device.
        num_images: B, samples a step.
        image_px: Side of the input.
        device: Of the model.
        trains: Forward and backward; else forward alone.
        autocast: Opens mixed precision.
    """
    shape = (num_images, 3, image_px, image_px)
    images_BCHW = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    images_BCHW = images_BCHW.to(memory_format=torch.channels_last)
    model.train(trains)

    def step() -> None:
        with torch.set_grad_enabled(trains), autocast():
            logits_BK = model(images_BCHW)
        if trains:
            logits_BK.float().square().mean().backward()
            model.zero_grad()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return step


def images_per_s(
    step: Callable[[], None], *, num_images: int, num_warmups: int, num_timed: int
) -> float:
    """Time some steps after some that warm up."""
    for _ in range(num_warmups):
        step()
    start = time.perf_counter()
    for _ in range(num_timed):
        step()
    return num_timed * num_images / (time.perf_counter() - start)
