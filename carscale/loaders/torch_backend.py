"""The ``torch`` backend: a thread pool renders uint8 batches ahead of the model.

Axes: B samples of a batch, C channels, H height, W width, G samples of a global batch.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from carscale import augment
from carscale.errors import LoaderError
from carscale.loaders.rendering import render
from carscale.loaders.stream import Stream, rank_slice
from carscale.progress import note
from carscale.types import Batch, Split, View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale import config
    from carscale.augment import Params, Policy
    from carscale.world import World

__all__ = ["PlainLoader", "TrainLoader", "plain", "training"]

READ_TRIES = 3
RETRY_AFTER_S = 0.2


@dataclass(frozen=True, eq=False)
class Plan:
    """A batch to render: which samples, and how."""

    rows_B: NDArray[np.int64]
    params: Params


class Renderer:
    """Turns plans into batches with a pool of threads, a few batches ahead, in order."""

    def __init__(self, cfg: config.Loader, split: Split, view: View, world: World) -> None:
        self.split = split
        self.view = view
        self.device = world.device
        self.num_threads = cfg.num_threads or world.cores_share
        self.prefetch = cfg.prefetch
        self.fills_unreadable = cfg.on_unreadable == "fill"
        self.num_unreadable = 0

    def batches(self, plans: Iterator[Plan], *, may_fill: bool) -> Generator[Batch, None, None]:
        """Yield the batches of plans, in order; threads end with the generator."""
        pool = ThreadPoolExecutor(self.num_threads, thread_name_prefix="carscale-render")
        ahead: deque[tuple[Plan, torch.Tensor, list[Future[None]]]] = deque()
        try:
            for plan in plans:
                ahead.append(self._start(pool, plan, may_fill))
                if len(ahead) > self.prefetch:
                    yield self._finish(*ahead.popleft())
            while ahead:
                yield self._finish(*ahead.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _start(
        self, pool: ThreadPoolExecutor, plan: Plan, may_fill: bool
    ) -> tuple[Plan, torch.Tensor, list[Future[None]]]:
        """Hand a batch's samples to the pool."""
        side = self.view.image_px
        images_BHWC = torch.empty(
            (len(plan.rows_B), side, side, 3),
            dtype=torch.uint8,
            pin_memory=self.device.type == "cuda",
        )
        target = images_BHWC.numpy()
        jobs = [
            pool.submit(self._render_one, target, index, plan, may_fill)
            for index in range(len(plan.rows_B))
        ]
        return plan, images_BHWC, jobs

    def _finish(self, plan: Plan, images_BHWC: torch.Tensor, jobs: list[Future[None]]) -> Batch:
        """Wait for a batch and move it to the device."""
        for job in jobs:
            job.result()

        def move(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(self.device, non_blocking=True)

        return Batch(
            images_BCHW=move(images_BHWC).permute(0, 3, 1, 2),  # channels_last
            labels_B=move(torch.from_numpy(self.split.labels_N[plan.rows_B])),
            ids_B=move(torch.from_numpy(self.split.ids_N[plan.rows_B])),
        )

    def _render_one(
        self, target: NDArray[np.uint8], index: int, plan: Plan, may_fill: bool
    ) -> None:
        """Render one sample into its place."""
        row = plan.rows_B[index]
        colour_B34 = plan.params.colour_B34
        try:
            target[index] = render(
                self._read(row),
                (int(self.split.sizes_N2[row, 0]), int(self.split.sizes_N2[row, 1])),
                plan.params.affine_B23[index],
                self.view,
                None if colour_B34 is None else colour_B34[index],
            )
        except (OSError, ValueError) as error:
            path = self.split.root / self.split.paths_N[row]
            if not (may_fill and self.fills_unreadable):
                raise LoaderError(
                    f"{path}: can't be read: {error}",
                    f"compare the photos with their lock: carscale data check {self.split.root}",
                    "the same command goes on from the last checkpoint",
                    "or train without such photos: loader.on_unreadable=fill",
                ) from error
            target[index] = self.view.fill
            self.num_unreadable += 1
            note(f"unreadable, shown as a plain square: {path} ({error})")

    def _read(self, row: int) -> bytes:
        """Read a photo's bytes; a network disk gets a second chance."""
        path = self.split.root / self.split.paths_N[row]
        for attempt in range(READ_TRIES):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                raise
            except OSError:
                if attempt == READ_TRIES - 1:
                    raise
                time.sleep(RETRY_AFTER_S)
        raise AssertionError("the last try returns or raises")


class TrainLoader:
    """Training batches as a function of the step."""

    backend = "torch"

    def __init__(
        self, cfg: config.Loader, split: Split, policy: Policy, world: World, stream: Stream
    ) -> None:
        self.split = split
        self.policy = policy
        self.world = world
        self.stream = stream
        self.global_batch_size = cfg.global_batch_size
        self._renderer = Renderer(cfg, split, policy.view, world)

    @property
    def num_unreadable(self) -> int:
        """Return how many samples were shown as a plain square so far, on this rank."""
        return self._renderer.num_unreadable

    def batches(
        self, first_step: int, last_step: int, num_micro_steps: int
    ) -> Generator[Batch, None, None]:
        """Yield this rank's micro-batches of steps ``first_step`` to ``last_step - 1``.

        In order.
        """
        plans = (
            self.plan(step, micro_step, num_micro_steps)
            for step in range(first_step, last_step)
            for micro_step in range(num_micro_steps)
        )
        return self._renderer.batches(plans, may_fill=True)

    def plan(self, step: int, micro_step: int, num_micro_steps: int) -> Plan:
        """Return the samples and parameters of one micro-batch of this rank."""
        part = rank_slice(
            self.global_batch_size,
            micro_step=micro_step,
            num_micro_steps=num_micro_steps,
            rank=self.world.rank,
            world_size=self.world.size,
        )
        first = step * self.global_batch_size
        rows_B = self.stream.rows(first + part.start, first + part.stop)
        sizes_B2 = self.split.sizes_N2[rows_B]
        seed = self.stream.seed
        return Plan(rows_B, self.policy(seed, first + part.start, first + part.stop, sizes_B2))

    def window_labels(self, step: int) -> NDArray[np.int64]:
        """Return the labels of a whole global batch, on all ranks alike, int64 ``[G]``."""
        first = step * self.global_batch_size
        return self.split.labels_N[self.stream.rows(first, first + self.global_batch_size)]


class PlainLoader:
    """Evaluation batches of one rank."""

    backend = "torch"

    def __init__(self, cfg: config.Loader, split: Split, view: View, world: World) -> None:
        self.split = split
        self.view = view
        self.world = world
        self.eval_batch_size = cfg.eval_batch_size
        self._renderer = Renderer(cfg, split, view, world)

    def __iter__(self) -> Iterator[Batch]:
        starts = range(0, len(self.split), self.eval_batch_size)
        mine = starts[self.world.rank :: self.world.size]
        return self._renderer.batches((self._plan(start) for start in mine), may_fill=False)

    def _plan(self, start: int) -> Plan:
        rows_B = np.arange(start, min(start + self.eval_batch_size, len(self.split)))
        return Plan(rows_B, augment.plain(self.split.sizes_N2[rows_B], self.view))


def training(
    cfg: config.Loader, split: Split, policy: Policy, world: World, stream: Stream
) -> TrainLoader:
    """Return the training loader of this backend."""
    return TrainLoader(cfg, split, policy, world, stream)


def plain(cfg: config.Loader, split: Split, view: View, world: World) -> PlainLoader:
    """Return the evaluation loader of this backend."""
    return PlainLoader(cfg, split, view, world)
