"""A batch in parts, each on one core. B samples of a batch, C channels, K classes, D features."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from carscale.world import World

PIXELS_AT_ONCE, PHOTOS_AT_ONCE = 4 * 224 * 224, 16
"""Of what a network is given at once on a CPU.

The maps of more do not fit what the allocator keeps: each layer waits for fresh pages.
"""


class Seen(threading.local):
    """What a classifier layer was given in this thread.

    Attributes:
        rows: float16 ``[B, D]``, call by call.
    """

    def __init__(self) -> None:
        self.rows: list[Tensor] = []


@contextmanager
def in_parts(model: nn.Module, world: World, seen: Seen) -> Iterator[Callable[[Tensor], Tensor]]:
    """Yield a function from uint8 images to logits, float32 ``[B, K]``.

    On a CPU a batch goes through the network in parts of a fixed size, and each part stays on one
    core. So no layer waits for the slower core, which decodes photos besides, and the number of
    threads does not change a bit. Threads end with the block.

    Args:
        model: In eval mode.
        world: Device, precision.
        seen: From ``seen_by_classifier``; rows come in the order of the batch.
    """
    if world.device.type != "cpu":
        yield lambda images_BCHW: _run(model, world, images_BCHW)
        return
    num_threads = torch.get_num_threads()

    def run_part(part_BCHW: Tensor) -> tuple[Tensor, list[Tensor]]:
        if torch.get_num_threads() > 1:  # of this thread alone, once it has run anything
            torch.set_num_threads(1)
        seen.rows = []
        return _run(model, world, part_BCHW), seen.rows

    with ThreadPoolExecutor(num_threads, thread_name_prefix="carscale-score") as pool:

        def run_batch(images_BCHW: Tensor) -> Tensor:
            parts = torch.split(images_BCHW, photos_at_once(images_BCHW.shape[-1]))
            before = seen.rows
            done = list(map(run_part, parts) if num_threads == 1 else pool.map(run_part, parts))
            seen.rows = [*before, *(row for _, rows in done for row in rows[:1])]
            return torch.cat([logits_BK for logits_BK, _ in done])

        try:
            yield run_batch
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(num_threads)  # what threads to come start with


def photos_at_once(image_px: int) -> int:
    """Return how many photos a CPU's network is given at once.

    Example:
        >>> [photos_at_once(side) for side in (64, 224, 600)]
        [16, 4, 1]
    """
    return max(1, min(PHOTOS_AT_ONCE, PIXELS_AT_ONCE // image_px**2))


def _run(model: nn.Module, world: World, images_BCHW: Tensor) -> Tensor:
    """Return a model's logits; both contexts are of the thread that enters them."""
    with torch.inference_mode(), world.accelerator.autocast():
        logits_BK: Tensor = model(images_BCHW)
    return logits_BK.float()
