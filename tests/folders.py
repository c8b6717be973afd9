"""Write run folders with chosen predictions, as training leaves them."""

import json

import numpy as np

from carscale import config, runs, tables
from carscale.types import Predictions


def write_run(
    folder, correct_N, labels_N, *, seed=0, words=(), num_classes=None, split="val",
    hashes=None, train_s=60.0, memory_gib=1.5, recipe="effnet_focal", keys=None, with_table=True,
):  # fmt: skip
    """Write a run that predicts correctly where asked; another seed, another order of photos."""
    folder.mkdir(parents=True)
    size = num_classes or int(labels_N.max()) + 1
    cfg = config.resolve(config.Recipe(), [f"seed={seed}", f"run.name={folder.name}", *words])
    (folder / "config.yaml").write_text(config.to_yaml(cfg))
    known = {"classes": "c" * 64, split: "d" * 64, "train": "e" * 64} | (hashes or {})
    (folder / "env.json").write_text(json.dumps({
        "format": runs.FORMAT, "recipe": recipe,
        "command": [f"recipes/{recipe}.py", *words, f"seed={seed}"],
        "data": {"hashes": known, "train_counts": list(range(5, 5 + size))},
    }))  # fmt: skip
    classes = [{"name": f"Make M{k} 2012", "folder": f"Make M{k} 2012"} for k in range(size)]
    (folder / "classes.json").write_text(json.dumps({"classes": classes}))
    rows = [{"step": s, "elapsed_s": train_s / 4, "memory_gib": memory_gib} for s in (1, 2, 3, 4)]
    (folder / "timing.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if not with_table:
        return folder
    order = np.random.default_rng(seed).permutation(len(labels_N))
    labels, right = labels_N[order], np.asarray(correct_N)[order]
    named = np.where(right, labels, (labels + 1) % size)
    share = np.full(len(labels), 0.5, np.float32)
    names = keys if keys is not None else [f"photo {i:05}" for i in range(len(labels))]
    predictions = Predictions(
        ids_N=np.arange(len(labels)), keys_N=np.array(names, dtype=object)[order],
        paths_N=np.array(names, dtype=object)[order], labels_N=labels, prediction_N=named,
        top5_NT=named[:, None], top5_prob_NT=share[:, None], prob_label_N=share,
        prob_prediction_N=share, loss_N=share, margin_N=share,
        about={"split": split, "split_hash": known[split], "class_hash": known["classes"]},
    )  # fmt: skip
    (folder / "predictions").mkdir()
    (folder / "predictions" / f"{split}.parquet").write_bytes(tables.predictions_bytes(predictions))
    return folder


def arm_runs(correct_SN, labels_N, seeds=None):
    """Return runs that predicted some photos correctly, the others as the next class."""
    from carscale.verdicts.verdict import ArmRuns

    wrong_N = (labels_N + 1) % (labels_N.max() + 1 if len(labels_N) else 1)
    predictions_SN = np.where(
        correct_SN, labels_N, np.where(wrong_N == labels_N, labels_N + 1, wrong_N)
    )
    seeds = tuple(range(len(correct_SN))) if seeds is None else seeds
    return ArmRuns(seeds, predictions_SN, np.where(correct_SN, 0.2, 2.0))


def outcomes(num_photos, num_seeds, *, gain=0.0, seed=0, accuracy=0.7, num_classes=6):
    """Return what a baseline and an arm predict correctly ``[S, N]``, and labels ``[N]``."""
    rng = np.random.default_rng(seed)
    labels_N = rng.permutation(np.arange(num_photos) % num_classes)
    ease_N = rng.beta(4 * accuracy, 4 * (1 - accuracy), num_photos)
    base_SN = rng.random((num_seeds, num_photos)) < ease_N
    arm_SN = rng.random((num_seeds, num_photos)) < np.clip(ease_N + gain, 0, 1)
    return base_SN, arm_SN, labels_N
