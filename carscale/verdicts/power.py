"""What more runs, or more photos, would bring. M numbers of further runs that are tried.

The error of a difference is known by source (``variance.Spread``): with more seeds the seeds' part
falls, with more photos the photos' part and what single photos add to each run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from carscale import stats

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from carscale.verdicts.variance import Difference, Spread


MAX_SEEDS = 1_000
MAX_PHOTOS = 1_000_000
"""More of either is written as ``over 1,000``."""
MAX_GROWTH = 100
"""Growing val more than so many times is not suggested where seeds suffice."""
POWER = 0.8


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


def half_width(
    spread: Spread,
    *,
    level: float,
    more: ArrayLike = 0,
    more_base: ArrayLike | None = None,
    growth: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Return half the width of an interval with more runs, or more photos, all else equal.

    Args:
        spread: As it is now.
        level: Of the interval.
        more: Further runs of the arm.
        more_base: Further runs of the baseline; ``None`` takes as many.
        growth: How many times as many photos.
    """
    more = np.asarray(more, dtype=np.float64)
    more_base = more if more_base is None else np.asarray(more_base, dtype=np.float64)
    kept = 1 - 1 / np.asarray(growth, dtype=np.float64)  # share of the photos' part that is gone
    gone = spread.rest * kept
    by_seeds = np.maximum(spread.seeds - gone, 0) / (spread.num_seeds + more)
    by_seeds = by_seeds + np.maximum(spread.base_seeds - gone, 0) / (
        spread.num_base_seeds + more_base
    )
    variance = by_seeds + spread.by_photos * (1 - kept)
    own = (spread.freedom or 1) + more + more_base
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(by_seeds > 0, np.square(variance) / np.square(by_seeds) * own, np.inf)
    return np.asarray(stats.t_quantile(level, freedom) * np.sqrt(variance))


def sample_size(spread: Spread, *, half_width: float, level: float) -> SampleSize:
    """Return the sample size that makes the interval as narrow as asked, all else equal.

    Args:
        spread: Of a difference.
        half_width: Half the width that decides, above 0.
        level: Of the interval.

    Raises:
        ValueError: ``half_width`` is not above 0.
    """
    if not 0 < half_width < math.inf:
        raise ValueError(f"half_width must be > 0, got {half_width}")
    all_M = np.arange(1, MAX_SEEDS + 1)
    alone_M = np.flatnonzero(_reach(spread, level, all_M) <= half_width)
    seeds = int(all_M[alone_M[0]]) if len(alone_M) else None
    growth = float(_growth(spread, np.zeros(1, dtype=np.int64), half_width, level)[0])
    photos = _more(spread, growth) if growth < 1 + MAX_PHOTOS / spread.num_photos else None
    if seeds is not None and photos is not None and photos > MAX_GROWTH * spread.num_photos:
        photos = None
    if seeds is not None or photos is not None:
        return SampleSize(seeds, photos)
    more_M = np.unique(np.geomspace(1, MAX_SEEDS + 1, 60).astype(np.int64)) - 1
    growth_M = _growth(spread, more_M, half_width, level)
    best = int(np.argmin((spread.num_seeds + more_M) * np.maximum(1, growth_M)))
    if not np.isfinite(growth_M[best]):
        return SampleSize(MAX_SEEDS + 1, None)
    more = min(MAX_PHOTOS + 1, _more(spread, growth_M[best]))
    seeds = int(more_M[best])
    return SampleSize(seeds, more, together=True) if seeds else SampleSize(None, more)


def _reach(spread: Spread, level: float, more_M: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return half the width with more runs of both."""
    return half_width(spread, level=level, more=more_M)


def _more(spread: Spread, growth: float) -> int:
    """Return how many more photos a growth is."""
    return max(1, math.ceil(spread.num_photos * (growth - 1) - 1e-6))


def _growth(
    spread: Spread, more_M: NDArray[np.int64], wanted: float, level: float
) -> NDArray[np.float64]:
    """Return how many times the photos each number of seeds would need; infinite if none will."""
    low_M, high_M = np.zeros(len(more_M)), np.full(len(more_M), 40.0)  # logarithms
    enough_M = half_width(spread, level=level, more=more_M) <= wanted
    for _ in range(50):
        middle_M = (low_M + high_M) / 2
        growth_M = np.exp(middle_M)
        fits_M = half_width(spread, level=level, more=more_M, growth=growth_M) <= wanted
        low_M, high_M = np.where(fits_M, low_M, middle_M), np.where(fits_M, middle_M, high_M)
    growth_M = np.where(high_M < 39, np.exp(high_M), np.inf)
    return np.where(enough_M, 1.0, growth_M)


def detectable(spread: Spread, *, level: float) -> float:
    """Return the true difference that would be found with 80 % probability.

    Args:
        spread: Of a difference, with the seeds and photos that it is to be found with.
        level: Of the interval that must exclude 0: corrected for the number of arms.
    """
    widths = [half_width(spread, level=one) for one in (level, 2 * POWER - 1)]
    return float(sum(widths))


def chance_to_settle(
    found: Difference, *, more: int, more_base: int, margin: float, level: float, final: float
) -> float:
    """Return the probability that further runs settle a difference, if things go on as they did.

    The difference after them is normal about the one of now, by as much as seeds account for: what
    the photos add stays as it is.

    Args:
        found: The difference now.
        more: Further runs of the arm.
        more_base: Further runs of the baseline.
        margin: A smaller difference counts as none.
        level: Of the interval that must exclude 0, corrected for the number of arms.
        final: Of the interval that must lie within the margin.
    """
    spread = found.spread
    after = spread.seeds / (spread.num_seeds + more)
    after += spread.base_seeds / (spread.num_base_seeds + more_base)
    moves = math.sqrt(max(1e-18, spread.by_seeds - after))
    to_zero = float(half_width(spread, level=level, more=more, more_base=more_base))
    inside = margin - float(half_width(spread, level=final, more=more, more_base=more_base))
    ends = [(found.value - to_zero) / moves, (-found.value - to_zero) / moves]
    chance = float(stats.normal_share(ends).sum())
    if inside > 0:
        reach = min(inside, to_zero)
        ends = [(reach - found.value) / moves, (-reach - found.value) / moves]
        chance -= float(np.diff(stats.normal_share(ends))[0])
    return min(1.0, chance)


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
