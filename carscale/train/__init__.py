"""One readable loop on Accelerate, and checkpoints that a kill can't tear.

In: a run, a ``Learner`` (model, loss, optimizer settings), a training loader, a function that
scores a model. Out: the run folder's logs and checkpoints; ``load_best`` gives the chosen weights
back.

- ``schedule``: learning rate, EMA decay and epoch ends as functions of the step.
- ``learner``: parameter groups, EMA, the state that a checkpoint holds.
- ``checkpoint``: folders written beside and renamed; the newest whole one is found again.
- ``journal``: logs, speed, memory, bar and tracker.
- ``loop``: steps, epochs, when to score and save.

Chosen: everything a step needs is a function of (seed, step); a checkpoint is weights, EMA,
optimizer, scaler and a few counters. Rejected: Accelerate's ``save_state``: it deletes the oldest
before the new one is whole, pickles, and saves rank 0's random state for all.
Chosen: dropout seeded by (seed, step, micro-step, rank): exact at equal world size.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from carscale.train.schedule import ema_decay_at, epoch_ends, lr_factor

if TYPE_CHECKING:
    from carscale.train.checkpoint import load_best, load_checkpoint
    from carscale.train.dynamics import read_dynamics
    from carscale.train.learner import Learner
    from carscale.train.loop import fit

__all__ = [
    "Learner",
    "ema_decay_at",
    "epoch_ends",
    "fit",
    "load_best",
    "load_checkpoint",
    "lr_factor",
    "read_dynamics",
]

HOMES = {
    "Learner": "learner",
    "fit": "loop",
    "load_best": "checkpoint",
    "load_checkpoint": "checkpoint",
    "read_dynamics": "dynamics",
}


def __getattr__(name: str) -> object:
    """Load the loop, and torch with it, when it is used."""
    if name in HOMES:
        return getattr(import_module(f"carscale.train.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
