"""Losses: one term and one weight a sample. B samples, K classes."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from carscale.balance.partial_labels import mean_weight, partial_terms
from carscale.balance.synthetic import smoothing_by_id, with_spread_target
from carscale.balance.weights import class_weights, double_compensation
from carscale.progress import note

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.config import Balance
    from carscale.types import Batch


Terms = Callable[[Tensor, Tensor], Tensor]
"""Logits ``[B, K]`` and labels ``[B]`` to one term a sample, ``[B]``."""


def cross_entropy_terms(
    logits_BK: Tensor, labels_B: Tensor, *, label_smoothing: float = 0.0
) -> Tensor:
    """Return each sample's cross-entropy in nats.

    Args:
        logits_BK: Raw scores, float ``[B, K]``; any float dtype, computed in float32 at least.
        labels_B: True classes, int64 ``[B]`` in ``[0, K)``.
        label_smoothing: Share of the target spread evenly over all K classes, in [0, 1).

    Returns:
        float32 ``[B]`` (float64 for float64 logits).

    Reference:
        Szegedy et al. 2016, https://arxiv.org/abs/1512.00567, section 7 (smoothing).

    Example:
        >>> cross_entropy_terms(torch.tensor([[0.0, 0.0]]), torch.tensor([0]))
        tensor([0.6931])
    """
    return F.cross_entropy(
        _wide(logits_BK), labels_B, reduction="none", label_smoothing=label_smoothing
    )


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
    log_p_B = F.log_softmax(_wide(logits_BK), dim=-1).gather(1, labels_B[:, None]).squeeze(1)
    miss_B = (-torch.expm1(log_p_B)).clamp_min(1e-7)  # p == 1 and gamma < 1: NaN gradient
    return miss_B**gamma * terms_B


def class_balanced_focal_terms(
    logits_BK: Tensor, labels_B: Tensor, *, gamma: float = 2.0
) -> Tensor:
    """Return each sample's sigmoid focal loss, summed over classes.

    The class-balanced focal loss is this, weighted by ``class_weights(counts_K, "effective")``,
    which ``loss`` does.

    Args:
        logits_BK: Raw scores, float ``[B, K]``.
        labels_B: True classes, int64 ``[B]``.
        gamma: Focusing strength, ``>= 0``.

    Returns:
        float32 ``[B]`` (float64 for float64 logits).

    Reference:
        Cui et al. 2019, https://arxiv.org/abs/1901.05555, eq. 12. Differs: all logits are moved by
        ``-log(K - 1)``, which does what the paper's first bias does (section 4) and changes no
        softmax.

    Example:
        >>> class_balanced_focal_terms(torch.tensor([[2.0, -2.0]]), torch.tensor([0]), gamma=0.0)
        tensor([0.2539])
    """
    if gamma < 0:
        raise ValueError(f"gamma must be >= 0, got {gamma}")
    logits = _wide(logits_BK) - math.log(max(1, logits_BK.shape[1] - 1))
    signs_BK = 2 * F.one_hot(labels_B, logits.shape[1]).to(logits.dtype) - 1
    log_p_BK = F.logsigmoid(signs_BK * logits)
    miss_BK = torch.sigmoid(-signs_BK * logits).clamp_min(1e-7)
    return -(miss_BK**gamma * log_p_BK).sum(dim=-1)


def ldam_terms(
    logits_BK: Tensor, labels_B: Tensor, *, margins_K: Tensor, label_smoothing: float = 0.0
) -> Tensor:
    """Return cross-entropy after the true class's logit was lowered by its class's margin.

    Args:
        logits_BK: Raw scores, float ``[B, K]``.
        labels_B: True classes, int64 ``[B]``.
        margins_K: Margins, logits; ``ldam_margins`` makes them from counts.
        label_smoothing: As in ``cross_entropy_terms``.

    Reference:
        Cao et al. 2019, https://arxiv.org/abs/1906.07413, eq. 13. Differs: the network's own
        logits; the paper's are cosines times 30.

    Example:
        >>> ldam_terms(torch.zeros(1, 2), torch.tensor([1]), margins_K=torch.tensor([0.2, 0.5]))
        tensor([0.9741])
    """
    margins = margins_K.to(logits_BK.device)[labels_B][:, None]
    lowered = F.one_hot(labels_B, logits_BK.shape[1]) * margins
    return cross_entropy_terms(
        _wide(logits_BK) - lowered, labels_B, label_smoothing=label_smoothing
    )


def ldam_margins(counts_K: Tensor, largest: float) -> Tensor:
    """Return margins proportional to ``n ** -1/4``, the rarest class's the largest.

    Reference:
        Cao et al. 2019, eq. 12.
    """
    counts = counts_K.clamp_min(1).double()
    return (largest * (counts / counts.min()) ** -0.25).float()


def logit_adjusted_terms(
    logits_BK: Tensor,
    labels_B: Tensor,
    *,
    log_shares_K: Tensor,
    tau: float = 1.0,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return cross-entropy of logits that each class's log share was added to.

    Frequent classes must earn their scores; the plain logits then predict as if classes were
    equally frequent. With ``tau=1`` this is the balanced softmax.

    Args:
        logits_BK: Raw scores, float ``[B, K]``.
        labels_B: True classes, int64 ``[B]``.
        log_shares_K: Logarithms of the class shares; a constant more or less changes nothing.
        tau: Strength, ``>= 0``; 0 is cross-entropy.
        label_smoothing: As in ``cross_entropy_terms``.

    References:
        Menon et al. 2021, https://arxiv.org/abs/2007.07314, eq. 10; Ren et al. 2020,
        https://arxiv.org/abs/2007.10740, eq. 4 (balanced softmax).

    Example:
        >>> shares = torch.tensor([0.9, 0.1])
        >>> logit_adjusted_terms(torch.zeros(1, 2), torch.tensor([1]), log_shares_K=shares.log())
        tensor([2.3026])
    """
    shifted = _wide(logits_BK) + tau * log_shares_K.to(logits_BK.device)
    return cross_entropy_terms(shifted, labels_B, label_smoothing=label_smoothing)


