"""The ``torch`` backend: a thread pool renders uint8 batches ahead of the model.

Axes: B samples of a batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

from carscale.loaders.batches import Plan
from carscale.loaders.reading import note_filled, read, unreadable
from carscale.loaders.rendering import render
from carscale.types import Batch, Split, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale import config
    from carscale.world import World


JOBS_A_THREAD = 4
"""A batch is cut into so many jobs a thread: few hand-overs, and no thread waits long."""

Ahead = tuple[Plan, torch.Tensor, list["Future[int]"]]


class TorchRenderer:
    """Turns plans into batches with a pool of threads, a few batches ahead, in order."""

    backend = "torch"

    def __init__(self, cfg: config.Loader, split: Split, view: View, world: World) -> None:
        self.split = split
        self.view = view
        self.device = world.device
        self.num_threads = cfg.num_threads or world.cores_share
        self.prefetch = cfg.prefetch
        self.fills_unreadable = cfg.on_unreadable == "fill"

    def batches(self, plans: Iterator[Plan], *, may_fill: bool) -> Generator[Batch, None, None]:
        """Yield the batches of plans, in order; threads end with the generator."""
        pool = ThreadPoolExecutor(self.num_threads, thread_name_prefix="carscale-render")
        ahead: deque[Ahead] = deque()
        try:
            for plan in plans:
                ahead.append(self._start(pool, plan, may_fill))
                if len(ahead) > self.prefetch:
                    yield self._finish(*ahead.popleft())
            while ahead:
                yield self._finish(*ahead.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _start(self, pool: ThreadPoolExecutor, plan: Plan, may_fill: bool) -> Ahead:
        """Hand a batch's samples to the pool."""
        side = self.view.image_px
        images_BHWC = torch.empty(
            (len(plan.rows_B), side, side, 3),
            dtype=torch.uint8,
            pin_memory=self.device.type == "cuda",
        )
        target, count = images_BHWC.numpy(), len(plan.rows_B)
        size = max(1, count // (JOBS_A_THREAD * self.num_threads))
        parts = [range(at, min(at + size, count)) for at in range(0, count, size)]
        jobs = [pool.submit(self._render, target, part, plan, may_fill) for part in parts]
        return plan, images_BHWC, jobs

    def _finish(self, plan: Plan, images_BHWC: torch.Tensor, jobs: list[Future[int]]) -> Batch:
        """Wait for a batch and move it to the device."""
        num_filled = sum(job.result() for job in jobs)

        def move(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(self.device, non_blocking=True)

        return Batch(
            images_BCHW=move(images_BHWC).permute(0, 3, 1, 2),  # channels_last
            labels_B=move(torch.from_numpy(self.split.labels_N[plan.rows_B])),
            ids_B=move(torch.from_numpy(self.split.ids_N[plan.rows_B])),
            num_unreadable=num_filled,
        )

    def _render(self, target: NDArray[np.uint8], part: range, plan: Plan, may_fill: bool) -> int:
        """Render some samples of a batch; return how many had to be filled."""
        return sum(self._render_one(target, index, plan, may_fill) for index in part)

    def _render_one(
        self, target: NDArray[np.uint8], index: int, plan: Plan, may_fill: bool
    ) -> bool:
        """Render one sample into its place; return whether it had to be filled."""
        row = int(plan.rows_B[index])
        try:
            target[index] = render(read(self.split, row), plan.params, index, self.view)
        except (OSError, ValueError) as error:
            if not (may_fill and self.fills_unreadable):
                raise unreadable(self.split, row, error) from error
            target[index] = self.view.fill
            note_filled(self.split, row, error)
            return True
        return False
