"""The processes that the launcher started, as one world."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import outgoing, threads
from carscale.errors import CarscaleError, LaunchError, LostRankError
from carscale.progress import note
from carscale.world import launcher_settings, stopping
from carscale.world.peers import Peers, interface_towards, is_of_the_network
from carscale.world.stopping import StopVote

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator


if "OMP_WAIT_POLICY" not in os.environ:  # read once, when torch loads its OpenMP library
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

CONFIGS = Path(__file__).parents[1] / "accelerate_configs"
CPU2 = outgoing.command(CONFIGS / "cpu2.yaml")
HOW_TO_LAUNCH = f"launch with: accelerate launch --config_file {CPU2} ..."
HOW_TO_NAME_INTERFACE = (
    "on several machines, name the network interface that reaches the first one, as ip addr lists "
    "it: GLOO_SOCKET_IFNAME=eth0 NCCL_SOCKET_IFNAME=eth0"
)
GROUP_TIMEOUT = timedelta(hours=1)
"""A collective waits this long: the first check of a large data set runs on one rank alone.

A rank that is silent ends the others sooner; see ``peers``.
"""
TIMEOUT_MINUTES = 10.0
_OPENINGS = itertools.count()


WORKERS_END_S = 0.3
"""What gloo's threads get to drop the tensors of the last collective.

