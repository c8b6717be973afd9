"""How often does ``carscale gate`` refuse runs that differ in nothing, and what does it catch?

    python benchmarks/bench_gate.py                              # simulated pairs of runs
    python benchmarks/bench_gate.py runs/studies/balance/runs    # pairs of seeds that were trained
    python benchmarks/bench_gate.py --poison data/makes --out runs/poisoned    # trains seven runs

Simulated: a photo is easy or hard for both runs (85 %) or a coin of its class's recall; two seeds
of one recipe shift a class's recall by ``shift``. Poisoned: of one class half of the train photos
get the label of the next; the other seed of the clean recipe tells what is luck.
Axes: N photos, K classes.
"""

import argparse
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np

from carscale import data, workflows
from carscale.runs import RunFolder
from carscale.verdicts.gate import class_groups, judge_gate

RECALL, ALIKE, PAIRS = 0.8, 0.85, 200
SIZES = {
    "10 classes x 200": [200] * 10,
    "66 classes x 16": [16] * 66,
    "196 classes x 42": [42] * 196,
    "40 classes, 400 to 3": [400, 200, 100, 50, 25, 12, 6, 3] * 5,
    "7 classes x 400": [400] * 7,
}
SHIFTS = (0.0, 0.05, 0.15)


def draw(rng, sizes, shift, *, num_runs=3):
    """Return labels and what runs predict correctly."""
    labels_N = np.repeat(np.arange(len(sizes)), sizes)
    is_fixed_N, is_easy_N = rng.random((2, len(labels_N))) < [[ALIKE], [RECALL]]
    runs = []
    for _ in range(num_runs):
        recall_K = np.clip(RECALL + shift * rng.standard_normal(len(sizes)), 0.02, 0.98)
        runs.append(np.where(is_fixed_N, is_easy_N, rng.random(len(labels_N)) < recall_K[labels_N]))
    return labels_N, runs


def judged(labels_N, old_N, new_N, **more):
    names = [str(k) for k in range(labels_N.max() + 1)]
    return judge_gate(labels_N, old_N, new_N, class_groups(labels_N, names), **more)


def halve(rng, labels_N, new_N, label):
    """Return a run that forgot half of what it knew of a class."""
    rows = rng.permutation(np.flatnonzero((labels_N == label) & new_N))
    new_N = new_N.copy()
    new_N[rows[: len(rows) // 2]] = False
    return new_N


def simulate():
    print(
        "| classes | shift | refused, alone | refused, with a seed | half of a class lost: caught |"
    )
    print("|---|---|---|---|---|")
    for (name, sizes), shift in itertools.product(SIZES.items(), SHIFTS):
        rng = np.random.default_rng(0)
        alone = seeded = caught = 0
        for _ in range(PAIRS):
            labels_N, (old_N, other_N, new_N) = draw(rng, sizes, shift)
            alone += not judged(labels_N, old_N, new_N).has_passed
            seeded += not judged(labels_N, old_N, new_N, seeds_SN=other_N[None]).has_passed
            found = judged(labels_N, old_N, halve(rng, labels_N, new_N, 0))
            caught += any(one.name == "0" for one in found.worse)
        shares = [f"{100 * count / PAIRS:.1f} %" for count in (alone, seeded, caught)]
        print(f"| {name} | {shift:g} | {' | '.join(shares)} |", flush=True)


def real(folder):
    arms = defaultdict(list)
    for path in sorted(folder.iterdir()):
        if RunFolder(path).is_finished:
            arms[path.name.rpartition("-s")[0]].append(RunFolder(path).predictions("val"))
    pairs = alone = seeded = with_seed = 0
    shares = []
    for runs in arms.values():
        correct = [run.prediction_N == run.labels_N for run in runs]
        for i, j in itertools.combinations(range(len(runs)), 2):
            others = [correct[k] for k in range(len(runs)) if k not in (i, j)]
            found = judged(runs[0].labels_N, correct[i], correct[j])
            pairs, alone = pairs + 1, alone + (not found.has_passed)
            shares.append(found.flips.share)
            if others:
                told = {"seeds_SN": np.stack(others)}
                found = judged(runs[0].labels_N, correct[i], correct[j], **told)
                with_seed, seeded = with_seed + 1, seeded + (not found.has_passed)
    print(
        f"{pairs} pairs of seeds: {alone} refused; with other seeds given {seeded} of {with_seed}"
    )
    print(f"negative flips: {100 * np.mean(shares):.1f} % on average")


def poison(root, out, words, num=5):
    """Train clean runs of two seeds, and runs with one class poisoned each; gate those."""
    splits = data.read_splits(root)
    train, names = splits.train, [one.name for one in splits.classes]
    settings = {"run.dir": out, "train.select": "last", "train.eval_every_epochs": 0, **words}

    def trained(name, data_root, seed):
        run = RunFolder(out / name)
        if not run.is_finished:
            chosen = {"data.root": data_root, "seed": seed, "run.name": name}
            workflows.train("effnet_baseline", settings | chosen)
        return run

    clean = [trained(f"clean-s{seed}", root, seed) for seed in (0, 1)]
    print("| poisoned class | val photos | recall before | now | all, points | refused |")
    print("|---|---|---|---|---|---|")
    for number, k in enumerate(np.argsort(-splits.val.counts_K)[:num].tolist()):
        version = out / f"data-{number}"
        if not version.exists():
            table = out / f"poison-{number}.csv"
            rows = np.random.default_rng(number).permutation(np.flatnonzero(train.labels_N == k))
            lines = ["id,path,label,decision,new_label"]
            other = names[(k + 1) % len(names)]
            for row in rows[: len(rows) // 2]:
                lines.append(
                    f'{train.ids_N[row]},"{train.paths_N[row]}","{names[k]}",wrong,"{other}"'
                )
            table.write_text("\n".join(lines) + "\n")
            workflows.relabel(root, table, version, link="hard")
        run = trained(f"poisoned-{number}", version, 2 + number)
        found = workflows.gate(clean[0], run).result
        mine = next(one for one in found.groups if one.name == names[k])
        now = (mine.num_right - mine.num_lost + mine.num_gained) / mine.num_photos
        told = [f"{one.name} (p {one.p:.3f})" for one in found.worse]
        told += [f"flips {found.flips.share:.0%}"] * found.flips.is_too_many
        told = "; ".join(told) or "nothing"
        print(
            f"| {names[k]} | {mine.num_photos} | {mine.num_right / mine.num_photos:.0%} | {now:.0%}"
            f" | {-100 * found.groups[0].drop:+.1f} | {told} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="?", help="folder of runs, named ARM-sSEED")
    parser.add_argument("--poison", type=Path, help="frozen folder, of a few large classes")
    parser.add_argument("--out", type=Path, default=Path("runs/poisoned"))
    parser.add_argument("--settings", nargs="*", default=[], help="of the runs that are trained")
    args = parser.parse_args()
    if args.poison:
        args.out.mkdir(parents=True, exist_ok=True)
        poison(args.poison, args.out, dict(word.split("=", 1) for word in args.settings))
    else:
        simulate() if args.runs is None else real(args.runs)
