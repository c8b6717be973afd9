"""Intervals of shares, medians and resampled statistics.

Axes: K classes, R bootstrap replicates, N samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.stats.numbers import finite

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def beta_quantile(uniforms: NDArray[np.float64], alpha: float) -> NDArray[np.float64]:
    """Return draws of Beta(alpha, alpha) from uniform ones, by its inverse distribution function.

    Args:
        uniforms: Numbers in [0, 1), any shape.
        alpha: ``> 0``; 1 returns the uniforms.

    Example:
        >>> beta_quantile(np.array([0.25, 0.5]), 1.0)
        array([0.25, 0.5 ])
    """
    from scipy.special import betaincinv  # 0.2 s to import

    if not 0 < alpha < np.inf:
        raise ValueError(f"alpha must be > 0, got {alpha}")
    draws: NDArray[np.float64] = betaincinv(
        alpha, alpha, finite("uniforms", uniforms, low=0, high=1)
    )
    return draws


def jeffreys(
    successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Jeffreys interval of a proportion.

    Args:
        successes: Counts, any shape.
        trials: Counts, same shape; where 0 both bounds are NaN.
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper bounds in [0, 1]; exactly 0 at no success, exactly 1 at no failure.

    Reference:
        Brown, Cai, DasGupta 2001, https://doi.org/10.1214/ss/1009213286, section 4.

    Example:
        >>> low, high = jeffreys(9, 10)
        >>> round(float(low), 3), round(float(high), 3)
        (0.619, 0.989)
    """
    from scipy.special import betaincinv  # 0.2 s to import

    wins, total = finite("successes", successes, low=0), finite("trials", trials, low=0)
    if np.any(wins > total):
        raise ValueError("successes must lie between 0 and trials")
    tail = (1 - level) / 2
    low = betaincinv(wins + 0.5, total - wins + 0.5, tail)
    high = betaincinv(wins + 0.5, total - wins + 0.5, 1 - tail)
    low = np.where(total == 0, np.nan, np.where(wins == 0, 0.0, low))
    high = np.where(total == 0, np.nan, np.where(wins == total, 1.0, high))
    return low, high


def stratified_resamples(
    strata_N: NDArray[np.int64], *, num_resamples: int, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Yield bootstrap row numbers, drawn with replacement inside each stratum.

    Args:
        strata_N: The stratum of each row, here its true class.
        num_resamples: How many to yield.
        seed: Same seed, same rows.

    Yields:
        int64 ``[N]`` row numbers; each stratum keeps its size.

    Reference:
        Davison and Hinkley 1997, Bootstrap Methods, section 3.2 (several samples).
    """
    order_N = np.argsort(strata_N, kind="stable")
    _, starts, sizes = np.unique(strata_N[order_N], return_index=True, return_counts=True)
    start_N, size_N = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    rng = np.random.Generator(np.random.Philox(seed))
    for _ in range(num_resamples):
        yield order_N[start_N + (rng.random(len(order_N)) * size_N).astype(np.int64)]


def percentile_interval(replicates_R: NDArray[Any], *, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap interval of replicates of a statistic.

    Raises:
        ValueError: No replicates, or one that is not finite.
    """
    if len(replicates_R) == 0:
        raise ValueError("an interval needs one replicate at least")
    tail = (1 - level) / 2
    low, high = np.quantile(finite("replicates_R", replicates_R), [tail, 1 - tail])
    return float(low), float(high)


def median_interval(values_R: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Return an interval of the median that assumes no distribution: two of the values.

    Args:
        values_R: At least one number.
        level: Coverage, in (0, 1). Fewer than six values can't reach 0.95: then the smallest and
            the largest (five cover 0.94).

    Raises:
        ValueError: No values, or one that is not finite.

    Reference:
        Thompson 1936, https://doi.org/10.1214/aoms/1177732502.

    Example:
        >>> median_interval([3, 1, 2, 5, 4, 6, 8, 7, 9])
        (2.0, 8.0)
    """
    from scipy.special import bdtr  # 0.2 s to import

    sorted_R = np.sort(finite("values_R", values_R))
    if len(sorted_R) == 0:
        raise ValueError("a median needs one value at least")
    num_left = 0
    while 2 * bdtr(num_left, len(sorted_R), 0.5) <= 1 - level:
        num_left += 1
    cut = max(0, num_left - 1)
    return float(sorted_R[cut]), float(sorted_R[len(sorted_R) - 1 - cut])
