"""What a recipe's defaults give over timm's ``train.py`` defaults: same splits, weights, epochs.

    python benchmarks/bench_recipe.py data/stanford33 --image-px 128 --epochs 12

The timm arm: ImageFolder of the frozen split, timm's default train transform (scale 0.08 to 1,
flip, jitter 0.4, random interpolation) and evaluation transform, AdamW 1e-3, weight decay 0.02 on
all but norms and biases, cosine with timm's 5 warm-up epochs from 1e-5, smoothing 0.1, batch 32.
The carscale arm: the recipe as it is. Both report the last epoch on val and test; choosing an
epoch on val would favour the noisier arm.
"""

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as carscale sets it: both arms alike

import numpy as np
import timm
import timm.optim
import timm.scheduler
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipes"))

import effnet_baseline

from carscale import config, data, models, stats
from carscale.cli.scoring import evaluate_run
from carscale.progress import bar

BATCH = 32


def carscale_arm(root: Path, args: argparse.Namespace) -> dict[str, list[bool]]:
    """Train the recipe and return which photos it gets right."""
    from carscale import tables

    words = [f"data.root={root}", f"data.image_px={args.image_px}", f"seed={args.seed}"]
    words += [f"train.num_epochs={args.epochs}", "train.select=last", "resume=overwrite"]
    words += [f"run.dir={args.out}", "run.name=recipe"]
    cfg = config.resolve(effnet_baseline.RECIPE, words)
    effnet_baseline.main(cfg)
    folder = Path(args.out) / "recipe"
    right = {}
    for split in ("val", "test"):
        evaluate_run(folder, cfg, split=split, keep_probs=False, command=["bench_recipe"])
        p = tables.read_predictions(folder / "predictions" / f"{split}.parquet")
        right[split] = (p.labels_N == p.prediction_N).tolist()
    return right


def timm_arm(root: Path, args: argparse.Namespace) -> dict[str, list[bool]]:
    """Train as timm's train.py does by default and return which photos it gets right."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    torch.manual_seed(args.seed)
    splits = data.read_splits(root)
    cfg = config.Model(name="tf_efficientnet_lite0")
    view = models.preprocessing(cfg, config.Data(image_px=args.image_px))
    net = models.build(cfg, view, splits.classes).net  # same weights; channels_last speeds it up
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
    with bar("timm", args.epochs * len(loader), unit="steps") as advance:
        for epoch in range(args.epochs):
            schedule.step(epoch)
            net.train()
            for images, labels in loader:
                logits = net(images.contiguous(memory_format=torch.channels_last))
                loss = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                advance(1, f"epoch {epoch + 1}  loss {loss.item():.3f}")
    right = {}
    net.eval()
    for split in ("val", "test"):
        folder = ImageFolder(str(root / split), transforms[False])
        assert folder.class_to_idx == train.class_to_idx, "a class is missing from a split"
        with torch.inference_mode():
            hits = [net(images).argmax(1) == labels for images, labels in DataLoader(folder, BATCH)]
        right[split] = torch.cat(hits).tolist()
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--image-px", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="runs/bench_recipe")
    args = parser.parse_args()
    rows = {}
    for name, arm in {"timm defaults": timm_arm, "effnet_baseline": carscale_arm}.items():
        start = time.perf_counter()
        right = arm(args.root, args)
        hits = np.array(right["val"] + right["test"])
        low, high = stats.jeffreys(hits.sum(), len(hits))
        rows[name] = {split: float(np.mean(values)) for split, values in right.items()}
        rows[name] |= {"both": float(hits.mean()), "low": float(low), "high": float(high)}
        rows[name]["seconds"] = round(time.perf_counter() - start)
    print(json.dumps(rows, indent=1))
    print("\n| arm | val | test | both | 95 % | seconds |\n|---|---|---|---|---|---|")
    for name, row in rows.items():
        cells = [f"{100 * row[key]:.1f}" for key in ("val", "test", "both")]
        spread = f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"
        print(f"| {name} | {' | '.join(cells)} | {spread} | {row['seconds']} |")
    num = len(hits)
    gain = rows["effnet_baseline"]["both"] - rows["timm defaults"]["both"]
    se = math.sqrt(sum(r["both"] * (1 - r["both"]) / num for r in rows.values()))
    print(f"\ndifference: {100 * gain:+.1f} points (unpaired standard error {100 * se:.1f})")


if __name__ == "__main__":
    main()
