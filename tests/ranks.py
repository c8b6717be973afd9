"""Run functions on several gloo ranks, or in one process that may be killed, of this machine.

A forkserver with the libraries preloaded keeps a two-rank test near 1 s; it is safe beside thread
pools, unlike fork. The ranks meet through a file, so no port can be taken. Functions must be
importable.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from carscale.studies.fork_server import PRELOAD

mp.set_forkserver_preload([*PRELOAD, "pytest"])
multiprocessing.set_forkserver_preload([*PRELOAD, "pytest"])


def run_ranks(fn: Callable[..., None], *args: object, world_size: int = 2) -> None:
    """Call ``fn(*args)`` on every rank and raise the first rank's failure."""
    with tempfile.TemporaryDirectory() as folder:
        mp.start_processes(
            _run_rank,
            args=(world_size, Path(folder) / "store", partial(fn, *args)),
            nprocs=world_size,
            start_method="forkserver",
        )


def run_process(fn: Callable[..., None], *args: object) -> int:
    """Call ``fn(*args)`` in a process of its own; return its exit code, -9 after SIGKILL."""
    process = start_process(fn, *args)
    process.join(timeout=240)
    if process.is_alive():
        process.kill()
        raise TimeoutError(f"{fn.__name__} did not end")
    assert process.exitcode is not None
    return process.exitcode


def start_process(fn: Callable[..., None], *args: object) -> BaseProcess:
    """Start a process that calls ``fn(*args)``."""
    process = multiprocessing.get_context("forkserver").Process(target=_alone, args=(fn, args))
    process.start()
    return process


def _alone(fn: Callable[..., None], args: tuple[object, ...]) -> None:
    torch.set_num_threads(1)
    fn(*args)


def _run_rank(rank: int, world_size: int, meeting_file: Path, job: Callable[[], None]) -> None:
    torch.set_num_threads(1)
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world_size}
    os.environ.update({name: str(value) for name, value in numbers.items()})
    os.environ["LOCAL_WORLD_SIZE"] = str(world_size)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{meeting_file}",
        rank=rank,
        world_size=world_size,
        timeout=timedelta(seconds=120),
    )
    try:
        if dist.get_world_size() != world_size:  # a test that asked for 2 never passes on 1
            raise RuntimeError(f"asked for {world_size} ranks, got {dist.get_world_size()}")
        job()
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
