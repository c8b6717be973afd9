"""Are the verdicts of ``carscale compare`` and ``carscale study`` right as often as they say?

Studies are drawn from a model of photos, arms and seeds whose truth is known, and judged by the
code that judges real ones. ``real_verdicts.py`` asks the same of trained heads.

    python benchmarks/sim_verdicts.py --json cells.json            # all cells
    python benchmarks/sim_verdicts.py --studies 200 --cells "5 arms, 3 seeds, 5,000"

The model. A photo has a difficulty that all runs share, an arm changes the odds of each photo by a
mean and by an amount of its own that all its seeds share, a run (an arm with a seed) moves all
photos together, and an answer is right by chance with the odds that result:

    logit P(right) = ease(photo) + shift(arm) + quirk(arm, photo) + luck(run)

Ease is normal and wide, so most photos are nearly always right or nearly always wrong: two seeds of
one arm are alike on 85 % of the photos, two arms on 83 %. ``luck`` is scaled so that its standard
deviation is ``seed_sd`` points of top-1, times the arm's spread; ``shift`` so that top-1 over all
photos and seeds is ``TOP1`` plus the arm's gain, whatever the spread. A wrong answer is every other
time the class that the photo is mostly mistaken for, else any class; both by the classes' shares.

Axes: A arms with the baseline first, S seeds, N photos, K classes, H nodes of an integral.
"""

import argparse
import json
import math
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from unittest import mock

import numpy as np
from scipy import optimize, special
from scipy import stats as reference

from carscale import stats
from carscale.verdicts import verdict
from carscale.verdicts.looks import Looks
from carscale.verdicts.power import SampleSize
from carscale.verdicts.verdict import ArmRuns, judge_arms

TOP1, EASE_SD, QUIRK_SD, MISTAKEN = 0.73, 4.0, 1.0, 0.5
NODES_H, WEIGHTS_H = np.polynomial.hermite_e.hermegauss(64)
CLASSES = {
    "even": np.arange(50),
    "long tail": np.repeat(np.arange(50), np.round(50 ** np.linspace(1, 0, 50)).astype(int)),
}
"""50 classes, each as often as it is drawn; the first of the long tail 50 times as the last."""
TRUTH_PHOTOS, TRUTH_DRAWS = 200_000, 10


@dataclass(frozen=True)
class Cell:
    """What studies are drawn from.

    Attributes:
        name: Of the table's row.
        num_seeds: Of each arm.
        num_photos: In val.
        seed_sd: Of one run's top-1 by luck, points; of the baseline.
        spreads: Of each arm but the baseline: its luck as a factor of the baseline's.
        gain: Of the first of these arms, points of top-1; the others change nothing.
        metric: What is judged.
        classes: Key of ``CLASSES``.
    """

    name: str
    num_seeds: int
    num_photos: int
    seed_sd: float
    spreads: tuple[float, ...] = (1.0,)
    gain: float = 0.0
    metric: str = "top1"
    classes: str = "even"

    @property
    def gains(self):
        """Points of each arm, baseline first."""
        return (0.0, self.gain, *(0.0,) * (len(self.spreads) - 1))


