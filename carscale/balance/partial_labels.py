"""Photos that may be of several classes: of which only the make is known. B samples, K classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def partial_terms(logits_BK: Tensor, is_open_BK: Tensor) -> Tensor:
    """Return minus the logarithm of the probability of each sample's open classes together.

    With one open class it is cross-entropy, with all of them 0.

    Args:
        logits_BK: Raw scores, float ``[B, K]``; any float dtype, computed in float32 at least.
        is_open_BK: Which classes a sample may be of, bool; one at least.

    Returns:
        float32 ``[B]`` (float64 for float64 logits).

    Example:
        >>> partial_terms(torch.zeros(1, 4), torch.tensor([[True, True, False, False]]))
        tensor([0.6931])
    """
    wide = logits_BK if logits_BK.dtype == torch.float64 else logits_BK.float()
    log_probs_BK = F.log_softmax(wide, dim=-1)
    return -torch.logsumexp(log_probs_BK.masked_fill(~is_open_BK, -torch.inf), dim=-1)


def mean_weight(
    weights_K: NDArray[np.floating], counts_K: NDArray[np.int64], classes: list[int]
) -> float:
    """Return the mean weight of the train samples of some classes.

    Args:
        weights_K: Of each class.
        counts_K: Train samples of each class.
        classes: Those that a partial label leaves open.
    """
    counts = counts_K[classes]
    if not counts.sum():
        return float(weights_K[classes].mean())
    return float((weights_K[classes] * counts).sum() / counts.sum())
