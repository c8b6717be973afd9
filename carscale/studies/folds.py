"""Cross-validation: predict every train photo by a model that did not train on it."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from carscale import config, contained, data, disk, evaluation, files, locks, tables
from carscale.errors import ConfigError, RunError, TrainingError
from carscale.progress import bar
from carscale.runs import RunFolder, run_of_weights
from carscale.shapes import problem
from carscale.studies.launching import Launch
from carscale.studies.run import terminable, tidy, train_to_end
from carscale.studies.warm import kept_warm
from carscale.types import Predictions, Splits

FIXED = ("data.num_folds", "data.fold", "run.", "train.select", "train.patience")
"""Settings that each fold sets itself, or that would select an epoch on the held-out fold."""


@dataclass(frozen=True)
class FoldRule:
    """How many folds, and what they change.

    Attributes:
        num_folds: Parts of train; 2 or more.
        num_repeats: Trainings of each fold, with another seed each; their predictions are averaged.
        words: Settings to change for all folds.
        launch: How recipes are started.
        keep_weights: Whether the folds' weights stay.
        recipe: The recipe's file; ``None`` takes the run's where it came with carscale.
    """

    num_folds: int = 5
    num_repeats: int = 1
    words: tuple[str, ...] = ()
    launch: Launch = field(default_factory=Launch)
    keep_weights: bool = False
    recipe: Path | None = None


def run_folds(folder: Path | RunFolder, rule: FoldRule) -> tuple[Path, Predictions]:
    """Train what is not trained yet, and join the folds' predictions.

    Started again after a kill it goes on where it was.

    Args:
        folder: The run whose recipe and settings are taken. Each fold is a run of its own in
            ``RUN/folds``, predicted after its last epoch: selecting an epoch on the held-out
            fold, or stopping by it, would bias it.
        rule: How many folds, and what differs.

    Returns:
        ``RUN/predictions/folds.parquet`` and what it holds: every train photo once.

    Raises:
        ConfigError: Settings that do not fit, or other ones than the folds began with.
        DataError: Train is too small for so many folds.
        RunError: The run's recipe did not come with carscale and the rule names none, or another
            process works on its folds.
        TrainingError: A fold failed; says why.
    """
    run = RunFolder(folder)
    cfg = run.settings()
    if cfg.data.num_folds:
        raise ConfigError(f"{run}: is itself one fold", "give the run that it was made of")
    _check_words(rule.words)
    place = run.folds_folder
    trainings = [(r, fold) for r in range(rule.num_repeats) for fold in range(rule.num_folds)]
    names = [_name(fold, r) for r, fold in trainings]
    words = [_words(run, rule, fold, r) for r, fold in trainings]
    settings = [config.resolve(config.Recipe(), fold_words) for fold_words in words]
    _check_start(run, settings[0])
    whole = data.read_splits(Path(settings[0].data.root))
    data.hold_out(whole, rule.num_folds, rule.num_folds - 1)  # the first that would be empty
    _check_repeats(rule, whole)
    recipe = rule.recipe or _recipe(run)
    disk.make_folder(place)
    with locks.hold_lock(place), terminable(), kept_warm(rule.launch) as warm:
        _check_plan(place, _plan(run, recipe, rule, whole.train.hash))
        num_train = len(whole.train) * (rule.num_folds - 1) // rule.num_folds
        total = sum(one.num_steps(num_train) for one in settings)
        begun = sum(run.fold(name).steps_done for name in names)
        with bar("folds", total, start=begun, unit="steps") as advance:
            for number, (name, fold_words) in enumerate(zip(names, words, strict=True), 1):
                advance(0, f"training {number}/{len(names)}")
                _train_fold(run, name, warm.command(recipe, fold_words), advance)
                tidy(run.fold(name), keep_weights=rule.keep_weights)
    repeats = [_join(run, rule.num_folds, whole, r) for r in range(rule.num_repeats)]
    joined = repeats[0] if len(repeats) == 1 else evaluation.averaged(repeats)
    out = run.predictions_file("folds")
    disk.make_folder(out.parent)
    files.write_atomic(out, tables.predictions_bytes(joined))
    return out, joined


def _name(fold: int, repeat: int) -> str:
    """Return a fold's run name."""
    return f"fold_{fold}" if repeat == 0 else f"fold_{fold}_repeat_{repeat}"


def _check_start(run: RunFolder, cfg: config.Recipe) -> None:
    """Raise where a fold would start from weights that its held-out photos trained."""
    weights = cfg.model.weights
    is_file_alone = weights and Path(weights).is_file() and run_of_weights(weights) is None
    if cfg.finetune.select is None and (weights is None or is_file_alone):
        return
    start = cfg.model.weights or str(run)
    raise ConfigError(
        f"{run}: starts from {start}, which all of train has trained: no fold would be held out",
        f"make folds of the run that it starts from: carscale folds {shlex.quote(start)}",
    )


