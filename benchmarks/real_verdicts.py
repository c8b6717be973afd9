"""Are verdicts right on real trainings? Studies drawn from thousands of trained heads.

    python benchmarks/real_heads.py data/stanford --out heads
    python benchmarks/real_verdicts.py heads --json heads/verdicts.json

A study takes S seed numbers, the same for each arm, some unseen photos as its val, and five arms:
two that change nothing and three that do. ``judge_arms`` judges it. The truth is measured on what
the study does not see: all other seeds, on all other photos. Its own error is added to the interval
in the check of coverage. Where an arm changes nothing the truth is 0 without error.

Axes: A arms, R runs of an arm, S seeds of a study, N photos, G groups of photos, K classes.
"""

import argparse
import json
import math
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from real_heads import NULLS, REAL
from scipy import stats as reference
from sim_verdicts import without_advice

from carscale.verdicts.verdict import ArmRuns, judge_arms

METRICS = ("top1", "balanced_accuracy", "macro_f1", "log_loss")
MARGIN, NUM_GROUPS, NUM_PRECISE, PER_DEAL = 0.01, 60, 20, 200
BASELINE = "baseline"


@dataclass(frozen=True)
class Cell:
    """What studies are drawn.

    Attributes:
        metric, num_seeds, num_photos: Of the study.
        num_nulls, num_real: Arms that change nothing, and that change something.
        shares_seeds: Whether arms take the same seed numbers; else each draws its own, as if a seed
            gave arms nothing in common.
    """

    metric: str
    num_seeds: int
    num_photos: int
    num_nulls: int = 2
    num_real: int = 3
    shares_seeds: bool = True


CELLS = [Cell(metric, seeds, 1000) for metric in METRICS for seeds in (2, 3, 5)]
CELLS += [Cell(metric, 3, 3000) for metric in METRICS]
CELLS += [Cell("top1", 3, 1000, 5, 0), Cell("macro_f1", 3, 1000, 5, 0)]
CELLS += [Cell(metric, 3, 1000, shares_seeds=False) for metric in METRICS]


@dataclass(frozen=True, eq=False)
class Heads:
    """All trained heads.

    Attributes:
        predictions: Of each arm, int16 ``[R, N]``.
        losses: Of each arm, float32 ``[R, N]``.
        labels_N: True classes.
    """

    predictions: dict
    losses: dict
    labels_N: np.ndarray


@cache
def load(folder):
    """Return all heads of a folder; the same number of runs of each arm."""
    labels_N = np.load(folder / "embeddings.npz")["unseen_labels_N"]
    stored = {name: np.load(folder / f"{name}.npz") for name in (BASELINE, *NULLS, *REAL)}
    predictions = {name: one["predictions_RN"] for name, one in stored.items()}
    num_runs = min(len(rows) for rows in predictions.values())
    return Heads(
        {name: rows[:num_runs] for name, rows in predictions.items()},
        {name: one["losses_RN"][:num_runs] for name, one in stored.items()},
        labels_N,
    )


@dataclass(frozen=True, eq=False)
class Deal:
    """Photos dealt into groups, and what each run does on each: enough for a metric of any union.

    Attributes:
        group_N: Group of each photo.
        support_GK: Photos; all are of one class where the metric does not ask for classes.
        right: Of each arm, ``[G, R, K]``: photos predicted correctly, or minus the summed loss.
        predicted: The same of photos predicted as a class; for macro-F1 alone.
    """

    group_N: np.ndarray
    support_GK: np.ndarray
    right: dict
    predicted: dict


def deal(heads, metric, rng):
    """Deal the photos."""
    group_N = rng.permutation(np.arange(len(heads.labels_N)) % NUM_GROUPS)
    by_class = metric in ("balanced_accuracy", "macro_f1")
    labels_N = heads.labels_N if by_class else np.zeros_like(heads.labels_N)
    num_classes = int(labels_N.max()) + 1

    def count(classes_N, weights_N):
        places_N = group_N * num_classes + classes_N
        flat = np.bincount(places_N, weights_N, minlength=NUM_GROUPS * num_classes)
        return flat.reshape(NUM_GROUPS, num_classes)

    right, predicted = {}, {}
    for name, rows in heads.predictions.items():
        if metric == "log_loss":
            parts = [count(labels_N, -row) for row in heads.losses[name]]
        else:
            parts = [count(labels_N, row == heads.labels_N) for row in rows]
        right[name] = np.stack(parts, axis=1)
        if metric == "macro_f1":
            predicted[name] = np.stack([count(row, None) for row in rows], axis=1)
    return Deal(group_N, count(labels_N, None), right, predicted)


