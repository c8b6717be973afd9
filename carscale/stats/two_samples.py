"""Do two groups differ, and by how much: one number a sample, or a vector.

Axes: A samples of one group, B of the other, N of both, D features, P permutations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from carscale.stats.counts import rank_sum
from carscale.stats.numbers import finite

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Dominance:
    """How far one group lies above another.

    Attributes:
        delta: Cliff's delta, the chance that a sample of B is larger than one of A less the chance
            that it is smaller: -1 to 1.
        low, high: Its interval.
        p: Two-sided, of Mann and Whitney's test.
    """

    delta: float
    low: float
    high: float
    p: float


def dominance(values_A: ArrayLike, values_B: ArrayLike, *, level: float = 0.95) -> Dominance:
    """Return Cliff's delta of two groups with an interval.

    The interval is the union of two: DeLong's, which allows groups of any two shapes, and
    Newcombe's score-like one, which keeps a width where no sample of one group exceeds one of the
    other.

    Args:
        values_A: At least two finite numbers.
        values_B: At least two finite numbers.
        level: Coverage, in (0, 1).

    Raises:
        ValueError: A group has fewer than two samples, or one that is not finite.

    Reference:
        Cliff 1993, https://doi.org/10.1037/0033-2909.114.3.494; DeLong et al. 1988,
        https://doi.org/10.2307/2531595; Newcombe 2006, https://doi.org/10.1002/sim.2324, method 5.

    Example:
        >>> found = dominance([1, 2, 3, 4], [3, 4, 5, 6])
        >>> found.delta, found.low < 0.75 < found.high
        (0.75, True)
    """
    from scipy.special import ndtri

    first, second = finite("values_A", values_A), finite("values_B", values_B)
    num_a, num_b = len(first), len(second)
    if min(num_a, num_b) < 2:
        raise ValueError(f"two groups of two samples at least, got {num_a} and {num_b}")
    below_B, above_A = _shares_below(first, second), 1 - _shares_below(second, first)
    area = float(below_B.mean())
    z = float(ndtri((1 + level) / 2))
    reach = z * math.sqrt(below_B.var(ddof=1) / num_b + above_A.var(ddof=1) / num_a)
    low, high = _newcombe(area, num_a, num_b, z)
    low, high = min(low, max(0.0, area - reach)), max(high, min(1.0, area + reach))
    return Dominance(2 * area - 1, 2 * low - 1, 2 * high - 1, rank_sum(first, second))


def _shares_below(
    values_A: NDArray[np.float64], values_B: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the share of A below each of B, ties by half."""
    sorted_A = np.sort(values_A)
    less = np.searchsorted(sorted_A, values_B, side="left")
    up_to = np.searchsorted(sorted_A, values_B, side="right")
    return (less + up_to) / (2 * len(sorted_A))


def _newcombe(area: float, num_a: int, num_b: int, z: float) -> tuple[float, float]:
    """Return the areas that do not lie farther from the found one than chance takes it."""
    centre = (num_a + num_b) / 2

    def is_within(candidate: float) -> bool:
        spread = 1 + (centre - 1) * (
            (1 - candidate) / (2 - candidate) + candidate / (1 + candidate)
        )
        variance = candidate * (1 - candidate) * spread / (num_a * num_b)
        return abs(area - candidate) <= z * math.sqrt(variance)

    bounds = []
    for end in (0.0, 1.0):
        inside, outside = area, end
        if inside in (0.0, 1.0) and end == inside:
            bounds.append(end)
            continue
        if inside in (0.0, 1.0):  # the found area itself has no variance
            inside += math.copysign(1e-9, end - inside)
        for _ in range(60):
            between = (inside + outside) / 2
            inside, outside = (between, outside) if is_within(between) else (inside, between)
        bounds.append(outside)
    return bounds[0], bounds[1]


@dataclass(frozen=True)
class Discrepancy:
    """How far two groups of vectors lie apart.

    Attributes:
        value: Squared maximum mean discrepancy, unbiased: about 0, at times below, of one source.
        low, high: Its interval.
        chance: What 95 % of random splits of both groups stay below.
        p: Share of random splits that are as far apart.
    """

    value: float
    low: float
    high: float
    chance: float
    p: float


