"""Which backend ``auto`` becomes: measured once, stored with the run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from carscale.errors import CarscaleError
from carscale.loaders.backends import check_backend, has_dali
from carscale.loaders.build import train_loader
from carscale.progress import note

if TYPE_CHECKING:
    from carscale import config
    from carscale.augment import Policy
    from carscale.types import Split
    from carscale.world import Run, World


NUM_WARMUPS, NUM_TIMED = 2, 4
"""Batches and steps that ``auto`` measures."""


def choose(
    *,
    has_gpu: bool,
    has_dali: bool,
    loader_images_per_s: float = 0.0,
    model_images_per_s: float = 0.0,
) -> tuple[str, str]:
    """Return the backend that ``auto`` takes, and why.

    Example:
        >>> choose(has_gpu=False, has_dali=True)
        ('torch', 'no GPU: the thread pool is the fastest on a CPU')
    """
    if not has_gpu:
        return "torch", "no GPU: the thread pool is the fastest on a CPU"
    if not has_dali:
        return "torch", "DALI is not installed (pip install 'carscale[dali]')"
    loads, takes = f"{loader_images_per_s:.0f}", f"{model_images_per_s:.0f}"
    speeds = f"the CPU loads {loads} images/s, the model takes {takes}"
    if model_images_per_s > loader_images_per_s:
        return "dali_gpu", f"the model would wait: {speeds}"
    return "torch", f"the model does not wait: {speeds}"


def resolve_backend(cfg: config.Recipe, run: Run, split: Split, policy: Policy) -> config.Loader:
    """Return the loader's settings with ``auto`` decided, once a run; say and store why.

    With a GPU and DALI, a few batches and a few steps are timed. A resumed run keeps its backend.

    Args:
        cfg: The recipe's settings.
        run: Its folder and processes.
        split: The train split.
        policy: What varies.
    """
    stored = run.cfg.loader.backend
    if stored == "auto":
        stored, why = run.world.broadcast(_measured(cfg, run.world, split, policy))
        run.store_backend(stored, why)
        if run.world.is_main:
            note(f"loader.backend={stored}: {why}")
    return cfg.loader.model_copy(update={"backend": stored})


def _measured(cfg: config.Recipe, world: World, split: Split, policy: Policy) -> tuple[str, str]:
    """Return the choice of rank 0, measured where it has to be."""
    has_gpu = world.device.type == "cuda"
    if not world.is_main or not has_gpu or not has_dali():
        return choose(has_gpu=has_gpu, has_dali=has_gpu and has_dali())
    try:
        check_backend("dali_gpu", world, policy.cfg)
    except CarscaleError as error:
        return "torch", f"dali_gpu can't run: {error.args[0]}"
    from torch import OutOfMemoryError
    from torch.random import fork_rng

    try:
        with fork_rng():  # the model that is timed draws weights; the run's stay what they are
            return choose(
                has_gpu=True,
                has_dali=True,
                loader_images_per_s=_loader_speed(cfg, world, split, policy),
                model_images_per_s=_model_speed(cfg, world, split, policy),
            )
    except OutOfMemoryError:  # training names it
        return "torch", "the model's speed could not be measured: out of memory"


def _loader_speed(cfg: config.Recipe, world: World, split: Split, policy: Policy) -> float:
    """Return the images/s of this process's thread pool."""
    own = cfg.loader.model_copy(update={"backend": "torch"})
    batches = train_loader(own, split, policy, world, seed=cfg.seed).batches(0, 10**6, 1)
    for _ in range(NUM_WARMUPS):
        next(batches)
    start = time.perf_counter()
    num_images = sum(len(next(batches).ids_B) for _ in range(NUM_TIMED))
    elapsed_s = time.perf_counter() - start
    batches.close()
    return num_images / elapsed_s


def _model_speed(cfg: config.Recipe, world: World, split: Split, policy: Policy) -> float:
    """Return the images/s that the model trains with, on pixels that lie ready."""
    from carscale import models

    size = max(2, cfg.loader.global_batch_size // world.size // cfg.train.accumulate_steps)
    model = models.build(cfg.model, policy.view, split.classes, with_weights=False)
    step = models.stepper(
        model.to(world.device),
        num_images=size,
        image_px=policy.view.image_px,
        device=world.device,
        trains=True,
        autocast=world.accelerator.autocast,
    )
    return models.images_per_s(step, num_images=size, num_warmups=NUM_WARMUPS, num_timed=NUM_TIMED)
