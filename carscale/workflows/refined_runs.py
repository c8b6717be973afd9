"""Runs that are made of finished runs: what rebalance, blend and soup share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import config, data, evaluation, files, loaders, models, refine, training
from carscale.errors import ConfigError, DataError, RunError
from carscale.runs import RunFolder, step_of
from carscale.runs.data_root import data_places
from carscale.types import Splits, View
from carscale.verdicts.metrics import METRICS, check_support
from carscale.workflows.evaluation_run import load_result
from carscale.workflows.model_runs import EVALUATION_KEYS
from carscale.world import start_run

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.world import Run


@dataclass(frozen=True, eq=False)
class Base:
    """A finished run that another one is made of.

    Attributes:
        folder: Its folder.
        cfg: Its settings.
        splits: Its data.
        model: Its result.
        view: The model's.
        card: The checkpoint's.
        checkpoint: Where it lies.
    """

    folder: RunFolder
    cfg: config.Recipe
    splits: Splits
    model: models.Classifier
    view: View
    card: dict[str, Any]
    checkpoint: Path


def settings_of(folder: RunFolder, words: Sequence[str], name: str) -> config.Recipe:
    """Return a run's settings with where the new run lies, and what evaluations may change."""
    wrong = [word for word in words if not word.startswith((*EVALUATION_KEYS, "run."))]
    if wrong:
        raise ConfigError(
            f"command line: {wrong[0]!r} can't change here: nothing is trained",
            f"these can: run.name=, run.dir=, {', '.join(EVALUATION_KEYS)}",
        )
    where = [f"run.dir={beside(folder)}", f"run.name={name}"]
    return config.resolve(folder.settings(), [*where, *words])


def beside(folder: RunFolder) -> Path:
    """Return the folder that a run lies in; of ``.`` too."""
    path = folder.path
    return path.parent if path.name not in ("", "..") else path.resolve().parent


def is_continued(old: RunFolder, new: RunFolder) -> bool:
    """Tell whether a run starts from another one's weights: trained on, rebalanced or blended."""
    refined = new.environment().get("refined") or {}
    named = [new.path / one for one in refined.get("from") or () if refined["how"] != "soup"]
    weights = new.settings().model.weights
    named += [Path(weights)] if weights else []
    here = old.path.resolve()
    return any(here in (one.resolve(), *one.resolve().parents) for one in named)


def val_folds(base: Base, metric: str) -> NDArray[np.int64]:
    """Return the fold of each photo of val, by which the others choose for it.

    Raises:
        ConfigError: An unknown metric.
        DataError: Val is too small for two folds, or lacks a class that the metric is a mean over.
    """
    val, classes = base.splits.val, base.splits.classes
    if metric not in METRICS:
        raise ConfigError(f"metric={metric}: must be one of {', '.join(METRICS)}")
    support = dict(zip((one.name for one in classes), val.counts_K.tolist(), strict=True))
    check_support(support, "val", metric)
    folds_N = data.fold_numbers(val, refine.NUM_FOLDS) if len(val) else np.empty(0, np.int64)
    if len(np.unique(folds_N)) < 2:
        raise DataError(
            f"{val.root}: val has {len(val)} photos, too few to be cut in parts that choose for "
            "each other",
            "freeze with more photos in val: carscale data freeze PHOTOS OUT --val-fraction 0.2",
        )
    return folds_N


def metric_text(value: float, metric: str) -> str:
    """Return a metric for people: a share in percent; a log loss as it is."""
    return f"{-value:.3f}" if metric == "log_loss" else f"{value:.1%}"