def mean_discrepancy(
    points_AD: ArrayLike,
    points_BD: ArrayLike,
    *,
    level: float = 0.95,
    num_permutations: int = 999,
    seed: int = 0,
) -> Discrepancy:
    """Return the squared maximum mean discrepancy of two groups of vectors.

    A Gaussian kernel as wide as the median distance of all points; the p-value by permutation,
    exact whatever the distribution; the interval by the jackknife over samples.

    Args:
        points_AD: At least three vectors.
        points_BD: At least three vectors.
        level: Coverage, in (0, 1).
        num_permutations: The smallest p is 1 / (permutations + 1).
        seed: Same seed, same result.

    Raises:
        ValueError: A group has fewer than three vectors, or a number that is not finite.

    Reference:
        Gretton et al. 2012, https://jmlr.org/papers/v13/gretton12a.html, lemma 6.
    """
    from scipy.special import ndtri

    first, second = finite("points_AD", points_AD), finite("points_BD", points_BD)
    num_a, num_b = len(first), len(second)
    if min(num_a, num_b) < 3:
        raise ValueError(f"two groups of three vectors at least, got {num_a} and {num_b}")
    kernel_NN = _kernel(np.concatenate([first, second]))
    is_b_N = np.arange(num_a + num_b) >= num_a
    value = float(_discrepancies(kernel_NN, is_b_N[:, None].astype(np.float64))[0])
    rng = np.random.Generator(np.random.Philox(seed))
    drawn_NP = rng.permuted(
        np.repeat(is_b_N[:, None], num_permutations, axis=1).astype(np.float64), axis=0
    )
    by_chance_P = _discrepancies(kernel_NN, drawn_NP)
    error = _jackknife_error(kernel_NN, is_b_N)
    reach = float(ndtri((1 + level) / 2)) * error
    p = (1 + int((by_chance_P >= value - 1e-12).sum())) / (num_permutations + 1)
    chance = float(np.quantile(by_chance_P, 0.95))
    return Discrepancy(value, value - reach, value + reach, chance, p)


def _kernel(points_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Gaussian kernel of all pairs, 0 of a point with itself."""
    squares_N = np.square(points_ND).sum(axis=1)
    far_NN = squares_N[:, None] + squares_N[None] - 2 * points_ND @ points_ND.T
    np.maximum(far_NN, 0, out=far_NN)
    median = float(np.median(far_NN[np.triu_indices(len(far_NN), 1)]))
    kernel_NN: NDArray[np.float64] = np.exp(-far_NN / (median or 1.0))
    np.fill_diagonal(kernel_NN, 0.0)
    return kernel_NN


def _discrepancies(
    kernel_NN: NDArray[np.float64], is_b_NP: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the discrepancy of each way to split the points in two."""
    num_b = is_b_NP[:, 0].sum()
    num_a = len(kernel_NN) - num_b
    to_b_NP = kernel_NN @ is_b_NP
    within_b_P = (is_b_NP * to_b_NP).sum(axis=0)
    between_P = to_b_NP.sum(axis=0) - within_b_P
    within_a_P = kernel_NN.sum() - within_b_P - 2 * between_P
    found: NDArray[np.float64] = (
        within_a_P / (num_a * (num_a - 1))
        + within_b_P / (num_b * (num_b - 1))
        - 2 * between_P / (num_a * num_b)
    )
    return found


def _jackknife_error(kernel_NN: NDArray[np.float64], is_b_N: NDArray[np.bool_]) -> float:
    """Return the standard error by leaving each point out, group by group."""
    parts = [(~is_b_N, is_b_N), (is_b_N, ~is_b_N)]
    variance = 0.0
    for mine_N, other_N in parts:
        num, num_other = int(mine_N.sum()), int(other_N.sum())
        own = kernel_NN[np.ix_(mine_N, mine_N)].sum(axis=1)
        to_other = kernel_NN[np.ix_(mine_N, other_N)].sum(axis=1)
        within_other = kernel_NN[np.ix_(other_N, other_N)].sum() / (num_other * (num_other - 1))
        without = (
            (own.sum() - 2 * own) / ((num - 1) * (num - 2))
            + within_other
            - 2 * (to_other.sum() - to_other) / ((num - 1) * num_other)
        )
        variance += (num - 1) / num * float(np.square(without - without.mean()).sum())
    return math.sqrt(variance)
