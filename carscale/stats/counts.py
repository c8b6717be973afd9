"""Tests of counts and ranks: is a share lower, a count higher, a group apart?

Axes: T tests, A samples of one group, B samples of another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carscale.stats.numbers import finite

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def poisson_tail(counts_T: ArrayLike, means_T: ArrayLike) -> NDArray[np.float64]:
    """Return the probability of at least so many events where so many are expected.

    Args:
        counts_T: Observed, integers >= 0.
        means_T: Expected, >= 0; nothing expected and nothing seen is 1.

    Example:
        >>> poisson_tail([0, 3], [1.0, 1.0]).round(4).tolist()
        [1.0, 0.0803]
    """
    from scipy.special import pdtrc  # 0.2 s to import

    counts = finite("counts_T", counts_T, low=0)
    means = finite("means_T", means_T, low=0)
    tail = np.where(counts > 0, pdtrc(np.maximum(counts - 1, 0), means), 1.0)
    return np.where((means == 0) & (counts > 0), 0.0, tail)


def binomial_two_sided(
    successes_T: ArrayLike, trials_T: ArrayLike, share_T: ArrayLike
) -> NDArray[np.float64]:
    """Return the exact two-sided p that successes come with a given probability.

    Twice the smaller tail, at most 1.

    Args:
        successes_T: Counts, integers in ``[0, trials]``.
        trials_T: Counts, integers; 0 gives 1.
        share_T: Probability of a success, in (0, 1).

    Example:
        >>> binomial_two_sided(9, 10, 0.5).round(4).item()
        0.0215
    """
    from scipy.special import bdtr, bdtrc

    wins = finite("successes_T", successes_T, low=0)
    total = finite("trials_T", trials_T, low=0, high=2**53).astype(np.int64)
    share = finite("share_T", share_T, low=0, high=1)
    if np.any(wins > total):
        raise ValueError("successes_T must lie between 0 and trials_T")
    at_most = bdtr(wins, total, share)
    at_least = np.where(wins > 0, bdtrc(np.maximum(wins - 1, 0), total, share), 1.0)
    return np.minimum(1.0, 2 * np.minimum(at_most, at_least))


def binomial_tail(
    successes_T: ArrayLike, trials_T: ArrayLike, share_T: ArrayLike
) -> NDArray[np.float64]:
    """Return the probability of at least so many successes.

    Args:
        successes_T: Counts, integers in ``[0, trials]``.
        trials_T: Counts, integers; 0 gives 1.
        share_T: Probability of a success, in [0, 1].

    Example:
        >>> binomial_tail([0, 9], [0, 10], 0.5).round(4).tolist()
        [1.0, 0.0107]
    """
    from scipy.special import bdtrc

    wins = finite("successes_T", successes_T, low=0)
    total = finite("trials_T", trials_T, low=0, high=2**53).astype(np.int64)
    share = finite("share_T", share_T, low=0, high=1)
    if np.any(wins > total):
        raise ValueError("successes_T must lie between 0 and trials_T")
    return np.where(wins > 0, bdtrc(np.maximum(wins - 1, 0), total, share), 1.0)


def deflated(
    p_T: ArrayLike, inflation_T: ArrayLike, freedom: float = np.inf
) -> NDArray[np.float64]:
    """Return one-sided p's as they are where the variance is larger than the tests assume.

    Args:
        p_T: In (0, 1].
        inflation_T: How many times larger, >= 1.
        freedom: Degrees of freedom that this was estimated with.

    Example:
        >>> deflated([0.0228, 0.5], 4.0).round(3).tolist()  # 2 standard errors are 1
        [0.159, 0.5]
        >>> deflated(0.0228, 4.0, 3).round(3).item()
        0.196
    """
    from scipy.special import ndtr, ndtri, stdtr

    p = np.maximum(finite("p_T", p_T, low=0, high=1), np.finfo(np.float64).tiny)
    z = ndtri(p) / np.sqrt(finite("inflation_T", inflation_T, low=1))
    return np.asarray(ndtr(z) if np.isinf(freedom) else stdtr(freedom, z))


def fewer_right(
    right_T: ArrayLike, num_T: ArrayLike, all_right: int, num_all: int
) -> NDArray[np.float64]:
    """Return the one-sided p of Fisher's exact test: is a part no worse than the rest?

    Args:
        right_T: Right ones in the part.
        num_T: Samples in the part.
        all_right: Right ones in all.
        num_all: All samples, the part included.

    Returns:
        Probability of at most so many right ones in a part drawn blindly.

    Reference:
        Fisher 1922, https://doi.org/10.2307/2340521.

    Example:
        >>> fewer_right([3], [10], 80, 100).round(5).tolist()
        [0.00039]
    """
    from scipy.stats import hypergeom  # 0.6 s to import

    right, num = finite("right_T", right_T, low=0), finite("num_T", num_T, low=0, high=num_all)
    finite("all_right", all_right, low=0, high=num_all)
    p_T: NDArray[np.float64] = hypergeom.cdf(right, num_all, all_right, num)
    return np.minimum(1.0, p_T)


def rank_sum(values_A: ArrayLike, values_B: ArrayLike) -> float:
    """Return the two-sided p of the Mann-Whitney test; 1 where a group is empty or all are equal.

    Raises:
        ValueError: A value is not finite.

    Reference:
        Mann, Whitney 1947, https://doi.org/10.1214/aoms/1177730491; normal approximation with
        ties, exact below 9 without ties.

    Example:
        >>> round(rank_sum([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]), 4)
        0.0079
    """
    from scipy.stats import mannwhitneyu

    first, second = finite("values_A", values_A), finite("values_B", values_B)
    if len(first) == 0 or len(second) == 0 or np.ptp(np.concatenate([first, second])) == 0:
        return 1.0
    return float(mannwhitneyu(first, second).pvalue)
