"""Tests and intervals of a difference between two models on the same photos.

Axes: N photos, S seeds, R bootstrap replicates, V distinct values, A arms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from carscale.stats.intervals import percentile_interval
from carscale.stats.numbers import finite

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


MAX_CELLS = 4_000_000
"""Replicates times distinct values drawn at once."""


@dataclass(frozen=True)
class Interval:
    """An interval of a difference.

    Attributes:
        low, high: Bounds.
        p: Two-sided, of no difference.
        error: Standard error that it stands on.
        source: What was varied: ``seeds`` or ``photos``.
    """

    low: float
    high: float
    p: float
    error: float
    source: Literal["seeds", "photos"]

    @property
    def width(self) -> float:
        """Upper bound minus lower bound."""
        return self.high - self.low


def t_quantile(level: float, num_seeds: ArrayLike) -> NDArray[np.float64]:
    """Return how many standard errors a two-sided t-interval over seeds reaches.

    Example:
        >>> t_quantile(0.95, [2, 3, 5]).round(2).tolist()
        [12.71, 4.3, 2.78]
    """
    from scipy.special import stdtrit  # 0.2 s to import

    return np.asarray(stdtrit(np.asarray(num_seeds) - 1.0, (1 + level) / 2))


def seed_interval(differences_S: ArrayLike, *, level: float = 0.95) -> Interval:
    """Return the paired t-interval of a mean difference, one difference a seed.

    Args:
        differences_S: At least two.
        level: Coverage, in (0, 1).

    Returns:
        The interval; of equal differences it has no width, and p is 0, or 1 where they are 0.

    Raises:
        ValueError: Fewer than two differences, or one that is not finite.

    Example:
        >>> found = seed_interval([0.01, 0.02, 0.03])
        >>> round(found.low, 4), round(found.high, 4), round(found.p, 4)
        (-0.0048, 0.0448, 0.0742)
    """
    from scipy.special import stdtr

    values_S = finite("differences_S", differences_S)
    num_seeds = len(values_S)
    if num_seeds < 2:
        raise ValueError(f"a t-interval needs two seeds, got {num_seeds}")
    mean, error = float(values_S.mean()), float(values_S.std(ddof=1) / math.sqrt(num_seeds))
    if error <= 1e-12:  # the same number from each seed, up to rounding
        return Interval(mean, mean, float(abs(mean) <= 1e-12), 0.0, "seeds")
    reach = float(t_quantile(level, num_seeds)) * error
    p = 2 * float(stdtr(num_seeds - 1, -abs(mean) / error))
    return Interval(mean - reach, mean + reach, p, error, "seeds")


def photo_interval(
    differences_N: ArrayLike,
    weights_N: ArrayLike,
    strata_N: NDArray[np.int64] | None = None,
    *,
    level: float = 0.95,
    num_resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return the paired bootstrap interval of a weighted mean of differences, one a photo.

    Each stratum of n photos is resampled with n - 1 draws, so that small classes are not taken for
    surer than they are (Rao and Wu 1988). To each replicate comes normal noise of one photo's
    weight: two models that never disagreed on N photos may on the next ones (the idea of Agresti
    and Min 2005, who add half a photo to each side of the disagreements).

    Args:
        differences_N: Arm minus baseline of each photo, the mean over its seeds.
        weights_N: Their weights; the statistic is ``sum(weights * differences)``.
        strata_N: Draws stay within a stratum; ``None`` is one stratum.
        level: Coverage, in (0, 1).
        num_resamples: Replicates; the smallest p is 2 / (replicates + 1).
        seed: Same seed, same interval.

    Raises:
        ValueError: No photos, or a difference or weight that is not finite.

    Reference:
        Rao and Wu 1988, https://doi.org/10.1080/01621459.1988.10478591;
        Agresti and Min 2005, https://doi.org/10.1002/sim.1781.
    """
    values_N = finite("differences_N", differences_N) * finite("weights_N", weights_N)
    if len(values_N) == 0:
        raise ValueError("an interval over photos needs photos")
    rng = np.random.Generator(np.random.Philox(seed))
    one_photo = math.sqrt(float(np.mean(np.square(weights_N))))
    replicates_R = one_photo * rng.standard_normal(num_resamples)
    strata_N = np.zeros(len(values_N), dtype=np.int64) if strata_N is None else strata_N
    order_N = np.argsort(strata_N, kind="stable")
    cuts = np.flatnonzero(np.diff(strata_N[order_N])) + 1
    for part in np.split(values_N[order_N], cuts):
        replicates_R += _resampled_sums(part, num_resamples, rng)
    low, high = percentile_interval(replicates_R, level=level)
    rarer = min((replicates_R <= 0).sum(), (replicates_R >= 0).sum())
    p = min(1.0, 2 * (int(rarer) + 1) / (num_resamples + 1))
    return Interval(low, high, p, float(replicates_R.std()), "photos")


def _resampled_sums(
    values_N: NDArray[np.float64], num_resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the sum of a stratum in each replicate."""
    values_V, counts_V = np.unique(values_N, return_counts=True)
    size = len(values_N)
    if len(values_V) == 1:
        return np.full(num_resamples, values_V[0] * size)
    at_once = max(1, MAX_CELLS // len(values_V))
    sums = [
        rng.multinomial(size - 1, counts_V / size, size=min(at_once, num_resamples - done))
        @ values_V
        for done in range(0, num_resamples, at_once)
    ]
    return np.concatenate(sums) * (size / (size - 1))


def wider(seeds: Interval, photos: Interval) -> Interval:
    """Return the wider of two intervals of one difference, with the larger p.

    It excludes 0 only where both would: seeds and photos each are a reason to doubt.
    """
    found = seeds if seeds.width > photos.width else photos
    return Interval(found.low, found.high, max(seeds.p, photos.p), found.error, found.source)


def mcnemar(num_gained: int, num_lost: int) -> float:
    """Return the exact two-sided p of McNemar's test.

    Args:
        num_gained: Photos that only the arm predicted correctly.
        num_lost: Photos that only the baseline predicted correctly.

    Reference:
        McNemar 1947, https://doi.org/10.1007/BF02295996; exact by the binomial of 1/2.

    Example:
        >>> mcnemar(9, 1)
        0.021484375
    """
    from scipy.special import bdtr

    finite("num_gained and num_lost", [num_gained, num_lost], low=0)
    fewer, total = min(num_gained, num_lost), num_gained + num_lost
    return min(1.0, 2 * float(bdtr(fewer, total, 0.5)))


def holm(p_A: ArrayLike, *, num_tests: int | None = None) -> NDArray[np.float64]:
    """Return p-values corrected for the number of tests (Holm); NaN is no test and stays NaN.

    Args:
        p_A: In [0, 1], or NaN.
        num_tests: How many there were, when those left out are all larger than these.

    Reference:
        Holm 1979, https://www.jstor.org/stable/4615733.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(4).tolist()
        [0.03, 0.06, 0.06]
    """
    values_A = np.asarray(p_A, dtype=np.float64)
    tested_A = np.flatnonzero(~np.isnan(values_A))
    finite("p_A", values_A[tested_A], low=0, high=1)
    order_A = tested_A[np.argsort(values_A[tested_A], kind="stable")]
    factors_A = max(num_tests or 0, len(order_A)) - np.arange(len(order_A))
    adjusted_A = np.full(len(values_A), np.nan)
    adjusted_A[order_A] = np.minimum(1, np.maximum.accumulate(values_A[order_A] * factors_A))
    return adjusted_A
