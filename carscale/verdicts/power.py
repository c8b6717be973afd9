"""How many more seeds, or photos, would settle an inconclusive comparison.

Axes: S seeds, N photos, M numbers of seeds that are tried.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from carscale import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray


MAX_SEEDS = 1_000
MAX_PHOTOS = 1_000_000
"""More of either is written as ``over 1,000``."""
MAX_GROWTH = 100
"""Growing val more than so many times is not suggested where seeds suffice."""


@dataclass(frozen=True)
class Spread:
    """The variance of a difference, by source.

    Attributes:
        num_seeds, num_photos: What they were measured with.
        seeds: Of one seed's difference, on infinitely many photos.
        photos: Of the difference on these photos, over infinitely many seeds.
        rest: Of one seed's difference on these photos that is neither.
    """

    num_seeds: int
    num_photos: int
    seeds: float
    photos: float
    rest: float


@dataclass(frozen=True)
class SampleSize:
    """How many more seeds, or more photos, would settle a comparison; else both together.

    ``None`` where it alone can't; a number above ``MAX_SEEDS`` or ``MAX_PHOTOS`` is not worked out.
    """

    seeds: int | None
    photos: int | None
    together: bool = False

    def words(self, split: str) -> str:
        """Return what would settle it, after ``inconclusive: ``.

        Example:
            >>> SampleSize(2, 1340).words("val")
            '2 more seeds or 1,400 more val photos would settle it'
        """
        parts = []
        if self.seeds is not None:
            parts.append(_count(self.seeds, MAX_SEEDS, "seed"))
        if self.photos is not None:
            parts.append(_count(round_up(self.photos), MAX_PHOTOS, f"{split} photo"))
        return f"{(' and ' if self.together else ' or ').join(parts)} would settle it"


def spread_of(
    differences_SN: NDArray[np.float64], weights_N: NDArray[np.float64], photo_error: float
) -> Spread:
    """Split the variance of a weighted mean of differences into its sources.

    Args:
        differences_SN: Arm minus baseline, each seed, each photo.
        weights_N: Of the photos.
        photo_error: Standard error by the photo bootstrap of the means over seeds.

    Returns:
        Variances, none below 0. With one seed the rest can't be separated from the photos: it is 0.

    Raises:
        ValueError: A number is not finite.
    """
    stats.finite("differences_SN", differences_SN)
    stats.finite("weights_N and photo_error", [*weights_N, photo_error])
    num_seeds, num_photos = differences_SN.shape
    if num_seeds < 2:
        return Spread(num_seeds, num_photos, 0.0, photo_error**2, 0.0)
    per_seed_S = differences_SN @ weights_N
    shared_N = differences_SN.mean(axis=0)
    rest_SN = differences_SN - shared_N - (per_seed_S - per_seed_S.mean())[:, None]
    rest = float((np.square(rest_SN).sum(axis=0) / (num_seeds - 1)) @ np.square(weights_N))
    seeds = max(0.0, float(per_seed_S.var(ddof=1)) - rest)
    photos = max(0.0, photo_error**2 - rest / num_seeds)
    return Spread(num_seeds, num_photos, seeds, photos, rest)


def sample_size(spread: Spread, *, half_width: float, level: float) -> SampleSize:
    """Return the sample size that makes the interval as narrow as asked, all else equal.

    With more seeds the t-quantile, the seeds' error and the rest fall; with more photos the photos'
    error and the rest. Both the interval over seeds and the one over photos must be narrow enough.

    Args:
        spread: From ``spread_of``; at least two seeds.
        half_width: Half the width that decides, above 0.
        level: Of the interval.

    Raises:
        ValueError: ``half_width`` is not above 0.
    """
    if not 0 < half_width < math.inf:
        raise ValueError(f"half_width must be > 0, got {half_width}")
    seeds_M = np.arange(spread.num_seeds, MAX_SEEDS + spread.num_seeds + 1)
    growth_M = _growth(spread, seeds_M, half_width, level)
    alone_M = np.flatnonzero(growth_M[1:] <= 1)
    seeds = int(alone_M[0]) + 1 if len(alone_M) else None
    photos = (
        max(1, math.ceil(spread.num_photos * (growth_M[0] - 1) - 1e-6))
        if (growth_M[0] < 1 + MAX_PHOTOS / spread.num_photos)
        else None
    )
    if seeds is not None and photos is not None and photos > MAX_GROWTH * spread.num_photos:
        photos = None
    if seeds is not None or photos is not None:
        return SampleSize(seeds, photos)
    best = int(np.argmin(seeds_M * np.maximum(1, growth_M)))  # the least to train and to photograph
    if not np.isfinite(growth_M[best]):
        return SampleSize(MAX_SEEDS + 1, None)
    more = min(MAX_PHOTOS + 1, math.ceil(spread.num_photos * (growth_M[best] - 1)))
    return SampleSize(best, more, together=True) if best else SampleSize(None, more)


def _growth(
    spread: Spread, seeds_M: NDArray[np.int64], half_width: float, level: float
) -> NDArray[np.float64]:
    """Return how many times the photos each number of seeds would need; infinite if none will."""
    t_M = stats.t_quantile(level, seeds_M)
    normal = float(stats.t_quantile(level, 10**9))
    photos_M = (spread.photos + spread.rest / seeds_M) * (normal / half_width) ** 2
    room_M = seeds_M * np.square(half_width / t_M) - spread.seeds
    with np.errstate(divide="ignore", invalid="ignore"):
        rest_M = np.where(room_M > 0, spread.rest / room_M, np.inf)
    return np.asarray(np.maximum(photos_M, rest_M))


def round_up(count: int) -> int:
    """Return a count rounded up to two significant digits.

    Example:
        >>> round_up(7), round_up(123), round_up(10_001)
        (7, 130, 11000)
    """
    step = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step


def _count(count: int, most: int, noun: str) -> str:
    """Return ``3 more seeds``, or ``over 1,000 more seeds``."""
    shown = f"over {most:,}" if count > most else f"{count:,}"
    return f"{shown} more {noun}{'' if count == 1 else 's'}"
