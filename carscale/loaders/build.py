"""Settings to loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carscale import balance
from carscale.errors import ConfigError, DataError
from carscale.loaders.backends import check_backend
from carscale.loaders.batches import EvalLoader, Renderer, TrainLoader
from carscale.loaders.progressive_resize import ResizeSchedule
from carscale.loaders.stream import Stream, rank_slice
from carscale.types import Split, View

if TYPE_CHECKING:
    from carscale import config
    from carscale.augment import Policy
    from carscale.balance import Sampler
    from carscale.world import World


def train_loader(
    cfg: config.Loader,
    split: Split,
    policy: Policy,
    world: World,
    *,
    seed: int,
    sampler: Sampler | None = None,
    resize_schedule: ResizeSchedule | None = None,
) -> TrainLoader:
    """Return the training loader of this rank.

    Args:
        cfg: Backend, batch size, threads.
        split: The train split.
        policy: What varies.
        world: This rank, how many there are, the device.
        seed: Of sampling and augmentation.
        sampler: From ``balance.sampler``; ``None`` for each sample once an epoch.
        resize_schedule: From ``loaders.resize_schedule``; ``None`` shows all photos at full size.

    Raises:
        ConfigError: A global batch too small for the processes, or a backend that can't run here or
            can't render the policy.
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
    most = -(-cfg.global_batch_size // world.size) + 3  # parts differ by three at most
    most *= 1 + policy.has_paste_stream

    def make_renderer(policy: Policy) -> Renderer:
        return _renderer(cfg, split, policy.view, world, policy=policy, max_batch_size=most)

    sides, ends = (
        ((policy.view.image_px,), ())
        if resize_schedule is None
        else (resize_schedule.sides, resize_schedule.ends)
    )
    return TrainLoader(
        cfg,
        tuple(policy.at(side) for side in sides),
        world,
        Stream(len(split), seed=seed, sampler=sampler),
        split=split,
        make_renderer=make_renderer,
        ends=ends,
        paste_stream=paste_stream(split, policy, seed) if policy.has_paste_stream else None,
    )


def paste_stream(split: Split, policy: Policy, seed: int) -> Stream:
    """Return the order of photos that are pasted: a photo of a class of n by ``1 / n^power``.

    One of a partial label as those of its classes on average.
    """
    counts_K = split.counts_K.astype(np.float64)
    draws_K = np.where(counts_K > 0, np.maximum(counts_K, 1) ** (1 - policy.cfg.cmo_power), 0)
    weights_N = balance.label_rates(draws_K, split)[split.labels_N]
    return Stream(len(split), seed=seed, sampler=balance.weighted(weights_N), purpose="pasted")


def eval_loader(cfg: config.Loader, split: Split, view: View, world: World) -> EvalLoader:
    """Return the evaluation loader of this rank: whole batches, dealt to ranks in turn.

    Raises:
        ConfigError: A backend that can't run here.
        DataError: An empty split.
    """
    _check_photos(split)
    most = min(cfg.eval_batch_size, len(split))
    renderer = _renderer(cfg, split, view, world, policy=None, max_batch_size=most)
    return EvalLoader(cfg, view, world, split=split, renderer=renderer)


def _renderer(
    cfg: config.Loader,
    split: Split,
    view: View,
    world: World,
    *,
    policy: Policy | None,
    max_batch_size: int,
) -> Renderer:
    """Return the backend's renderer."""
    check_backend(cfg.backend, world, None if policy is None else policy.cfg)
    if cfg.backend in ("torch", "auto"):  # auto outside a run: what runs everywhere
        from carscale.loaders.torch_backend import TorchRenderer

        return TorchRenderer(cfg, split, view, world)
    from carscale.loaders.dali_backend import DaliRenderer

    return DaliRenderer(
        cfg,
        split,
        view,
        world,
        policy=policy,
        max_batch_size=max_batch_size,
        is_gpu=cfg.backend == "dali_gpu",
    )


def _check_photos(split: Split) -> None:
    """Raise when a split is empty."""
    if len(split) == 0:
        raise DataError(
            f"{split.root}: the {split.name} split holds no photos",
            "freeze more photos, or give it a share: carscale data freeze PHOTOS NEW "
            "--fractions 0.7,0.2,0.1",
            "where the source's own splits are kept: --keep-splits --val-fraction 0.1",
        )
