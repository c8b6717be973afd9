"""Which backend runs here, which can render what, and which one ``auto`` takes."""

from __future__ import annotations

import time
from importlib.metadata import distributions
from typing import TYPE_CHECKING

from carscale.augment import slot_ops
from carscale.errors import CarscaleError, ConfigError, MissingExtraError
from carscale.progress import note

if TYPE_CHECKING:
    from carscale import config
    from carscale.augment import Policy
    from carscale.types import Split
    from carscale.world import Run, World

__all__ = ["check_backend", "check_driver", "choose", "has_dali", "settle"]

NUM_WARMUPS, NUM_TIMED = 2, 4
"""Batches and steps that ``auto`` measures."""


def has_dali() -> bool:
    """Tell whether DALI can be imported."""
    try:
        import nvidia.dali  # noqa: F401
    except ImportError:
        return False
    return True


def check_backend(name: str, world: World, policy: config.Augment | None) -> None:
    """Raise when a backend can't run here or can't render a policy.

    Args:
        name: Of ``config.Loader.backend``.
        world: The device.
        policy: What train photos go through; ``None`` for the plain view.

    Raises:
        ConfigError: No GPU, a driver too old, or an op that the backend lacks.
        MissingExtraError: DALI is not installed.
    """
    if name in ("auto", "torch"):
        return
    if not has_dali():
        raise MissingExtraError(
            f"loader.backend={name}: DALI is not installed",
            "install it with: pip install 'carscale[dali]' (Linux)",
            "or take the one that runs everywhere: loader.backend=torch",
        )
    if name == "dali_gpu":
        if world.device.type != "cuda":
            raise ConfigError(
                f"loader.backend=dali_gpu: needs a GPU; this process computes on {world.device}",
                "take loader.backend=torch, or dali_cpu",
            )
        import torch

        for flavour in _flavours():
            check_driver(flavour, torch._C._cuda_getDriverVersion())  # type: ignore[attr-defined]
    if policy is not None:
        _check_ops(policy)


def check_driver(flavour: str, driver: int) -> None:
    """Raise when a DALI wheel is for a newer CUDA than the driver knows.

    Args:
        flavour: The end of the wheel's name: ``130`` of ``nvidia-dali-cuda130``.
        driver: CUDA version of the driver, as CUDA counts: 12040 is 12.4.

    Raises:
        ConfigError: The driver is too old.
    """
    wanted, known = int(flavour) // 10, driver // 1000
    if wanted > known:
        raise ConfigError(
            f"loader.backend=dali_gpu: nvidia-dali-cuda{flavour} needs a driver for CUDA {wanted}, "
            f"this one is for {known}.{driver % 1000 // 10}",
            f"install the other: pip uninstall nvidia-dali-cuda{flavour}; "
            f"pip install nvidia-dali-cuda{known}0",
            "or take loader.backend=torch",
        )


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


def settle(cfg: config.Recipe, run: Run, split: Split, policy: Policy) -> config.Loader:
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
        run.settle_backend(stored, why)
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
    from carscale.loaders.build import training

    own = cfg.loader.model_copy(update={"backend": "torch"})
    batches = training(own, split, policy, world, seed=cfg.seed).batches(0, 10**6, 1)
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


def _check_ops(policy: config.Augment) -> None:
    """Raise when DALI can't render an op of a policy."""
    from carscale.loaders.dali_graph import RENDERS

    missing = [name for name in slot_ops(policy) if name not in RENDERS]
    if missing:
        raise ConfigError(
            f"augment.policy={policy.policy}: DALI can't render {', '.join(missing)}",
            "these backends can: torch",
        )


def _flavours() -> list[str]:
    """Return which CUDA the installed DALI wheels are for: ``130``."""
    prefix = "nvidia-dali-cuda"
    names = {(found.metadata["Name"] or "").lower() for found in distributions()}
    return sorted(n.removeprefix(prefix) for n in names if n.startswith(prefix))
