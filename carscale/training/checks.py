"""What is checked before a run trains: what it starts from, and whether its parts fit."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from carscale import data, models
from carscale.data.frozen.split_assignment import PARTIAL
from carscale.errors import CarscaleError, ConfigError, DataError
from carscale.progress import note
from carscale.runs import RunFolder, run_of_weights

if TYPE_CHECKING:
    from carscale import config
    from carscale.training.learner import Learner
    from carscale.types import Split, Splits, TrainLoader
    from carscale.world import Run


def check_start(cfg: config.Recipe, splits: Splits) -> None:
    """Raise where photos that measure a run trained the weights that it starts from.

    The runs that those weights come from are followed as far as their folders are there. Rank 0
    says so where that can't be told, and where a run is trained on without a selection.

    Raises:
        DataError: Photos of val, test or an extra test are of such a run's train.
    """
    notes = []
    if cfg.finetune.distill and cfg.finetune.select is None:
        notes.append(
            "finetune.select: names no photos, so all of train is drawn as before; some that "
            "resemble mistakes: carscale select RUN OUT.parquet --by confused-pairs"
        )
    for start in _starts(cfg.model.weights):
        if start.hashes.get("train") == splits.train.hash:
            continue  # held out from the same train
        trained = _trained(start)
        if trained is None:
            notes.append(
                f"{start}: the photos that trained it are not at hand, so nobody can tell whether "
                "some of val or test are among them"
            )
        else:
            _check_unseen(start, trained, splits)
    for text in notes if os.environ.get("RANK", "0") == "0" else ():
        note(f"note: {text}")


def check_fit(run: Run, learner: Learner, loader: TrainLoader) -> None:
    """Raise where batch, network, data and policy do not go together.

    Raises:
        ConfigError: Says what to change.
        ModelError: A policy needs class activation maps, and the network has none.
    """
    _check_micro_batches(run, loader)
    _check_sides(run, learner, loader)
    _check_dynamics(run, loader)
    if run.cfg.augment.policy == "snapmix":
        learner.model.check_class_maps(loader.sides_px[0])


def _starts(weights: str | None) -> Iterator[RunFolder]:
    """Yield the run that weights are of, the one that this one started from, and so on."""
    seen: set[Path] = set()
    start = run_of_weights(weights)
    while start is not None and start.path.resolve() not in seen:
        yield start
        seen.add(start.path.resolve())
        start = run_of_weights(start.settings().model.weights)


def _trained(start: RunFolder) -> Split | None:
    """Return the train split of a run; ``None`` where its data are gone or are others now."""
    cfg = start.settings().data
    try:
        train = data.cut_splits(cfg).train if data.is_frozen(Path(cfg.root)) else None
    except CarscaleError:
        return None
    return train if train is not None and train.hash == start.hashes.get("train") else None


def _check_unseen(start: RunFolder, trained: Split, splits: Splits) -> None:
    """Raise where a split that measures holds photos of a run's train."""
    for split in splits.every[1:]:
        is_seen_N = np.isin(split.keys_N.astype(str), trained.keys_N.astype(str))
        if split.name != PARTIAL and is_seen_N.any():
            raise DataError(
                f"{split.root}: {is_seen_N.sum()} photos of {split.name} trained {start} "
                f"(first: {split.paths_N[is_seen_N][0]}), so scores on it would flatter",
                f"train on data of the same splits: data.root={shlex.quote(str(trained.root))}; "
                "or start anew: leave model.weights out",
            )


def _check_dynamics(run: Run, loader: TrainLoader) -> None:
    """Raise when training dynamics are asked for and photos have no single label."""
    if run.cfg.train.log_dynamics and loader.split.class_sets:
        raise ConfigError(
            "train.log_dynamics=true: data.partial=use trains on photos without a class to log",
            "take one of both back",
        )


def _check_micro_batches(run: Run, loader: TrainLoader) -> None:
    """Raise when a global batch leaves a rank with under 2 samples in some micro-step."""
    accumulate_steps = run.cfg.train.accumulate_steps
    num_parts = accumulate_steps * run.world.size
    if loader.global_batch_size >= 2 * num_parts:
        return
    raise ConfigError(
        f"loader.global_batch_size={loader.global_batch_size}: can't be cut in {num_parts} "
        f"parts of 2 or more: train.accumulate_steps={accumulate_steps} x {run.world.size} "
        "processes",
        f"set loader.global_batch_size={2 * num_parts} or more",
    )


def _check_sides(run: Run, learner: Learner, loader: TrainLoader) -> None:
    """Raise when the network can't take the squares that it is to be given."""
    cfg, small = run.cfg, loader.sides_px[0]
    sides = {f"data.image_px={cfg.data.image_px}": (cfg.data.image_px, "data.image_px=224")}
    if len(loader.sides_px) > 1:
        sides[f"train.grow_from_px={cfg.train.grow_from_px}"] = small, "train.grow_from_px=0"
    for asked, (side, remedy) in sides.items():
        try:
            models.run_once(learner.model.net, side)
        except (AssertionError, RuntimeError) as error:
            raise ConfigError(
                f"{asked}: model.name={cfg.model.name} can't take squares of {side} px: "
                f"{' '.join(str(error).split())[:200]}",
                f"take {remedy}, or a convolutional network",
            ) from error
