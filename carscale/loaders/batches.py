"""Training and evaluation batches, whichever backend renders them.

Axes: B samples of a batch, G samples of a global batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
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


@dataclass(frozen=True, eq=False)
class Plan:
    """A batch to render: which samples, and how.

    Attributes:
        rows_B: Samples to render: those shown, then those that are only pasted.
        params: Of each.
        partners_B: Which of them is mixed into each that is shown; ``None``: rows 2k and 2k + 1
            are partners, where the policy mixes at all.
    """

    rows_B: NDArray[np.int64]
    params: Params
    partners_B: NDArray[np.int64] | None = None


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
    """Training batches as a function of the step.

    Args:
        cfg: Global batch size.
        policies: The policy of each stage of growth; one without.
        world: This rank.
        stream: The order of samples.
        split: The train split.
        make_renderer: Returns a backend for a policy; called when its stage begins.
        ends: The step after which each stage but the last ends, ascending.
        paste_stream: The order of samples that are pasted, where the policy pastes.
    """

    def __init__(
        self,
        cfg: config.Loader,
        policies: tuple[Policy, ...],
        world: World,
        stream: Stream,
        *,
        split: Split,
        make_renderer: Callable[[Policy], Renderer],
        ends: tuple[int, ...] = (),
        paste_stream: Stream | None = None,
    ) -> None:
        self.split = split
        self.world = world
        self.stream = stream
        self.paste_stream = paste_stream
        self.global_batch_size = cfg.global_batch_size
        self._policies = policies
        self._ends = ends
        self._make_renderer = make_renderer
        self._stage = self.stage_at(0)
        self._renderer = make_renderer(policies[self._stage])
        self.backend = self._renderer.backend
        self.sides_px = tuple(policy.view.image_px for policy in policies)

    def stage_at(self, step: int) -> int:
        """Return the stage of growth that a step belongs to, from 0."""
        return sum(step >= end for end in self._ends)

    def batches(
        self, first_step: int, last_step: int, num_micro_steps: int
    ) -> Generator[Batch, None, None]:
        """Yield this rank's micro-batches of the steps before ``last_step``, in order."""
        cuts = [end for end in self._ends if first_step < end < last_step]
        for first, last in pairwise([first_step, *cuts, last_step]):
            stage = self.stage_at(first)
            if stage != self._stage:  # one backend at a time holds memory
                self._stage, self._renderer = stage, self._make_renderer(self._policies[stage])
            yield from self._stage_batches(range(first, last), num_micro_steps)

    def _stage_batches(self, steps: range, num_micro_steps: int) -> Generator[Batch, None, None]:
        """Yield the micro-batches of steps of one stage, mixed where the policy mixes."""
        under_way: deque[Plan] = deque()

        def plans() -> Iterator[Plan]:
            for step in steps:
                for micro_step in range(num_micro_steps):
                    under_way.append(self.plan(step, micro_step, num_micro_steps))
                    yield under_way[-1]

        batches = self._renderer.batches(plans(), may_fill=True)
        try:
            for batch in batches:
                yield _mixed(batch, under_way.popleft())
        finally:
            batches.close()

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
        return self._planned(step, first + part.start, first + part.stop)

    def _planned(self, step: int, first: int, last: int) -> Plan:
        """Return the samples and parameters of some stream positions."""
        policy = self._policies[self.stage_at(step)]
        rows_B = self.stream.rows(first, last)
        params = policy(self.stream.seed, first, last, self.split.sizes_N2[rows_B])
        if self.paste_stream is None or params.own_share_B is None:
            return Plan(rows_B, params)
        places_E = np.flatnonzero(params.own_share_B < 1)
        partners_B = np.arange(last - first)
        if len(places_E):
            rows_E = self.paste_stream.rows(first, last)[places_E]
            sizes_E2 = self.split.sizes_N2[rows_E]
            more = policy.pasted_params(self.stream.seed, first + places_E, sizes_E2)
            params, rows_B = params.joined(more), np.concatenate([rows_B, rows_E])
            partners_B[places_E] = len(partners_B) + np.arange(len(places_E))
        return Plan(rows_B, params, partners_B)

    def accumulation_labels(self, step: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the labels of a whole global batch, and how much each counts.

        On all ranks alike, int64 and float64 ``[G]``; with those of pasted photos ``[2 G]``.
        """
        first = step * self.global_batch_size
        last = first + self.global_batch_size
        labels_G = self.split.labels_N[self.stream.rows(first, last)]
        if self.paste_stream is None:
            return labels_G, np.ones(len(labels_G))
        policy = self._policies[self.stage_at(step)]
        own_G = policy.own_shares(self.stream.seed, first, last).astype(np.float64)
        pasted_G = self.split.labels_N[self.paste_stream.rows(first, last)]
        return np.concatenate([labels_G, pasted_G]), np.concatenate([own_G, 1 - own_G])


def _mixed(batch: Batch, plan: Plan) -> Batch:
    """Return a batch whose pictures are mixed as its parameters say.

    Where the model says how much labels count, it is left to that.
    """
    params = plan.params
    if params.swap_B4 is None:
        return batch
    from torch import from_numpy

    from carscale.loaders.mixing import mixed

    device = batch.labels_B.device
    chosen_B = augment.partners(len(params)) if plan.partners_B is None else plan.partners_B
    num, partner_labels_B = len(chosen_B), batch.labels_B[from_numpy(chosen_B).to(device)]
    if params.own_share_B is None:
        assert params.source_B4 is not None
        return replace(
            batch,
            partner_labels_B=partner_labels_B,
            swap_B4=params.swap_B4,
            source_B4=params.source_B4,
        )
    return replace(
        batch,
        images_BCHW=mixed(batch.images_BCHW, params, chosen_B),
        labels_B=batch.labels_B[:num],
        ids_B=batch.ids_B[:num],
        partner_labels_B=partner_labels_B,
        own_share_B=from_numpy(params.own_share_B[:num]).to(device),
    )


class EvalLoader:
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
