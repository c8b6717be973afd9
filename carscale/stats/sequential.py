"""Look at data while they come in, and keep the error rate. L looks, X nodes of an integral."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from carscale.stats.numbers import finite

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_NODES, MAX_NODES = 80, 4000
MIN_STEP = 1e-3
"""Least part of the information between two looks."""


def spent(fraction: float, alpha: float = 0.05) -> float:
    """Return the error that may be spent by a look: ``alpha * fraction**2``.

    Args:
        fraction: Part of all planned information that is in, in [0, 1].
        alpha: Error of all looks together.

    Reference:
        Kim and DeMets 1987, https://doi.org/10.1093/biomet/74.1.149, with rho 2: between Pocock's
        even looks and O'Brien and Fleming's, which spend next to nothing at first.

    Example:
        >>> round(spent(0.5), 4), spent(1.0)
        (0.0125, 0.05)
    """
    return alpha * min(1.0, fraction) ** 2


def nominal_levels(
    fractions: Sequence[float],
    alpha: float = 0.05,
    spend: Callable[[float, float], float] = spent,
) -> list[float]:
    """Return, look by look, the two-sided p below which a finding counts.

    Exact for a sum of independent normal parts; looks that share more than that (the same photos)
    are more alike, and err less often.

    Args:
        fractions: Part of the planned information at each look, rising, in (0, 1].
        alpha: Error of all looks together.
        spend: Error spent by a fraction.

    Raises:
        ValueError: Fractions that do not rise in (0, 1] by ``MIN_STEP`` or more.

    Reference:
        Lan and DeMets 1983, https://doi.org/10.1093/biomet/70.3.659; the recursion: Armitage,
        McPherson and Rowe 1969, https://doi.org/10.2307/2343787.

    Example:
        >>> [round(level, 4) for level in nominal_levels([0.5, 1.0])]
        [0.0125, 0.0436]
    """
    from scipy.special import ndtr

    times = finite("fractions", fractions, low=0, high=1)
    if (np.diff(times, prepend=0.0) < MIN_STEP * (1 - 1e-9)).any():
        raise ValueError(
            f"fractions must rise in (0, 1] by {MIN_STEP} or more, got {list(fractions)}"
        )
    levels: list[float] = []
    before = 0.0
    place_X, weight_X = np.zeros(1), np.ones(1)  # where the sum can be, not having ended
    for number, time in enumerate(times.tolist()):
        step = math.sqrt(time - (times[number - 1] if number else 0.0))
        now = spend(time, alpha)
        bound = _bound(now - before, place_X, weight_X, step)
        levels.append(float(2 * ndtr(-bound / math.sqrt(time))))
        before = now
        place_X, weight_X = _carried(bound, place_X, weight_X, step)
    return levels


@cache
def _nodes(num_nodes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes and weights over [-1, 1]."""
    return np.polynomial.legendre.leggauss(num_nodes)


def _bound(
    error: float, place_X: NDArray[np.float64], weight_X: NDArray[np.float64], step: float
) -> float:
    """Return the bound that the sum first passes with a probability."""
    from scipy.special import ndtr

    low, high = 0.0, 20.0 * max(1.0, step)
    for _ in range(70):
        middle = (low + high) / 2
        beyond = ndtr((place_X - middle) / step) + ndtr((-place_X - middle) / step)
        low, high = (middle, high) if float(weight_X @ beyond) > error else (low, middle)
    return high


def _carried(
    bound: float, place_X: NDArray[np.float64], weight_X: NDArray[np.float64], step: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return nodes within the bound, and the probability at each after one more step."""
    reach = min(bound, float(np.abs(place_X).max()) + 9 * step)
    num_nodes = int(min(MAX_NODES, max(MIN_NODES, 8 * reach / step)))  # some in each step's width
    nodes_X, width_X = _nodes(num_nodes)
    new_X = reach * nodes_X
    density_XX = np.exp(-np.square((new_X[:, None] - place_X) / step) / 2)
    density_X = density_XX @ weight_X / (step * math.sqrt(2 * math.pi))
    return new_X, reach * width_X * density_X
