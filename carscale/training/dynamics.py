"""Training dynamics: what the model said of each photo each time it was shown.

Axes: B samples, K classes, S records, E epochs, M train samples.
"""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from carscale import contained, disk
from carscale.errors import RunError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from carscale.world import World


RECORD = np.dtype([("step", "<i4"), ("id", "<i8"), ("prob", "<f4"), ("is_right", "?")])
"""One showing of one photo: 17 bytes."""


class DynamicsLog:
    """The showings since the last flush on the device, then ``dynamics.bin`` on rank 0.

    Every step shows a whole global batch, so where a resumed run has to go on follows from its
    step.

    Args:
        path: The file.
        world: The processes; all flush together.
        num_shown: Showings before the resumed step, over all ranks.
    """

    def __init__(self, path: Path, world: World, *, num_shown: int) -> None:
        self.world, self._path = world, path
        self._step: list[int] = []
        self._ids: list[Tensor] = []
        self._probs: list[Tensor] = []
        self._rights: list[Tensor] = []
        self._file: IO[bytes] | None = None
        if world.is_main:
            with disk.writing(path):
                descriptor = contained.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                found = os.fstat(descriptor).st_size
                os.ftruncate(descriptor, min(num_shown * RECORD.itemsize, found))
                self._file = os.fdopen(descriptor, "ab")

    def add(self, step: int, logits_BK: Tensor, labels_B: Tensor, ids_B: Tensor) -> None:
        """Keep a micro-batch's showings."""
        logits_BK = logits_BK.detach().float()
        self._probs.append(logits_BK.softmax(dim=-1).gather(1, labels_B[:, None]).squeeze(1))
        self._rights.append(logits_BK.argmax(dim=-1) == labels_B)
        self._ids.append(ids_B)
        self._step += [step] * len(ids_B)

    def flush(self) -> None:
        """Gather what all ranks showed and append it, step by step."""
        import torch

        if not self._step:
            return
        steps = torch.tensor(self._step, device=self._ids[0].device)
        whole = torch.stack([steps, torch.cat(self._ids), torch.cat(self._rights).long()], dim=1)
        integers = self.world.gather_rows(whole).cpu().numpy()
        probs = self.world.gather_rows(torch.cat(self._probs)).cpu().numpy()
        self._step, self._ids, self._probs, self._rights = [], [], [], []
        if self._file is None:
            return
        records_S = np.empty(len(probs), dtype=RECORD)
        records_S["step"], records_S["id"] = integers[:, 0], integers[:, 1]
        records_S["is_right"], records_S["prob"] = integers[:, 2], probs
        records_S = records_S[np.argsort(records_S["step"], kind="stable")]
        with disk.writing(self._path, records_S.nbytes):
            self._file.write(records_S.tobytes())

    def sync(self) -> None:
        """Put all on disk, on rank 0."""
        if self._file is not None:
            with disk.writing(self._path):
                self._file.flush()
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; what was not flushed yet is not in it."""
        if self._file is not None:
            with disk.writing(self._path):
                self._file.close()


def read_dynamics(
    path: Path, ids_M: NDArray[np.int64], *, global_batch_size: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]] | None:
    """Return a run's dynamics by epoch.

    Args:
        path: ``dynamics.bin``; an absent one has none.
        ids_M: Train ids, ascending.
        global_batch_size: Samples of a step.

    Returns:
        Mean probability of the label over an epoch's showings, NaN where there was none, and
        whether most of them were right, both ``[E, M]``; ``None`` without a file or a showing.
    """
    if not path.exists():
        return None
    whole = path.stat().st_size // RECORD.itemsize
    num_train = len(ids_M)
    if whole == 0:
        return None
    records_S = np.memmap(path, dtype=RECORD, mode="r", shape=(whole,))  # a long run has gigabytes
    step_S = np.array(records_S["step"])  # ascending: written step by step
    num_epochs = int(step_S[-1]) * global_batch_size // num_train + 1
    if step_S[0] < 0 or (np.diff(step_S) < 0).any() or num_epochs > whole // num_train + 2:
        raise RunError(
            f"{path}: is no log of training dynamics: its steps do not ascend one by one"
        )
    first_steps = -(-np.arange(num_epochs + 1) * num_train // global_batch_size)
    edges = np.searchsorted(step_S, first_steps)
    prob_EM = np.full((num_epochs, num_train), np.nan, dtype=np.float32)
    right_EM = np.zeros((num_epochs, num_train), dtype=bool)
    for epoch, (start, stop) in enumerate(pairwise(edges.tolist())):
        shown_S = np.array(records_S[start:stop])
        place_S = np.searchsorted(ids_M, shown_S["id"])
        is_known_S = ids_M[np.minimum(place_S, num_train - 1)] == shown_S["id"]
        shown_S, place_S = shown_S[is_known_S], place_S[is_known_S]
        times_M = np.bincount(place_S, minlength=num_train)
        was_shown_M = times_M > 0
        sums_M = np.bincount(place_S, shown_S["prob"], num_train)
        prob_EM[epoch, was_shown_M] = (sums_M / np.maximum(1, times_M))[was_shown_M]
        right_EM[epoch] = 2 * np.bincount(place_S, shown_S["is_right"], num_train) > times_M
    return (prob_EM, right_EM) if np.isfinite(prob_EM).any() else None