ONE, FIVE, EIGHT = (1.0,), (1.0,) * 5, (1.0,) * 8
WILD, MIXED, ALL_CALM = (1.0, 1.0, 1.0, 1.0, 3.0), (1.0, 0.5, 0.5, 2.0, 3.0), (0.5,) * 5
MANY = (1.0, 0.5, 0.5, 0.5, 1.0, 1.0, 2.0, 3.0)
BALANCED = {"metric": "balanced_accuracy", "classes": "long tail"}
F1, F1_EVEN = {"metric": "macro_f1", "classes": "long tail"}, {"metric": "macro_f1"}
POWER = [
    Cell("power: 5 arms, 3 seeds, 5,000, sd 0.5", 3, 5000, 0.5, FIVE, 2.0),
    Cell("power: 5 arms, 2 seeds, 5,000, sd 0.5", 2, 5000, 0.5, FIVE, 2.0),
    Cell("power: 5 arms, 3 seeds, 1,000, sd 0.5", 3, 1000, 0.5, FIVE, 2.0),
    Cell("power: 5 arms, 3 seeds, 5,000, sd 1.0", 3, 5000, 1.0, FIVE, 2.0),
    Cell("power: 1 arm, 3 seeds, 5,000, sd 0.5", 3, 5000, 0.5, ONE, 2.0),
]
EQUAL = [
    Cell("1 arm, 3 seeds, 200, sd 1.0", 3, 200, 1.0),
    Cell("1 arm, 2 seeds, 1,000, sd 1.0", 2, 1000, 1.0),
    Cell("1 arm, 3 seeds, 1,000, sd 1.0", 3, 1000, 1.0),
    Cell("1 arm, 3 seeds, 5,000, sd 2.0", 3, 5000, 2.0),
    Cell("1 arm, 5 seeds, 5,000, sd 1.0", 5, 5000, 1.0),
    Cell("5 arms, 2 seeds, 5,000, sd 0.5", 2, 5000, 0.5, FIVE),
    Cell("5 arms, 3 seeds, 1,000, sd 1.0", 3, 1000, 1.0, FIVE),
    Cell("5 arms, 3 seeds, 5,000, sd 0.5", 3, 5000, 0.5, FIVE),
    Cell("5 arms, 3 seeds, 5,000, sd 1.0", 3, 5000, 1.0, FIVE),
    Cell("5 arms, 5 seeds, 5,000, sd 1.0", 5, 5000, 1.0, FIVE),
    Cell("8 arms, 2 seeds, 1,000, sd 0.5", 2, 1000, 0.5, EIGHT),
    Cell("8 arms, 3 seeds, 5,000, sd 1.0", 3, 5000, 1.0, EIGHT),
]
UNEQUAL = [
    Cell("1 arm of spread 0.5, 3 seeds, 5,000, sd 1.0", 3, 5000, 1.0, (0.5,)),
    Cell("1 arm of spread 3, 2 seeds, 5,000, sd 1.0", 2, 5000, 1.0, (3.0,)),
    Cell("1 arm of spread 3, 3 seeds, 5,000, sd 1.0", 3, 5000, 1.0, (3.0,)),
    Cell("5 arms, one of spread 3, 2 seeds, 5,000, sd 1.0", 2, 5000, 1.0, WILD),
    Cell("5 arms, one of spread 3, 3 seeds, 1,000, sd 0.5", 3, 1000, 0.5, WILD),
    Cell("5 arms, one of spread 3, 3 seeds, 5,000, sd 1.0", 3, 5000, 1.0, WILD),
    Cell("5 arms, one of spread 3, 5 seeds, 5,000, sd 1.0", 5, 5000, 1.0, WILD),
    Cell("5 arms of spreads 0.5 to 3, 3 seeds, 5,000, sd 0.5", 3, 5000, 0.5, MIXED),
    Cell("5 arms of spreads 0.5 to 3, first gains 2", 3, 5000, 0.5, MIXED, 2.0),
    Cell("5 arms of spread 0.5, 3 seeds, 5,000, sd 1.0", 3, 5000, 1.0, ALL_CALM),
    Cell("8 arms of spreads 0.5 to 3, 3 seeds, 5,000, sd 1.0", 3, 5000, 1.0, MANY),
]
BY_CLASS = [
    Cell("balanced accuracy, 5 arms, 2 seeds, 5,000, sd 0.5", 2, 5000, 0.5, FIVE, **BALANCED),
    Cell("balanced accuracy, 5 arms, 3 seeds, 1,000, sd 1.0", 3, 1000, 1.0, FIVE, **BALANCED),
    Cell("balanced accuracy, spreads 0.5 to 3", 3, 5000, 1.0, MIXED, **BALANCED),
    Cell("balanced accuracy, first gains 2", 3, 5000, 0.5, FIVE, 2.0, **BALANCED),
    Cell("macro-F1, 5 arms, 2 seeds, 5,000, sd 0.5", 2, 5000, 0.5, FIVE, **F1),
    Cell("macro-F1, 5 arms, 3 seeds, 1,000, sd 1.0", 3, 1000, 1.0, FIVE, **F1),
    Cell("macro-F1, even classes, 3 seeds, 1,000, sd 1.0", 3, 1000, 1.0, FIVE, **F1_EVEN),
    Cell("macro-F1, 1 arm, 3 seeds, 200, sd 1.0", 3, 200, 1.0, ONE, **F1),
    Cell("macro-F1, 8 arms, 5 seeds, 5,000, sd 1.0", 5, 5000, 1.0, EIGHT, **F1),
    Cell("macro-F1, spreads 0.5 to 3", 3, 5000, 1.0, MIXED, **F1),
    Cell("macro-F1, first gains 2", 3, 5000, 0.5, FIVE, 2.0, **F1),
    Cell("macro-F1, even classes, first gains 2", 3, 5000, 0.5, FIVE, 2.0, **F1_EVEN),
]
CELLS = {cell.name: cell for cell in (*POWER, *EQUAL, *UNEQUAL, *BY_CLASS)}


