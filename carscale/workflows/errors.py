"""Gather what is known of a run's split, and analyse it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from carscale import analysis, config, data, outgoing, training
from carscale.errors import DataError
from carscale.runs import RunFolder
from carscale.types import CarClass, Predictions, Split, Splits

NUMBERS = (
    "brightness",
    "contrast",
    "sharpness",
    "information",
    "saturation",
    "red",
    "green",
    "blue",
)
Advance = Callable[[str], None]


def analyse_run(
    folder: Path | RunFolder,
    split: str,
    *,
    data_root: Path | None = None,
    advance: Advance = lambda text: None,
) -> analysis.Analysis:
    """Return why a run errs on a split.

    Args:
        folder: The run's.
        split: ``val`` or ``test``.
        data_root: Where the photos lie now; the run's ``data.root`` when ``None``.
        advance: Told what comes next.

    Raises:
        DataError: No predictions, of another class list, or not finite.
        RunError: No class list in the run.
    """
    run = RunFolder(folder)
    evidence, notes = gather_evidence(run, split, data_root=data_root, advance=advance)
    found = analysis.analyse(evidence, more_notes=notes, advance=advance)
    places = _places(run, data_root)
    actions = tuple(
        action
        | {name: _command(action[name], places) for name in ("command", "then")}
        | {"why": _filled(action["why"], places)}
        for action in found.actions
    )
    own = tuple(_filled(note, places) for note in found.notes[len(notes) :])  # ours name paths
    return replace(found, actions=actions, notes=(*notes, *own))


def _places(run: RunFolder, data_root: Path | None) -> dict[str, str]:
    """Return what the capital words of commands stand for."""
    cfg, recipe = _settings(run), _recipe_file(run)
    root = data_root or (Path("ROOT") if cfg is None else Path(cfg.data.root))
    places = {"RUN": run.path, "NAME": run.name, "DIR": run.path.parent, "ROOT": root}
    return {name: shlex.quote(str(place)) for name, place in places.items()} | {
        name: shlex.quote(value) for name, value in {"RECIPE": recipe}.items() if value
    }


def _recipe_file(run: RunFolder) -> str | None:
    """Return the recipe that trained a run, or the run that it was made of."""
    made_of = (run.environment().get("refined") or {}).get("from") or ()
    if run.recipe_file is None and made_of:
        return RunFolder(run.path / made_of[-1]).recipe_file
    return run.recipe_file


def _command(text: str | None, places: dict[str, str]) -> str | None:
    """Return a command that runs as it stands; ``None`` where the run's recipe is not known."""
    if text is None:
        return None
    parts = text.split(" && ")
    known = [part for part in parts if "RECIPE" in places or not re.search(r"\bRECIPE\b", part)]
    whole = parts[: len(known)] if parts[: len(known)] == known else known[:1]
    return _filled(" && ".join(whole), places) if whole else None


def _filled(text: str, places: dict[str, str]) -> str:
    """Return text with the capital words replaced; in commands they stand alone or in a path."""
    return re.sub(
        r"\b(RUN|NAME|DIR|ROOT|RECIPE)\b", lambda match: places.get(match[1], match[1]), text
    )


def gather_evidence(
    run: RunFolder, split: str, *, data_root: Path | None = None, advance: Advance
) -> tuple[analysis.Evidence, tuple[str, ...]]:
    """Read predictions and all that belongs to them; return it, and what is left out and why."""
    advance(f"reading the predictions of {split}")
    predictions, classes = run.predictions(split), run.classes()
    _check_predictions(predictions, classes, run, split)
    cfg = _settings(run)
    splits, notes = _read_data(run, cfg, predictions, split, data_root)
    checkpoint = str(predictions.about.get("checkpoint", ""))
    split_hash = str(predictions.about.get("split_hash", ""))
    counts = run.train_counts
    evidence: dict[str, Any] = {
        "split": split,
        "predictions": predictions,
        "classes": classes,
        "train_counts_K": np.array(counts) if counts and len(counts) == len(classes) else None,
        "embeddings_ND": run.embeddings(split, split_hash, checkpoint),
        "settings": {} if cfg is None else _told(cfg, *_made_with(run)),
        "train_s": sum(row.get("elapsed_s") or 0.0 for row in run.timing()) or None,
    }
    if splits is not None:
        evidence["train_counts_K"] = splits.train.counts_K
        evidence["train"] = _train_side(run, cfg, splits.train, checkpoint)
        evidence |= _photo_evidence(splits, data.named_split(splits, split), advance)
    return analysis.Evidence(**evidence), tuple(notes)


def _settings(run: RunFolder) -> config.Recipe | None:
    """Return the run's settings; ``None`` where they are not stored."""
    return run.settings() if run.has_settings else None


def _made_with(run: RunFolder) -> tuple[str, str]:
    """Return a run's recipe, and ``yes`` where a rebalanced run lies beside it."""
    place = run.path.resolve()
    there = RunFolder(place.parent / f"{place.name}-rebalanced")
    return str(run.environment().get("recipe", "")), "yes" if there.has_settings else ""


