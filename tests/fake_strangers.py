"""A small whole run folder, and JSON that nobody expects."""

import json

import numpy as np

from carscale import config, tables
from carscale.runs import FORMAT, RunFolder
from carscale.types import Predictions

EVIL_JSON = [
    "[" * 100_000,
    '{"a":' * 100_000,
    "[]",
    "3",
    '"text"',
    "null",
    "{",
    '{"event": "epoch", "epoch": [], "is_best": true, "val": 3, "data": 3, "temperature": "x"}',
    '{"event": "epoch", "epoch": 1, "is_best": true, "val": {"top1": []}, "recipe": {}}',
    '{"data": {"hashes": [1]}, "classes": 3, "val": {"per_class": [3]}, "view": {}, "files": []}',
    '{"classes": [{"name": 3, "folder": []}], "data": {"train_counts": ["x"]}, "step": "x"}',
    '{"classes": [{"name": "a", "folder": "a", "odd": 1}], "command": 3, "best_step": {}}',
    '{"format": [], "time": [], "checkpoint": 3, "top1": "x", "elapsed_s": "x"}',
    '{"\\ud800": "\\ud800", "started": 1e999}',
]
"""Deep, of the wrong type, without keys, with keys of the wrong type."""


def few_predictions(paths):
    """Return predictions of photos at some paths, all wrong."""
    count = len(paths)
    return Predictions(
        ids_N=np.arange(count),
        keys_N=np.array([f"k{n}" for n in range(count)], dtype=object),
        paths_N=np.array(paths, dtype=object),
        labels_N=np.zeros(count, np.int64),
        prediction_N=np.ones(count, np.int64),
        top5_NT=np.tile([1, 0], (count, 1)),
        top5_prob_NT=np.tile(np.float32([0.9, 0.1]), (count, 1)),
        prob_label_N=np.full(count, 0.1, np.float32),
        prob_prediction_N=np.full(count, 0.9, np.float32),
        loss_N=np.full(count, 2.3, np.float32),
        margin_N=np.full(count, -0.8, np.float32),
        about={"checkpoint": "best_00000001"},
    )


def run_with(folder, *, paths=("val/a/1.jpg", "val/a/2.jpg"), data_root="data/none"):
    """Write a finished run of two classes, whose weights nobody reads; return it."""
    folder.mkdir(parents=True)
    cfg = config.vary(config.Recipe(), data={"root": str(data_root)})
    (folder / "config.yaml").write_text(config.to_yaml(cfg))
    classes = [{"name": name, "folder": name} for name in "ab"]
    mean = {"mean": [0.5] * 3, "std": [0.5] * 3}
    view = {"image_px": 32, "fit": "pad", "interpolation": "bilinear", **mean}
    epoch = {"event": "epoch", "epoch": 1, "step": 1, "is_best": True, "val": {"top1": 0.5}}
    state = {"files": {}, "step": 1, "best_step": 1, "log_bytes": 0, "timing_bytes": 0}
    best = folder / "checkpoints" / "best_00000001"
    best.mkdir(parents=True)
    (folder / "predictions").mkdir()
    for name, value in {
        "env.json": {"format": FORMAT, "recipe": "r", "command": ["r.py"]},
        "classes.json": {"classes": classes},
        "log.jsonl": epoch,
        "timing.jsonl": {"step": 1, "elapsed_s": 1.0},
        "metrics.json": {"val": {"num_samples": 2}},
        "calibration.json": {"temperature": 1.5, "checkpoint": "best_00000001", "flip": False},
        "test_evaluations.jsonl": {"top1": 0.5},
        "checkpoints/best_00000001/model.json": {"view": view, "classes": classes},
        "checkpoints/best_00000001/state.json": state,
    }.items():
        (folder / name).write_text(json.dumps(value) + "\n")
    table = tables.predictions_bytes(few_predictions(paths))
    (folder / "predictions" / "val.parquet").write_bytes(table)
    return RunFolder(folder)
