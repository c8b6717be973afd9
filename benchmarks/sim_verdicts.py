"""Are the verdicts of ``carscale compare`` and ``carscale study`` right as often as they say?

Studies are drawn from a model of photos, arms and seeds whose truth is known, and judged by the
code that judges real ones.

    python benchmarks/sim_verdicts.py                 # all tables, 20 minutes on one busy core
    python benchmarks/sim_verdicts.py --studies 200   # a quick look

The model. A photo has a difficulty that all runs share, an arm changes the odds of each photo by a
mean and by an amount of its own that all its seeds share, a run (an arm with a seed) moves all
photos together, and an answer is right by chance with the odds that result:

    logit P(right) = ease(photo) + gain(arm) + quirk(arm, photo) + luck(run)

Ease is normal and wide, so most photos are nearly always right or nearly always wrong: two seeds of
one arm are alike on 85 % of the photos, two arms on 83 %, and top-1 is 73 %.
``luck`` is scaled so that its standard deviation is ``seed_sd`` points of top-1.

Axes: S seeds, N photos, A arms with the baseline first, H nodes of an integral.
"""

import argparse
import math
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from scipy import special
from scipy import stats as reference

from carscale.verdicts.verdict import LEVEL, Pair, judge_pairs, measure

EASE_MEAN, EASE_SD, QUIRK_SD = 2.8, 4.0, 1.0
NODES_H, WEIGHTS_H = np.polynomial.hermite_e.hermegauss(64)
SIZES, SEED_SDS = (200, 1_000, 5_000), (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class World:
    """What studies are drawn from.

    Attributes:
        num_photos: In val.
        num_seeds: Of each arm.
        seed_sd: Of one run's top-1, points.
        gains: Of the arms, points of top-1; the baseline is none of them.
        quirk_sd: How much an arm's odds differ by photo.
    """

    num_photos: int
    num_seeds: int = 3
    seed_sd: float = 1.0
    gains: tuple[float, ...] = (0.0,)
    quirk_sd: float = QUIRK_SD


def accuracy(shift, spread):
    """Return the mean of P(right) over photos whose odds are normal; by Gauss and Hermite."""
    odds = EASE_MEAN + np.asarray(shift)[..., None] + spread * NODES_H
    return special.expit(odds) @ WEIGHTS_H / math.sqrt(2 * math.pi)


@cache
def slope(spread):
    """Return points of top-1 a unit of shift."""
    return float(accuracy(0.01, spread) - accuracy(-0.01, spread)) / 0.02


@cache
def shift_of(points, spread):
    """Return the shift that changes the mean over photos by so many points."""
    low, high = -2.0, 2.0
    start = float(accuracy(0.0, spread))
    for _ in range(60):
        middle = (low + high) / 2
        if float(accuracy(middle, spread)) - start < points / 100:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def truth(world, points):
    """Return the difference in top-1 over all photos and seeds there could be, as a share."""
    spread = math.hypot(EASE_SD, world.quirk_sd)
    luck = world.seed_sd / 100 / slope(spread)
    width = math.hypot(spread, luck)
    return float(accuracy(shift_of(points, spread), width) - accuracy(0.0, width))


def draw(world, rng):
    """Return right answers ``[A, S, N]``, bool, baseline first."""
    spread = math.hypot(EASE_SD, world.quirk_sd)
    shifts = np.array([shift_of(points, spread) for points in (0.0, *world.gains)])
    size = (len(shifts), world.num_seeds, world.num_photos)
    ease = EASE_MEAN + EASE_SD * rng.standard_normal((1, 1, size[2]))
    quirk = world.quirk_sd * rng.standard_normal((size[0], 1, size[2]))
    luck = world.seed_sd / 100 / slope(spread) * rng.standard_normal((size[0], size[1], 1))
    return rng.random(size) < special.expit(ease + quirk + luck + shifts[:, None, None])


def study_words(world, seed):
    """Return the word of each arm of one study."""
    right_ASN = draw(world, np.random.default_rng(seed))
    pairs = {
        f"arm {number}": Pair(correct_SN, right_ASN[0], tuple(range(world.num_seeds)))
        for number, correct_SN in enumerate(right_ASN[1:])
    }
    verdicts = judge_pairs(pairs, np.zeros(world.num_photos, np.int64))
    return [verdict.word for verdict in verdicts.values()]


def covers(world, wanted, seed):
    """Return which rules' 95 % intervals hold the truth in one study, and how wide they are.

    Rules: the wider (the one in use), seeds alone, photos alone, and the sum of variances of a
    two-way table with Satterthwaite's degrees of freedom.
    """
    right_ASN = draw(world, np.random.default_rng(seed))
    differences_SN = right_ASN[1].astype(float) - right_ASN[0]
    found = measure(differences_SN, np.zeros(world.num_photos, np.int64))
    low, high = summed(differences_SN)
    bounds = [
        (found.interval.low, found.interval.high),
        (found.by_seeds.low, found.by_seeds.high),
        (found.by_photos.low, found.by_photos.high),
        (low, high),
    ]
    return [(low <= wanted <= high, high - low) for low, high in bounds]


def summed(differences_SN):
    """Return the interval by the sum of variances over seeds and over photos, less the rest.

    A table of seeds by photos, both drawn at random: var(mean) = MS(seeds) + MS(photos) - MS(rest),
    all over S N; the rest is in both of the first two.
    """
    num_seeds, num_photos = differences_SN.shape
    mean = differences_SN.mean()
    seeds_S, photos_N = differences_SN.mean(axis=1) - mean, differences_SN.mean(axis=0) - mean
    rest_SN = differences_SN - mean - seeds_S[:, None] - photos_N
    freedom = np.array([num_seeds - 1, num_photos - 1, (num_seeds - 1) * (num_photos - 1)])
    squares = np.array(
        [
            num_photos * np.square(seeds_S).sum(),
            num_seeds * np.square(photos_N).sum(),
            np.square(rest_SN).sum(),
        ]
    )
    parts = squares / freedom / (num_seeds * num_photos) * np.array([1, 1, -1])
    variance = max(float(parts.sum()), float(parts[:2].max()), 1e-12)
    degrees = max(1.0, variance**2 / max(1e-24, float((np.square(parts) / freedom).sum())))
    reach = reference.t.ppf((1 + LEVEL) / 2, degrees) * math.sqrt(variance)
    return mean - reach, mean + reach


def many(function, count, workers, first=0):
    """Return what ``function(seed)`` gives for ``count`` seeds, in order."""
    seeds = range(first, first + count)
    if workers == 1:
        return [function(seed) for seed in seeds]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(function, seeds, chunksize=25))