def accuracy(shift, width):
    """Return the mean of P(right) over photos whose odds are normal; by Gauss and Hermite."""
    return float(special.expit(shift + width * NODES_H) @ WEIGHTS_H) / math.sqrt(2 * math.pi)


@cache
def shift_of(top1, width):
    """Return the mean of the odds that gives a top-1."""
    return optimize.brentq(lambda shift: accuracy(shift, width) - top1, -20, 20, xtol=1e-12)


@cache
def luck_of(seed_sd):
    """Return the standard deviation of a run's odds that moves top-1 by ``seed_sd`` points."""
    width = math.hypot(EASE_SD, QUIRK_SD)
    middle = shift_of(TOP1, width)
    return seed_sd / 100 * 0.02 / (accuracy(middle + 0.01, width) - accuracy(middle - 0.01, width))


def draw(cell, rng):
    """Return the runs of each arm, ``baseline`` first, and the labels of a study's photos."""
    lots, size = CLASSES[cell.classes], cell.num_photos
    labels_N, mistaken_N = lots[rng.integers(len(lots), size=(2, size))]
    ease_N = EASE_SD * rng.standard_normal(size)
    arms = {}
    for number, (gain, spread) in enumerate(zip(cell.gains, (1.0, *cell.spreads), strict=True)):
        luck = spread * luck_of(cell.seed_sd)
        shift = shift_of(TOP1 + gain / 100, math.hypot(EASE_SD, QUIRK_SD, luck))
        odds_N = shift + ease_N + QUIRK_SD * rng.standard_normal(size)
        odds_SN = odds_N + luck * rng.standard_normal((cell.num_seeds, 1))
        wrong_SN = lots[rng.integers(len(lots), size=odds_SN.shape)]
        wrong_SN = np.where(rng.random(odds_SN.shape) < MISTAKEN, mistaken_N, wrong_SN)
        wrong_SN = wrong_SN + (
            wrong_SN == labels_N
        )  # the next class, where chance would have it right
        is_right_SN = rng.random(odds_SN.shape) < special.expit(odds_SN)
        guess_SN = np.where(is_right_SN, labels_N, wrong_SN % (lots[-1] + 1))
        losses_SN = np.logaddexp(0, -odds_SN)
        name = f"arm {number}" if number else "baseline"
        arms[name] = ArmRuns(tuple(range(cell.num_seeds)), guess_SN, losses_SN)
    return arms, labels_N


