"""New classifier layers on the embeddings that a network gives its photos; the network stays.

Axes: N train photos, B photos of a batch, D features, K classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

LOCAL_BATCH_SIZE = 64
NUM_EPOCHS = 100
MIN_STEPS, MAX_STEPS = 300, 20_000
"""A few photos are seen more often, a million less often."""
LR, WEIGHT_DECAY, DROPOUT = 2e-3, 0.01, 0.3


@dataclass(frozen=True, eq=False)
class Head:
    """A linear classifier layer.

    Attributes:
        weight_KD: float32.
        bias_K: float32.
    """

    weight_KD: Tensor
    bias_K: Tensor

    def logits(self, embeddings_ND: Tensor) -> Tensor:
        """Return ``[N, K]``."""
        return F.linear(embeddings_ND, self.weight_KD, self.bias_K)

    def scaled(self, factor: float) -> Head:
        """Return the head with its logits times a factor, > 0: no prediction changes."""
        return Head(self.weight_KD * factor, self.bias_K * factor)


@dataclass(frozen=True, eq=False)
class TrainPhotos:
    """What a network says of the train photos, before its classifier layer.

    Attributes:
        embeddings_ND: float32.
        labels_N: int64 in ``[0, K)``; each class has a photo.
        num_classes: K.
        seed: Of all draws.
    """

    embeddings_ND: Tensor
    labels_N: Tensor
    num_classes: int
    seed: int = 0

    @property
    def counts_K(self) -> Tensor:  # noqa: N802 - K classes
        """Return the photos of each class, float32."""
        return torch.bincount(self.labels_N, minlength=self.num_classes).float()

    @property
    def log_prior_K(self) -> Tensor:  # noqa: N802 - K classes
        """Return the logarithm of each class's share."""
        return torch.log(self.counts_K / self.counts_K.sum())


Refit = Callable[[Head, TrainPhotos, float], Head]
"""The head as trained, the train photos, a strength -> another head."""


def nearest_mean(head: Head, train: TrainPhotos, strength: float = 1.0) -> Head:
    """Return the head that picks the class whose mean embedding is nearest (NCM).

    ``-|x - m|^2 / 2`` is ``x m - |m|^2 / 2`` and a term that all classes share.

    Args:
        head: Not used: nothing of it stays.
        train: Whose embeddings are averaged.
        strength: A factor of the logits; changes no prediction.

    Reference:
        Kang et al. 2020, https://arxiv.org/abs/1910.09217, section 4.
    """
    sums_KD = torch.zeros(train.num_classes, train.embeddings_ND.shape[1])
    sums_KD.index_add_(0, train.labels_N, train.embeddings_ND)
    means_KD = sums_KD / train.counts_K[:, None]
    return Head(means_KD, -0.5 * (means_KD**2).sum(dim=1)).scaled(strength)


def tau_normalised(head: Head, train: TrainPhotos, strength: float) -> Head:
    """Return the head with each class's weights divided by their norm to the power tau.

    Frequent classes have longer weights. The bias is dropped, as in the paper; the mean norm stays,
    which no prediction depends on.

    Args:
        head: As trained.
        train: Not used.
        strength: tau in [0, 1]; 0 only drops the bias, 1 makes all norms equal.

    Reference:
        Kang et al. 2020, https://arxiv.org/abs/1910.09217, eq. 4.
    """
    norms_K = head.weight_KD.norm(dim=1).clamp_min(1e-12)
    weight_KD = head.weight_KD / norms_K[:, None] ** strength
    kept = norms_K.mean() / weight_KD.norm(dim=1).mean()
    return Head(weight_KD * kept, torch.zeros_like(head.bias_K))


def logit_adjusted(head: Head, train: TrainPhotos, strength: float) -> Head:
    """Return the head less tau times the logarithm of each class's share of train.

    Args:
        head: As trained.
        train: Whose classes are counted.
        strength: tau; 1 makes up for the shares, 0 changes nothing.

    Reference:
        Menon et al. 2021, https://arxiv.org/abs/2007.07314, eq. 9.
    """
    return Head(head.weight_KD, head.bias_K - strength * train.log_prior_K)


