"""Runs that are made of finished runs: what rebalance, blend and soup share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import config, data, evaluation, files, loaders, models, training
from carscale.errors import ConfigError, DataError, RunError
from carscale.runs import RunFolder, step_of
from carscale.runs.data_root import data_places
from carscale.types import Splits, View
from carscale.workflows.evaluation_run import load_result
from carscale.workflows.model_runs import EVALUATION_KEYS
from carscale.world import start_run

if TYPE_CHECKING:
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
    where = [f"run.dir={folder.path.parent}", f"run.name={name}"]
    return config.resolve(folder.settings(), [*where, *words])


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
    return Base(folder, cfg, splits, model, view, card, checkpoint)


def check_free(parents: Sequence[RunFolder], cfg: config.Recipe, *, force: bool) -> None:
    """Raise where the new run would replace another one, or one that it is made of."""
    new = RunFolder(Path(cfg.run.dir) / str(cfg.run.name))
    if new.path.resolve() in [one.path.resolve() for one in parents]:
        raise ConfigError(
            f"run.name={cfg.run.name}: is a run that it is made of", "name another: run.name=NAME"
        )
    if new.has_settings and new.is_finished and not force:
        raise RunError(
            f"{new}: holds a run already", "name another: run.name=NAME; or replace it: --force"
        )


@contextmanager
def new_run(base: Base, how: str, *, force: bool) -> Iterator[Run]:
    """Open the folder of a run that is made of another one, with that one's settings."""
    recipe = f"{base.folder.environment().get('recipe') or base.folder.name} + {how}"
    resume = "overwrite" if force else "auto"
    with start_run(recipe, base.cfg.model_copy(update={"resume": resume})) as run:
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
    where = data_places(run.folder.path, base.splits.train.root)
    run.record(
        data={**(stored.get("data") or {}), **where},
        model={**(stored.get("model") or {}), "weights_from": ", ".join(map(str, made_of))},
        refined={"from": [os.path.relpath(one, run.folder) for one in made_of], **facts},
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