def open_base(folder: RunFolder, cfg: config.Recipe) -> Base:
    """Return a run's result and its data."""
    splits = data.load(cfg.data.model_copy(update={"partial": "leave"}))
    model, view, card, checkpoint = load_result(folder, cfg.model)
    stored = [entry["name"] for entry in card["classes"]]
    if stored != [one.name for one in splits.classes]:
        raise DataError(
            f"{splits.train.root}: its {len(splits.classes)} classes are not the "
            f"{len(stored)} of {folder}",
            "name the data that it was trained on: data.root=FOLDER",
        )
    known = folder.hashes.get("val")
    if known and known != splits.val.hash:
        raise DataError(
            f"{splits.val.root}: another val ({splits.val.hash[:12]}) than {folder} was trained "
            f"beside ({known[:12]}); its photos may have trained the network",
            "name data of the same val: data.root=FOLDER",
        )
    return Base(folder, cfg, splits, model, view, card, checkpoint)


def check_free(parents: Sequence[RunFolder], cfg: config.Recipe, *, force: bool) -> None:
    """Raise where the new run would replace another one, or one that it is made of.

    On rank 0, before any rank makes the folder; its launcher ends the others.
    """
    if os.environ.get("RANK", "0") != "0":
        return
    new = RunFolder(Path(cfg.run.dir) / str(cfg.run.name))
    if new.path.resolve() in [one.path.resolve() for one in parents]:
        raise ConfigError(
            f"run.name={cfg.run.name}: is a run that it is made of", "name another: run.name=NAME"
        )
    is_begun = new.has_settings and "refined" in new.environment() and not new.is_finished
    if new.has_settings and not is_begun and not force:  # one that was killed goes on
        raise RunError(
            f"{new}: holds a run already", "name another: run.name=NAME; or replace it: --force"
        )


@contextmanager
def new_run(base: Base, how: str, *, force: bool) -> Iterator[Run]:
    """Open the folder of a run that is made of another one, with that one's settings."""
    recipe = f"{base.folder.environment().get('recipe') or base.folder.name} + {how}"
    resume = "overwrite" if force else "auto"
    with start_run(recipe, base.cfg.model_copy(update={"resume": resume})) as run:
        run.record(refined={"how": how.split()[0]})
        yield run


def finish(
    run: Run,
    base: Base,
    change: Callable[[], dict[str, Any]],
    parents: Sequence[RunFolder] = (),
) -> None:
    """Change the model on rank 0, store it, predict val, and write what the run is made of.

    Args:
        run: The new run.
        base: What it is made of; its model is changed.
        change: Changes the weights; returns how they were made.
        parents: Further runs that it is made of.
    """
    step = step_of(base.checkpoint)
    facts: dict[str, Any] = {}

    def write() -> None:
        facts.update(change())
        training.save_best(run, base.model.net, step, base.card)
        classes = [asdict(one) for one in base.splits.classes]
        files.write_json(run.folder.classes_file, {"classes": classes})

    run.world.on_main(write)
    stored, made_of = base.folder.environment(), [base.folder, *parents]
    hashes = {one.name: one.hash for one in (base.splits.train, base.splits.val)}
    where = data_places(run.folder.path, base.splits.train.root)
    run.record(
        data={**(stored.get("data") or {}), **where, "hashes": hashes},
        model={**(stored.get("model") or {}), "weights_from": ", ".join(map(str, made_of))},
        refined={
            **run.environment["refined"],
            "from": [os.path.relpath(one, run.folder) for one in made_of],
            **facts,
        },
    )
    model = training.load_best(run, base.model)
    loader = loaders.eval_loader(base.cfg.loader, base.splits.val, base.view, run.world)
    scorer = evaluation.Scorer(loader, flip=base.cfg.evaluate.flip)
    values = scorer(model, run.world)
    assert scorer.last is not None
    run.save_predictions("val", scorer.last)

    def log() -> None:
        best = base.folder.best_epoch or {}
        lines = files.JsonLines(run.folder.log_file, size=0)
        lines.write(event="epoch", epoch=best.get("epoch", 0), step=step, val=values, is_best=True)
        lines.write(event="end", step=step, best_step=step, reason="refined")
        lines.close()

    run.world.on_main(log)
