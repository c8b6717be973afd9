"""How many real label errors come first? Swap labels of train, train folds, read the review list.

    python benchmarks/bench_labels.py data/stanford --share 0.03

Labels of some train photos are swapped for other classes, blindly, through ``carscale data
relabel``; ``carscale folds`` predicts train out of sample; the review list of ``carscale errors``
is compared with what was swapped, and with cleanlab's ranking on the same probabilities.
"""

import argparse
import csv
import json
import subprocess
import sys
from pathlib import Path

import cleanlab
import numpy as np

from carscale import data, tables

RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "effnet_baseline.py"
FIRST = (50, 100, 200)


def swap(root: Path, share: float, seed: int, out: Path) -> set[str]:
    """Make a version of the data with swapped train labels; return the keys of those photos."""
    train = data.read_splits(root).train
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(train), round(share * len(train)), replace=False)
    names = [one.name for one in train.classes]
    out.mkdir(parents=True, exist_ok=True)
    with (out / "swapped.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "path", "label", "decision", "new_label"])
        for row in rows.tolist():
            label = int(train.labels_N[row])
            other = (label + int(rng.integers(1, len(names)))) % len(names)
            writer.writerow(
                [train.ids_N[row], train.paths_N[row], names[label], "wrong", names[other]]
            )
    call("data", "relabel", root, out / "swapped.csv", out / "data", "--link", "hard")
    return set(train.keys_N[rows].tolist())


def call(*words: object) -> str:
    """Run carscale and return what it prints."""
    command = [sys.executable, "-m", "carscale", *map(str, words)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def train_folds(out: Path, num_folds: int, words: list[str]) -> None:
    """Start a run for its settings, then train its folds."""
    first = [sys.executable, str(RECIPE), f"data.root={out / 'data'}", f"run.dir={out}"]
    first += ["run.name=run", "train.max_steps=1", "train.grow_from_px=0"]
    if not (out / "run" / "predictions" / "val.parquet").exists():
        subprocess.run(first, check=True)
    call("folds", out / "run", "--num-folds", num_folds, "train.max_steps=0", *words)


def main() -> None:
    """Print the precision of the first 50, 100, 200 of the list."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    parser.add_argument("words", nargs="*", help="settings of the folds")
    parser.add_argument("--share", type=float, default=0.03)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-folds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/labels"))
    asked = parser.parse_args()
    swapped = swap(asked.root, asked.share, asked.seed, asked.out)
    train_folds(asked.out, asked.num_folds, asked.words)
    found = tables.read_predictions(asked.out / "run" / "predictions" / "folds.parquet")
    is_swapped = np.isin(found.keys_N.astype(str), list(swapped))
    told = json.loads(call("errors", asked.out / "run", "--json"))
    review = next(one for one in told["reviews"] if one["split"] == "train")
    place = {number: row for row, number in enumerate(found.ids_N.tolist())}
    ours = is_swapped[[place[one["id"]] for one in review["samples"]]]
    scores = cleanlab.rank.get_label_quality_scores(found.labels_N, found.probs_NK)
    theirs = is_swapped[np.argsort(scores, kind="stable")]
    top1 = (found.prediction_N == found.labels_N).mean()
    print(f"{len(found)} train photos, {is_swapped.sum()} swapped, out of sample top-1 {top1:.1%}")
    print("| first | carscale | cleanlab |\n|---|---|---|")
    for first in FIRST:
        print(f"| {first} | {ours[:first].mean():.1%} | {theirs[:first].mean():.1%} |")
    print(f"errors expected among all: {review['num_expected_among_all']:.0f}")


if __name__ == "__main__":
    main()
