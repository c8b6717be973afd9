"""The error of a difference between arms: seeds and photos, both drawn at random.

    value(arm, seed) = mean(arm) + part(seed) + rest(arm, seed)      each run's metric
    difference(photo) = mean difference + part(photo)                 less what single runs add

1. Seeds. One seed gives all arms the same order and classifier weights, so it may shift all of them
   alike. The variance of a run is what is left beside arms and seeds (a linear model, least
   squares), pooled over all arms, the baseline and earlier studies: with three seeds an arm alone
   has 2 degrees of freedom, six arms together 10. Where seeds are seen to shift nothing, it is
   what is left beside arms alone; the smaller of two is too small by a factor that is known, and is
   corrected by it. An arm whose own seeds spread more than the pool counts half way to its own.
2. Photos: the variance over photos of the mean difference, less what runs add within a photo.
3. The degrees of freedom of the sum are Satterthwaite's.

Chosen: the pool, or half way to an arm's own spread where that is larger. Rejected: the pool alone,
or all the way. Why: with three seeds an arm's own spread is nearly noise, yet of unequal arms the
pool alone says *helps* and *hurts* too often; all the way costs more power than it mends. Arms that
spread three times as much, or a baseline that spreads twice as much, as the others still do so a
little oftener than 2.5 % (``benchmarks/verdicts_2026-11.md``).
Chosen: seeds as blocks only where 4 degrees of freedom are left. Rejected: always. Why: a single
arm of three seeds would keep 2, and its interval would reach 4.3 standard errors.

Axes: R runs of all arms, S of one, P parameters, N photos, M strata.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from carscale import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_FREEDOM = 4
"""Degrees of freedom that seeds as blocks must leave."""
ALIKE = 0.1
"""Earlier runs whose spread differs with a smaller p are left out."""
LOPSIDED = 1.5
"""Of two arms, one holds more than so many times the pool: it has three times the other's variance,
and one degree of freedom less is taken for both."""


@dataclass(frozen=True, eq=False)
class ArmTerms:
    """An arm's runs as sums over photos.

    Attributes:
        seeds: The seed of each run.
        terms_SN: From ``metrics.terms_of``.
    """

    seeds: tuple[int, ...]
    terms_SN: NDArray[np.float64]


@dataclass(frozen=True)
class SeedSpread:
    """How far runs of one arm lie apart.

    Attributes:
        variance: Of a run's value on these photos, about the arm's mean.
        freedom: Its degrees of freedom; 0 where no arm has two seeds.
        paired_variance: Beside what all arms of a seed have in common.
        paired_freedom: Its degrees of freedom.
        rest: The part of either that single photos add: it falls with the number of photos.
    """

    variance: float = 0.0
    freedom: int = 0
    paired_variance: float = 0.0
    paired_freedom: int = 0
    rest: float = 0.0

    @property
    def is_paired(self) -> bool:
        """Whether seeds are taken for blocks: they shift all arms alike."""
        return self.paired_freedom >= MIN_FREEDOM and self.paired_variance <= self.variance

    @property
    def used(self) -> tuple[float, int]:
        """Return the variance that is used, and its degrees of freedom."""
        if self.paired_freedom < MIN_FREEDOM:
            return self.variance, self.freedom
        factor = stats.smaller_of_two(self.paired_freedom, self.freedom - self.paired_freedom)
        if self.is_paired:
            return self.paired_variance / factor, self.paired_freedom
        return self.variance / factor, self.freedom

    def __add__(self, other: SeedSpread) -> SeedSpread:
        """Return both pooled, each by its degrees of freedom."""
        return SeedSpread(
            _pooled(self.variance, self.freedom, other.variance, other.freedom),
            self.freedom + other.freedom,
            _pooled(
                self.paired_variance,
                self.paired_freedom,
                other.paired_variance,
                other.paired_freedom,
            ),
            self.paired_freedom + other.paired_freedom,
            _pooled(self.rest, self.freedom, other.rest, other.freedom),
        )


def trusted(earlier: SeedSpread, own: SeedSpread) -> SeedSpread:
    """Return as much of earlier runs' spread as a comparison should lean on.

    All of it where the comparison has none of its own. Else nothing where the two differ (F-test at
    10 %), and at most as many degrees of freedom as its own: earlier arms were other arms.
    """
    if not own.freedom:
        return earlier
    pairs = [(earlier.variance, own.variance), (earlier.paired_variance, own.paired_variance)]
    degrees = [(earlier.freedom, own.freedom), (earlier.paired_freedom, own.paired_freedom)]
    for variances, freedoms in zip(pairs, degrees, strict=True):
        if min(*variances, *freedoms) > 0 and stats.f_test(*variances, *freedoms) < ALIKE:
            return SeedSpread()
    return replace(
        earlier,
        freedom=min(earlier.freedom, own.freedom),
        paired_freedom=min(earlier.paired_freedom, own.paired_freedom),
    )


def _pooled(one: float, freedom: int, other: float, other_freedom: int) -> float:
    """Return the mean of two variances by their degrees of freedom."""
    total = freedom + other_freedom
    return (one * freedom + other * other_freedom) / total if total else 0.0


@dataclass(frozen=True, eq=False)
class SeedModel:
    """The runs of a comparison, and how far apart their seeds lie.

    Attributes:
        terms_RN: Photos' terms of all runs.
        rows: The rows of each arm.
        spread: Pooled over arms and earlier runs.
        earlier: The part of it that earlier runs gave.
        solve_PR: What makes the model's parameters of the runs, the arms' first.
        own: Variance of a run by each arm's own seeds; 0 where they say nothing.
    """

    terms_RN: NDArray[np.float64]
    rows: dict[str, slice]
    spread: SeedSpread
    earlier: SeedSpread
    solve_PR: NDArray[np.float64]
    own: dict[str, float] = field(default_factory=dict)

    def shares(self, signs: Mapping[str, int]) -> NDArray[np.float64]:
        """Return the share of each run in a sum of arms, ``[R]``."""
        names = list(self.rows)
        return np.asarray(
            sum(sign * self.solve_PR[names.index(name)] for name, sign in signs.items())
        )


def fit_seeds(
    arms: Mapping[str, ArmTerms],
    weights_N: NDArray[np.float64],
    earlier: SeedSpread | None = None,
) -> SeedModel:
    """Return the linear model of runs by arm and seed.

    Args:
        arms: Those that have runs.
        weights_N: The photos' shares of the metric, from ``metrics.weights_of``.
        earlier: Spread of earlier runs of these photos.

    Raises:
        ValueError: A term is not finite.
    """
    terms_RN = np.concatenate([arm.terms_SN for arm in arms.values()])
    stats.finite("terms", terms_RN)
    sizes = [len(arm.seeds) for arm in arms.values()]
    ends = np.cumsum(sizes).tolist()
    rows = {name: slice(end - size, end) for name, end, size in zip(arms, ends, sizes, strict=True)}
    arms_RP = np.repeat(np.eye(len(arms)), sizes, axis=0)
    seeds_R = np.concatenate([arm.seeds for arm in arms.values()])
    blocks_RP = (seeds_R[:, None] == np.unique(seeds_R)[1:]).astype(np.float64)
    values_R = terms_RN.sum(axis=1)
    alone, paired = _fit(arms_RP, values_R), _fit(np.hstack([arms_RP, blocks_RP]), values_R)
    moved_RN = terms_RN - values_R[:, None] * weights_N
    rest = float(np.square(moved_RN - arms_RP @ (alone.solve_PR @ moved_RN)).sum())
    mine = SeedSpread(
        alone.variance,
        alone.freedom,
        paired.variance,
        paired.freedom,
        rest / alone.freedom if alone.freedom else 0.0,
    )
    lent = SeedSpread() if earlier is None else trusted(earlier, mine)
    spread = mine + lent
    used = paired if spread.is_paired else alone
    own = {name: used.own(place) for name, place in rows.items()}
    return SeedModel(terms_RN, rows, spread, lent, used.solve_PR, own)


@dataclass(frozen=True, eq=False)
class _LeastSquares:
    """A fit of runs: what solves it, what is left."""

    solve_PR: NDArray[np.float64]
    left_R: NDArray[np.float64]
    free_R: NDArray[np.float64]

    @property
    def freedom(self) -> int:
        """Return runs less parameters that can be told apart."""
        return round(float(self.free_R.sum()))

    @property
    def variance(self) -> float:
        """Return the variance of what is left; 0 without a degree of freedom."""
        return float(np.square(self.left_R).sum()) / self.freedom if self.freedom else 0.0

    def own(self, place: slice) -> float:
        """Return the variance of what is left by some runs alone."""
        free = float(self.free_R[place].sum())
        return float(np.square(self.left_R[place]).sum()) / free if free > 0.5 else 0.0


def _fit(design_RP: NDArray[np.float64], values_R: NDArray[np.float64]) -> _LeastSquares:
    """Fit values by least squares; parameters that can't be told apart share."""
    solve_PR = np.linalg.pinv(design_RP).astype(np.float64)
    free_R = 1 - np.einsum("rp,pr->r", design_RP, solve_PR)
    return _LeastSquares(solve_PR, values_R - design_RP @ (solve_PR @ values_R), free_R)


