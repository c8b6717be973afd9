"""Settings to loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from carscale.errors import ConfigError, DataError
from carscale.loaders import torch_backend
from carscale.loaders.stream import Stream, rank_slice
from carscale.types import Loader, Split, TrainLoader, View

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from carscale import config
    from carscale.augment import Policy
    from carscale.world import World

__all__ = ["BACKENDS", "plain", "resolve_backend", "training"]

BACKENDS = {"torch": torch_backend}


def resolve_backend(cfg: config.Loader) -> str:
    """Return the backend that ``auto`` stands for on this machine."""
    return "torch" if cfg.backend == "auto" else cfg.backend


def training(
    cfg: config.Loader,
    split: Split,
    policy: Policy,
    world: World,
    *,
    seed: int,
    weights_N: NDArray[np.float64] | None = None,
) -> TrainLoader:
    """Return the training loader of this rank.

    Args:
        cfg: Backend, batch size, threads.
        split: The train split.
        policy: What varies.
        world: This rank, how many there are, the device.
        seed: Of order and augmentation.
        weights_N: Probability of each sample at every draw; ``None`` for each once an epoch.

    Raises:
        ConfigError: A global batch too small for the processes.
        DataError: An empty split.
    """
    _check_photos(split)
    try:
        rank_slice(
            cfg.global_batch_size,
            micro_step=0,
            num_micro_steps=1,
            rank=0,
            world_size=world.size,
        )
    except ValueError as error:
        raise ConfigError(
            f"loader.global_batch_size={cfg.global_batch_size}: {error}",
            f"set loader.global_batch_size={2 * world.size} or more",
        ) from error
    stream = Stream(len(split), seed=seed, weights_N=weights_N)
    return BACKENDS[resolve_backend(cfg)].training(cfg, split, policy, world, stream)


def plain(cfg: config.Loader, split: Split, view: View, world: World) -> Loader:
    """Return the evaluation loader of this rank: whole batches, dealt to ranks in turn.

    Raises:
        DataError: An empty split.
    """
    _check_photos(split)
    return BACKENDS[resolve_backend(cfg)].plain(cfg, split, view, world)


def _check_photos(split: Split) -> None:
    """Raise when a split is empty."""
    if len(split) == 0:
        raise DataError(
            f"{split.root}: the {split.name} split holds no photos",
            "freeze more photos, or give it a larger share: carscale data freeze --fractions",
        )
