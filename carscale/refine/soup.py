"""Weights of several models of one architecture, averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from carscale.errors import ModelError


def averaged(
    states: Sequence[Mapping[str, Tensor]], shares: Sequence[float], names: Sequence[str]
) -> dict[str, Tensor]:
    """Return the weighted mean of models' tensors; of integers those of the last model.

    Args:
        states: Tensors by name.
        shares: Of each model; they add up to 1.
        names: Of the models, for messages.

    Raises:
        ModelError: They are of different architectures or class lists.

    Example:
        >>> one, other = {"w": torch.tensor([0.0])}, {"w": torch.tensor([4.0])}
        >>> averaged([one, other], [0.75, 0.25], ["a", "b"])
        {'w': tensor([1.])}
    """
    first = states[0]
    for state, name in zip(states[1:], names[1:], strict=True):
        differs = [key for key in {**first, **state} if _shape(first, key) != _shape(state, key)]
        if differs:
            raise ModelError(
                f"{names[0]} and {name}: are of different architectures or class lists; "
                f"{len(differs)} tensors differ (first: {differs[0]})",
                "average runs of one model.name, attention and data",
            )
    mixed = {}
    for key, tensor in first.items():
        if not tensor.is_floating_point():
            mixed[key] = states[-1][key].clone()
            continue
        parts = (share * state[key].double() for share, state in zip(shares, states, strict=True))
        total: Tensor = sum(parts, torch.zeros((), dtype=torch.float64))
        mixed[key] = total.to(tensor.dtype)
    return mixed


def _shape(state: Mapping[str, Tensor], key: str) -> tuple[int, ...] | None:
    """Return a tensor's shape; ``None`` where there is none of that name."""
    return tuple(state[key].shape) if key in state else None


def greedy(order: Sequence[int], value: Callable[[tuple[int, ...]], float]) -> tuple[int, ...]:
    """Return which models to average: each, the best first, that makes the average better.

    Args:
        order: The models, the best first.
        value: Metric of the average of some of them, ascending.

    Reference:
        Wortsman et al. 2022, https://arxiv.org/abs/2203.05482, recipe 1.

    Example:
        >>> greedy([2, 0, 1], lambda models: {(2,): 0.5, (0, 2): 0.6}.get(models, 0.4))
        (0, 2)
    """
    chosen: tuple[int, ...] = (order[0],)
    best = value(chosen)
    for model in order[1:]:
        tried = tuple(sorted((*chosen, model)))
        if (now := value(tried)) > best:
            chosen, best = tried, now
    return chosen
