"""Races on this machine: which loader feeds the model fastest, what each model costs.

In: a frozen folder, or names of models. Out: rows of speeds with their intervals. One process an
arm, so that one arm's threads and memory do not help or hinder another's.

- ``loader_race``: rounds, intervals, verdicts; ``loader_worker``: one arm's process.
- ``model_race``: parameters, GMACs, images/s and memory of models.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
