"""Peak memory, out-of-memory errors that say what to lower, and freed buffers given back."""

from __future__ import annotations

import ctypes
import platform
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from carscale.errors import OutOfMemoryError
from carscale.world.processes import World

if TYPE_CHECKING:
    import torch


M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BYTES = 2**20

SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")
"""What GPU libraries and torch's CPU allocators say in a plain ``RuntimeError``."""


def give_back_large_buffers() -> None:
    """Have glibc return freed buffers of 1 MiB and more to the system, for this process.

    By default it keeps them for reuse, in a heap a thread, and with many threads and buffers of
    ever other sizes those heaps grow for hours.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def peak_memory_gib(device: torch.device) -> float:
    """Return the peak memory of this process so far: the GPU's where there is one."""
    if device.type == "cuda":
        from torch import cuda

        return cuda.max_memory_allocated(device) / 2**30
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**30 if sys.platform == "darwin" else 2**20)  # bytes there, KiB elsewhere


@contextmanager
def name_out_of_memory(world: World, load: str, *next_steps: str) -> Iterator[None]:
    """Turn an allocation that failed in the block, on a GPU or a CPU, into an error of ours.

    Args:
        world: Whose device it is.
        load: What did not fit, and the setting that says so.
        *next_steps: What to type for a smaller load.

    Raises:
        OutOfMemoryError: Memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"out of memory on {world.device} with {load}", *next_steps
        ) from error


def smaller_batches(eval_batch_size: int) -> str:
    """Return what to type when photos do not fit at once.

    Example:
        >>> smaller_batches(64)
        'take fewer at once: loader.eval_batch_size=32'
    """
    if eval_batch_size > 1:
        return f"take fewer at once: loader.eval_batch_size={eval_batch_size // 2}"
    return "free memory there, or compute on the CPU: ACCELERATE_USE_CPU=1 before the command"


def _is_out_of_memory(error: Exception) -> bool:
    """Tell whether an error is an allocation that failed."""
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(sign in str(error) for sign in SIGNS)
