"""How fast the trainer runs, against a bare loop on cached tensors and against timm's loader.

    python benchmarks/bench_train.py data/stanford --image-px 128 --rounds 5

One process; the same model, batch, precision and OpenMP settings in every arm. Arms take turns,
round by round, and each ratio is of the same round. Prints medians and the spread of the ratios.

Arms: ``carscale`` the recipe's own loop through its loader; ``bare`` forward, backward, AdamW on
batches made once, ``channels_last``; ``timm`` its ``create_loader`` with its default augmentation
and the same bare loop in fp32 without ``channels_last``.
"""

import os

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as carscale sets it: all arms alike

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipes"))

import effnet_focal

from carscale import augment, balance, config, data, loaders, models, train
from carscale.train import loop as train_loop
from carscale.types import Batch
from carscale.world import open_world


class Rig:
    """The recipe's parts, and the arms made of them."""

    def __init__(self, cfg: config.Recipe, world) -> None:
        self.cfg, self.world = cfg, world
        self.splits = data.load(cfg.data)
        self.view = models.preprocessing(cfg.model, cfg.data)
        policy = augment.policy(cfg.augment, self.view)
        weights_N = balance.sampling_weights(cfg.balance, self.splits.train)
        self.loader = loaders.training(
            cfg.loader, self.splits.train, policy, world, seed=0, weights_N=weights_N
        )
        self.cached = list(self.loader.batches(0, 4, 1))

    def build(self, *, channels_last: bool) -> torch.nn.Module:
        model = models.build(self.cfg.model, self.view, self.splits.classes)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return model.to(memory_format=layout).train()

    def carscale(self, num_steps: int) -> float:
        """The real loop: schedule, focal loss, clipping, EMA, log; no scoring, no checkpoint."""
        learner = train.Learner(
            self.build(channels_last=True),
            balance.loss(self.cfg.balance, self.splits.train.counts_K),
            self.cfg.optim,
        )
        learner.prepare(self.world, ema_decay=self.cfg.train.ema_decay)
        with tempfile.TemporaryDirectory() as folder:
            run = _Run(Path(folder), self.cfg, self.world)
            ends = {10_000: 1.0}
            fit = train_loop._Fit(
                self.cfg.train, run, learner, self.loader, None, train_loop.State(), ends
            )
            fit.journal.open(fit.state, fit.num_steps)
            batches = self.loader.batches(0, num_steps + 2, 1)
            for step in range(2):
                fit._step(step, batches)
            fit.journal.flush(2)
            start = time.perf_counter()
            for step in range(2, num_steps + 2):
                fit._step(step, batches)
                if len(fit.journal.losses) == self.cfg.train.log_every_steps:
                    fit.journal.flush(step + 1)
            elapsed_s = time.perf_counter() - start
            batches.close()
            fit.journal.close()
        return elapsed_s

    def bare(self, num_steps: int) -> float:
        """Forward, backward, AdamW, on tensors that lie ready."""
        model = self.build(channels_last=True)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        return _time_loop(model, optimizer, lambda step: self.cached[step % 4], num_steps)

    def timm(self, num_steps: int) -> float:
        """timm's loader and augmentation, two workers, no prefetcher (no GPU), float input."""
        from timm.data import ImageDataset, create_loader

        root = self.splits.train.root / "train"
        dataset = ImageDataset(str(root))
        side = self.view.image_px
        loader = create_loader(
            dataset,
            input_size=(3, side, side),
            batch_size=self.cfg.loader.global_batch_size,
            is_training=True,
            use_prefetcher=False,
            num_workers=2,
            mean=self.view.mean,
            std=self.view.std,
            interpolation="random",
            color_jitter=0.4,
        )
        model = self.build(channels_last=False).net
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        iterator = iter(loader)

        def batch_of(step: int) -> Batch:
            images, labels = next(iterator)
            return Batch(images, labels, labels)

        elapsed_s = _time_loop(model, optimizer, batch_of, num_steps)
        return elapsed_s


class _Run:
    """As much of a run as the loop's steps touch."""

    def __init__(self, folder: Path, cfg: config.Recipe, world) -> None:
        self.folder, self.cfg, self.world = folder, cfg, world


def _time_loop(model, optimizer, batch_of, num_steps: int) -> float:
    start = 0.0
    for step in range(num_steps + 2):
        if step == 2:
            start = time.perf_counter()
        batch = batch_of(step)
        loss = torch.nn.functional.cross_entropy(model(batch.images_BCHW), batch.labels_B)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", help="frozen folder")
    parser.add_argument("--image-px", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=32)
    args = parser.parse_args()
    words = [f"data.root={args.root}", f"data.image_px={args.image_px}"]
    cfg = config.resolve(effnet_focal.RECIPE, [*words, f"loader.global_batch_size={args.batch}"])
    with open_world() as world:
        rig = Rig(cfg, world)
        arms = {"carscale": rig.carscale, "bare": rig.bare, "timm": rig.timm}
        speeds = {name: [] for name in arms}
        for number in range(args.rounds):
            order = list(arms) if number % 2 else list(reversed(arms))
            for name in order:
                elapsed_s = arms[name](args.steps)
                speeds[name].append(args.steps * args.batch / elapsed_s)
                print(
                    f"round {number + 1} {name}: {speeds[name][-1]:.1f} images/s", file=sys.stderr
                )
    print("| arm | images/s, median | min to max |\n|---|---|---|")
    for name, values in speeds.items():
        print(
            f"| {name} | {statistics.median(values):.1f} | {min(values):.1f} to {max(values):.1f} |"
        )
    for name in ("bare", "timm"):
        ratios = [a / b for a, b in zip(speeds["carscale"], speeds[name], strict=True)]
        low, high = min(ratios), max(ratios)
        print(
            f"\ncarscale / {name}: median {statistics.median(ratios):.3f} ({low:.3f} to {high:.3f})"
        )


if __name__ == "__main__":
    main()
