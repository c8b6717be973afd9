"""The endless order of training samples, and who takes which of them.

Axes: N samples of the split, B positions asked for.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from carscale.augment import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Stream", "rank_slice"]

BLOCK = 4096
"""Weighted draws are made in blocks of this many positions."""


class Stream:
    """Which sample stands at a position; a pure function of the seed.

    Uniform: epochs one after another, each a permutation. Weighted: independent draws with
    replacement.

    Args:
        num_samples: N, ``>= 1``.
        seed: The run's seed.
        weights_N: Probability of each sample, sums to 1; ``None`` for uniform.

    Example:
        >>> stream = Stream(3, seed=0)
        >>> sorted(stream.rows(0, 3).tolist())
        [0, 1, 2]
        >>> bool((stream.rows(2, 9)[1:] == stream.rows(3, 9)).all())
        True
    """

    def __init__(
        self, num_samples: int, *, seed: int, weights_N: NDArray[np.float64] | None = None
    ) -> None:
        if num_samples < 1:
            raise ValueError(f"num_samples must be >= 1, got {num_samples}")
        if weights_N is not None and len(weights_N) != num_samples:
            raise ValueError(f"{len(weights_N)} weights for {num_samples} samples")
        self.num_samples = num_samples
        self.seed = seed
        self._weights_N = weights_N
        self._block = lru_cache(maxsize=4)(self._make_block)  # a cache, not state

    def rows(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the samples at positions ``first`` to ``last - 1``, int64 ``[B]``."""
        length = BLOCK if self._weights_N is not None else self.num_samples
        blocks = range(first // length, -(-last // length))
        if not blocks:
            return np.empty(0, dtype=np.int64)
        return np.concatenate(
            [
                self._block(block)[max(0, first - block * length) : last - block * length]
                for block in blocks
            ]
        )

    @cached_property
    def _cumulative(self) -> NDArray[np.float64]:
        assert self._weights_N is not None
        cumulative = np.cumsum(self._weights_N)
        return cumulative / cumulative[-1]

    def _make_block(self, block: int) -> NDArray[np.int64]:
        """Return one epoch of the uniform order, or one block of weighted draws."""
        rng = generator(self.seed, "order", block)
        if self._weights_N is None:
            return rng.permutation(self.num_samples).astype(np.int64)
        return np.searchsorted(self._cumulative, rng.random(BLOCK), side="right").astype(np.int64)


def rank_slice(
    global_batch_size: int, *, micro_step: int, num_micro_steps: int, rank: int, world_size: int
) -> slice:
    """Return which part of a global batch a rank takes in a micro-step.

    Cuts fall on even positions, so that partners 2k and 2k + 1 stay together; parts differ by three
    samples at most.

    Raises:
        ValueError: The batch is too small to give every part two samples.

    Example:
        >>> [rank_slice(10, micro_step=0, num_micro_steps=1, rank=r, world_size=2) for r in (0, 1)]
        [slice(0, 4, None), slice(4, 10, None)]
    """
    num_parts = num_micro_steps * world_size
    num_pairs = global_batch_size // 2
    if num_pairs < num_parts:
        raise ValueError(
            f"a global batch of {global_batch_size} can't be cut in {num_parts} parts of 2 or more"
        )
    part = micro_step * world_size + rank
    first = 2 * (part * num_pairs // num_parts)
    last = 2 * ((part + 1) * num_pairs // num_parts)
    return slice(first, global_batch_size if part == num_parts - 1 else last)
