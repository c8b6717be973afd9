"""How long and how much memory: the analysis of many predictions.

    python benchmarks/bench_errors.py --samples 1000000 --classes 1000 --top 5

Makes predictions whose mistakes fall on neighbouring classes, writes them as a run folder, and runs
``carscale errors`` on it in a process of its own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from carscale import runs, tables
from carscale.types import CarClass, Predictions


def make_predictions(num_samples: int, num_classes: int, seed: int = 0) -> Predictions:
    """Return predictions of a model that is right in four of five photos."""
    rng = np.random.default_rng(seed)
    labels_N = rng.integers(num_classes, size=num_samples)
    shift_N = rng.choice([1, 2, 7, 50], size=num_samples, p=[0.6, 0.2, 0.1, 0.1])
    is_wrong_N = rng.random(num_samples) < 0.2
    guess_N = np.where(is_wrong_N, (labels_N + shift_N) % num_classes, labels_N)
    top5_NT = (guess_N[:, None] + np.array([0, 1, 3, 11, 29])) % num_classes
    sure_N = np.clip(rng.beta(5, 1.3, num_samples) - 0.2 * is_wrong_N, 0.05, 0.999)
    rest_NT = (1 - sure_N)[:, None] * np.array([0.5, 0.2, 0.1, 0.05])
    prob_label_N = np.where(is_wrong_N, (1 - sure_N) * rng.uniform(0.001, 0.5, num_samples), sure_N)
    number_N = np.arange(num_samples)
    return Predictions(
        ids_N=number_N,
        keys_N=np.array([f"{n:032x}-0" for n in number_N], dtype=object),
        paths_N=np.array([f"val/c{k}/{n}.jpg" for n, k in enumerate(labels_N)], dtype=object),
        labels_N=labels_N,
        prediction_N=guess_N,
        top5_NT=top5_NT,
        top5_prob_NT=np.column_stack([sure_N, rest_NT]).astype(np.float32),
        prob_label_N=prob_label_N.astype(np.float32),
        prob_prediction_N=sure_N.astype(np.float32),
        loss_N=-np.log(prob_label_N).astype(np.float32),
        margin_N=(prob_label_N - np.where(is_wrong_N, sure_N, rest_NT[:, 0])).astype(np.float32),
    )


def write_run(folder: Path, num_samples: int, num_classes: int) -> None:
    """Write a run folder that holds predictions of val."""
    (folder / "predictions").mkdir(parents=True)
    names = [(f"Make{k % 60}", f"M{k}", 2000 + k % 20) for k in range(num_classes)]
    classes = [
        CarClass(f"{make} {model} Sedan {year}", f"c{k}", make, model, "Sedan", year)
        for k, (make, model, year) in enumerate(names)
    ]
    listed = {"classes": [asdict(one) for one in classes]}
    (folder / "classes.json").write_text(json.dumps(listed))
    counts = np.random.default_rng(1).integers(20, 2000, size=num_classes).tolist()
    (folder / "env.json").write_text(
        json.dumps({"format": runs.FORMAT, "data": {"train_counts": counts}})
    )
    (folder / "config.yaml").write_text("data:\n  root: nowhere\n")
    predictions = make_predictions(num_samples, num_classes)
    content = tables.predictions_bytes(predictions)
    (folder / "predictions" / "val.parquet").write_bytes(content)


def main() -> None:
    """Time ``carscale errors`` and, with ``--report``, ``carscale report``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--command", default="errors")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        write_run(folder, asked.samples, asked.classes)
        start = time.perf_counter()
        words = [sys.executable, "-m", "carscale", asked.command, str(folder)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        elapsed_s = time.perf_counter() - start
    peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(
        f"carscale {asked.command}, {asked.samples:,} predictions, {asked.classes:,} classes: "
        f"{elapsed_s:.1f} s, {peak_gib:.2f} GiB"
    )


if __name__ == "__main__":
    main()
