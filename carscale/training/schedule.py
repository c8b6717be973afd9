"""What changes with the step, as pure functions."""

from __future__ import annotations

import math

import numpy as np


def lr_factor(step: int, *, num_steps: int, warmup_steps: float) -> float:
    """Return the learning rate of a step over its peak: a linear warm-up, then half a cosine to 0.

    Args:
        step: Optimizer step, from 0.
        num_steps: Steps of the whole run.
        warmup_steps: Steps of the warm-up; need not be whole.

    Reference:
        Loshchilov and Hutter 2017, https://arxiv.org/abs/1608.03983, eq. 5, one cycle.

    Example:
        >>> [round(lr_factor(s, num_steps=6, warmup_steps=2), 3) for s in range(6)]
        [0.5, 1.0, 0.905, 0.655, 0.345, 0.095]
    """
    if step + 1 <= warmup_steps:
        return (step + 1) / warmup_steps
    begin = max(0, math.floor(warmup_steps) - 1)
    done = (step - begin) / max(1, num_steps - begin)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def dropout_seed(seed: int, step: int, micro_step: int, rank: int) -> int:
    """Return the seed of a micro-step's dropout on a rank, in ``[0, 2**63)``.

    Example:
        >>> dropout_seed(0, 1, 0, 0) == dropout_seed(0, 1, 0, 1)
        False
    """
    words = np.random.SeedSequence([seed, step, micro_step, rank]).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(1))


def ema_decay_at(step: int, decay: float) -> float:
    """Return the averaging decay after a step: small at first, so that early weights are forgotten.

    Example:
        >>> ema_decay_at(0, 0.98), ema_decay_at(10_000, 0.98)
        (0.1, 0.98)
    """
    return min(decay, (1 + step) / (10 + step))


def scored_steps(ends: dict[int, float], every_epochs: int) -> set[int]:
    """Return the steps after which val is scored: every so many epochs, and the last in any case.

    Args:
        ends: From ``epoch_ends``.
        every_epochs: 0 scores the last alone.

    Example:
        >>> sorted(scored_steps({3: 1.0, 5: 2.0, 8: 3.0}, 2))
        [5, 8]
    """
    last = max(ends)
    return {
        step
        for step, epoch in ends.items()
        if step == last or (every_epochs and epoch % every_epochs == 0)
    }


def epoch_ends(
    num_samples: int, *, global_batch_size: int, num_epochs: int, max_steps: int = 0
) -> dict[int, float]:
    """Return the steps after which an epoch has been seen whole, and the epoch they end.

    Args:
        num_samples: Train samples.
        global_batch_size: Samples a step.
        num_epochs: Epochs of the run.
        max_steps: Ends the run earlier, when > 0; that end counts too, as a broken epoch.

    Returns:
        ``{step: epochs done}``, in order; the last key is the number of steps of the run.

    Example:
        >>> epoch_ends(10, global_batch_size=4, num_epochs=2)
        {3: 1.0, 5: 2.0}
    """
    ends = {
        -(-epoch * num_samples // global_batch_size): float(epoch)
        for epoch in range(1, num_epochs + 1)
    }
    if not max_steps or max_steps >= max(ends):
        return ends
    kept = {step: epoch for step, epoch in ends.items() if step <= max_steps}
    return kept | {max_steps: kept.get(max_steps, max_steps * global_batch_size / num_samples)}