@cache
def truth(gain, metric, classes):
    """Return what a gain in top-1 is in a metric over all photos, as a share.

    Classes are alike but for their shares, so balanced accuracy gains what top-1 does. Macro-F1 is
    measured on draws of many photos, up to 0.05 points.
    """
    if metric != "macro_f1" or not gain:
        return gain / 100
    cell = Cell("", 1, TRUTH_PHOTOS, 0.0, ONE, gain, metric, classes)
    found = []
    for seed in range(TRUTH_DRAWS):
        arms, labels_N = draw(cell, np.random.default_rng(seed))
        scores = [macro_f1(runs.predictions_SN[0], labels_N) for runs in arms.values()]
        found.append(scores[1] - scores[0])
    return float(np.mean(found))


def macro_f1(guess_N, labels_N):
    """Return the mean F1 of the classes; each has photos."""
    right_K = np.bincount(labels_N[guess_N == labels_N], minlength=labels_N.max() + 1)
    return float(np.mean(2 * right_K / (np.bincount(labels_N) + np.bincount(guess_N))))


def without_advice():
    """Return a context that leaves out what would settle a verdict: it takes most of the time."""
    return mock.patch.object(verdict, "sample_size", return_value=SampleSize(1, None))


def judge(cell, seed):
    """Return ``(word, low, high)`` of each arm of one study."""
    arms, labels_N = draw(cell, np.random.default_rng(seed))
    with without_advice():
        verdicts = judge_arms(arms, "baseline", labels_N, metric=cell.metric)
    intervals = {name: found.difference.interval for name, found in verdicts.items()}
    return [(verdicts[name].word, one.low, one.high) for name, one in intervals.items()]


def judge_looks(cell, seed):
    """Return ``(word, low, high)`` of each arm of a study that is judged after every round.

    An arm that is settled, or hopeless, gets no more runs; the first look is after two rounds,
    or as soon as the spread of seeds is known well enough (``Looks``).
    """
    arms, labels_N = draw(cell, np.random.default_rng(seed))
    waiting, seeds_of = list(arms)[1:], dict.fromkeys(arms, 0)
    total, looks, verdicts = len(arms) * cell.num_seeds, Looks(), {}
    for num_seeds in range(1, cell.num_seeds + 1):
        seeds_of |= dict.fromkeys(["baseline", *waiting], num_seeds)
        if num_seeds == 1:
            continue
        fraction = 1.0 if num_seeds == cell.num_seeds else sum(seeds_of.values()) / total
        so_far = {name: first(runs, seeds_of[name]) for name, runs in arms.items()}
        with without_advice():
            verdicts = judge_arms(
                so_far, "baseline", labels_N, metric=cell.metric, alpha=looks.alpha(fraction)
            )
        more = dict.fromkeys(waiting, cell.num_seeds - num_seeds)
        looks = looks.after(verdicts, fraction, more, margin=0.01)
        waiting = [name for name in waiting if looks.is_open(name)]
        if not waiting:
            break
    if not looks.is_over:  # as a study does at its end, with all error that is left
        so_far = {name: first(runs, seeds_of[name]) for name, runs in arms.items()}
        with without_advice():
            verdicts = judge_arms(
                so_far, "baseline", labels_N, metric=cell.metric, alpha=looks.alpha(1.0)
            )
        looks = looks.after(verdicts, 1.0, {}, margin=0.01)
    shown = {name: looks.verdicts.get(name, found) for name, found in verdicts.items()}
    intervals = {name: found.difference.interval for name, found in shown.items()}
    runs = sum(seeds_of.values()) / total
    return [(shown[name].word, one.low, one.high, runs) for name, one in intervals.items()]


def first(runs, num_seeds):
    """Return the first runs of an arm."""
    return ArmRuns(
        runs.seeds[:num_seeds], runs.predictions_SN[:num_seeds], runs.losses_SN[:num_seeds]
    )


def many(function, count, workers):
    """Return what ``function(seed)`` gives for ``count`` seeds, in order."""
    if workers == 1:
        return [function(seed) for seed in range(count)]
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(function, range(count), chunksize=25))


