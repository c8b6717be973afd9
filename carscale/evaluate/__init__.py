"""Predict once, exactly; then numbers from the table.

In: a model, a plain loader, the world; or a ``Predictions`` table. Out: ``Predictions``, metrics
with intervals.

- ``prediction``: whole batches dealt to ranks, no collective inside the loop, one gather, every id
  exactly once.
- ``metrics``: pure functions of integer counts and arrays; numpy only.
- ``saliency``: where in a photo a class is seen; the door to captum.
- ``temperature``: confidence scaled by one number that val decides; several models averaged.

Chosen: the batch a sample is predicted in depends on ``loader.eval_batch_size`` alone, so 1, 2 and
3 processes write the same bytes. Rejected: padding to equal lengths (counts photos twice), metrics
averaged over ranks (another number).
Chosen: intervals from a bootstrap that keeps each class's size, since a frozen split's class sizes
are fixed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from carscale.evaluate.metrics import (
    SHORT_RULE,
    calibration_error,
    confusion_matrix,
    per_class,
    scores,
    summary,
)
from carscale.evaluate.temperature import (
    averaged,
    fit_temperature,
    floored_log,
    with_temperature,
)

if TYPE_CHECKING:
    from carscale.evaluate.prediction import (
        Scorer,
        are_few,
        log_probs,
        predict,
        seen_by_classifier,
    )
    from carscale.evaluate.saliency import grad_cam

__all__ = [
    "SHORT_RULE",
    "Scorer",
    "are_few",
    "averaged",
    "calibration_error",
    "confusion_matrix",
    "fit_temperature",
    "floored_log",
    "grad_cam",
    "log_probs",
    "per_class",
    "predict",
    "scores",
    "seen_by_classifier",
    "summary",
    "with_temperature",
]


def __getattr__(name: str) -> object:
    """Load torch when a model is to predict."""
    if name in ("Scorer", "are_few", "log_probs", "predict", "seen_by_classifier"):
        return getattr(import_module("carscale.evaluate.prediction"), name)
    if name == "grad_cam":
        return getattr(import_module("carscale.evaluate.saliency"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
