"""What a model costs: parameters and multiply-adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from carscale.models.cpu_speed import as_timm_has_it
from carscale.models.probe import run_once

if TYPE_CHECKING:
    from carscale.models.factory import Classifier


class Card(TypedDict):
    """A model's size.

    Attributes:
        num_parameters: Of the network with its classifier.
        gmacs: 1e9 multiply-adds to predict one photo.
        image_px: Side of that photo.
    """

    num_parameters: int
    gmacs: float
    image_px: int


def card(model: Classifier, image_px: int) -> Card:
    """Return what a model costs, counted in one pass over a plain picture.

    Counted are convolutions and matrix products, as papers do; norms and activations are not.

    Args:
        model: From ``models.build``; nothing of it changes.
        image_px: Side of the input.
    """
    with (
        as_timm_has_it(model.net),
        sdpa_kernel(SDPBackend.MATH),  # fused attention of CPUs is not counted
        FlopCounterMode(display=False) as counter,
    ):
        run_once(model.net, image_px)
    return {
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "gmacs": counter.get_total_flops() / 2e9,
        "image_px": image_px,
    }
