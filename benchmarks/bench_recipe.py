"""What a recipe's defaults give over timm's ``train.py`` defaults: same splits, weights, epochs.

    python benchmarks/bench_recipe.py data/stanford33 --image-px 128 --epochs 12 --sooner 3,4

The timm arm: its own network as it comes (no ``channels_last``) with the same weights; ImageFolder
of the frozen split, timm's default train transform (scale 0.08 to 1, flip, jitter 0.4, random
interpolation) and evaluation transform, AdamW 1e-3, weight decay 0.02 on all but norms and biases,
cosine with timm's 5 warm-up epochs from 1e-5, smoothing 0.1, batch 32. The carscale arm: the recipe
as it is. Both report the last epoch on val and test; choosing an epoch on val would favour the
noisier arm. ``--sooner`` then trains ``progressive_resize`` for a few epochs, each a whole schedule
of its own, until one reaches timm's final top-1 on val and test, and compares the seconds spent in
training steps.
"""

import argparse
import json
import math
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as carscale sets it: both arms alike

import numpy as np
import timm
import timm.optim
import timm.scheduler
import torch

from carscale import config, data, models, pipeline, stats
from carscale.progress import bar
from carscale.recipes import effnet_baseline, progressive_resize
from carscale.workflows.evaluation_run import evaluate_run

BATCH = 32


Arm = tuple[dict[str, list[bool]], float]
"""Which photos were named right, by split, and the seconds of training steps."""


def carscale_arm(root: Path, args: argparse.Namespace, recipe: Any, *more: str) -> Arm:
    """Train a recipe as it is, but for ``more``."""
    words = [f"data.root={root}", f"data.image_px={args.image_px}", f"seed={args.seed}"]
    words += [f"train.num_epochs={args.epochs}", "train.select=last", "resume=overwrite"]
    name = recipe.__name__.rpartition(".")[2]
    cfg = config.resolve(recipe.RECIPE, [*words, f"run.dir={args.out}", *more])
    run = pipeline.run(name, cfg)
    right = {}
    for split in ("val", "test"):
        evaluate_run(run, cfg, split=split, keep_probs=False, command=["bench_recipe"])
        p = run.predictions(split)
        right[split] = (p.labels_N == p.prediction_N).tolist()
    return right, sum(row["elapsed_s"] for row in run.timing())


def timm_arm(root: Path, args: argparse.Namespace) -> Arm:
    """Train as timm's train.py does by default."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    torch.manual_seed(args.seed)
    splits = data.read_splits(root)
    cfg = config.Model(name="tf_efficientnet_lite0")
    view = models.preprocessing(cfg, config.Data(image_px=args.image_px))
    ours = models.build(cfg, view, splits.classes).net
    net = timm.create_model(cfg.name, num_classes=len(splits.classes))
    net.load_state_dict(ours.state_dict())  # the same weights and the same head, timm's own layers
    known = timm.data.resolve_model_data_config(net) | {
        "input_size": (3, args.image_px, args.image_px)
    }
    known.pop("crop_mode", None)
    transforms = {
        True: timm.data.create_transform(**known, is_training=True, color_jitter=0.4),
        False: timm.data.create_transform(**known, is_training=False),
    }
    train = ImageFolder(str(root / "train"), transforms[True])
    loader = DataLoader(
        train, BATCH, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True
    )
    optimizer = timm.optim.create_optimizer_v2(net, opt="adamw", lr=1e-3, weight_decay=0.02)
    schedule, _ = timm.scheduler.create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=args.epochs,
        warmup_epochs=min(5, args.epochs // 2),
        warmup_lr=1e-5,
        step_on_epochs=True,
        updates_per_epoch=len(loader),
    )
    start = time.perf_counter()
    with bar("timm", args.epochs * len(loader), unit="steps") as advance:
        for epoch in range(args.epochs):
            schedule.step(epoch)
            net.train()
            for images, labels in loader:
                logits = net(images)
                loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                advance(1, f"epoch {epoch + 1}  loss {loss.item():.3f}")
    train_s = time.perf_counter() - start
    right = {}
    net.eval()
    for split in ("val", "test"):
        folder = ImageFolder(str(root / split), transforms[False])
        assert folder.class_to_idx == train.class_to_idx, "a class is missing from a split"
        with torch.inference_mode():
            hits = [net(images).argmax(1) == labels for images, labels in DataLoader(folder, BATCH)]
        right[split] = torch.cat(hits).tolist()
    return right, train_s


def sooner(root: Path, args: argparse.Namespace, wanted: float, timm_s: float) -> None:
    """Print how much sooner a short run of the best recipe reaches timm's final top-1."""
    for epochs in (int(text) for text in args.sooner.split(",")):
        words = (f"train.num_epochs={epochs}", f"train.grow_from_px={args.image_px * 5 // 8}")
        right, spent_s = carscale_arm(root, args, progressive_resize, *words)
        both = float(np.mean(right["val"] + right["test"]))
        parts = ", ".join(f"{name} {100 * np.mean(hits):.1f}" for name, hits in right.items())
        told = f"{100 * both:.1f} % ({parts}) after {spent_s:.1f} s"
        print(f"progressive_resize, {epochs} epochs: {told}")
        if both >= wanted:
            print(
                f"timm's {100 * wanted:.1f} % took {timm_s:.1f} s: {timm_s / spent_s:.2f} x sooner"
            )
            return
    print("none of them reached timm's top-1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--image-px", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/bench_recipe")
    parser.add_argument("--sooner", default="", help="epochs to try, such as 2,3,4")
    args = parser.parse_args()
    rows = {}
    arms = {
        "timm defaults": lambda: timm_arm(args.root, args),
        "effnet_baseline": lambda: carscale_arm(args.root, args, effnet_baseline),
    }
    for name, arm in arms.items():
        right, train_s = arm()
        hits = np.array(right["val"] + right["test"])
        low, high = stats.jeffreys(hits.sum(), len(hits))
        rows[name] = {split: float(np.mean(values)) for split, values in right.items()}
        rows[name] |= {"both": float(hits.mean()), "low": float(low), "high": float(high)}
        rows[name]["seconds"] = round(train_s, 1)
    print(json.dumps(rows, indent=1))
    print("\n| arm | val | test | both | 95 % | seconds |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        cells = [f"{100 * row[key]:.1f}" for key in ("val", "test", "both")]
        spread = f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"
        print(f"| {name} | {' | '.join(cells)} | {spread} | {row['seconds']} |")
    num = len(hits)
    gain = rows["effnet_baseline"]["both"] - rows["timm defaults"]["both"]
    se = math.sqrt(sum(r["both"] * (1 - r["both"]) / num for r in rows.values()))
    timm_s = rows["timm defaults"]["seconds"]
    num_train = len(data.read_splits(args.root).train)
    ours, theirs = num_train, num_train // BATCH * BATCH  # timm drops the ragged end
    faster = ours / rows["effnet_baseline"]["seconds"] / (theirs / timm_s)
    print(f"\nimages/s: {faster:.2f} x timm's")
    print(f"difference: {100 * gain:+.1f} points (unpaired standard error {100 * se:.1f})")
    if args.sooner:
        sooner(args.root, args, rows["timm defaults"]["both"], timm_s)


if __name__ == "__main__":
    main()