def _told(cfg: config.Recipe, recipe: str, made: str) -> dict[str, str]:
    """Return the settings that an action may change."""
    return {
        "augment.policy": cfg.augment.policy,
        "augment.brightness": f"{cfg.augment.brightness:.2g}",
        "data.fit": cfg.data.fit,
        "data.image_px": str(cfg.data.image_px),
        "recipe": recipe,
        "rebalanced": made,
    }


def _check_predictions(
    predictions: Predictions, classes: tuple[CarClass, ...], run: RunFolder, split: str
) -> None:
    """Raise when predictions name classes that the run does not have."""
    where = run.predictions_file(split)
    most = max(int(predictions.labels_N.max(initial=-1)), int(predictions.top5_NT.max(initial=-1)))
    if most >= len(classes):
        raise DataError(
            f"{where}: names class {most}, the run has {len(classes)}: "
            "it was made with another class list",
            f"predict again with: carscale evaluate {outgoing.command(run)} --split {split}",
        )


def _read_data(
    run: RunFolder,
    cfg: config.Recipe | None,
    predictions: Predictions,
    split: str,
    data_root: Path | None,
) -> tuple[Splits | None, list[str]]:
    """Return the frozen data when it is at hand and holds the predicted photos; else say why."""
    unsaid = "nothing is said of photos, train labels and neighbours"
    if data_root is None and cfg is None:
        return None, [f"No settings (config.yaml) in {run}: {unsaid}. Try: --data-root FOLDER"]
    root = data_root or Path(cfg.data.root if cfg else "")
    if not (root / "card.json").is_file():
        return None, [
            f"No frozen photos at {root}: {unsaid}. Tell where they lie with: --data-root FOLDER"
        ]
    splits = data.read_splits(root)
    found: Split = data.named_split(splits, split)
    wanted = predictions.about.get("split_hash")
    if wanted is None and np.array_equal(predictions.ids_N, found.ids_N):
        return splits, []
    if wanted != found.hash:
        return None, [
            f"{root} holds another {split} split ({found.hash[:12]}) than was predicted "
            f"({str(wanted)[:12]}): {unsaid}. Predict this one with: carscale evaluate "
            f"{shlex.quote(str(run))} --split {split} {shlex.quote(f'data.root={root}')}"
        ]
    return splits, []


def _train_side(
    run: RunFolder, cfg: config.Recipe | None, split: Split, checkpoint: str
) -> analysis.TrainSide:
    """Return what is known of train."""
    folds = run.predictions("folds") if run.has_predictions("folds") else None
    if folds is not None and folds.about.get("split_hash") != split.hash:
        folds = None
    return analysis.TrainSide(
        ids_M=split.ids_N,
        paths_M=split.paths_N,
        labels_M=split.labels_N,
        embeddings_MD=run.embeddings("train", split.hash, checkpoint),
        folds=folds,
        dynamics=None
        if cfg is None
        else training.read_dynamics(
            run.dynamics_file,
            split.ids_N,
            global_batch_size=cfg.loader.global_batch_size,
        ),
    )


def _photo_evidence(splits: Splits, split: Split, advance: Advance) -> dict[str, Any]:
    """Return attributes, quality flags and conflicting near duplicates, measured on the photos."""
    advance("measuring the photos")
    measured = data.photo_stats(split.root, lambda total: advance(f"measuring {total} photos"))
    flags = data.quality_flags(measured)
    rows = split.ids_N
    values = measured.values
    attributes: dict[str, Any] = {name: values[name][rows] for name in NUMBERS}
    attributes |= {name: column_N[rows] for name, column_N in data.attributes(split.root).items()}
    attributes["shorter side, px"] = np.minimum(values["width"], values["height"])[rows]
    with np.errstate(invalid="ignore"):
        attributes["aspect"] = values["width"][rows] / values["height"][rows]
    parts = splits.every
    refused = data.read_reasons(split.root, "quarantine.jsonl")
    return {
        "quality": {
            name: {part.name: int(flag_N[part.ids_N].sum()) for part in parts}
            for name, flag_N in flags.items()
        },
        "num_photos": {part.name: len(part) for part in parts},
        "hard_ids": np.flatnonzero(np.any(list(flags.values()), axis=0)),
        "refused": (
            *refused,
            *measured.unreadable.items(),
        ),
        "attributes": attributes,
        "flags": {name: flag_N[rows] for name, flag_N in flags.items()},
        "rules": dict(data.QUALITY_RULES),
        "conflicts": _conflicts(split.root, measured, advance),
    }


def _conflicts(
    root: Path, measured: data.StatsTable, advance: Advance
) -> tuple[data.DuplicateGroup, ...]:
    """Return pairs of near duplicates with different labels, of all splits."""
    photos = data.read_photos(root)
    near = data.near_duplicates(root, photos, measured, lambda what, n: advance("comparing photos"))
    groups = data.duplicate_groups(photos, near)
    pairs = data.pair_groups(photos, groups.links, data.settled_pairs(root, photos))
    return tuple(pairs.taken(pairs.is_conflict_G))