def poly_terms(
    logits_BK: Tensor, labels_B: Tensor, *, epsilon: float = 1.0, label_smoothing: float = 0.0
) -> Tensor:
    """Return each sample's Poly-1 loss: cross-entropy plus ``epsilon * (1 - p)``.

    Args:
        logits_BK: Raw scores, float ``[B, K]``.
        labels_B: True classes, int64 ``[B]``.
        epsilon: Weight of the first polynomial term, ``>= -1``; 0 is cross-entropy.
        label_smoothing: As in ``cross_entropy_terms``; ``p`` stays that of the true class.

    Reference:
        Leng et al. 2022, https://arxiv.org/abs/2204.12511, eq. 7.

    Example:
        >>> poly_terms(torch.zeros(1, 2), torch.tensor([1]))
        tensor([1.1931])
    """
    terms_B = cross_entropy_terms(logits_BK, labels_B, label_smoothing=label_smoothing)
    p_B = F.softmax(_wide(logits_BK), dim=-1).gather(1, labels_B[:, None]).squeeze(1)
    return terms_B + epsilon * (1 - p_B)


def _log_shares(counts_K: Tensor) -> Tensor:
    """Return the logarithms of train shares; a class without photos counts as one."""
    counts = counts_K.clamp_min(1).double()
    return (counts / counts.sum()).log().float()


def _prior(cfg: Balance, counts_K: NDArray[np.int64]) -> Tensor:
    """Return what the loss adds to the logits of each class."""
    taus = {"logit-adjusted": cfg.tau, "balanced-softmax": 1.0}
    return taus.get(cfg.loss, 0.0) * _log_shares(torch.from_numpy(counts_K))


def _adjusted(cfg: Balance, counts_K: Tensor, tau: float) -> Terms:
    """Return logit-adjusted terms for train counts."""
    shares_K, smoothing = _log_shares(counts_K), cfg.label_smoothing
    return partial(logit_adjusted_terms, log_shares_K=shares_K, tau=tau, label_smoothing=smoothing)


