"""The training pipeline, top to bottom.

To change it, copy ``run`` into a recipe and end that with ``pipeline.main(NAME, RECIPE, run=run)``
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from carscale import augment, balance, config, data, disk, evaluation, loaders, models, training
from carscale.errors import CarscaleError, Stopped, TrainingError
from carscale.progress import note
from carscale.runs import RunFolder
from carscale.world import listening, start_run


def run(name: str, cfg: config.Recipe) -> RunFolder:
    """Train, predict val with the best weights, and return the run folder.

    A run that stopped goes on from its last checkpoint.

    Args:
        name: The recipe's; the run's too unless ``run.name`` says otherwise.
        cfg: All settings.

    Raises:
        CarscaleError: Settings, data, model or processes that do not fit; says what to type.
    """
    with start_run(name, cfg) as run:  # run folder, seed, check of the processes
        # 1. Splits: frozen once, the same in every run.
        splits = data.load(cfg.data)
        training.check_start(cfg, splits)  # what it starts from should not have seen val

        # 2. Sampler and augmentation policy: functions of the seed and the position in the stream.
        view = models.preprocessing(cfg.model, cfg.data)  # size, fit, interpolation, mean, std
        policy = augment.policy(cfg.augment, view)
        sampler = balance.sampler(cfg, splits.train)
        resize_schedule = loaders.resize_schedule(cfg, len(splits.train))

        # 3. Loaders: `auto` becomes one backend, once a run.
        loader_cfg = loaders.resolve_backend(cfg, run, splits.train, policy)
        train_loader = loaders.train_loader(
            loader_cfg,
            splits.train,
            policy,
            run.world,
            seed=cfg.seed,
            sampler=sampler,
            resize_schedule=resize_schedule,
        )
        val_loader = loaders.eval_loader(loader_cfg, splits.val, view, run.world)

        # 4. Model and loss. The model takes uint8 and normalises it.
        model = models.build(cfg.model, view, splits.classes)
        margins_KK = balance.rival_margins(cfg.finetune, splits.train)
        train = splits.train
        is_made_I = data.synthetic_ids(train.root) if cfg.balance.synthetic_smoothing else None
        loss = balance.loss(cfg.balance, train.counts_K, train.class_sets, margins_KK, is_made_I)
        learner = training.Learner(model, loss, cfg.optim, distill=cfg.finetune.distill)

        # 5. Fit. Val is scored as train.eval_every_epochs says, and chooses the checkpoint.
        scorer = evaluation.Scorer(val_loader, flip=cfg.evaluate.flip)
        ends_with_best = training.fit(run, learner, train_loader, score=scorer)

        # 6. Predict val with the best weights; every later report reads these predictions.
        best = training.load_best(run, model)
        predictions = scorer.last if ends_with_best else None  # of these weights already
        if predictions is None:
            predictions = evaluation.predict(best, val_loader, run.world, flip=cfg.evaluate.flip)
        run.save_predictions("val", predictions)
    return run.folder


def main(
    name: str,
    recipe: config.Recipe,
    argv: list[str] | None = None,
    *,
    run: Callable[[str, config.Recipe], RunFolder] = run,
) -> None:
    """Run a recipe as its command line asks; end the process on an error or a signal.

    The first SIGTERM, Ctrl-C or SIGUSR1 ends training after a step, saved; the next at once.

    Args:
        name: The recipe's.
        recipe: Its settings, below those of the command line.
        argv: Words of the command line; ``None`` takes the process's.
        run: The pipeline.
    """
    rank, is_first = os.environ.get("RANK", "0"), os.environ.get("LOCAL_RANK", "0") == "0"
    try:
        cfg = config.parse(recipe, argv)
    except CarscaleError as error:  # the same on every rank, so one says it
        sys.exit(_say(error) if is_first else error.exit_code)
    try:
        with listening():
            run(name, cfg)
    except TrainingError as error:  # all ranks agreed on it
        sys.exit(_say(error) if is_first else error.exit_code)
    except (CarscaleError, OSError) as error:
        is_alone = os.environ.get("WORLD_SIZE", "1") == "1"
        sys.exit(_say(_named(error), "" if is_alone else f"[rank {rank}] "))
    except Stopped as stop:
        if rank == "0":
            note(str(stop) or "stopped; the same command goes on from the last checkpoint")
        sys.exit(stop.exit_code)


def _named(error: CarscaleError | OSError) -> CarscaleError:
    """Return an error of ours, also for what a disk refused where nobody expected it."""
    if isinstance(error, CarscaleError):
        return error
    if disk.fault_of(error) is None:
        raise error
    return disk.disk_error(error, Path(error.filename) if error.filename else "a file of the run")


def _say(error: CarscaleError, rank: str = "") -> int:
    """Write an error to stderr; return its exit code."""
    note(f"{rank}{type(error).__name__}: {error}")
    return error.exit_code
