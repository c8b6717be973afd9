"""Processes that work together, and the run they work on; the door to Accelerate.

In: settings and the launcher's environment. Out: a ``World`` (rank, device, gather) and a ``Run``
(folder, logs, files).

Chosen: Accelerate gives device, DDP, mixed precision, gather and trackers. Rejected: letting it
``prepare`` loaders or schedulers: it rebuilds the one and steps the other once a process.
Chosen: stop when the launcher and Accelerate disagree on the number of processes. On a machine
without a GPU a plain ``Accelerator()`` makes lone processes that each train on all the data.
Chosen: OpenMP threads that wait sleep early (``GOMP_SPINCOUNT=1000``), set before torch is loaded.
By default they spin, and where another program takes one of two cores the step takes ten times as
long (measured: 2.6 to 4 images/s, against 27 to 30; alone on the machine both are equal).
"""

from carscale.world.memory import (
    give_back_large_buffers,
    name_out_of_memory,
    peak_memory_gib,
    smaller_batches,
)
from carscale.world.pictures import track_pictures
from carscale.world.processes import World, check_launch, open_world
from carscale.world.run import Run, start_run

__all__ = [
    "Run",
    "World",
    "check_launch",
    "give_back_large_buffers",
    "name_out_of_memory",
    "open_world",
    "peak_memory_gib",
    "smaller_batches",
    "start_run",
    "track_pictures",
]
