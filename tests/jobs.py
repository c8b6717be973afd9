"""What the rank and kill tests run in processes of their own: importable functions."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from carscale import config, data, evaluation, files, loaders, models, pipeline
from carscale.recipes import effnet_focal
from carscale.world import open_world

RECIPES = Path(__file__).resolve().parents[1] / "recipes"

SMALL = [
    "data.image_px=32",
    "model.name=test_vit",  # layer norm: no batch statistics that differ by rank
    "model.pretrained=false",
    "model.drop_rate=0",
    "model.drop_path_rate=0",
    "loader.global_batch_size=12",
    "loader.eval_batch_size=4",
    "loader.num_threads=1",
    "train.num_cpu_threads=1",
    "optim.lr=0.002",
]
"""Settings that train in a second."""

OUT_OF_MEMORY = {
    "GPU": torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "GPU library": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    "CPU": RuntimeError(
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
    ),
    "CPU elsewhere": RuntimeError(
        "DefaultCPUAllocator: not enough memory: you tried to allocate 9"
    ),
    "Python": MemoryError(),
}
"""Allocations that failed, as libraries word them."""


def recipe(root: Path, folder: Path, *overrides: str) -> config.Recipe:
    """Return the effnet_focal recipe, made small."""
    return config.resolve(effnet_focal.RECIPE, _words(root, folder, overrides))


def _words(root: Path, folder: Path, overrides: tuple[str, ...]) -> list[str]:
    words = [f"data.root={root}", f"run.dir={folder.parent}", f"run.name={folder.name}"]
    return [*words, *SMALL, *overrides]


def train(root: Path, folder: Path, overrides: tuple[str, ...]) -> None:
    """Train as the recipe does."""
    pipeline.main("effnet_focal", effnet_focal.RECIPE, _words(root, folder, overrides))


def train_until(
    root: Path, folder: Path, overrides: tuple[str, ...], where: str, count: int
) -> None:
    """Train, and die of SIGKILL at the ``count``-th call of a named place."""
    owners = {
        "log line": (files.JsonLines, "write"),
        "weights file": (models, "save_state"),
        "json file": (files, "write_json"),
        "publish": (files, "publish_folder"),
        "fsync": (files, "fsync_path"),
        "prune": (__import__("shutil"), "rmtree"),
    }
    owner, name = owners[where]
    original = getattr(owner, name)
    calls = 0

    def dies(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == count:
            if where in ("weights file", "log line"):  # leave it half done
                original(*args, **kwargs)
                if where == "weights file":
                    path = Path(args[0]) / f"{args[1]}.safetensors"
                    os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(owner, name, dies)
    train(root, folder, overrides)
    os._exit(77)  # was not killed: the test asked for a place that is not passed


def train_signalled(
    root: Path,
    folder: Path,
    overrides: tuple[str, ...],
    where: str,
    count: int,
    number: int,
    rank: int = 0,
) -> None:
    """Train; one rank gets a signal at the ``count``-th step, or batch of scoring, it comes to."""
    from carscale.evaluation import prediction
    from carscale.training.logger import TrainingLogger

    places = {"step": (TrainingLogger, "add"), "scoring": (prediction, "_rows")}
    owner, name = places[where]
    original = getattr(owner, name)
    calls = 0

    def signalled(*args: object, **kwargs: object) -> object:
        nonlocal calls
        calls += 1
        if calls == count and os.environ.get("RANK", "0") == str(rank):
            os.kill(os.getpid(), number)
            time.sleep(0.3)  # a thread hears it
        return original(*args, **kwargs)

    setattr(owner, name, signalled)
    train(root, folder, overrides)
    os._exit(77)  # was not stopped


def train_unreadable(
    root: Path, folder: Path, overrides: tuple[str, ...], where: str | None = None, count: int = 0
) -> None:
    """Train while every fourth photo can't be read; die at a named place if there is one."""
    from carscale.types import Split

    read = Split.read_bytes

    def read_or_fail(split: Split, row: int) -> bytes:
        if row % 4 == 0 and split.name == "train":
            raise FileNotFoundError("gone")
        return read(split, row)

    Split.read_bytes = read_or_fail
    words = (*overrides, "loader.on_unreadable=fill")
    if where is None:
        train(root, folder, words)
    else:
        train_until(root, folder, words, where, count)


