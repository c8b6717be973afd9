"""The order of samples as a function, and backends that render it.

In: a split, a policy or a view, the world. Out: uint8 ``Batch``es with ids, on the run's device.
The training loader's state is one integer, the step.

- ``stream``: position -> sample; step -> positions of a rank and micro-step.
- ``rendering``: one photo's bytes and parameters -> uint8 pixels, on the CPU.
- ``torch_backend``: a thread pool that renders ahead.

To add a backend: a module with ``training`` and ``plain`` of the same signature, a line in
``BACKENDS``, a word in ``config.Loader.backend``.

Chosen: threads; decoding and resizing release the GIL, and nothing is pickled. Rejected:
``DataLoader`` workers: their batches cross a pipe, start-up takes seconds a worker, and order,
weights and resume would live in a sampler.
Chosen: a photo that can't be read ends the run (``loader.on_unreadable=stop``), since frozen photos
were all decoded once; ``fill`` shows a plain square instead, counted and named, for those who would
rather lose a sample than a night.

Next, in this room: decode only the region that a crop sees (simplejpeg decodes the whole photo at
1/1 to 1/8; the region counts from the resize on), and the DALI backends.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from carscale.loaders.stream import Stream, rank_slice

if TYPE_CHECKING:
    from carscale.loaders.build import plain, resolve_backend, training
    from carscale.loaders.rendering import render

__all__ = ["Stream", "plain", "rank_slice", "render", "resolve_backend", "training"]

HOMES = {"plain": "build", "resolve_backend": "build", "training": "build", "render": "rendering"}


def __getattr__(name: str) -> object:
    """Load a backend, and torch with it, when it is used."""
    if name in HOMES:
        return getattr(import_module(f"carscale.loaders.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
