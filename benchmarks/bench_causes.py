"""Do the actions of ``carscale errors`` mend what was planted?

    python benchmarks/bench_causes.py runs/causes --seeds 3

Photos of the demo without its own problems, frozen once; then one cause a version:

    pair     a look-alike pair: of each of the two classes 15 train photos are left
    labels   of two classes 10 % carry the other one's label, in all splits
    dark     of three classes half of the val and test photos are dark

Each is trained with each seed. Told: whether the first three actions hold the one for the cause;
then its commands are run by a shell as they are printed (a person's label decisions are taken from
what was planted), and what they mend on test is counted among the mistakes that were planted.
Wrong labels of test are reviewed on test; the rest is read from val alone.
"""

import argparse
import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from carscale import data, workflows
from carscale.runs import RunFolder

CAUSES = ("pair", "labels", "dark")
RIGHT = {
    "pair": ("merge", "rebalance", "fine-tune"),
    "labels": ("check-labels",),
    "dark": ("augment",),
}
"""Kinds of actions that fit a cause; of ``pair`` the first of these that is among the first."""
FEW, SWAPPED, DARK, LEVEL = 15, 0.1, 0.5, 0.12
FIRST = 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("words", nargs="*", help="settings of the runs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--causes", nargs="*", default=CAUSES, choices=CAUSES)
    parser.add_argument("--num-classes", type=int, default=12)
    parser.add_argument("--num-images", type=int, default=4200)
    args = parser.parse_intermixed_args()
    args.out = args.out.resolve()
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    clean, truth = clean_photos(args.out, args.num_classes, args.num_images)
    print("| cause | seed | first actions | run | planted mistakes on test | mended |")
    print("|---|---|---|---|---|---|")
    for cause in args.causes:
        root, classes = plant(cause, clean, truth, args.out)
        for seed in range(args.seeds):
            print(row(cause, seed, root, classes, args), flush=True)


def clean_photos(out, num_classes, num_images):
    """Freeze a demo without its own problems; return the folder and what is true of it."""
    raw, clean = out / "raw", out / "clean"
    if not raw.exists():
        workflows.draw_demo(raw, num_classes=num_classes, num_images=num_images)
        truth = json.loads((raw / "truth.json").read_text())
        for path in problems(truth):
            (raw / path).unlink(missing_ok=True)
    if not clean.exists():
        workflows.freeze(raw, clean)
    return clean, json.loads((raw / "truth.json").read_text())


def problems(truth):
    """Return the files that the demo made hard on purpose."""
    pairs = [path for key in truth if "duplicates" in key for pair in truth[key] for path in pair]
    rows = [row["path"] for key in ("swapped_labels", "broken") for row in truth[key]]
    return {*pairs, *rows, *truth["dark"], *truth["blurred"]}


def plant(cause, clean, truth, out):
    """Freeze a version with a cause; names of files say what is planted, and the true class."""
    place, root = out / f"{cause}-photos", out / cause
    splits, rng = data.read_splits(clean), np.random.default_rng(0)
    names = [one.name for one in splits.classes]
    alike = [names.index(name) for name in truth["look_alike_pairs"][0]]
    special = {name for pair in truth["look_alike_pairs"] for name in pair}
    special |= {truth["scarce_hard"], truth["scarce_easy"]}
    common = [k for k, name in enumerate(names) if name not in special]
    classes = {"pair": alike, "labels": common[:2], "dark": common[:3]}[cause]
    if root.exists():
        return root, [names[k] for k in classes]
    shutil.rmtree(place, ignore_errors=True)
    for split in splits.every:
        planted = set()
        for k in classes:
            rows = rng.permutation(np.flatnonzero(split.labels_N == k)).tolist()
            planted |= set(rows[part(cause, split.name, len(rows))])
        for row, (path, k) in enumerate(zip(split.paths_N, split.labels_N.tolist(), strict=True)):
            is_planted = row in planted
            if is_planted and cause == "pair" and split.name == "train":
                continue
            label = classes[k == classes[0]] if is_planted and cause == "labels" else k
            mark = "planted" if is_planted else "plain"
            to = place / split.name / names[label] / f"{mark}~{names[k]}~{Path(path).name}"
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(clean / path, to)
            if is_planted and cause == "dark":
                photo = Image.open(to).convert("RGB")
                photo.point([round(grey * LEVEL) for grey in range(256)] * 3).save(to, quality=90)
    workflows.freeze(place, root, data.FreezeRule(keep_splits=True, near_duplicates="ignore"))
    return root, [names[k] for k in classes]


