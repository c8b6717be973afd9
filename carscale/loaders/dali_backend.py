"""The ``dali_cpu`` and ``dali_gpu`` backends: DALI renders the same plans as ``torch`` does.

DALI holds no order, no randomness and no state of ours: it takes photos and dense parameters, a
batch at a time, and gives squares. So weighted sampling, ids, exact evaluation and resume are those
of the other backend. Axes: B samples of a batch.

Chosen: paths for photos that are files (DALI's threads read them: 850 images/s against 780 with
bytes read in Python, 2 threads, 504x263 px), bytes for those of a pack.
Chosen: freed buffers of 1 MiB and more go back to the system (``give_back_large_buffers``).
Rejected: glibc's default, with which training grew by 3 to 5 % in ten minutes; ``malloc_trim`` now
and then, with which it swings by a third (benchmarks/soak_cpu2_2026-11.md).
Chosen: a photo that can't be decoded kills a DALI pipeline, so the batches under way are rendered
anew by a new one, the photo replaced by the rule of the ``torch`` backend.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from carscale import augment, images
from carscale.augment import Policy
from carscale.errors import LoaderError
from carscale.loaders.batches import Plan
from carscale.loaders.dali_graph import GraphSpec, build_graph, dense
from carscale.loaders.reading import note_filled, read, unreadable
from carscale.types import Batch, Split, View
from carscale.world import give_back_large_buffers

if TYPE_CHECKING:
    from carscale import config
    from carscale.world import World


FAILURES_MAX = 3
"""How often in a row DALI may fail without a broken photo: a disk may stutter."""

HINT_PX_MAX = 32_000_000
"""Buffers for larger photos grow when one comes."""

GREY, GREY_SIZE = Path(__file__).with_name("grey.png"), (16, 16)
"""Stands in for a photo that can't be read, until its square is filled."""


def graph_spec(policy: Policy | None, view: View, *, reads_paths: bool) -> GraphSpec:
    """Return what a graph must do for a policy, or for the evaluation view (``None``)."""
    probe = np.full((256, 2), (640, 427))
    params = augment.plain(probe, view) if policy is None else policy(0, 0, 256, probe)
    is_plain = policy is None or policy.cfg.policy == "none"
    return GraphSpec(
        side_px=view.image_px,
        fill=view.fill,
        interpolation=view.interpolation,
        reads_paths=reads_paths,
        cuts=not is_plain or view.fit == "crop",
        warps=bool(params.geometry.is_warped_B.any()),
        pads=view.fit == "pad" or (is_plain and view.fit == "crop"),
        rounds_twice=policy is None,
        has_colour=params.colour_B3 is not None,
        erases=params.erase_B4 is not None,
        ops=() if policy is None else augment.slot_ops(policy.cfg),
        num_slots=0 if params.ops_BS is None else params.ops_BS.shape[1],
    )


@dataclass(eq=False)
class _Fed:
    """A batch that DALI works on, and which of its photos are shown as a grey square."""

    plan: Plan
    filled: dict[int, Exception] = field(default_factory=dict)


