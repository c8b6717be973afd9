"""Class counts to weights, sampling and losses.

In: how many samples each class has. Out: how often each sample is drawn, what each class's loss
weighs, a loss.
To add a loss: one function in ``losses.py``, one line in ``LOSSES``, one word in
``config.Balance.loss``; a class weight likewise in ``weights.py``.

Chosen: a loss returns one term and one weight a sample; the loop divides by the weight of the whole
window, which every rank knows from the stream. Rejected: a mean on each rank: the mean of means is
another loss (2.7081 against 2.7094).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from carscale.balance.weights import (
    CLASS_WEIGHTS,
    SAMPLINGS,
    class_weights,
    double_compensation,
    sampling_weights,
)

if TYPE_CHECKING:
    from carscale.balance.losses import Loss, cross_entropy_terms, focal_terms, loss

__all__ = [
    "CLASS_WEIGHTS",
    "SAMPLINGS",
    "Loss",
    "class_weights",
    "cross_entropy_terms",
    "double_compensation",
    "focal_terms",
    "loss",
    "sampling_weights",
]


def __getattr__(name: str) -> object:
    """Load the losses, and torch with them, when one is used."""
    if name in __all__:
        return getattr(import_module("carscale.balance.losses"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
