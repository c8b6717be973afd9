"""What a study will be able to tell, before anything is trained. R runs, N photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from carscale.verdicts.metrics import strata_of
from carscale.verdicts.power import detectable
from carscale.verdicts.results import read_arms
from carscale.verdicts.variance import Spread, difference
from carscale.verdicts.verdict import ALPHA, fit_arms

ASSUMED_SD = 0.01
"""Standard deviation of a run's value by its seed, where no earlier run tells."""
ASSUMED_PHOTO_VARIANCE = 0.04
"""Variance over photos of the mean difference of two arms; 0.02 in ``sim_verdicts.py``'s model."""


@dataclass(frozen=True)
class Forecast:
    """The true difference that a study would find with 80 % probability.

    Attributes:
        num_seeds: Of each arm.
        difference: As a share.
        why: What the spread of seeds and photos was taken from.
    """

    num_seeds: int
    difference: float
    why: str


def forecast(
    earlier: Sequence[Sequence[Path]],
    *,
    num_seeds: int,
    num_arms: int,
    num_photos: int,
    metric: str,
    split: str = "val",
) -> Forecast:
    """Return what a study of so many seeds and arms will find.

    Args:
        earlier: Runs of earlier studies of the same photos and recipe, by arm; may be empty.
        num_seeds: Of each arm.
        num_arms: Compared with the baseline.
        num_photos: Of the split.
        metric: A key of ``METRICS``.
        split: Whose predictions are read.

    Raises:
        DataError: Earlier runs predicted other photos.
    """
    variance, photos, rest = ASSUMED_SD**2, ASSUMED_PHOTO_VARIANCE / num_photos, 0.0
    why = f"assuming that seeds of one arm spread by {100 * ASSUMED_SD:.0f} point"
    freedom = num_arms * (num_seeds - 1)
    if earlier:
        runs, labels_N = read_arms({str(n): arm for n, arm in enumerate(earlier)}, split)
        model = fit_arms(runs, labels_N, metric)
        strata_N = strata_of(labels_N, metric)
        found = [
            difference(model, {one: 1, other: -1}, strata_N).spread for one, other in pairwise(runs)
        ]
        (variance, more), rest = model.spread.used, model.spread.rest
        if found:
            photos = float(np.median([one.photos for one in found]))
        freedom += more
        sd = 100 * variance**0.5
        why = f"by {len(model.terms_RN)} earlier runs, whose seeds spread by {sd:.1f} points"
    spread = Spread(
        num_seeds=num_seeds,
        num_base_seeds=num_seeds,
        num_photos=num_photos,
        seeds=variance,
        base_seeds=variance,
        rest=rest,
        photos=photos,
        one_photo=1 / num_photos**2,
        freedom=max(1, freedom),
    )
    return Forecast(num_seeds, detectable(spread, level=1 - ALPHA / num_arms), why)
