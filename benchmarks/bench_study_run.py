"""How long a run of a study takes, launch to end: cold or warm, val scored each epoch or once.

    python benchmarks/bench_study_run.py data/lt66 --image-px 64 --epochs 2 --rounds 3

Rounds go through the arms in turn, each with the same seed, so each ratio is of the same round.
Prints seconds a run, and whether the warm run's predictions are the cold one's, byte for byte.

Arms: ``each`` a cold launch that scores val after each epoch; ``cold`` the same, scored once, as
studies do; ``warm`` the same, in a fork of a process that is kept for the study. ``before`` is a
cold launch of another checkout (``--before FOLDER``), which predicted val once more at the end.
"""

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from carscale.studies.launching import Launch
from carscale.studies.warm import kept_warm

ROOT = Path(__file__).resolve().parents[1]
AGAINST = "before"


def main() -> None:
    """Time the arms and print a table."""
    options = argparse.ArgumentParser()
    options.add_argument("root", type=Path)
    options.add_argument("--before", type=Path)
    options.add_argument("--image-px", type=int, default=64)
    options.add_argument("--epochs", type=int, default=2)
    options.add_argument("--rounds", type=int, default=3)
    asked = options.parse_args()
    words = [f"data.root={asked.root.resolve()}", f"data.image_px={asked.image_px}"]
    words += [f"train.num_epochs={asked.epochs}", "model.pretrained=false", "train.select=last"]
    words += ["train.keep_last=1", "loader.backend=torch"]
    last = [*words, "train.eval_every_epochs=0"]
    seconds: dict[str, list[float]] = {}
    is_same = []
    with tempfile.TemporaryDirectory() as place, kept_warm(Launch()) as warm:
        for number in range(asked.rounds + 1):  # the first warms caches and the server
            arms = {"each": (Launch(), words, ROOT), "cold": (Launch(), last, ROOT)}
            arms["warm"] = warm, last, ROOT
            if asked.before:
                arms = {"before": (Launch(), words, asked.before.resolve()), **arms}
            for name, (launch, settings, code) in arms.items():
                run = Path(place) / f"{name}-{number}"
                named = [f"seed={number}", f"run.dir={place}", f"run.name={run.name}"]
                command = launch.command(code / "recipes/effnet_baseline.py", [*settings, *named])
                begin = time.monotonic()
                env = os.environ | {"PYTHONPATH": str(code)}
                subprocess.run(command, check=True, env=env, capture_output=True)
                if number:
                    seconds.setdefault(name, []).append(time.monotonic() - begin)
            val = [Path(place) / f"{n}-{number}/predictions/val.parquet" for n in ("cold", "warm")]
            is_same.append(val[0].read_bytes() == val[1].read_bytes())
    against = AGAINST if asked.before else "each"
    print(f"{asked.image_px} px, {asked.epochs} epochs, {asked.rounds} rounds")
    print(f"arm      seconds a run (least to most)   {against} over it, same round")
    for name, values in seconds.items():
        gains = [old / new for old, new in zip(seconds[against], values, strict=True)]
        print(
            f"{name:8} {statistics.median(values):6.1f} ({min(values):.1f} to {max(values):.1f})"
            f"   {statistics.median(gains):.2f} ({min(gains):.2f} to {max(gains):.2f})"
        )
    print(f"predictions of warm and cold are the same bytes in {sum(is_same)} of {len(is_same)}")


if __name__ == "__main__":
    main()