def part(cause, split, num):
    """Return which photos of a class are planted, of a random order."""
    if cause == "labels":
        return slice(0, round(SWAPPED * num))
    if cause == "pair":
        return slice(FEW if split == "train" else 0, None)
    return slice(0, 0 if split == "train" else round(DARK * num))


def row(cause, seed, root, classes, args):
    """Train, diagnose, act, and return a row of the table."""
    base = RunFolder(args.out / f"{cause}-s{seed}")
    words = {"data.root": root, "data.image_px": 96, "seed": seed, "run.dir": args.out}
    words |= {"run.name": base.name} | dict(word.split("=", 1) for word in args.words)
    if not base.is_finished:
        workflows.train("effnet_baseline", words)
    split = "test" if cause == "labels" else "val"
    for name in ("val", "test"):
        workflows.evaluate(base, split=name, embeddings=True)
    actions = workflows.analyse(base, split=split).analysis.actions[:FIRST]
    kinds = ", ".join(f"{one['kind']} {one.get('group', '')}".strip() for one in actions)
    taken, before = pick(cause, actions, classes), mistakes(base)
    if taken is None:
        return f"| {cause} | {seed} | {kinds} | none | {len(before)} | |"
    after = mistakes(act(taken, base, root))
    share = (len(before) - len(after)) / max(1, len(before))
    told = f"{len(before)} -> {len(after)} | {share:.0%}"
    return f"| {cause} | {seed} | {kinds} | {taken['kind']} | {told} |"


def pick(cause, actions, classes):
    """Return the action that fits the cause and has commands, of the first ones."""
    for kind in RIGHT[cause]:
        for one in actions:
            if one["kind"] != kind or one.get("group", "dark") != "dark" or not one["command"]:
                continue
            if kind == "merge" and set(one["classes"]) != set(classes):
                continue
            return one
    return None


def mistakes(run):
    """Return the planted photos of test that a run has wrong, by the names of their files."""
    found = run.predictions("test")
    paths_W = found.paths_N[found.labels_N != found.prediction_N]
    return {name for path in paths_W if (name := Path(path).name).startswith("planted~")}


def act(action, base, root):
    """Run an action's commands as printed, in a folder of their own; return the run they leave."""
    words, place = action["command"], base.path.parent / f"{base.name}-acts"
    if action["kind"] == "check-labels":
        words = action["then"]
    made = re.findall(r"run\.name=(\S+)", words)
    left = [base.path.parent / name for name in (*made, f"{base.name}-rebalanced")]
    left += [Path(f"{root}-relabelled-{action.get('split')}"), Path(f"{root}-merged"), place]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    place.mkdir()
    if action["kind"] == "check-labels":
        decide(action, root, place / "decisions.csv")
    done = subprocess.run(words, shell=True, cwd=place, stdout=subprocess.DEVNULL, stderr=-1)
    if done.returncode not in (0, 3):  # 3: the gate refused
        raise RuntimeError(f"{words}\n{done.stderr.decode()[-2000:]}")
    name = f"{base.name}-rebalanced" if action["kind"] == "rebalance" else next(iter(made), None)
    if name is None:
        return base
    workflows.evaluate(base.path.parent / name, split="test")
    return RunFolder(base.path.parent / name)


def decide(action, root, path):
    """Write what a person would say of the labels that are shown."""
    split = data.named_split(data.read_splits(root), action["split"])
    row_of = {number: row for row, number in enumerate(split.ids_N.tolist())}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "path", "label", "decision", "new_label"])
        for number in action["ids"]:
            row = row_of[number]
            label = split.classes[split.labels_N[row]].name
            true = Path(split.paths_N[row]).name.split("~")[1]
            said = ("right", "") if true == label else ("wrong", true)
            writer.writerow([number, split.paths_N[row], label, *said])


if __name__ == "__main__":
    main()
