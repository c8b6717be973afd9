"""Training and evaluation batches, whichever backend renders them.

Axes: B samples of a batch, G samples of a global batch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from carscale import augment
from carscale.loaders.stream import Stream, rank_slice
from carscale.types import Batch, Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale import config
    from carscale.augment import Params, Policy
    from carscale.types import View
    from carscale.world import World

__all__ = ["PlainLoader", "Plan", "Renderer", "TrainLoader"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A batch to render: which samples, and how."""

    rows_B: NDArray[np.int64]
    params: Params


class Renderer(Protocol):
    """A backend: plans to batches, a few ahead, in order.

    Attributes:
        backend: Its name in ``config.Loader``.
    """

    backend: str

    def batches(self, plans: Iterator[Plan], *, may_fill: bool) -> Generator[Batch, None, None]:
        """Yield the batches of plans, in order; what runs ahead ends with the generator.

        Args:
            plans: What to render.
            may_fill: Whether ``loader.on_unreadable=fill`` applies.
        """
        ...


class TrainLoader:
    """Training batches as a function of the step."""

    def __init__(
        self,
        cfg: config.Loader,
        policy: Policy,
        world: World,
        stream: Stream,
        *,
        split: Split,
        renderer: Renderer,
    ) -> None:
        self.split = split
        self.policy = policy
        self.world = world
        self.stream = stream
        self.global_batch_size = cfg.global_batch_size
        self.backend = renderer.backend
        self._renderer = renderer

    def batches(
        self, first_step: int, last_step: int, num_micro_steps: int
    ) -> Generator[Batch, None, None]:
        """Yield this rank's micro-batches of the steps before ``last_step``, in order."""
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

    def __init__(
        self, cfg: config.Loader, view: View, world: World, *, split: Split, renderer: Renderer
    ) -> None:
        self.split = split
        self.view = view
        self.world = world
        self.eval_batch_size = cfg.eval_batch_size
        self.backend = renderer.backend
        self._renderer = renderer

    def __iter__(self) -> Iterator[Batch]:
        starts = range(0, len(self.split), self.eval_batch_size)
        mine = starts[self.world.rank :: self.world.size]
        return self._renderer.batches((self._plan(start) for start in mine), may_fill=False)

    def _plan(self, start: int) -> Plan:
        rows_B = np.arange(start, min(start + self.eval_batch_size, len(self.split)))
        return Plan(rows_B, augment.plain(self.split.sizes_N2[rows_B], self.view))