class DaliRenderer:
    """Turns plans into batches with one DALI pipeline, built at the first batch and kept.

    Args:
        cfg: Threads, batches ahead, what to do about unreadable photos.
        split: Where the photos are.
        view: Side, fill and interpolation.
        world: The device.
        policy: What varies; ``None`` for the evaluation view.
        max_batch_size: Samples a batch, at most.
        is_gpu: Whether the GPU decodes and renders.
    """

    def __init__(
        self,
        cfg: config.Loader,
        split: Split,
        view: View,
        world: World,
        *,
        policy: Policy | None,
        max_batch_size: int,
        is_gpu: bool,
    ) -> None:
        self.backend = "dali_gpu" if is_gpu else "dali_cpu"
        if not is_gpu:
            give_back_large_buffers()
        self.split = split
        self.view = view
        self.device = world.device
        self.num_threads = cfg.num_threads or world.cores_share
        self.prefetch = cfg.prefetch
        self.fills_unreadable = cfg.on_unreadable == "fill"
        self.spec = graph_spec(policy, view, reads_paths=split.store is None)
        self._device_id = world.device.index or 0 if is_gpu else None
        self._max_batch_size = max_batch_size
        self._pipe: Any = None
        self._names: tuple[str, ...] = ()
        self._plans: Iterator[_Fed] = iter(())
        self._ahead: deque[_Fed] = deque()
        self._num_failures = 0
        self._bad: dict[int, Exception] = {}  # rows found broken: no second pipeline dies of them
        self._plan_error: Exception | None = None
        self._is_open = False

    def batches(self, plans: Iterator[Plan], *, may_fill: bool) -> Generator[Batch, None, None]:
        """Yield the batches of plans, in order; a break leaves the pipeline ready for the next."""
        if self._is_open:
            raise RuntimeError("close the batches under way before taking others of this loader")
        self._is_open, self._plan_error = True, None
        self._plans = (_Fed(plan) for plan in plans)
        try:
            while True:
                batch = self._next(may_fill)
                if batch is None:
                    return
                yield batch
        finally:
            self._drain()
            self._is_open = False

    def _next(self, may_fill: bool) -> Batch | None:
        """Return the next batch; ``None`` after the last.

        Raises:
            LoaderError: A photo of it can't be read and may not be filled, or DALI fails.
        """
        while True:
            if self._pipe is None and not self._build():
                return None
            try:
                squares_BHWC, shapes_B3 = self._run()
            except StopIteration:
                self._pipe.reset()
                if self._plan_error is not None:
                    raise self._plan_error from None
                return None
            except (RuntimeError, ValueError, IndexError, TypeError) as error:
                self._start_again(error)
                continue
            self._num_failures = 0
            fed = self._ahead.popleft()
            self._mark_other_sizes(fed, shapes_B3)
            if fed.filled and not (may_fill and self.fills_unreadable):
                index, cause = next(iter(fed.filled.items()))
                raise unreadable(self.split, int(fed.plan.rows_B[index]), cause) from cause
            return self._batch(fed, squares_BHWC)

    def _run(self) -> tuple[torch.Tensor, np.ndarray]:
        """Let DALI finish a batch and begin another; return squares and the photos' shapes."""
        is_gpu = self._device_id is not None
        stream = torch.cuda.current_stream(self.device) if is_gpu else None
        squares, shapes = self._pipe.run(stream)
        return torch.from_dlpack(squares.as_tensor()), np.asarray(shapes.as_array())

    def _build(self) -> bool:
        """Build the pipeline for what is to come; ``False`` when nothing is."""
        first = next(self._plans, None)
        if first is None:
            return False
        self._plans = chain([first], self._plans)
        self._names = tuple(dense(first.plan.params, self.spec))
        try:
            self._pipe = build_graph(
                self._feed,
                self._names,
                self.spec,
                device_id=self._device_id,
                max_batch_size=self._max_batch_size,
                num_threads=self.num_threads,
                prefetch=self.prefetch,
                hints=self._hints(),
            )
        except RuntimeError as error:
            said = " ".join(str(error).split())[:400]
            raise LoaderError(
                f"{self.backend}: DALI can't build its pipeline: {said}",
                "take loader.backend=torch",
            ) from error
        return True

    def _hints(self) -> dict[str, int]:
        """Return the GPU decoder's buffer sizes: of the largest photo but for giants."""
        if self._device_id is None:
            return {}
        areas_N = self.split.sizes_N2.prod(axis=1)
        usual_N = np.flatnonzero(areas_N <= HINT_PX_MAX)
        if not len(usual_N):
            return {}
        width, height = self.split.sizes_N2[usual_N[areas_N[usual_N].argmax()]].tolist()
        return {"preallocate_width_hint": width, "preallocate_height_hint": height}

    def _feed(self) -> tuple[Any, ...]:
        """Give DALI its next batch; it calls this ahead of time."""
        try:
            fed = next(self._plans)
        except Exception as error:  # a policy's own error must not look like a photo's
            self._plan_error = None if isinstance(error, StopIteration) else error
            raise StopIteration from None
        self._ahead.append(fed)
        for index, row in enumerate(fed.plan.rows_B.tolist()):
            if row in self._bad:
                fed.filled[index] = self._bad[row]
        arrays = dense(fed.plan.params, self.spec)
        photos = [self._photo(fed, index) for index in range(len(fed.plan.rows_B))]
        if fed.filled:
            grey = dense(augment.plain(np.array([GREY_SIZE]), self.view), self.spec)
            for name, array in grey.items():
                arrays[name][list(fed.filled)] = array
        return photos, *(arrays[name] for name in self._names)

    def _photo(self, fed: _Fed, index: int) -> np.ndarray:
        """Return what DALI gets of a photo: its path, or its bytes."""
        row = int(fed.plan.rows_B[index])
        if self.spec.reads_paths:
            path = self.split.root / self.split.paths_N[row]
            return _as_bytes(os.fsencode(GREY if index in fed.filled else path))
        if index not in fed.filled:
            try:
                return _as_bytes(read(self.split, row))
            except OSError as error:
                fed.filled[index] = error
        return _as_bytes(GREY.read_bytes())

    def _start_again(self, error: Exception) -> None:
        """Find the photos that broke the pipeline; have the batches under way rendered anew.

        Raises:
            LoaderError: No photo is at fault, again and again.
        """
        self._pipe = None
        self._num_failures += 1
        again = list(self._ahead)
        self._ahead.clear()
        for fed in again:
            found = self._broken(fed)
            fed.filled.update(found)
            self._bad |= {int(fed.plan.rows_B[index]): why for index, why in found.items()}
            if found:
                break
        else:
            if self._num_failures >= FAILURES_MAX:
                raise LoaderError(
                    f"{self.backend}: DALI failed, and all photos of the batch can be read: "
                    f"{' '.join(str(error).split())[:400]}",
                    "where memory is short: loader.prefetch=1, or a smaller batch; else try "
                    "loader.backend=torch",
                ) from error
        self._plans = chain(again, self._plans)

    def _broken(self, fed: _Fed) -> dict[int, Exception]:
        """Return which photos of a batch can't be read or decoded, and why."""
        found: dict[int, Exception] = {}
        for index, row in enumerate(fed.plan.rows_B.tolist()):
            if index in fed.filled:
                continue
            try:
                pixels_HWC = images.decode(read(self.split, row))
                _check_size(pixels_HWC.shape, self.split.sizes_N2[row])
            except (OSError, ValueError) as error:
                found[index] = error
        return found

    def _mark_other_sizes(self, fed: _Fed, shapes_B3: np.ndarray) -> None:
        """Mark photos that DALI read, but that are not the ones that were frozen."""
        sizes_B2 = self.split.sizes_N2[fed.plan.rows_B]
        for index in np.flatnonzero((shapes_B3[:, 1::-1] != sizes_B2).any(axis=1)).tolist():
            try:
                if index not in fed.filled:
                    _check_size(shapes_B3[index], sizes_B2[index])
            except ValueError as error:
                fed.filled[index] = error

    def _batch(self, fed: _Fed, squares_BHWC: torch.Tensor) -> Batch:
        """Add ids and labels to the squares; name the photos that were filled."""
        rows_B = fed.plan.rows_B
        for index, error in fed.filled.items():
            squares_BHWC[index] = torch.tensor(self.view.fill, dtype=torch.uint8)
            note_filled(self.split, int(rows_B[index]), error)

        def move(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(self.device, non_blocking=True)

        return Batch(
            images_BCHW=move(squares_BHWC).permute(0, 3, 1, 2),  # channels_last
            labels_B=move(torch.from_numpy(self.split.labels_N[rows_B])),
            ids_B=move(torch.from_numpy(self.split.ids_N[rows_B])),
            num_unreadable=len(fed.filled),
        )

    def _drain(self) -> None:
        """Take what DALI still works on, so that the pipeline can start anew."""
        self._plans = iter(())
        try:
            while self._pipe is not None and self._ahead:
                self._run()
                self._ahead.popleft()
            if self._pipe is not None:
                self._pipe.reset()
        except StopIteration:
            self._pipe.reset()
        except (RuntimeError, ValueError, IndexError, TypeError):
            self._pipe = None  # a broken photo ahead; the next batch builds another
        self._ahead.clear()


def _as_bytes(data: bytes) -> np.ndarray:
    """Return bytes as the array that DALI takes."""
    return np.frombuffer(data, dtype=np.uint8)


def _check_size(shape: Sequence[int], size: Sequence[int]) -> None:
    """Raise when a photo is not the one that was frozen."""
    if (shape[1], shape[0]) != (size[0], size[1]):
        raise ValueError(
            f"decodes to {shape[1]} x {shape[0]} px, frozen as {size[0]} x {size[1]} px"
        )