A thread that drops one while the interpreter ends aborts the process, all work done: seen in one of
25 launches (https://github.com/pytorch/pytorch/pull/179291). Destroying the group does not end the
threads, since DDP keeps it.
"""


@dataclass(frozen=True)
class World:
    """This process among all.

    Attributes:
        rank: 0 to ``size - 1``; rank 0 writes and speaks.
        size: Number of processes.
        device: What this one computes on.
        accelerator: Accelerate's object.
        stop: The ranks' agreement on where to stop.
        reached: Told the number of each step whose photos are there, so that a rank that hangs is
            named.
    """

    rank: int
    size: int
    device: torch.device
    accelerator: Accelerator
    stop: StopVote
    reached: Callable[[int], None] = lambda step: None

    @property
    def is_main(self) -> bool:
        """Tell whether this is rank 0."""
        return self.rank == 0

    @property
    def cores_share(self) -> int:
        """Return how many cores this process may use, at least 1."""
        return max(1, threads.num_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))

    def gather_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """Return all ranks' rows one after another.

        Ranks may hold different numbers of them, or none.
        """
        import torch

        if self.size == 1:
            return rows
        count = torch.tensor([len(rows)], device=self.device)
        counts = self.accelerator.gather(count).tolist()
        padded = rows.new_zeros((max(*counts, 1), *rows.shape[1:]))
        padded[: len(rows)] = rows
        every = self.accelerator.gather(padded).split(len(padded))
        return torch.cat([part[:count] for part, count in zip(every, counts, strict=True)])

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over all ranks."""
        return self.accelerator.reduce(values, reduction="sum")

    def broadcast(self, value: Any) -> Any:  # noqa: ANN401 - any picklable thing of our own
        """Return rank 0's value on every rank."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def on_main(self, work: Callable[[], None]) -> None:
        """Have rank 0 do something; where it ends in an error of ours, every rank raises it.

        So no rank waits for one that could not write.
        """
        failed: CarscaleError | None = None
        if self.is_main:
            try:
                work()
            except CarscaleError as error:
                failed = error
        failed = self.broadcast(failed)
        if failed is not None:
            raise failed

    def broadcast_buffers(self, module: torch.nn.Module) -> None:
        """Give every rank the batch-norm statistics of rank 0, which differ by rank."""
        from accelerate.utils import broadcast

        if self.size > 1:
            for buffer in module.buffers():
                buffer.copy_(broadcast(buffer))


@contextmanager
def open_world(
    *,
    precision: str = "fp32",
    num_cpu_threads: int = 0,
    tracker: str = "none",
    folder: Path | None = None,
    timeout_minutes: float = TIMEOUT_MINUTES,
) -> Iterator[World]:
    """Join the processes that the launcher started.

    Args:
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto``, which takes the launcher's where it
            names one.
        num_cpu_threads: Threads of this process's arithmetic; 0 takes its share of the cores.
        tracker: Accelerate's name of a tracker, or ``none``.
        folder: Where trackers that write files put them.
        timeout_minutes: A rank that is silent for longer ends the others.

    Raises:
        LaunchError: The launcher started another number of processes than Accelerate sees, or asks
            for another engine than DDP.
        LostRankError: Another rank ended or can't be reached.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
    from torch import set_num_threads

    launcher_settings.check_engine()
    chosen = resolve_precision(precision)
    asked = launcher_settings.told(chosen)
    if asked and os.environ.get("RANK", "0") == "0":
        note(asked)
    peers = _peers(timeout_minutes)
    try:
        accelerator = Accelerator(
            cpu=not _uses_gpu(),
            mixed_precision="no" if chosen == "fp32" else chosen,
            log_with=None if tracker == "none" else tracker,
            project_dir=None if folder is None else str(folder),
            kwargs_handlers=[
                DistributedDataParallelKwargs(
                    broadcast_buffers=False, gradient_as_bucket_view=True
                ),
                InitProcessGroupKwargs(timeout=GROUP_TIMEOUT),
            ],
            **launcher_settings.plugins(),
        )
        rank, size = accelerator.process_index, accelerator.num_processes
        check_launch(size)
        reached = peers.reached if peers is not None else lambda step: None
        world = World(rank, size, accelerator.device, accelerator, StopVote(size), reached)
    except (RuntimeError, ValueError) as error:
        started = os.environ.get("WORLD_SIZE", "1")
        if started == "1":
            raise
        raise LaunchError(
            f"{started} processes were announced but can't find each other: {error}",
            HOW_TO_LAUNCH,
            HOW_TO_NAME_INTERFACE,
        ) from error
    set_num_threads(num_cpu_threads or world.cores_share)
    try:
        yield world
        accelerator.wait_for_everyone()  # none leaves while another still talks to it
    except RuntimeError as error:
        if world.size == 1 or peers is None or not is_of_the_network(error):
            raise
        raise LostRankError(
            f"{peers.lost()} ended or can't be reached: {' '.join(str(error).split())[:200]}",
            "the same command, on every machine, goes on from the last checkpoint",
        ) from error
    finally:
        if peers is not None:
            peers.leave()
        accelerator.end_training()
        AcceleratorState._reset_state()  # the next world may have another precision
        if world.size > 1:
            time.sleep(WORKERS_END_S)


def _peers(timeout_minutes: float) -> Peers | None:
    """Listen for the other ranks; ``None`` where there are none or no network to meet on.

    Gloo takes the network interface that reaches the first machine, unless told another: what it
    chooses by itself, by the host's name, is often none that other machines reach.
    """
    size, address = int(os.environ.get("WORLD_SIZE", "1")), os.environ.get("MASTER_ADDR", "")
    port = os.environ.get("MASTER_PORT", "")
    if size == 1 or not address or not port.isdigit():
        return None
    name = interface_towards(address)
    if name is not None:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
    listener = stopping.LISTENER[-1] if stopping.LISTENER else stopping.Listener()
    peers = Peers(
        int(os.environ["RANK"]),
        size,
        (address, int(port)),
        timeout_s=60 * timeout_minutes,
        opening=next(_OPENINGS),
        asked=lambda: listener.asked,
        hear=listener.hear_afar,
    )
    peers.start()
    return peers


def check_launch(num_processes: int) -> None:
    """Raise when the launcher started another number of processes than train together.

    Raises:
        LaunchError: ``WORLD_SIZE`` differs from what Accelerate sees.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != num_processes:
        raise LaunchError(
            f"the launcher started {started} processes but Accelerate sees {num_processes}; "
            "each would train alone on all the data",
            HOW_TO_LAUNCH,
        )


def _uses_gpu() -> bool:
    """Tell whether there is a GPU and the launcher's settings do not rule it out."""
    import torch

    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("1", "true", "yes")
    return torch.cuda.is_available() and not on_cpu


def resolve_precision(precision: str) -> str:
    """Return what ``auto`` stands for here."""
    import torch

    if precision != "auto":
        return precision
    asked = launcher_settings.precision_asked()
    if asked == "bf16" or (asked and _uses_gpu()):  # fp16 needs a GPU
        return asked
    if not _uses_gpu():
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