def binomial(successes, trials):
    """Return a share and its exact 95 % interval as text, in percent."""
    bounds = reference.binomtest(successes, trials).proportion_ci(method="exact")
    return f"{100 * successes / trials:.1f} ({100 * bounds.low:.1f} to {100 * bounds.high:.1f})"


def print_equal(count, workers):
    """Print how often arms that change nothing get each word."""
    print("\n## Equal arms\n")
    print("| photos | seed sd | seeds | arms | any *helps*, % of studies | any *hurts*, % |"
          " p of at most 2.5 % *helps* |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    cells = [(size, sd, 3, 1) for size in SIZES for sd in SEED_SDS]
    cells += [(1000, 1.0, 2, 1), (1000, 1.0, 5, 1), (1000, 1.0, 3, 5), (5000, 0.5, 3, 5)]
    for size, sd, seeds, arms in cells:
        world = World(size, seeds, sd, (0.0,) * arms)
        words = many(partial(study_words, world), count, workers)
        helps = sum("helps" in row for row in words)
        hurts = sum("hurts" in row for row in words)
        p = reference.binomtest(helps, count, 0.025, alternative="greater").pvalue
        print(f"| {size:,} | {sd} | {seeds} | {arms} | {binomial(helps, count)} |"
              f" {binomial(hurts, count)} | {p:.3f} |", flush=True)  # fmt: skip


def print_power(count, workers):
    """Print how often a true gain of two points is found."""
    print("\n## A true gain of 2 points\n")
    print("| photos | seed sd | seeds | arms | *helps* | *no difference* | *inconclusive* |"
          " *hurts* |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    cells = [(1_000, 0.5, 3, 1), (5_000, 0.5, 3, 1), (20_000, 0.5, 3, 1), (20_000, 0.25, 3, 1)]
    cells += [(5_000, 0.5, 5, 1), (5_000, 0.5, 8, 1), (5_000, 1.0, 5, 1), (5_000, 1.0, 10, 1)]
    cells += [(5_000, 0.5, 5, 4)]
    for size, sd, seeds, arms in cells:
        world = World(size, seeds, sd, (2.0,) + (0.0,) * (arms - 1))
        words = [row[0] for row in many(partial(study_words, world), count, workers)]
        shares = [
            f"{100 * words.count(word) / count:.1f}"
            for word in ("helps", "no difference", "inconclusive", "hurts")
        ]
        print(f"| {size:,} | {sd} | {seeds} | {arms} | {' | '.join(shares)} |", flush=True)


def print_coverage(count, workers, gain):
    """Print how often intervals of three seeds hold the truth, by rule."""
    print(f"\n## Coverage of 95 % intervals, 3 seeds, true gain {gain:g} points\n")
    print("| photos | seed sd | the wider | width | seeds alone | photos alone |"
          " summed variances | width |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for size in SIZES:
        for sd in SEED_SDS:
            world = World(size, 3, sd, (gain,))
            rows = many(partial(covers, world, truth(world, gain)), count, workers)
            hit, width = np.array(rows).transpose(2, 1, 0)
            shares = [binomial(int(one.sum()), count) for one in hit]
            widths = [f"{100 * np.median(one):.1f}" for one in width]
            print(f"| {size:,} | {sd} | {shares[0]} | {widths[0]} | {shares[1]} | {shares[2]} |"
                  f" {shares[3]} | {widths[3]} |", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000, help="a cell")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    print_equal(args.studies, args.workers)
    print_power(args.studies, args.workers)
    print_coverage(args.studies, args.workers, 0.0)
    print_coverage(args.studies, args.workers, 2.0)


if __name__ == "__main__":
    main()
