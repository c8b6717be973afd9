"""One readable loop on Accelerate, and checkpoints that a kill can't tear.

In: a run, a ``Learner`` (model, loss, optimizer settings), a training loader, a function that
scores a model. Out: the run folder's logs and checkpoints; ``load_best`` gives the chosen weights
back.

- ``schedule``: learning rate, EMA decay and epoch ends as functions of the step.
- ``learner``: parameter groups, EMA, the state that a checkpoint holds.
- ``checkpoint``: folders staged and renamed; the newest whole one is found again.
- ``logger``: logs, speed, memory, progress bar and tracker.
- ``dynamics``: the probability of its label, each time a photo is trained on.
- ``loop``: ``fit``: steps, epochs, when to score and save.

Chosen: everything a step needs is a function of (seed, step); a checkpoint is weights, EMA,
optimizer, scaler and a few counters. Rejected: Accelerate's ``save_state``: it deletes the oldest
before the new one is whole, pickles, and saves rank 0's random state for all.
Chosen: dropout seeded by (seed, step, micro-step, rank): exact at equal world size.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