@dataclass(frozen=True)
class Spread:
    """The variance of a difference, by source.

    Attributes:
        num_seeds, num_base_seeds, num_photos: What it was measured with.
        seeds, base_seeds: Variance of one run of the arm, and of the baseline.
        rest: The part of either that falls with the number of photos.
        photos: Of the mean difference over photos, less what runs add.
        one_photo: Two models that never disagreed on N photos may on the next one.
        freedom: Degrees of freedom of ``seeds``.
    """

    num_seeds: int
    num_base_seeds: int
    num_photos: int
    seeds: float
    base_seeds: float
    rest: float
    photos: float
    one_photo: float
    freedom: int

    @property
    def by_seeds(self) -> float:
        """Return the variance that more seeds would lessen."""
        return self.seeds / self.num_seeds + self.base_seeds / self.num_base_seeds

    @property
    def by_photos(self) -> float:
        """Return the variance that more photos would lessen."""
        return self.photos + self.one_photo

    @property
    def shared(self) -> float:
        """Return the share of the variance that all arms have of the baseline.

        Half of the photos' part is taken for the baseline's.
        """
        shared = self.base_seeds / self.num_base_seeds + self.photos / 2
        return shared / (self.by_seeds + self.by_photos)


@dataclass(frozen=True)
class Difference:
    """A difference with its interval, as shares (0.01 is one point).

    Attributes:
        value: Mean over the arm's seeds less mean over the baseline's.
        per_seed: Of the seeds that both have.
        interval: At the level asked for; its p is of this difference alone.
        spread: The variance by source.
    """

    value: float
    per_seed: tuple[float, ...]
    interval: stats.Interval
    spread: Spread

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval shows a direction; never without a measured spread of seeds."""
        return self.spread.freedom > 0 and (self.interval.low > 0 or self.interval.high < 0)

    @property
    def source(self) -> str:
        """Return the larger reason to doubt: ``seeds`` or ``photos``."""
        return "seeds" if self.spread.by_seeds > self.spread.by_photos else "photos"


def difference(
    model: SeedModel,
    signs: Mapping[str, int],
    strata_N: NDArray[np.int64],
    *,
    alpha: float = 0.05,
    per_seed: tuple[float, ...] = (),
) -> Difference:
    """Return a sum of arms, some counted negative, with its interval.

    Args:
        model: From ``fit_seeds``.
        signs: 1 or -1 by arm; the baseline is the last.
        strata_N: From ``metrics.strata_of``.
        alpha: One minus the level of the interval.
        per_seed: To be kept with the result.

    Reference:
        Satterthwaite 1946, https://doi.org/10.2307/3002019.
    """
    *others, base = signs
    share_R = model.shares(signs)
    squares = {name: float(np.square(share_R[place]).sum()) for name, place in model.rows.items()}
    pool, pool_freedom = model.spread.used
    run = {
        name: _run_variance(pool, model.own[name]) if name in signs else pool for name in squares
    }
    by_arms = sum(squares[name] * run[name] for name in squares if name != base)
    sizes = {name: place.stop - place.start for name, place in model.rows.items()}
    num_seeds = min(sizes[name] for name in others)
    terms_N = share_R @ model.terms_RN
    raw, raw_freedom = _photo_variance(terms_N, strata_N)
    spread = Spread(
        num_seeds=num_seeds,
        num_base_seeds=sizes[base],
        num_photos=len(terms_N),
        seeds=num_seeds * by_arms,
        base_seeds=sizes[base] * squares[base] * run[base],
        rest=model.spread.rest,
        photos=max(0.0, raw - model.spread.rest * sum(squares.values())),
        one_photo=1 / len(terms_N) ** 2,
        freedom=pool_freedom,
    )
    variance = spread.by_seeds + spread.by_photos
    parts = raw**2 / raw_freedom if raw_freedom else 0.0
    if pool_freedom:
        is_lopsided = len(model.rows) == 2 and max(model.own.values()) > LOPSIDED * pool
        parts += spread.by_seeds**2 / max(1, pool_freedom - is_lopsided)
    freedom = min(1e9, variance**2 / parts) if parts else 1e9
    value = float(terms_N.sum())
    interval = stats.t_interval(value, math.sqrt(variance), freedom, alpha=alpha)
    return Difference(value, per_seed, interval, spread)


def _run_variance(pool: float, own: float) -> float:
    """Return the variance of a run: the pool's, or half way to the arm's own where that is more."""
    return max(pool, (pool + own) / 2)


def _photo_variance(
    terms_N: NDArray[np.float64], strata_N: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the variance of a sum over photos drawn within strata, and its degrees of freedom."""
    size_M = np.bincount(strata_N)
    mean_M = np.bincount(strata_N, terms_N) / size_M
    squares_M = np.bincount(strata_N, np.square(terms_N - mean_M[strata_N]))
    less_M = np.maximum(1, size_M - 1)
    parts_M = squares_M * size_M / less_M
    total = float(parts_M.sum())
    return total, total**2 / float((np.square(parts_M) / less_M).sum()) if total else 0.0
