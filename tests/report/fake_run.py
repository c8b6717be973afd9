"""A run folder as training and evaluation leave it, made of random numbers."""

import json
from pathlib import Path

import numpy as np

from carscale import runs, stats, tables
from carscale.analysis import Evidence, analyse
from carscale.report import write_report
from carscale.runs import RunFolder
from carscale.types import CarClass, Predictions

MAKES = ("Audi", "BMW", "Chevrolet", "Dodge", "Ford", "Honda", "Hyundai", "Jeep", "Kia", "Volvo")


def demo_classes(num_classes):
    """Class names like those of car data sets, few or many to a make."""
    makes = [MAKES[i % 10] if num_classes <= 40 else f"{MAKES[i % 10]} {i % 47}" for i in range(47)]
    rows = []
    for number in range(num_classes):
        make = makes[(number * 7 + number // 5) % min(len(makes), max(1, num_classes // 4))]
        name = f"{make} {'XRSTZ'[number % 5]}{number} {('Sedan', 'SUV', 'Coupe')[number % 3]} 2012"
        rows.append({"name": name, "folder": name, "make": make, "model": f"M{number}"})
    return rows


def stanford_classes(root):
    """The class folders of real photos."""
    makes = ("AM General", "Aston Martin", "Land Rover")
    rows = []
    for folder in sorted(path.name for path in root.iterdir() if path.is_dir()):
        make = next((one for one in makes if folder.startswith(one)), folder.split()[0])
        rows.append({"name": folder, "folder": folder, "make": make})
    return rows


def make_predictions(num_classes, num_samples, *, seed=0, accuracy=0.8, paths=None, about=None):
    """Random predictions; mistakes go mostly to neighbours."""
    rng = np.random.default_rng(seed)
    labels_N = rng.integers(num_classes, size=num_samples)
    if paths is not None:
        labels_N = np.array([label for label, _ in paths])
        num_samples = len(labels_N)
    hard_K = np.clip(rng.normal(accuracy, 0.12, num_classes), 0.25, 1) if accuracy < 1 else 1.0
    shift_N = rng.choice([1, 2, 5, 11], size=num_samples, p=[0.6, 0.2, 0.1, 0.1])
    wrong_N = rng.random(num_samples) > (hard_K[labels_N] if accuracy < 1 else 2)
    prediction_N = np.where(wrong_N, (labels_N + shift_N) % num_classes, labels_N)
    num_top = min(5, num_classes)
    top5_NT = (prediction_N[:, None] + np.arange(num_top)) % num_classes
    sure_N = np.clip(rng.beta(5, 1.3, num_samples) - 0.25 * wrong_N, 1 / num_classes, 0.999)
    shares_T = 0.5 ** np.arange(1, num_top)
    rest_NT = (1 - sure_N)[:, None] * shares_T / max(shares_T.sum(), 1e-9)
    top5_prob_NT = np.column_stack([sure_N, np.minimum(rest_NT, sure_N[:, None])])
    correct_N = prediction_N == labels_N
    prob_label_N = np.where(correct_N, sure_N, (1 - sure_N) * rng.uniform(0.001, 0.5, num_samples))
    paths_N = [f"val/{label}/{i}.jpg" for i, label in enumerate(labels_N)]
    if paths is not None:
        paths_N = [path for _, path in paths]
    return Predictions(
        ids_N=np.arange(num_samples) * 3 + 7,
        keys_N=np.array([f"k{i}" for i in range(num_samples)], dtype=object),
        paths_N=np.array(paths_N, dtype=object),
        labels_N=labels_N.astype(np.int64),
        prediction_N=prediction_N.astype(np.int64),
        top5_NT=top5_NT,
        top5_prob_NT=top5_prob_NT.astype(np.float32),
        prob_label_N=prob_label_N.astype(np.float32),
        prob_prediction_N=sure_N.astype(np.float32),
        loss_N=-np.log(np.maximum(prob_label_N, 1e-9)).astype(np.float32),
        margin_N=(prob_label_N - 0.5).astype(np.float32),
        about=about or {"class_hash": "cafe"},
    )


def _entry(value, spread=0.015):
    return {"value": value, "low": max(0, value - spread), "high": min(1, value + spread)}


def make_metrics(predictions, classes, train_counts):
    """What metrics.json has of one split."""
    size = len(classes)
    counts_KK = np.zeros((size, size), dtype=np.int64)
    np.add.at(counts_KK, (predictions.labels_N, predictions.prediction_N), 1)
    hits, support, said = np.diag(counts_KK), counts_KK.sum(1), counts_KK.sum(0)
    recall_low, recall_high = stats.jeffreys(hits, support)
    precision_low, precision_high = stats.jeffreys(hits, said)
    per_class = []
    for k, one in enumerate(classes):
        recall = hits[k] / support[k] if support[k] else None
        precision = hits[k] / said[k] if said[k] else None
        per_class.append(
            {
                "class": one["name"],
                "train_count": int(train_counts[k]),
                "support": int(support[k]),
                "precision": precision,
                "precision_low": float(precision_low[k]) if said[k] else None,
                "precision_high": float(precision_high[k]) if said[k] else None,
                "recall": recall,
                "recall_low": float(recall_low[k]) if support[k] else None,
                "recall_high": float(recall_high[k]) if support[k] else None,
                "f1": 2 * hits[k] / (support[k] + said[k]) if support[k] + said[k] else None,
                "has_low_recall": bool(support[k] and recall_high[k] < 0.75),
            }
        )
    top1 = float(np.mean(predictions.prediction_N == predictions.labels_N))
    top5 = float(np.mean((predictions.top5_NT == predictions.labels_N[:, None]).any(1)))
    return {
        "num_samples": len(predictions),
        "top1": _entry(top1),
        "top5": _entry(top5, 0.008),
        "macro_f1": _entry(top1 - 0.011),
        "balanced_accuracy": _entry(top1 - 0.007),
        "ece": _entry(0.043, 0.01),
        "per_class": per_class,
        "without_support": [row["class"] for row in per_class if not row["support"]],
        "low_recall_classes": [row["class"] for row in per_class if row["has_low_recall"]],
        "low_recall_rule": "A class has low recall when its recall's upper bound is below 75 %.",
    }


def write_logs(run, num_steps=600, num_epochs=12):
    """Log, timing, the evaluations on test."""
    rng = np.random.default_rng(1)
    lines = []
    for step in range(1, num_steps + 1):
        loss = 4.5 * np.exp(-step / 150) + 0.4 + rng.normal(0, 0.12)
        lr = 1e-3 * min(1, step / 50) * 0.5 * (1 + np.cos(np.pi * step / num_steps))
        epoch = step * num_epochs / num_steps
        lines.append(
            {
                "event": "step",
                "step": step,
                "epoch": epoch,
                "loss": loss,
                "lr": lr,
                "grad_norm": 1.0,
            }
        )
        if step % (num_steps // num_epochs) == 0:
            top1 = 0.86 - 0.6 * np.exp(-epoch / 3) - 0.01 * max(0, epoch - 9)
            val = {"top1": top1, "loss": 1 - top1, "macro_f1": top1 - 0.03}
            val["balanced_accuracy"] = top1 - 0.015
            is_best = bool(epoch <= 9)
            lines.append(
                {
                    "event": "epoch",
                    "epoch": round(epoch),
                    "step": step,
                    "val": val,
                    "is_best": is_best,
                }
            )
    lines.append({"event": "end", "step": num_steps})
    _write_lines(run / "log.jsonl", lines)
    keys = ("step", "elapsed_s", "images_per_s", "wait_share", "memory_gib")
    _write_lines(
        run / "timing.jsonl",
        [
            dict(zip(keys, (step, step * 0.4, 150 + rng.normal(0, 5), 0.02, 1.5), strict=True))
            for step in range(10, num_steps, 10)
        ],
    )
    _write_lines(
        run / "test_evaluations.jsonl",
        [{"time": "2026-11-22T10:00:00Z", "command": "carscale evaluate runs/x --split test",
          "checkpoint": "best", "top1": 0.81}],
    )  # fmt: skip


def _write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_run(
    run, *, classes=None, num_classes=12, num_samples=600, splits=("val", "test"), accuracy=0.8,
    data_root="data/none", paths=None, with_logs=True, with_metrics=True,
):  # fmt: skip
    """Write a run folder and return its predictions by split."""
    run = Path(run)
    (run / "predictions").mkdir(parents=True)
    classes = classes or demo_classes(num_classes)
    train_counts = np.random.default_rng(3).geometric(1 / 45, len(classes)) + 8
    (run / "classes.json").write_text(json.dumps({"classes": classes}))
    (run / "config.yaml").write_text(
        f"data:\n  root: {json.dumps(str(data_root))}\n  image_px: 224\n"
        "model:\n  name: tf_efficientnet_lite0\nseed: 0\n"
    )
    (run / "env.json").write_text(json.dumps({
        "format": runs.FORMAT,
        "command": "recipes/effnet_focal.py data.root=data/cars", "device": "cpu", "world_size": 2,
        "versions": {"torch": "2.9.1", "timm": "1.0.22"}, "precision": "fp32", "backend": "torch",
        "git_commit": "0123456789abcdef", "num_cpu_threads": 1,
        "data": {"root": str(data_root), "hashes": {"train": "aa" * 32, "val": "bb" * 32,
                 "test": "cc" * 32, "classes": "cafe"}, "counts": {"train": 8144, "val": 1000}},
        "model": {"name": "tf_efficientnet_lite0", "num_parameters": 3623396, "weights_from": "x"},
    }))  # fmt: skip
    if with_logs:
        write_logs(run)
    made, metrics = {}, {}
    for seed, split in enumerate(splits):
        made[split] = make_predictions(
            len(classes), num_samples, seed=seed, accuracy=accuracy, paths=paths
        )
        content = tables.predictions_bytes(made[split])
        (run / "predictions" / f"{split}.parquet").write_bytes(content)
        metrics[split] = make_metrics(made[split], classes, train_counts)
    if with_metrics and splits:
        (run / "metrics.json").write_text(json.dumps(metrics))
    return made


def write_analysed(run, **options):
    """Analyse each predicted split and write the report."""
    listed = run / "classes.json"
    rows = json.loads(listed.read_text())["classes"] if listed.exists() else []
    analyses = {}
    for split in RunFolder(run).predicted_splits:
        predictions = tables.read_predictions(run / "predictions" / f"{split}.parquet")
        analyses[split] = analyse(Evidence(split, predictions, tuple(CarClass(**r) for r in rows)))
    return write_report(run, analyses=analyses, **options)