def values_on(dealt, name, metric, used_MG, rows=slice(None)):
    """Return the metric of each run of an arm on unions of groups, ``[M, R]``; larger is better."""
    right_MRK = np.tensordot(used_MG, dealt.right[name][:, rows], axes=1)
    support_MK = used_MG @ dealt.support_GK
    whole_MRK = support_MK[:, None]
    if metric == "macro_f1":
        predicted_MRK = np.tensordot(used_MG, dealt.predicted[name][:, rows], axes=1)
        whole_MRK = (whole_MRK + predicted_MRK) / 2
    is_held_MK = support_MK > 0
    shares_MRK = right_MRK * is_held_MK[:, None] / np.maximum(0.5, whole_MRK)
    return shares_MRK.sum(axis=2) / is_held_MK.sum(axis=1)[:, None]


def elsewhere(dealt, name, metric, *, groups, others_R, num_photos):
    """Return what an arm does by seeds and photos that a study does not see.

    Returns:
        The value of each other run on all other groups; the mean of some of these runs with each of
        the groups left out; the same on parts as large as a study's val.
    """
    used_G = np.isin(np.arange(NUM_GROUPS), groups).astype(float)
    size = round(num_photos * NUM_GROUPS / len(dealt.group_N))
    parts = [groups[start : start + size] for start in range(0, len(groups) - size + 1, size)]
    left_out_MG = used_G - np.eye(NUM_GROUPS)[groups]
    parts_MG = np.stack([np.isin(np.arange(NUM_GROUPS), part) for part in parts]).astype(float)
    value_R = values_on(dealt, name, metric, used_G[None])[0][others_R]
    masks_MG, few = np.concatenate([left_out_MG, parts_MG]), others_R[:NUM_PRECISE]
    mean_M = values_on(dealt, name, metric, masks_MG, few).mean(axis=1)
    return value_R, mean_M[: len(groups)], mean_M[len(groups) :]


def truth_of(arm, base):
    """Return an arm's true difference and its standard error; both from ``elsewhere``.

    Returns:
        The difference on all these photos at once; the mean of those on parts as large as a study,
        which is another one for a metric that is no mean over photos; the standard error: of
        photos by a jackknife over groups, of seeds by the spread over runs.
    """
    without_M = arm[1] - base[1]
    by_photos = (len(without_M) - 1) * without_M.var()
    by_seeds = sum(value_R.var(ddof=1) / len(value_R) for value_R in (arm[0], base[0]))
    small = float((arm[2] - base[2]).mean())
    return float(arm[0].mean() - base[0].mean()), small, math.sqrt(by_photos + by_seeds)


def judge_some(folder, cell, seed):
    """Return a row per arm of some studies that share one deal."""
    heads = load(folder)  # each process reads them once
    rng = np.random.default_rng((seed, CELLS.index(cell)))
    dealt = deal(heads, cell.metric, rng)
    rows = []
    for study in range(PER_DEAL):
        rows += [{"study": (seed, study), **row} for row in judge_one(heads, dealt, cell, rng)]
    return rows


