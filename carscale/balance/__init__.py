"""Class counts to orders, weights and losses.

In: how many samples each class has. Out: how often each sample is drawn, what each class's loss
weighs, a loss.

- ``orders``: over- and undersampling, weighted samplers: explicit lists of rows.
- ``weights``: class weights of the loss.
- ``losses``: one term and one weight a sample; ``partial_labels``: of which only the make is known.

To add a loss: one function in ``losses.py``, one line in ``LOSSES``, one word in
``config.Balance.loss``; a sampling or a class weight likewise.

Chosen: a loss returns one term and one weight a sample; the loop divides by the weight of the whole
window, which every rank knows from the stream. Rejected: a mean on each rank: the mean of means is
another loss (2.7081 against 2.7094).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from carscale.balance.orders import Order, draws_per_epoch, natural, order, weighted
from carscale.balance.weights import class_weights, double_compensation

if TYPE_CHECKING:
    from carscale.balance.losses import Loss, cross_entropy_terms, focal_terms, loss

__all__ = [
    "Loss",
    "Order",
    "class_weights",
    "cross_entropy_terms",
    "double_compensation",
    "draws_per_epoch",
    "focal_terms",
    "loss",
    "natural",
    "order",
    "weighted",
]


def __getattr__(name: str) -> object:
    """Load the losses, and torch with them, when one is used."""
    if name in __all__:
        return getattr(import_module("carscale.balance.losses"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
