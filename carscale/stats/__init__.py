"""Intervals, paired tests, corrections; the door to scipy.

In: counts, or differences between two models on the same photos. Out: bounds and p-values.

- ``intervals``: of one proportion, a median, resampled statistics.
- ``paired``: of a difference: over seeds, over photos; McNemar, Holm.
- ``counts``: is a count higher, a share lower, a group apart?
- ``two_samples``: do two groups differ, by a number or by vectors?
- ``ordering``: what is similar side by side.

Chosen: a photo bootstrap that draws how often each distinct value comes (a difference takes a
handful of values). Rejected: drawing row numbers. Why: the same distribution, far less to draw.
Chosen: draws of one photo fewer than the class has, and noise of one photo. Rejected: the plain
bootstrap. Why: that is too sure of classes with few photos, and quite sure of two models that never
disagreed.
"""

from carscale.stats.counts import binomial_two_sided, fewer_right, poisson_tail, rank_sum
from carscale.stats.intervals import (
    beta_quantile,
    jeffreys,
    median_interval,
    percentile_interval,
    stratified_resamples,
)
from carscale.stats.ordering import order_by_similarity
from carscale.stats.paired import (
    Interval,
    holm,
    mcnemar,
    photo_interval,
    seed_interval,
    t_quantile,
    wider,
)
from carscale.stats.two_samples import (
    Discrepancy,
    Dominance,
    dominance,
    mean_discrepancy,
)

__all__ = [
    "Discrepancy",
    "Dominance",
    "Interval",
    "beta_quantile",
    "binomial_two_sided",
    "dominance",
    "fewer_right",
    "holm",
    "jeffreys",
    "mcnemar",
    "mean_discrepancy",
    "median_interval",
    "order_by_similarity",
    "percentile_interval",
    "photo_interval",
    "poisson_tail",
    "rank_sum",
    "seed_interval",
    "stratified_resamples",
    "t_quantile",
    "wider",
]
