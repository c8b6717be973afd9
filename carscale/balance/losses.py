"""Losses: one term and one weight a sample. B samples, K classes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from carscale.balance.weights import class_weights, double_compensation
from carscale.progress import note

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from carscale.config import Balance

__all__ = ["LOSSES", "Loss", "cross_entropy_terms", "focal_terms", "loss"]


def cross_entropy_terms(
    logits_BK: Tensor, labels_B: Tensor, *, label_smoothing: float = 0.0, gamma: float = 0.0
) -> Tensor:
    """Return each sample's cross-entropy in nats.

    Args:
        logits_BK: Raw scores, float ``[B, K]``; any float dtype, computed in float32 at least.
        labels_B: True classes, int64 ``[B]`` in ``[0, K)``.
        label_smoothing: Share of the target spread evenly over all K classes, in [0, 1).
        gamma: Ignored; all losses are called alike.

    Returns:
        float32 ``[B]`` (float64 for float64 logits).

    Reference:
        Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7 (smoothing).

    Example:
        >>> cross_entropy_terms(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor([0.6931])
    """
    logits = logits_BK if logits_BK.dtype == torch.float64 else logits_BK.float()
    return F.cross_entropy(logits, labels_B, reduction="none", label_smoothing=label_smoothing)


def focal_terms(
    logits_BK: Tensor, labels_B: Tensor, *, label_smoothing: float = 0.0, gamma: float = 2.0
) -> Tensor:
    """Return each sample's focal loss: its cross-entropy scaled by ``(1 - p)**gamma``.

    ``p`` is the probability given to the true class; ``gamma=0`` is cross-entropy exactly.

    Args:
        logits_BK: Raw scores, float ``[B, K]``; any float dtype, computed in float32 at least.
        labels_B: True classes, int64 ``[B]`` in ``[0, K)``.
        label_smoothing: Share of the target spread evenly over all K classes, in [0, 1).
        gamma: Focusing strength, ``>= 0``; the paper uses 2.

    Returns:
        float32 ``[B]`` (float64 for float64 logits).

    Raises:
        ValueError: ``gamma`` is negative.

    Reference:
        Lin et al. 2017, https://arxiv.org/abs/1708.02002, eq. 5. Differs: with smoothing, the
        smoothed cross-entropy is scaled.

    Example:
        >>> focal_terms(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 0]))
        tensor([0.0018, 1.6501])
    """
    if gamma < 0:
        raise ValueError(f"gamma must be >= 0, got {gamma}")
    terms_B = cross_entropy_terms(logits_BK, labels_B, label_smoothing=label_smoothing)
    if gamma == 0:
        return terms_B
    logits = logits_BK if logits_BK.dtype == torch.float64 else logits_BK.float()
    log_p_B = F.log_softmax(logits, dim=-1).gather(1, labels_B[:, None]).squeeze(1)
    miss_B = (-torch.expm1(log_p_B)).clamp_min(1e-7)  # p == 1 and gamma < 1: NaN gradient
    return miss_B**gamma * terms_B


LOSSES: dict[str, Callable[..., Tensor]] = {"ce": cross_entropy_terms, "focal": focal_terms}


class Loss(torch.nn.Module):
    """A loss with its class weights.

    Terms and weights a sample, to be summed over a window by the loop.
    """

    weights_K: Tensor

    def __init__(self, cfg: Balance, weights_K: NDArray[np.float32]) -> None:
        super().__init__()
        self.cfg = cfg
        self.register_buffer("weights_K", torch.from_numpy(weights_K), persistent=False)
        self._window_weights_K = weights_K.astype(
            "float64"
        )  # stays on the CPU: no wait for the GPU

    def forward(self, logits_BK: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return terms and weights, float32 ``[B]`` each.

        The loss is ``sum(terms * weights) / sum(weights)``.
        """
        terms_B = LOSSES[self.cfg.loss](
            logits_BK,
            labels_B,
            label_smoothing=self.cfg.label_smoothing,
            gamma=self.cfg.gamma,
        )
        return terms_B, self.weights_K[labels_B]

    def window_weight(self, labels_G: NDArray[np.int64]) -> float:
        """Return the weight of a whole accumulation window, from its labels on all ranks."""
        return float(self._window_weights_K[labels_G].sum())


def loss(cfg: Balance, counts_K: NDArray[np.int64]) -> Loss:
    """Return the loss that the settings name, weighted for these train counts.

    Rank 0 says so when the settings favour rare classes more than once.
    """
    warning = double_compensation(cfg)
    if warning and os.environ.get("RANK", "0") == "0":
        note(f"note: {warning}")
    return Loss(cfg, class_weights(counts_K, cfg.class_weights))