def judge_one(heads, dealt, cell, rng):
    """Draw a study and return a row per arm."""
    num_runs = len(heads.predictions[BASELINE])
    names = [BASELINE, *rng.choice(list(NULLS), cell.num_nulls, replace=False)]
    names += [*rng.choice(list(REAL), cell.num_real, replace=False)]
    num_draws = 1 if cell.shares_seeds else len(names)
    rows_AS = rng.permutation(num_runs)[: num_draws * cell.num_seeds].reshape(num_draws, -1)
    others_R = rng.permutation(np.setdiff1d(np.arange(num_runs), rows_AS))
    rows_AS = np.broadcast_to(rows_AS, (len(names), cell.num_seeds))
    num_groups = round(cell.num_photos * NUM_GROUPS / len(heads.labels_N))
    order = rng.permutation(NUM_GROUPS)
    val_N = np.flatnonzero(np.isin(dealt.group_N, order[:num_groups]))
    arms = {
        str(name): ArmRuns(
            tuple(range(cell.num_seeds)),
            heads.predictions[name][np.ix_(rows_S, val_N)].astype(np.int64),
            heads.losses[name][np.ix_(rows_S, val_N)].astype(np.float64),
        )
        for name, rows_S in zip(names, rows_AS, strict=True)
    }
    labels_N = heads.labels_N[val_N]
    with without_advice():
        verdicts = judge_arms(arms, BASELINE, labels_N, metric=cell.metric, margin=MARGIN)
    beyond = cache(
        partial(
            elsewhere,
            dealt,
            metric=cell.metric,
            groups=order[num_groups:],
            others_R=others_R,
            num_photos=cell.num_photos,
        )
    )
    for name in map(str, names[1:]):
        truth, small, error = 0.0, 0.0, 0.0
        if name in REAL:
            truth, small, error = truth_of(*(beyond(one) for one in (name, BASELINE)))
        found = verdicts[name]
        yield {
            "arm": name,
            "word": found.word,
            "value": found.difference.value,
            "low": found.difference.interval.low,
            "high": found.difference.interval.high,
            "truth": truth,
            "truth_small": small,
            "error": error,
        }


def holds(row, truth):
    """Tell whether an interval, widened by the error of the truth, holds the truth."""
    reach = math.hypot((row["high"] - row["low"]) / 2, reference.norm.ppf(0.975) * row["error"])
    return abs((row["high"] + row["low"]) / 2 - truth) <= reach


def claim(row):
    """Return what is wrong with a word: a null or wrong claim of a direction, a wrong *none*."""
    if row["word"] in ("helps", "hurts"):
        if row["arm"] in NULLS:
            return f"null {row['word']}"
        return "" if (row["truth"] > 0) == (row["word"] == "helps") else "wrong sign"
    return "wrong none" if row["word"] == "no difference" and abs(row["truth"]) > MARGIN else ""


def share(successes, trials, digits=1):
    """Return a share and its exact 95 % interval as text, in percent."""
    if not trials:
        return "none"
    bounds = reference.binomtest(int(successes), int(trials)).proportion_ci(method="exact")
    low, high = 100 * bounds.low, 100 * bounds.high
    return f"{100 * successes / trials:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def summarise(rows):
    """Return the numbers of a cell."""
    wrong = [(row["study"], claim(row)) for row in rows]
    num_studies = len({row["study"] for row in rows})
    real = [row for row in rows if row["arm"] in REAL]
    nulls = [row for row in rows if row["arm"] in NULLS]
    claims = [row for row in real if row["word"] in ("helps", "hurts")]
    signs = [not claim(row) for row in claims]
    kinds = ("null helps", "null hurts", "wrong sign", "wrong none")
    false = {kind: len({study for study, what in wrong if what == kind}) for kind in kinds}
    return {
        "studies": num_studies,
        "false": len({study for study, what in wrong if what}),
        **false,
        "claims": len(claims),
        "right_sign": int(sum(signs)),
        "real": len(real),
        "nulls": len(nulls),
        "covered_real": sum(holds(row, row["truth"]) for row in real),
        "covered_real_small": sum(holds(row, row["truth_small"]) for row in real),
        "covered_null": sum(holds(row, 0.0) for row in nulls),
        "width": float(np.median([row["high"] - row["low"] for row in rows])),
        "error": float(np.median([row["error"] for row in real])) if real else 0.0,
        "by_arm": {
            name: by_arm([row for row in rows if row["arm"] == name])
            for name in (*NULLS, *REAL)
            if any(row["arm"] == name for row in rows)
        },
    }


