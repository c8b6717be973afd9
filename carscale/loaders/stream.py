"""The endless order of training samples, and who takes which of them.

Axes: N samples of the split, B positions asked for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from carscale import balance
from carscale.augment import generator

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Stream:
    """Which sample stands at a position; a pure function of the seed.

    Args:
        num_samples: N, ``>= 1``.
        seed: The run's seed.
        sampler: Passes over the samples; ``None`` shows each once a pass, shuffled.
        purpose: Another word gives another order.

    Example:
        >>> stream = Stream(3, seed=0)
        >>> sorted(stream.rows(0, 3).tolist())
        [0, 1, 2]
        >>> bool((stream.rows(2, 9)[1:] == stream.rows(3, 9)).all())
        True
    """

    def __init__(
        self,
        num_samples: int,
        *,
        seed: int,
        sampler: balance.Sampler | None = None,
        purpose: str = "order",
    ) -> None:
        if num_samples < 1:
            raise ValueError(f"num_samples must be >= 1, got {num_samples}")
        self.num_samples = num_samples
        self.seed = seed
        self.purpose = purpose
        self.sampler = sampler or balance.natural(num_samples)
        self._pass = lru_cache(maxsize=4)(self._make_pass)  # a cache, not state

    def rows(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the samples at positions ``first`` to ``last - 1``, int64 ``[B]``."""
        length = self.sampler.length
        passes = range(first // length, -(-last // length))
        if not passes:
            return np.empty(0, dtype=np.int64)
        return np.concatenate(
            [
                self._pass(number)[max(0, first - number * length) : last - number * length]
                for number in passes
            ]
        )

    def _make_pass(self, number: int) -> NDArray[np.int64]:
        """Return the samples of one pass."""
        return self.sampler.draw(generator(self.seed, self.purpose, number), number)


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