LOSSES: dict[str, Callable[[Balance, Tensor], Terms]] = {
    "ce": lambda cfg, _: partial(cross_entropy_terms, label_smoothing=cfg.label_smoothing),
    "focal": lambda cfg, _: partial(
        focal_terms, gamma=cfg.gamma, label_smoothing=cfg.label_smoothing
    ),
    "class-balanced-focal": lambda cfg, _: partial(class_balanced_focal_terms, gamma=cfg.gamma),
    "ldam": lambda cfg, counts_K: partial(
        ldam_terms,
        margins_K=ldam_margins(counts_K, cfg.ldam_margin),
        label_smoothing=cfg.label_smoothing,
    ),
    "logit-adjusted": lambda cfg, counts_K: _adjusted(cfg, counts_K, cfg.tau),
    "balanced-softmax": lambda cfg, counts_K: _adjusted(cfg, counts_K, 1.0),
    "poly": lambda cfg, _: partial(
        poly_terms, epsilon=cfg.poly_epsilon, label_smoothing=cfg.label_smoothing
    ),
}


class Loss(torch.nn.Module):
    """A loss with its class weights.

    Terms and weights a sample, to be summed over a window by the loop.

    A label ``K + m`` leaves the classes of ``class_sets[m]`` open: its term is minus the logarithm
    of the sum of their probabilities, its weight the mean of theirs over train samples. Settings
    that shape a term (smoothing, focus, margins) leave these terms alone; a prior does not.

    Args:
        cfg: Names the loss and its settings.
        counts_K: Train samples of each class.
        class_sets: What each partial label leaves open.
        margins_KK: Added to the logits of a photo, by its class; ``None`` adds nothing.
        is_synthetic_I: By manifest id: whose targets ``synthetic_smoothing`` spreads.

    Reference:
        Cour et al. 2011, https://jmlr.org/papers/v12/cour11a.html; Jin and Ghahramani 2002
        (partial labels: the likelihood of the set).
    """

    weights_L: Tensor
    is_open_MK: Tensor
    prior_K: Tensor
    margins_KK: Tensor | None
    smoothing_I: Tensor | None

    def __init__(
        self,
        cfg: Balance,
        counts_K: NDArray[np.int64],
        class_sets: Sequence[Sequence[int]] = (),
        margins_KK: Tensor | None = None,
        is_synthetic_I: NDArray[np.bool_] | None = None,
    ) -> None:
        super().__init__()
        if not all(class_sets):
            raise ValueError("a partial label must leave one class open at least")
        is_effective = cfg.loss == "class-balanced-focal"
        method = "effective" if is_effective else cfg.class_weights
        weights_K = class_weights(counts_K, method, beta=cfg.effective_beta)
        weights_M = [mean_weight(weights_K, counts_K, list(one)) for one in class_sets]
        weights_L = np.concatenate([weights_K, np.array(weights_M, dtype=weights_K.dtype)])
        is_open_MK = torch.zeros(len(class_sets), len(counts_K), dtype=torch.bool)
        for m, one in enumerate(class_sets):
            is_open_MK[m, list(one)] = True
        self.terms = LOSSES[cfg.loss](cfg, torch.from_numpy(counts_K))
        self.defer_weights = cfg.defer_weights
        self.register_buffer("weights_L", torch.from_numpy(weights_L), persistent=False)
        self.register_buffer("is_open_MK", is_open_MK, persistent=False)
        self.register_buffer("prior_K", _prior(cfg, counts_K), persistent=False)
        self.register_buffer("margins_KK", margins_KK, persistent=False)
        smoothing_I = smoothing_by_id(is_synthetic_I, cfg.synthetic_smoothing)
        self.register_buffer("smoothing_I", smoothing_I, persistent=False)
        # on the CPU: a window's weight waits for no GPU
        self._window_weights_L = weights_L.astype("float64")
        self._is_deferred = cfg.defer_weights > 0

    def set_done(self, done: float) -> None:
        """Say which share of the run lies behind: class weights come in at ``defer_weights``."""
        self._is_deferred = done < self.defer_weights

    def forward(self, logits_BK: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
        """Return terms and weights, float32 ``[B]`` each.

        The loss is ``sum(terms * weights) / sum(weights)``.
        """
        num_classes = logits_BK.shape[1]
        if not len(self.is_open_MK):
            terms_B = self._terms(logits_BK, labels_B)
        else:
            is_partial_B = labels_B >= num_classes
            whole_B = labels_B.masked_fill(is_partial_B, 0)
            open_BK = self.is_open_MK[(labels_B - num_classes).clamp_min(0)]
            partial_B = partial_terms(logits_BK + self.prior_K, open_BK)
            terms_B = torch.where(is_partial_B, partial_B, self._terms(logits_BK, whole_B))
        weights_B = self.weights_L[labels_B]
        return terms_B, torch.ones_like(weights_B) if self._is_deferred else weights_B

    def _terms(self, logits_BK: Tensor, labels_B: Tensor) -> Tensor:
        """Return terms of photos of one class each; rivals of that class start with a margin."""
        if self.margins_KK is None:
            return self.terms(logits_BK, labels_B)
        return self.terms(_wide(logits_BK) + self.margins_KK[labels_B], labels_B)

    def batch_sum(self, logits_BK: Tensor, batch: Batch) -> Tensor:
        """Return the sum of terms times weights; a mixed picture counts for both its labels."""
        terms_B, weights_B = self(logits_BK, batch.labels_B)
        if self.smoothing_I is not None:  # config refuses it with mixing
            shifted = _wide(logits_BK) + self.prior_K
            terms_B = with_spread_target(terms_B, shifted, self.smoothing_I[batch.ids_B])
        if batch.own_share_B is None:
            return (terms_B * weights_B).sum()
        other_terms_B, other_weights_B = self(logits_BK, batch.partner_labels_B)
        own_B, other_B = batch.own_share_B, batch.partner_share_B
        other_B = 1 - own_B if other_B is None else other_B
        return (own_B * terms_B * weights_B + other_B * other_terms_B * other_weights_B).sum()

    def accumulation_weight(
        self, labels_G: NDArray[np.int64], shares_G: NDArray[np.float64] | None = None
    ) -> float:
        """Return the weight of a whole accumulation window, from its labels on all ranks.

        Mixing pairs changes nothing: partners give each other the same share. By ``snapmix`` a
        picture counts once, whatever its two labels add up to.

        Args:
            labels_G: Of the window.
            shares_G: How much each counts; ``None``: all alike.
        """
        counted_G = np.ones(len(labels_G)) if shares_G is None else shares_G
        if self._is_deferred:
            return float(counted_G.sum())
        return float((self._window_weights_L[labels_G] * counted_G).sum())


def loss(
    cfg: Balance,
    counts_K: NDArray[np.int64],
    class_sets: Sequence[Sequence[int]] = (),
    margins_KK: Tensor | None = None,
    is_synthetic_I: NDArray[np.bool_] | None = None,
) -> Loss:
    """Return the loss that the settings name, weighted for these train counts.

    Rank 0 says so when the settings favour rare classes more than once.

    Args:
        cfg: Names the loss and its settings.
        counts_K: Train samples of each class.
        class_sets: What each partial label leaves open, as ``Split.class_sets`` has it.
        margins_KK: As in ``rival_margins``.
        is_synthetic_I: Which photos are synthetic, by manifest id; for ``synthetic_smoothing``.
    """
    warning = double_compensation(cfg)
    if warning and os.environ.get("RANK", "0") == "0":
        note(f"note: {warning}")
    return Loss(cfg, counts_K, class_sets, margins_KK, is_synthetic_I)


def _wide(logits_BK: Tensor) -> Tensor:
    """Return logits in float32 at least."""
    return logits_BK if logits_BK.dtype == torch.float64 else logits_BK.float()