def by_arm(rows):
    """Return the numbers of one arm."""
    words = [row["word"] for row in rows]
    return {
        "rows": len(rows),
        "truth": float(np.mean([row["truth"] for row in rows])),
        "bias": float(np.mean([row["value"] - row["truth"] for row in rows])),
        "covered": sum(holds(row, row["truth"]) for row in rows),
        "false": sum(bool(claim(row)) for row in rows),
        **{word: words.count(word) for word in ("helps", "hurts", "no difference", "inconclusive")},
    }


def spreads(heads):
    """Return of each arm: mean value, spread over seeds, correlation by seed with the baseline."""
    found, whole = {}, np.ones((1, NUM_GROUPS))
    for metric in METRICS:
        dealt = deal(heads, metric, np.random.default_rng(0))
        base_R = values_on(dealt, BASELINE, metric, whole)[0]
        for name in heads.predictions:
            value_R = values_on(dealt, name, metric, whole)[0]
            found.setdefault(name, {})[metric] = {
                "mean": float(value_R.mean()),
                "sd": float(value_R.std(ddof=1)),
                "ratio": float(value_R.std(ddof=1) / base_R.std(ddof=1)),
                "correlation": float(np.corrcoef(value_R, base_R)[0, 1]),
            }
    return found


def print_spreads(found):
    """Print how arms differ and how unequal their seeds are."""
    print("\n| arm | top-1, % | difference | sd over seeds | sd / baseline's: top-1 |"
          " balanced | macro-F1 | log-loss | correlation by seed: top-1 | log-loss |\n"
          "|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    base = found[BASELINE]["top1"]["mean"]
    for name, of in found.items():
        top1, ratios = of["top1"], " | ".join(f"{of[metric]['ratio']:.2f}" for metric in METRICS)
        print(f"| {name} | {100 * top1['mean']:.2f} | {100 * (top1['mean'] - base):+.2f} |"
              f" {100 * top1['sd']:.2f} | {ratios} | {top1['correlation']:+.2f} |"
              f" {of['log_loss']['correlation']:+.2f} |")  # fmt: skip


def print_cell(cell, found):
    """Print a row of the table."""
    num = found["studies"]
    kinds = " / ".join(
        f"{100 * found[kind] / num:.1f}"
        for kind in ("null helps", "null hurts", "wrong sign", "wrong none")
    )
    print(f"| {cell.metric} | {cell.num_photos:,} | {cell.num_seeds} | {cell.num_nulls} +"
          f" {cell.num_real} | {'shared' if cell.shares_seeds else 'their own'} |"
          f" {share(found['covered_null'], found['nulls'])} |"
          f" {share(found['covered_real'], found['real'])} |"
          f" {share(found['right_sign'], found['claims'])} | {share(found['false'], num)} |"
          f" {kinds} | {100 * found['claims'] / max(1, found['real']):.0f} |"
          f" {100 * found['width']:.1f} |", flush=True)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("heads", type=Path, help="folder that real_heads.py wrote")
    parser.add_argument("--studies", type=int, default=2000, help="a cell")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--cells", nargs="*", type=int, default=range(len(CELLS)), help="numbers")
    parser.add_argument("--json", type=Path, help="also write all numbers")
    args = parser.parse_args()
    heads = load(args.heads)
    stored = {"runs": len(heads.predictions[BASELINE]), "arms": spreads(heads), "cells": []}
    print_spreads(stored["arms"])
    print("\n| metric | photos | seeds | arms: null + real | seeds are | coverage, null, % |"
          " coverage, real, % | right sign of claims, % | studies with a false claim, % |"
          " null helps / null hurts / wrong sign / wrong none | real with a claim, % | width |\n"
          "|---|---|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for number in args.cells:
        cell = CELLS[number]
        with ProcessPoolExecutor(args.workers) as pool:
            some = pool.map(
                partial(judge_some, args.heads, cell), range(-(-args.studies // PER_DEAL))
            )
            found = summarise([row for rows in some for row in rows])
        stored["cells"].append(vars(cell) | found)
        print_cell(cell, found)
        if args.json:
            args.json.write_text(json.dumps(stored, indent=1) + "\n")


if __name__ == "__main__":
    main()