def retrained(head: Head, train: TrainPhotos, strength: float = 1.0) -> Head:
    """Return a head trained from zero, by draws that show rare classes more often (cRT).

    Args:
        head: Not used: nothing of it stays.
        train: What it is trained on.
        strength: A class is drawn in proportion to its photos to the power 1 - strength: 1 draws
            all classes alike, 0 all photos.

    Reference:
        Kang et al. 2020, https://arxiv.org/abs/1910.09217, section 4. Differs: dropout and AdamW.
    """
    draw_N = train.counts_K[train.labels_N] ** -strength
    return _trained(train, torch.zeros(train.num_classes), draw_N)


def retrained_adjusted(head: Head, train: TrainPhotos, strength: float = 1.0) -> Head:
    """Return a head trained from zero on natural draws with the logit-adjusted loss.

    Args:
        head: Not used: nothing of it stays.
        train: What it is trained on.
        strength: tau, how much of the class shares the loss makes up for.

    Reference:
        Menon et al. 2021, https://arxiv.org/abs/2007.07314, eq. 10, on a network that stays.
    """
    return _trained(train, strength * train.log_prior_K, torch.ones(len(train.labels_N)))


def rescaled(head: Head, train: TrainPhotos, strength: float = 1.0) -> Head:
    """Return the head with a factor for each class, learned on even draws of classes (LWS).

    Args:
        head: As trained; its weights keep their direction.
        train: What the factors are learned on.
        strength: As in ``retrained``.

    Reference:
        Kang et al. 2020, https://arxiv.org/abs/1910.09217, eq. 5.
    """
    factors_K = torch.ones(train.num_classes, requires_grad=True)
    draw_N = train.counts_K[train.labels_N] ** -strength
    products_NK = F.linear(train.embeddings_ND, head.weight_KD)

    def logits(products_BK: Tensor) -> Tensor:
        return products_BK * factors_K + head.bias_K

    _fit([factors_K], logits, products_NK, train, draw_N, dropout=0.0, decay=0.0)
    return Head(head.weight_KD * factors_K.detach()[:, None], head.bias_K)


def _trained(train: TrainPhotos, shift_K: Tensor, draw_N: Tensor) -> Head:
    """Return a head trained from zero; ``shift_K`` is added to its logits in training alone."""
    weight_KD = torch.zeros(train.num_classes, train.embeddings_ND.shape[1], requires_grad=True)
    bias_K = torch.zeros(train.num_classes, requires_grad=True)

    def logits(shown_BD: Tensor) -> Tensor:
        return F.linear(shown_BD, weight_KD, bias_K) + shift_K

    shown_ND = train.embeddings_ND / (1 - DROPOUT)
    _fit([weight_KD, bias_K], logits, shown_ND, train, draw_N, dropout=DROPOUT, decay=WEIGHT_DECAY)
    return Head(weight_KD.detach(), bias_K.detach())


def _fit(
    params: list[Tensor],
    logits: Callable[[Tensor], Tensor],
    inputs_ND: Tensor,
    train: TrainPhotos,
    draw_N: Tensor,
    *,
    dropout: float,
    decay: float,
) -> None:
    """Train parameters by AdamW, the rate falling along a cosine; the same draws for a seed.

    ``inputs_ND`` is what ``logits`` takes, divided by what dropout leaves already.
    """
    generator = torch.Generator().manual_seed(train.seed)
    epoch = math.ceil(len(train.labels_N) / LOCAL_BATCH_SIZE)
    num_steps = min(MAX_STEPS, max(MIN_STEPS, NUM_EPOCHS * epoch))
    optimizer = torch.optim.AdamW(params, lr=LR, weight_decay=decay, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    for step in range(num_steps):
        if step % epoch == 0:
            drawn_N = torch.multinomial(
                draw_N, epoch * LOCAL_BATCH_SIZE, replacement=True, generator=generator
            )
        rows_B = drawn_N[(step % epoch) * LOCAL_BATCH_SIZE :][:LOCAL_BATCH_SIZE]
        shown_BD = inputs_ND[rows_B]
        if dropout:
            shown_BD *= torch.rand(shown_BD.shape, generator=generator) >= dropout
        loss = F.cross_entropy(logits(shown_BD), train.labels_N[rows_B])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
