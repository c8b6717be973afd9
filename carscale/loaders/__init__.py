"""Loaders: samples as a function of the step, and backends that decode and augment them.

In: a split, a policy or a view, the world. Out: uint8 ``Batch``es with ids, on the run's device.
The training loader's state is one integer, the step.

- ``stream``: position -> sample; step -> positions of a rank and micro-step.
- ``batches``: the loaders, whichever backend renders; ``mixing``: pictures blended and pasted.
- ``build``: the training and the evaluation loader of a split.
- ``progressive_resize``: the sides of squares by step.
- ``rendering``: one photo's bytes and parameters -> uint8 pixels, on the CPU.
- ``reading``: photos that can't be read. ``preview``: a policy's draws as a picture.
- ``torch_backend``: a thread pool that renders ahead.
- ``dali_backend``, ``dali_graph``: the same through DALI, on the CPU or a GPU.
- ``dali_stock``: a plain DALI pipeline, for the benchmark alone.
- ``backends``: which ones run here; ``resolve``: which one ``auto`` takes.

To add a backend: a ``Renderer`` (``batches.py``), a line in ``build._renderer`` and
``backends.check_backend``, a word in ``config.Loader.backend``.

Chosen: threads; decoding and resizing release the GIL, and nothing is pickled. Rejected:
``DataLoader`` workers: their batches cross a pipe, start-up takes seconds a worker, and
sampling, weights and resume would live in a sampler object.
Chosen: a photo that can't be read ends the run (``loader.on_unreadable=stop``), since frozen photos
were all decoded once; ``fill`` shows a grey square instead, counted and named, for those who would
rather lose a sample than a night.
Chosen for DALI: ``external_source`` with photos and parameters of ours. Rejected: its readers and
random operators: they know no weights, no ids and no place to resume from.

Next, in this room: run the GPU tests where there is a GPU (``dali_gpu`` was written without one).
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
