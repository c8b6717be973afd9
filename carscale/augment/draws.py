"""Random numbers by address: a pure function of the seed, a purpose and a position.

Axes: B positions, R random numbers a position.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


NUM_DRAWS = 64
"""Numbers each stream position owns; policies use a few, the rest wait for new ones."""

WORDS_A_TICK = 4  # Philox 4x64 makes four words from one counter value


def generator(seed: int, purpose: str, block: int = 0) -> np.random.Generator:
    """Return the generator that belongs to a seed, a purpose and a block number.

    Args:
        seed: The run's seed, ``>= 0``.
        purpose: A word such as ``"order"``; different words give independent numbers.
        block: Which stretch of numbers: an epoch, a chunk; ``>= 0``.

    Reference:
        Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3,
        https://doi.org/10.1145/2063384.2063405.
    """
    return np.random.Generator(_philox(seed, purpose, (0, 0, block, 0)))


def uniforms(seed: int, purpose: str, first: int, last: int) -> NDArray[np.float64]:
    """Return the numbers of stream positions ``first`` to ``last - 1``.

    Args:
        seed: The run's seed.
        purpose: As in ``generator``.
        first: First position, ``>= 0``.
        last: One past the last.

    Returns:
        float64 ``[B, R]`` in [0, 1), R = ``NUM_DRAWS``; row p is the same whichever range it is
        asked in.

    Example:
        >>> bool((uniforms(0, "x", 0, 5)[3:] == uniforms(0, "x", 3, 5)).all())
        True
    """
    ticks = NUM_DRAWS // WORDS_A_TICK
    bits = _philox(seed, purpose, (first * ticks, 0, 0, 1))
    words = bits.random_raw((last - first) * NUM_DRAWS)
    numbers: NDArray[np.float64] = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return numbers.reshape(last - first, NUM_DRAWS)


def _philox(seed: int, purpose: str, counter: tuple[int, int, int, int]) -> np.random.Philox:
    """Return Philox keyed by the seed and the purpose, at a counter."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    key = np.frombuffer(digest[:16], dtype=np.uint64)
    return np.random.Philox(key=key, counter=np.array(counter, dtype=np.uint64))
