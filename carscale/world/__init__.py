"""Processes that work together, and the run they work on; the door to Accelerate.

In: settings and the launcher's environment. Out: a ``World`` (rank, device, gather) and a ``Run``
(folder, settings, processes).

- ``processes``: ``World``, ``open_world``, and the check that all processes see each other.
- ``run``: ``start_run``: the run folder, resumed or new, locked; what made the run.
- ``launch``: ``run_ranks``: starts the ranks of this machine, for ``carscale train``.
- ``launcher_settings``: what the launcher asks for, and what becomes of it.
- ``memory``: peak memory; out of memory as an error that says what to lower.
- ``stopping``: signals, a launcher that has gone, and the step to stop at.
- ``peers``: other ranks that fell silent, by name.
- ``pictures``: pictures for the run's tracker.

Chosen: Accelerate gives device, DDP, mixed precision, gather and trackers. Rejected: letting it
``prepare`` loaders or schedulers: it rebuilds the one and steps the other once a process.
Chosen: stop when the launcher and Accelerate disagree on the number of processes. On a machine
without a GPU a plain ``Accelerator()`` makes lone processes that each train on all the data.
Chosen: OpenMP threads that wait sleep early (``GOMP_SPINCOUNT=1000``), set before torch is loaded.
By default they spin, and where another program takes one of two cores the step takes ten times as
long (measured: 2.6 to 4 images/s, against 27 to 30; alone on the machine both are equal).
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
