"""Batch-norm statistics, estimated anew. B photos, C channels, S numbers of all norms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from carscale.models.factory import Classifier
from carscale.models.scoring import NORMS


def has_norms(model: Classifier) -> bool:
    """Tell whether a network keeps statistics of batches."""
    return bool(_norms(model))


def norm_rows(model: Classifier, batches: Iterable[Tensor]) -> Tensor:
    """Return the mean and the variance of what each batch norm is given, a row a batch.

    Args:
        model: On its device; its own statistics stay, and so does its mode.
        batches: uint8 ``[B, C, H, W]``, each of photos of many classes.

    Returns:
        float32 ``[len(batches), S]``.
    """
    norms, was_training = _norms(model), model.training
    kept = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    seen: dict[nn.Module, Tensor] = {}

    def watch(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        x_BCHW = given[0].detach().float()
        dims = [0, *range(2, x_BCHW.ndim)]
        seen[norm] = torch.cat([x_BCHW.mean(dims), x_BCHW.var(dims)])

    handles = [norm.register_forward_pre_hook(watch) for norm in norms]
    rows = []
    try:
        model.eval()
        for norm in norms:
            norm.train()
            norm.momentum = 0.0  # normalises by the batch, and keeps its statistics
        with torch.no_grad():
            for images_BCHW in batches:
                model(images_BCHW)
                rows.append(torch.cat([seen[norm] for norm in norms]))
    finally:
        for handle in handles:
            handle.remove()
        for norm, (momentum, count) in zip(norms, kept, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
        model.train(was_training)
    size = 2 * sum(norm.num_features for norm in norms)
    device = next(model.parameters()).device
    return torch.stack(rows) if rows else torch.empty((0, size), device=device)


def set_norms(model: Classifier, mean_S: Tensor) -> None:
    """Put the mean of rows of ``norm_rows`` in place of a network's statistics.

    Args:
        model: The same network.
        mean_S: float32.
    """
    norms = _norms(model)
    parts = mean_S.split([norm.num_features for norm in norms for _ in range(2)])
    for number, norm in enumerate(norms):
        norm.running_mean.copy_(parts[2 * number])
        norm.running_var.copy_(parts[2 * number + 1])


def _norms(model: Classifier) -> list[Any]:
    """Return the batch norms that keep statistics, in the order of the modules."""
    return [
        one
        for one in model.net.modules()
        if isinstance(one, NORMS) and one.track_running_stats and one.running_mean is not None
    ]