def _check_repeats(rule: FoldRule, whole: Splits) -> None:
    """Raise where there are too many probabilities to average repeats."""
    if rule.num_repeats > 1 and not evaluation.are_few(len(whole.train), len(whole.classes)):
        raise ConfigError(
            f"--num-repeats {rule.num_repeats}: {len(whole.train)} photos times "
            f"{len(whole.classes)} classes are too many probabilities to keep and average",
            "leave it out: with so many photos one training a fold is steady",
        )


def _words(run: RunFolder, rule: FoldRule, fold: int, repeat: int) -> list[str]:
    """Return the settings of one fold."""
    return [
        f"config={run.settings_file}",
        "train.select=last",
        "train.patience=0",
        "train.eval_every_epochs=0",
        "train.log_dynamics=false",
        "balance.label_smoothing=0",  # smooth labels blur what tells a wrong one
        *rule.words,
        f"data.num_folds={rule.num_folds}",
        f"data.fold={fold}",
        f"run.dir={run.folds_folder}",
        f"run.name={_name(fold, repeat)}",
        "resume=auto",
        *([f"seed={_seed(run, rule) + repeat}"] if repeat else []),
    ]


def _seed(run: RunFolder, rule: FoldRule) -> int:
    """Return the seed of each fold's first repeat."""
    return config.resolve(run.settings(), list(rule.words)).seed


def _recipe(run: RunFolder) -> Path:
    """Return the recipe of carscale that a run was started by.

    Another file is code that the run folder names, and that may be anybody's.
    """
    named = run.recipe_file or ""
    here = Path(named)
    found = config.packaged(named.rpartition("carscale/recipes/")[2])
    if here.is_file():
        found = here if config.is_packaged(here) else None
    if found is not None:
        return found
    raise RunError(
        f"{run}: its recipe is none that came with carscale (env.json has {named or 'none'})",
        "name a recipe that you trust: "
        + shlex.join(["carscale", "folds", str(run), "--recipe", named or "RECIPE.py"]),
    )


def _check_words(words: tuple[str, ...]) -> None:
    """Raise where a setting is given that each fold sets itself."""
    for word in words:
        key = word.split("=")[0]
        if key.startswith(FIXED) or key in ("config", "resume"):
            raise ConfigError(
                f"command line: {key}: is set for each fold; it can't change here",
                "parts of train are counted by: --num-folds",
            )


def _plan(run: RunFolder, recipe: Path, rule: FoldRule, train_hash: str) -> dict[str, Any]:
    """Return what the folds are made of, for a later start to compare with."""
    settings = run.settings_file.read_bytes()
    return {
        "num_folds": rule.num_folds,
        "words": list(rule.words),
        "recipe": str(recipe),
        "train_hash": train_hash,
        "settings_sha256": hashlib.sha256(settings).hexdigest(),
    }


def _check_plan(place: Path, plan: dict[str, Any]) -> None:
    """Store what the folds are made of; raise when they started with something else."""
    path = place / "plan.json"
    stored = files.read_json(path) if path.exists() else plan
    if wrong := problem(stored, dict):
        raise ConfigError(f"{path}: {wrong}", f"begin anew after: rm -r {shlex.quote(str(place))}")
    changed = [name for name, value in plan.items() if stored.get(name) != value]
    if changed:
        changes = [
            f"{name}: {json.dumps(stored.get(name))} -> {json.dumps(plan[name])}"
            for name in changed
        ]
        raise ConfigError(
            f"{place}: these folds began with other settings: {', '.join(changed)}",
            *changes,
            f"go on with those, or begin anew after: rm -r {shlex.quote(str(place))}",
        )
    files.write_json(path, plan)


def _train_fold(
    run: RunFolder, name: str, command: list[str], advance: Callable[..., None]
) -> None:
    """Train one fold to its end."""
    fold = run.fold(name)
    log = contained.inside(run.path, f"folds/logs/{name}.txt", "file")
    why = train_to_end(fold, command, log, advance)
    if why is not None:
        raise TrainingError(f"{fold}: failed: {why}", "the same command goes on from here")


def _join(run: RunFolder, num_folds: int, whole: Splits, repeat: int) -> Predictions:
    """Return the folds' predictions as one table over the whole train split."""
    place = run.folds_folder
    parts = [run.fold(_name(fold, repeat)).predictions("val") for fold in range(num_folds)]
    keeps_probs = all(part.probs_NK is not None for part in parts)
    ids_N = np.concatenate([part.ids_N for part in parts])
    order_N = np.argsort(ids_N, kind="stable")
    if not np.array_equal(ids_N[order_N], whole.train.ids_N):
        raise RunError(
            f"{place}: the folds do not hold each train photo once",
            f"train them again after: rm -r {shlex.quote(str(place))}",
        )
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])[order_N]
        for name in Predictions.__dataclass_fields__
        if name not in ("about", "embeddings_ND") and (name != "probs_NK" or keeps_probs)
    }
    about = {
        "split": "train",
        "split_hash": whole.train.hash,
        "class_hash": whole.card["hashes"]["classes"],
        "num_folds": num_folds,
        "flip": parts[0].about.get("flip"),
        "backend": parts[0].about.get("backend"),
    }
    return Predictions(**columns, about=about)