def record_batches(
    root: Path,
    out: Path,
    accumulate: int,
    num_steps: int,
    backend: str = "torch",
    more: tuple[str, ...] = (),
) -> None:
    """Write ids and augmentation parameters of this rank's micro-batches."""
    from carscale import augment, balance

    words = [f"train.accumulate_steps={accumulate}", f"loader.backend={backend}"]
    cfg = recipe(root, out / "run", *words, "balance.sampling=sqrt", *more)

    with open_world(num_cpu_threads=1) as world:
        splits = data.read_splits(root)
        view = models.preprocessing(cfg.model, cfg.data)
        sampler = balance.sampler(cfg, splits.train)
        loader = loaders.train_loader(
            cfg.loader,
            splits.train,
            augment.policy(cfg.augment, view),
            world,
            seed=cfg.seed,
            sampler=sampler,
            resize_schedule=loaders.resize_schedule(cfg, len(splits.train)),
        )
        rows = []
        batches = loader.batches(0, num_steps, accumulate)
        for step in range(num_steps):
            for micro in range(accumulate):
                batch = next(batches)
                params = loader.plan(step, micro, accumulate).params
                for b, sample_id in enumerate(batch.ids_B.tolist()):
                    numbers = [*params.affine_B23[b].ravel()]
                    numbers += [] if params.colour_B3 is None else [*params.colour_B3[b]]
                    if params.source_B4 is not None:
                        numbers += [*params.swap_B4[b], *params.source_B4[b]]
                    if batch.own_share_B is not None:
                        numbers += [float(batch.own_share_B[b]), int(batch.partner_labels_B[b])]
                    pixels = int(batch.images_BCHW[b].long().sum())
                    rows.append([step, micro, world.rank, sample_id, pixels, *numbers])
        batches.close()
        np.save(out / f"rank{world.rank}.npy", np.array(rows))


def write_predictions(
    root: Path, weights: Path, out: Path, eval_batch_size: int, backend: str = "torch"
) -> None:
    """Predict every split with stored weights; write the tables and what rank 0 says."""
    from carscale import tables

    if os.environ["RANK"] == "0":
        out.mkdir(parents=True, exist_ok=True)
        sys.stderr = (out / "stderr.txt").open("w", buffering=1)
    words = [f"loader.eval_batch_size={eval_batch_size}", f"loader.backend={backend}"]
    cfg = recipe(root, out, *words)
    with open_world(num_cpu_threads=1) as world:
        splits = data.read_splits(root)
        view = models.preprocessing(cfg.model, cfg.data)
        model = models.build(cfg.model, view, splits.classes, with_weights=False)
        models.load_state(model.net, models.read_weights(weights), str(weights))
        for split in (splits.train, splits.val, splits.test):
            if len(split) == 0:
                continue
            loader = loaders.eval_loader(cfg.loader, split, view, world)
            predictions = evaluation.predict(model, loader, world, keep_probs=True)
            if world.is_main:
                out.mkdir(parents=True, exist_ok=True)
                path = out / f"{split.name}.parquet"
                path.write_bytes(tables.predictions_bytes(predictions))


def command(words: tuple[str, ...], out: Path) -> None:
    """Run a command on this rank, which must succeed; keep what it printed."""
    from command_line import carscale

    answer = carscale(*words, code=0)
    (out / f"rank{os.environ['RANK']}.txt").write_text(answer.stdout)


def check_gather(sizes: tuple[int, ...]) -> None:
    """Gather rows of unequal numbers."""
    with open_world(num_cpu_threads=1) as world:
        mine = torch.arange(sizes[world.rank]) + 100 * world.rank
        got = world.gather_rows(torch.stack([mine, -mine], dim=1))
        wanted = torch.cat([torch.arange(n) + 100 * r for r, n in enumerate(sizes)])
        assert got[:, 0].tolist() == wanted.tolist()
        assert got[:, 1].tolist() == (-wanted).tolist()
        assert world.broadcast({"rank": world.rank}) == {"rank": 0}
