"""How fast the trainer runs, against a bare loop on cached tensors and against timm's loader.

    python benchmarks/bench_train.py data/stanford --image-px 128 --rounds 7

Each arm is a process of its own; all are alive, and rounds go in turn, so that each ratio is of the
same round. The same model name, batch and precision everywhere. Prints medians and spreads.

Arms: ``carscale`` the recipe's own loop through its loader; ``bare`` forward, backward, AdamW on
batches made once, ``channels_last``, with carscale's model; ``timm`` its model, its
``create_loader`` with its default augmentation and two workers, a plain fp32 loop without
``channels_last``, as it comes; ``timm-openmp`` the same with the OpenMP setting that carscale makes
for itself.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ARMS = ("carscale", "bare", "timm", "timm-openmp")
NUM_WARMUPS = 3


def carscale_steps(cfg, world) -> Callable[[], None]:
    """The real loop: schedule, focal loss, clipping, EMA, log; no scoring, no checkpoint."""
    from carscale import augment, balance, data, loaders, models, training
    from carscale.training import loop

    splits = data.load(cfg.data)
    view = models.preprocessing(cfg.model, cfg.data)
    policy = augment.policy(cfg.augment, view)
    sampler = balance.sampler(cfg, splits.train)
    loader = loaders.train_loader(cfg.loader, splits.train, policy, world, seed=0, sampler=sampler)
    model = models.build(cfg.model, view, splits.classes)
    learner = training.Learner(model, balance.loss(cfg.balance, splits.train.counts_K), cfg.optim)
    learner.prepare(world, ema_decay=cfg.train.ema_decay)
    run = _Run(Path(tempfile.mkdtemp()), cfg, world)
    fit = loop._Fit(cfg.train, run, learner, loader, None, loop.State(), {10_000: 1.0})
    fit.journal.open(fit.state, fit.num_steps)
    batches = loader.batches(0, 10_000, 1)

    def step() -> None:
        fit._step(fit.state.step, batches)
        fit.state.step += 1
        if len(fit.journal.losses) == cfg.train.log_every_steps:
            fit.journal.flush(fit.state.step)

    return step


def bare_steps(cfg, world) -> Callable[[], None]:
    """Forward, backward, AdamW, on tensors that lie ready."""
    import torch

    from carscale import augment, data, loaders, models

    splits = data.load(cfg.data)
    view = models.preprocessing(cfg.model, cfg.data)
    policy = augment.policy(cfg.augment, view)
    loader = loaders.train_loader(cfg.loader, splits.train, policy, world, seed=0)
    cached = [(b.images_BCHW, b.labels_B) for b in loader.batches(0, 4, 1)]
    model = models.build(cfg.model, view, splits.classes).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    return _plain_loop(model, optimizer, lambda number: cached[number % 4])


def timm_steps(cfg, world) -> Callable[[], None]:
    """timm's model, loader and augmentation, two workers, float input (no GPU to prefetch to)."""
    import timm
    import torch
    from timm.data import ImageDataset, create_loader

    side = cfg.data.image_px
    folder = Path(cfg.data.root) / "train"
    loader = create_loader(
        ImageDataset(str(folder)),
        input_size=(3, side, side),
        batch_size=cfg.loader.global_batch_size,
        is_training=True,
        use_prefetcher=False,
        num_workers=2,
        interpolation="random",
        color_jitter=0.4,
    )
    num_classes = len([path for path in folder.iterdir() if path.is_dir()])
    knobs = {"drop_rate": cfg.model.drop_rate, "drop_path_rate": cfg.model.drop_path_rate}
    model = timm.create_model(cfg.model.name, num_classes=num_classes, **knobs).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batches = _without_end(loader)
    return _plain_loop(model, optimizer, lambda number: next(batches))


class _Run:
    """As much of a run as the loop's steps touch."""

    def __init__(self, folder: Path, cfg, world) -> None:
        self.folder, self.cfg, self.world = folder, cfg, world


def _without_end(loader):
    while True:
        yield from loader


def _plain_loop(model, optimizer, batch_of) -> Callable[[], None]:
    import torch

    taken = 0

    def step() -> None:
        nonlocal taken
        images, labels = batch_of(taken)
        taken += 1
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def serve(args: argparse.Namespace) -> None:
    """Be one arm: a round for each line of stdin."""
    from carscale import config
    from carscale.recipes import effnet_focal
    from carscale.world import open_world

    words = [f"data.root={args.root}", f"data.image_px={args.image_px}"]
    cfg = config.resolve(effnet_focal.RECIPE, [*words, f"loader.global_batch_size={args.batch}"])
    makers = {"carscale": carscale_steps, "bare": bare_steps}
    with open_world() as world:
        step = makers.get(args.arm, timm_steps)(cfg, world)
        for _ in sys.stdin:
            for _ in range(NUM_WARMUPS):
                step()
            start = time.perf_counter()
            for _ in range(args.steps):
                step()
            elapsed_s = time.perf_counter() - start
            print(json.dumps(args.steps * args.batch / elapsed_s), flush=True)


def start(arm: str) -> subprocess.Popen:
    environment = dict(os.environ)
    spins = {"timm": "300000"}  # what libgomp takes when nothing is set; carscale sets 1000
    environment["GOMP_SPINCOUNT"] = spins.get(arm, "1000")
    words = [sys.executable, __file__, *sys.argv[1:], "--arm", arm]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=environment)


def race(num_rounds: int) -> dict[str, list[float]]:
    processes = {arm: start(arm) for arm in ARMS}
    speeds = {arm: [] for arm in ARMS}
    try:
        for number in range(num_rounds + 1):  # the first warms up
            for arm in ARMS if number % 2 else reversed(ARMS):
                processes[arm].stdin.write("go\n")
                processes[arm].stdin.flush()
                speed = json.loads(processes[arm].stdout.readline())
                print(f"round {number} {arm}: {speed:.1f} images/s", file=sys.stderr, flush=True)
                if number:
                    speeds[arm].append(speed)
    finally:
        for process in processes.values():
            process.stdin.close()
            process.wait()
    return speeds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", help="frozen folder")
    parser.add_argument("--image-px", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm:
        serve(args)
        return
    speeds = race(args.rounds)
    print("| arm | images/s, median | min to max |\n|---|---|---|")
    for name, values in speeds.items():
        low, high = min(values), max(values)
        print(f"| {name} | {statistics.median(values):.1f} | {low:.1f} to {high:.1f} |")
    for name in ARMS[1:]:
        ratios = [a / b for a, b in zip(speeds["carscale"], speeds[name], strict=True)]
        low, high = min(ratios), max(ratios)
        median = statistics.median(ratios)
        print(f"\ncarscale / {name}: median {median:.3f} ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