def summarise(cell, studies):
    """Return the numbers of a cell: counts, a median, a p."""
    words = np.array([[arm[0] for arm in study] for study in studies])
    low, high = np.array([[arm[1:3] for arm in study] for study in studies]).transpose(2, 0, 1)
    gains = np.array(cell.gains[1:])
    wanted = np.array([truth(float(gain), cell.metric, cell.classes) for gain in gains])
    is_null, count = gains == 0, len(studies)
    helps = int((words[:, is_null] == "helps").any(axis=1).sum())
    none = (words == "no difference") & (np.abs(wanted) > 0.01)
    return {
        "studies": count,
        "null_arms": int(is_null.sum()),
        "false_helps": helps,
        "false_hurts": int((words[:, is_null] == "hurts").any(axis=1).sum()),
        "false_none": int(none.any(axis=1).sum()),
        "p": binomial_p(helps, count) if is_null.any() else math.nan,
        "intervals": low.size,
        "covered": int(((low <= wanted) & (wanted <= high)).sum()),
        "covered_by_arm": ((low <= wanted) & (wanted <= high)).sum(axis=0).tolist(),
        "width": float(np.median(high - low)),
        "runs": float(np.mean([study[0][3] if len(study[0]) > 3 else 1 for study in studies])),
        "found": int((words[:, 0] == "helps").sum()) if cell.gain else None,
        "taken_for_loss": int((words[:, 0] == "hurts").sum()) if cell.gain else None,
    }


def binomial_p(successes, trials):
    """Return the one-sided exact p of a share of at most 2.5 %."""
    return float(reference.binomtest(successes, trials, 0.025, alternative="greater").pvalue)


def share(successes, trials):
    """Return a share and its exact 95 % interval as text, in percent."""
    bounds = reference.binomtest(successes, trials).proportion_ci(method="exact")
    return f"{100 * successes / trials:.1f} ({100 * bounds.low:.1f} to {100 * bounds.high:.1f})"


def print_table(title, judging, cells, count, workers):
    """Judge studies, print a row a cell, and return all numbers."""
    found = {}
    for name, cell in cells.items():
        found[name] = summarise(cell, many(partial(judging, cell), count, workers))
        print(f"{name}: {found[name]}", flush=True)
    adjusted = stats.holm([one["p"] for one in found.values()]).tolist()
    print(f"\n## {title}")
    print("\n| cell | any false *helps*, % of studies | p | p (Holm) | any false *hurts*, % |"
          " coverage, % | width | *helps* of a gain of 2, % | runs, % |\n"
          "|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for (name, one), p_holm in zip(found.items(), adjusted, strict=True):
        one["p_holm"], num = p_holm, one["studies"]
        false = share(one["false_helps"], num) if one["null_arms"] else ""
        p_words = f"{one['p']:.3f} | {p_holm:.3f}" if one["null_arms"] else " | "
        power = "" if one["found"] is None else share(one["found"], num)
        print(f"| {name} | {false} | {p_words} | {100 * one['false_hurts'] / num:.1f} |"
              f" {100 * one['covered'] / one['intervals']:.1f} | {100 * one['width']:.1f} |"
              f" {power} | {100 * one['runs']:.0f} |")  # fmt: skip
    return {name: asdict(cells[name]) | one for name, one in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=2000, help="a cell")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--cells", nargs="*", default=[""], help="parts of names; all by default")
    parser.add_argument("--tables", nargs="*", default=["once", "looks"], help="both by default")
    parser.add_argument("--json", type=Path, help="also write all numbers")
    args = parser.parse_args()
    cells = {name: cell for name, cell in CELLS.items() if any(part in name for part in args.cells)}
    looked = {name: cell for name, cell in cells.items() if cell.num_seeds > 2}
    tables = {"once": ("Judged once", judge, cells), "looks": ("Looks", judge_looks, looked)}
    found = {name: print_table(*tables[name], args.studies, args.workers) for name in args.tables}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
