"""Tests and intervals of a difference between two models on the same photos.

Axes: A arms; Z and C: nodes of two integrals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from carscale.stats.numbers import finite

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


NUM_NODES = 40
"""Of each integral in Dunnett's correction."""


@dataclass(frozen=True)
class Interval:
    """An interval of a difference.

    Attributes:
        low, high: Bounds.
        p: Two-sided, of no difference.
        error: Standard error that it stands on.
        freedom: Degrees of freedom of the error.
    """

    low: float
    high: float
    p: float
    error: float
    freedom: float

    @property
    def width(self) -> float:
        """Upper bound minus lower bound."""
        return self.high - self.low


def t_quantile(level: float, freedom: ArrayLike) -> NDArray[np.float64]:
    """Return how many standard errors a two-sided t-interval reaches.

    Args:
        level: Coverage, in (0, 1).
        freedom: Degrees of freedom; infinite is the normal distribution.

    Example:
        >>> t_quantile(0.95, [1, 2, 4, np.inf]).round(2).tolist()
        [12.71, 4.3, 2.78, 1.96]
    """
    from scipy.special import ndtri, stdtrit  # 0.2 s to import

    freedom = np.asarray(freedom, dtype=np.float64)
    finite_freedom = np.minimum(freedom, 1e9)
    share = (1 + level) / 2
    return np.asarray(np.where(freedom >= 1e9, ndtri(share), stdtrit(finite_freedom, share)))


def t_interval(value: float, error: float, freedom: float, *, alpha: float = 0.05) -> Interval:
    """Return the t-interval of a value with its standard error.

    Args:
        value: The estimate.
        error: Its standard error, above 0.
        freedom: Degrees of freedom of the error.
        alpha: One minus the level.

    Raises:
        ValueError: A number is not finite, or the error is not above 0.

    Example:
        >>> found = t_interval(0.02, 0.01, 10)
        >>> round(found.low, 4), round(found.high, 4), round(found.p, 3)
        (-0.0023, 0.0423, 0.073)
    """
    from scipy.special import stdtr

    finite("value and error", [value, error])
    if not error > 0:
        raise ValueError(f"error must be > 0, got {error}")
    reach = float(t_quantile(1 - alpha, freedom)) * error
    p = 2 * float(stdtr(min(freedom, 1e9), -abs(value) / error))
    return Interval(value - reach, value + reach, p, error, freedom)


def normal_share(values: ArrayLike) -> NDArray[np.float64]:
    """Return the share of the normal distribution below each value.

    Example:
        >>> normal_share([0.0, 1.96]).round(3).tolist()
        [0.5, 0.975]
    """
    from scipy.special import ndtr

    return np.asarray(ndtr(np.asarray(values, dtype=np.float64)))


def smaller_of_two(freedom: int, more: int) -> float:
    """Return the mean of the smaller of two estimates of a variance of 1.

    Args:
        freedom: Degrees of freedom of the first, above 0.
        more: Of an independent one that the second pools with the first.

    Example:
        >>> smaller_of_two(2, 2)
        0.75
    """
    from scipy.special import fdtr

    if more < 1:
        return 1.0
    least = fdtr(freedom + 2, more, freedom / (freedom + 2))
    least += fdtr(more + 2, freedom, more / (more + 2))
    return float((freedom + more * least) / (freedom + more))


def f_test(one: float, other: float, freedom: int, other_freedom: int) -> float:
    """Return the two-sided p that two variances are equal.

    Example:
        >>> round(f_test(1.0, 4.0, 12, 12), 3), round(f_test(2.0, 2.0, 5, 5), 3)
        (0.023, 1.0)
    """
    from scipy.special import fdtr

    below = float(fdtr(freedom, other_freedom, one / other))
    return min(1.0, 2 * min(below, 1 - below))


def dunnett(t_A: ArrayLike, shared_A: ArrayLike, freedom_A: ArrayLike) -> NDArray[np.float64]:
    """Return p-values of comparisons with one baseline, corrected for their number (step-down).

    The largest |t| is compared with the largest of A, the second with the largest of A - 1, and so
    on: none is smaller than the one before.

    Args:
        t_A: Differences from the baseline in standard errors.
        shared_A: Share of each difference's variance that is the baseline's, in [0, 1): two
            differences correlate by ``sqrt(shared_i * shared_j)``.
        freedom_A: Degrees of freedom of each standard error.

    Raises:
        ValueError: A number is not finite or a share not in [0, 1).

    Reference:
        Dunnett 1955, https://doi.org/10.1080/01621459.1955.10501294; step-down: Dunnett and Tamhane
        1991, https://doi.org/10.1002/sim.4780100614.

    Example:
        >>> dunnett([3.0, 1.0], [0.5, 0.5], [12, 12]).round(3).tolist()
        [0.02, 0.337]
    """
    t_A = np.abs(finite("t_A", t_A))
    shared_A = finite("shared_A", shared_A, low=0, high=1 - 1e-9)
    freedom_A = np.minimum(np.asarray(freedom_A, dtype=np.float64), 1e6)
    adjusted_A, least = np.empty(len(t_A)), 0.0
    order_A = np.argsort(-t_A, kind="stable")
    for place, number in enumerate(order_A):
        left = order_A[place:]
        p = _largest_beyond(float(t_A[number]), shared_A[left], float(freedom_A[number]))
        adjusted_A[number] = least = max(least, p)
    return adjusted_A


@cache
def _nodes() -> tuple[tuple[NDArray[np.float64], ...], tuple[NDArray[np.float64], ...]]:
    """Return nodes and weights over the normal distribution and over [-1, 1]."""
    hermite = np.polynomial.hermite_e.hermegauss(NUM_NODES)
    return hermite, np.polynomial.legendre.leggauss(NUM_NODES)


def _largest_beyond(t: float, shared_A: NDArray[np.float64], freedom: float) -> float:
    """Return the probability that the largest of some correlated |t| is beyond one.

    Given the baseline's normal part z and the error's ratio s to its mean, differences are
    independent: an integral over both.
    """
    from scipy.special import gammaln, ndtr, stdtr

    if len(shared_A) == 1:
        return 2 * float(stdtr(freedom, -t))
    (z_Z, weight_Z), (nodes_C, weight_C) = _nodes()
    width = min(1.0 - 1e-9, 9 / math.sqrt(2 * freedom))
    high = 1 + 9 / math.sqrt(2 * freedom) + 9 / freedom
    s_C = (1 - width) + (high - (1 - width)) * (nodes_C + 1) / 2
    log_density_C = (freedom - 1) * np.log(s_C) - freedom * np.square(s_C) / 2
    log_density_C += freedom / 2 * math.log(freedom / 2) - gammaln(freedom / 2) + math.log(2)
    weight_C = weight_C * np.exp(log_density_C)
    weight_C /= weight_C.sum()
    own_A = np.sqrt(1 - shared_A)
    middle_ZA = z_Z[:, None] * np.sqrt(shared_A)
    reach_C = t * s_C
    inside_ZCA = ndtr((reach_C[:, None] - middle_ZA[:, None]) / own_A)
    inside_ZCA -= ndtr((-reach_C[:, None] - middle_ZA[:, None]) / own_A)
    within = weight_Z @ inside_ZCA.prod(axis=2) @ weight_C / weight_Z.sum()
    return float(min(1.0, max(0.0, 1 - within)))


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
