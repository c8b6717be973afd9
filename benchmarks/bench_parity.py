"""Does a model see the same through every loader backend?

    python benchmarks/bench_parity.py runs/effnet_baseline --backends torch,dali_cpu

Predicts val once with each backend from the same weights. Prints flipped predictions and the
difference in the probability of the first backend's class.
"""

import argparse
from pathlib import Path

import numpy as np

from carscale import data, evaluation, loaders
from carscale.runs import RunFolder
from carscale.workflows.evaluation_run import load_result
from carscale.world import open_world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run folder")
    parser.add_argument("--backends", default="torch,dali_cpu")
    parser.add_argument("--split", default="val")
    args = parser.parse_args()
    cfg = RunFolder(args.run).settings()
    split = getattr(data.load(cfg.data), args.split)
    model, view, _, where = load_result(Path(args.run), cfg.model)
    tables = {}
    with open_world(precision=cfg.train.precision) as world:
        for name in args.backends.split(","):
            loader_cfg = cfg.loader.model_copy(update={"backend": name})
            loader = loaders.eval_loader(loader_cfg, split, view, world)
            tables[name] = evaluation.predict(model, loader, world, keep_probs=True)
    first = next(iter(tables))
    rows = np.arange(len(split))
    print(f"{where}: {len(split)} photos of {args.split}")
    print("| backend | top-1 | flipped | mean difference of p |\n|---|---|---|---|")
    for name, table in tables.items():
        top1 = (table.prediction_N == table.labels_N).mean()
        flipped = int((table.prediction_N != tables[first].prediction_N).sum())
        best_N = tables[first].prediction_N
        gap = np.abs(table.probs_NK[rows, best_N] - tables[first].probs_NK[rows, best_N]).mean()
        print(f"| {name} | {top1:.4f} | {flipped} | {gap:.5f} |")


if __name__ == "__main__":
    main()
