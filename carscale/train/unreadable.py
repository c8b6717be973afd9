"""How many unreadable photos a run trained on. B samples, C channels, X pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from carscale.types import Batch, TrainLoader
    from carscale.world import World

__all__ = ["UnreadableCount"]


class UnreadableCount:
    """Counts this rank's unreadable photos batch by batch, as they are trained on.

    The loader's own count runs ahead by the batches it renders ahead, and a resumed run renders
    those again. So a batch is looked through for the plain squares that stand for such photos, but
    only while the loader has met more of them than were trained on.
    """

    def __init__(self, loader: TrainLoader) -> None:
        self._loader = loader
        self._num_taken = 0
        self._num_new = 0

    def take(self, batch: Batch) -> None:
        """Count the unreadable photos of a batch that is trained on."""
        num_ahead = self._loader.num_unreadable - self._num_taken
        if num_ahead == 0:
            return
        pixels_BCX = batch.images_BCHW.flatten(2)
        is_plain_B = (pixels_BCX == pixels_BCX[:, :, :1]).flatten(1).all(dim=1)
        num_found = min(num_ahead, int(is_plain_B.sum()))
        self._num_taken += num_found
        self._num_new += num_found

    def gather(self, world: World) -> int:
        """Return how many all ranks took since the last call; all ranks call together."""
        num_new = torch.tensor(self._num_new, device=world.device)
        self._num_new = 0
        return int(world.sum(num_new))
