"""Synthetic photos in training: how often they are drawn, how their targets are spread.

Axes: N train samples, I manifest ids, B samples of a batch, K classes, L labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from carscale.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Split


def synthetic_rates(
    split: Split, is_made_N: NDArray[np.bool_], share: float
) -> NDArray[np.float64]:
    """Return by how much photos' draws change, so that synthetic ones get a share of their class's.

    Args:
        split: The train split.
        is_made_N: Which photos are synthetic.
        share: Of the draws of a class that has both.

    Raises:
        DataError: No photo is synthetic, or a class has no real one.
    """
    labels_N, num_labels = split.labels_N, len(split.classes) + len(split.class_sets)
    made_L = np.bincount(labels_N[is_made_N], minlength=num_labels)
    real_L = np.bincount(labels_N[~is_made_N], minlength=num_labels)
    if not is_made_N.any():
        raise DataError(
            f"{split.root}: data.synthetic_share={share:g}, but no photo of train is synthetic",
            "make some: carscale data synth ROOT OUT --method viewpoint --run RUN; or leave it out",
        )
    if alone := np.flatnonzero((made_L > 0) & (real_L == 0)).tolist():
        named = split.classes[alone[0]].name if alone[0] < len(split.classes) else "a make"
        raise DataError(f"{split.root}: {named} has no real train photo, only synthetic ones")
    total_L, has_made_L = made_L + real_L, made_L > 0
    of_made_L = np.where(has_made_L, share * total_L / np.maximum(1, made_L), 1.0)
    of_real_L = np.where(has_made_L, (1 - share) * total_L / np.maximum(1, real_L), 1.0)
    return np.where(is_made_N, of_made_L[labels_N], of_real_L[labels_N])


def smoothing_by_id(is_synthetic_I: NDArray[np.bool_] | None, smoothing: float) -> Tensor | None:
    """Return each photo's share of ``with_spread_target``; ``None`` where all are 0."""
    if not smoothing or is_synthetic_I is None or not is_synthetic_I.any():
        return None
    return torch.from_numpy((smoothing * is_synthetic_I).astype(np.float32))


def with_spread_target(terms_B: Tensor, logits_BK: Tensor, share_B: Tensor) -> Tensor:
    """Return terms of which a share is the cross-entropy of a target spread over all classes.

    Args:
        terms_B: Of any loss.
        logits_BK: With what the loss adds to them.
        share_B: In [0, 1).

    Reference:
        Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7 (smoothing).

    Example:
        >>> with_spread_target(torch.ones(1), torch.zeros(1, 2), torch.tensor([0.5]))
        tensor([0.8466])
    """
    spread_B = -F.log_softmax(logits_BK, dim=-1).mean(dim=-1).to(terms_B.dtype)
    return torch.lerp(terms_B, spread_B, share_B.to(terms_B.dtype))
