"""What ``carscale rebalance`` brings on a long tail, over seeds, on test.

    python benchmarks/bench_rebalance.py data/lt66 --seeds 5 --image-px 128 --out runs/rebalance

Trains ``effnet_baseline`` with each seed, rebalances each run (val chooses), evaluates both on test
once, and judges the difference by the rule of studies. What is trained already stays.
"""

import argparse
import time
from pathlib import Path

from carscale import workflows
from carscale.runs import RunFolder
from carscale.verdicts.results import judge


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="frozen folder")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--image-px", type=int, default=128)
    parser.add_argument("--out", type=Path, default=Path("runs/rebalance"))
    args = parser.parse_args()
    plain, made, spent = [], [], []
    for seed in range(args.seeds):
        base = RunFolder(args.out / f"base-s{seed}")
        if not base.is_finished:
            words = {"data.root": args.root, "data.image_px": args.image_px, "seed": seed}
            words |= {"run.dir": args.out, "run.name": base.name}
            workflows.train("effnet_baseline", words)
        workflows.evaluate(base, split="val", embeddings=True)
        start = time.process_time()
        new = workflows.rebalance(base, settings=[f"run.name=rebalanced-s{seed}"], force=True)
        spent.append(time.process_time() - start)
        for run in (base, new):
            workflows.evaluate(run, split="test")
        plain.append(base.path)
        made.append(new.path)
        facts = new.environment()["refined"]
        print(f"seed {seed}: {facts['method']} {facts['strength']:g}, {spent[-1]:.0f} s of CPU")
    for metric in ("macro_f1", "top1", "balanced_accuracy"):
        runs = {"base": plain, "rebalanced": made}
        found = judge(runs, "base", split="test", metric=metric, margin=0.01)
        base, new = found.arms
        print(
            f"{metric}: {100 * base.value:.1f} -> {100 * new.value:.1f} %: {new.verdict.sentence}"
        )


if __name__ == "__main__":
    main()
