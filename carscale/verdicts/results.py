"""``judge``: from run folders to everything that a study page shows. S seeds, N photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.errors import CarscaleError, DataError
from carscale.progress import note
from carscale.runs import RunFolder
from carscale.verdicts.interactions import Interaction, describe, find_triples
from carscale.verdicts.metrics import METRICS, check_support, strata_of
from carscale.verdicts.run_predictions import (
    RunPredictions,
    changes,
    check_comparable,
    merged_classes,
    read_run_predictions,
)
from carscale.verdicts.study_result import ArmResult, RunRow, StudyAbout, StudyClass, StudyResult
from carscale.verdicts.variance import SeedModel, SeedSpread, difference
from carscale.verdicts.verdict import (
    ALPHA,
    LEVEL,
    ArmRuns,
    Verdict,
    fit_arms,
    judge_arms,
    score,
    shared_seeds,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


BySeed = dict[int, RunPredictions]


def judge(
    arms: Mapping[str, Sequence[Path]],
    baseline: str,
    *,
    split: str = "val",
    metric: str = "top1",
    margin: float = 0.01,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    earlier: Sequence[Sequence[Path]] = (),
    alpha: float = ALPHA,
) -> StudyResult:
    """Compare arms with a baseline on the same photos.

    Args:
        arms: Run folders by arm. A folder without predictions of the split (failed, or not yet
            run) is skipped and noted; an arm may have none.
        baseline: Name of the arm that the others are compared with.
        split: Whose predictions are read; nothing is predicted here.
        metric: A key of ``METRICS``.
        margin: A difference smaller than this is none, as a share.
        overrides: What each arm changes, setting and value, to find arms that unite two others;
            ``None`` takes the settings in the run folders.
        earlier: Runs of earlier studies of the same photos and recipe, by arm: how far their seeds
            lie apart adds degrees of freedom.
        alpha: Error that is spent: 0.05, or the part of it that this look may spend.

    Raises:
        DataError: Runs predicted on other photos or classes, two runs of an arm with one
            seed, no run at all with predictions, or a class without photos where the metric is a
            mean over classes.
        ValueError: ``baseline`` is no arm, an unknown metric, or a margin that is not above 0.
    """
    if baseline not in arms:
        raise ValueError(f"baseline must be of {', '.join(arms)}, got {baseline!r}")
    order = [baseline, *(name for name in arms if name != baseline)]
    found = {name: _read_arm(name, arms[name], split) for name in order}
    every = [run for by_seed in found.values() for run in by_seed.values()]
    if (root := merged_classes(every)) is not None:
        found = {name: _read_arm(name, arms[name], split, root) for name in order}
        every = [run for by_seed in found.values() for run in by_seed.values()]
    _check_any(every, split)
    if not len(every[0].labels_N):
        raise DataError(f"{every[0].folder}: {split} has no photos, so there is nothing to compare")
    labels_N = every[0].labels_N
    _check_every_class(every[0], split, metric)
    runs = {name: _runs(by_seed) for name, by_seed in found.items()}
    known = _earlier_spread(earlier, every[0], split, metric)
    model = fit_arms(runs, labels_N, metric, known)
    rule: dict[str, Any] = {"metric": metric, "alpha": alpha}
    told: dict[str, Any] = {"model": model, "margin": margin, "split": split}
    verdicts = judge_arms(runs, baseline, labels_N, **told, **rule)
    results = []
    for name in order:
        missing = _missing(arms[name], split)
        results.append(_arm(name, found, baseline, (metric, missing), verdicts.get(name)))
    changed = _changed(found, baseline) if overrides is None else _relative(overrides, baseline)
    triples = find_triples({name: changed.get(name, {}) for name in order[1:]})
    interactions = [
        _interaction(names, model, baseline, labels_N, rule)
        for names in triples
        if all(shared_seeds(runs[name], runs[baseline]) for name in names)
    ]
    about = _about(every, order, split, metric, margin)
    about = replace(about, spread=model.spread, earlier=known and model.earlier, alpha=alpha)
    return StudyResult(about, _classes(every), results, interactions)


def read_arms(
    arms: Mapping[str, Sequence[Path]], split: str
) -> tuple[dict[str, ArmRuns], NDArray[np.int64]]:
    """Return what some arms predicted, and the true classes.

    Raises:
        DataError: They predicted other photos, or none did.
    """
    found = {name: _read_arm(name, folders, split) for name, folders in arms.items()}
    every = [run for by_seed in found.values() for run in by_seed.values()]
    _check_any(every, split)
    return {name: _runs(by_seed) for name, by_seed in found.items()}, every[0].labels_N


def _check_any(every: Sequence[RunPredictions], split: str) -> None:
    """Raise where no run has predictions, or runs predicted other photos."""
    if not every:
        raise DataError(
            f"no run has predictions of {split} yet",
            f"make them with: carscale evaluate RUN --split {split}",
        )
    check_comparable(every, split)


def _read_arm(
    name: str, folders: Sequence[Path], split: str, classes_of: Path | None = None
) -> BySeed:
    """Return an arm's finished runs by seed."""
    found: BySeed = {}
    for folder in folders:
        if not RunFolder(Path(folder)).has_predictions(split):
            continue
        run = read_run_predictions(Path(folder), split, classes_of)
        if run.cfg.seed in found:
            raise DataError(
                f"{name}: {found[run.cfg.seed].folder} and {run.folder} are both of seed "
                f"{run.cfg.seed}; they would count as two",
                "leave one out, or train it with another seed",
            )
        found[run.cfg.seed] = run
    return dict(sorted(found.items()))


def _missing(folders: Sequence[Path], split: str) -> tuple[str, ...]:
    """Return a note of each run without predictions."""
    return tuple(
        f"{folder}: no predictions of {split} yet"
        for folder in folders
        if not RunFolder(Path(folder)).has_predictions(split)
    )


def _runs(arm: BySeed) -> ArmRuns:
    """Return an arm's predictions."""
    runs = list(arm.values())
    if not runs:
        return ArmRuns((), np.empty((0, 0), np.int64), np.empty((0, 0)))
    predictions_SN = np.stack([run.predictions_N for run in runs])
    return ArmRuns(tuple(arm), predictions_SN, np.stack([run.losses_N for run in runs]))


def _earlier_spread(
    earlier: Sequence[Sequence[Path]], first: RunPredictions, split: str, metric: str
) -> SeedSpread | None:
    """Return how far seeds of earlier runs lie apart; ``None`` without two of one arm."""
    arms = {}
    for number, folders in enumerate(earlier):
        try:
            arm = _read_arm("earlier runs", folders, split)
            check_comparable([first, *arm.values()], split)
        except CarscaleError as error:
            note(f"left out of the spread of seeds: {error}")
            continue
        if len(arm) > 1:
            arms[str(number)] = _runs(arm)
    return fit_arms(arms, first.labels_N, metric).spread if arms else None


def _check_every_class(first: RunPredictions, split: str, metric: str) -> None:
    """Raise where a mean over classes would leave out a class, having no photo of it."""
    if first.classes is None:
        return
    support_K = np.bincount(first.labels_N, minlength=len(first.classes))
    check_support(dict(zip(first.classes, support_K.tolist(), strict=True)), split, metric)


def _arm(
    name: str,
    found: Mapping[str, BySeed],
    baseline: str,
    rest: tuple[str, tuple[str, ...]],
    verdict: Verdict | None,
) -> ArmResult:
    """Return an arm's numbers, costs and notes."""
    metric, missing = rest
    arm, base = found[name], found[baseline]
    rows = tuple(_row(run, metric, verdict) for run in arm.values())
    spent = [row.train_s for row in rows if row.train_s is not None]
    memory = [row.memory_gib for row in rows if row.memory_gib is not None]
    settings: tuple[str, ...] = ()
    if arm and base and name != baseline:
        made = changes(next(iter(base.values())), next(iter(arm.values())))
        settings = tuple(f"{key}: {change}" for key, change in made.items())
    return ArmResult(
        name=name,
        is_baseline=name == baseline,
        settings=settings,
        value=float(np.mean([row.value for row in rows])) if rows else None,
        verdict=verdict,
        runs=rows,
        train_s=float(np.mean(spent)) if spent else None,
        memory_gib=max(memory) if memory else None,
        notes=(*missing, *_unpaired(arm, base), *_of_runs(arm)),
    )


def _of_runs(arm: BySeed) -> tuple[str, ...]:
    """Return what to know of runs' numbers: each thing once, or of each run where they differ."""
    notes = {note for run in arm.values() for note in run.notes}
    if len(notes) <= 1:
        return tuple(notes)
    return tuple(f"{run.folder.name}: {note}" for run in arm.values() for note in run.notes)


def _unpaired(arm: BySeed, base: BySeed) -> tuple[str, ...]:
    """Return a note of the seeds that the baseline lacks."""
    alone = [str(seed) for seed in arm if seed not in base]
    if not alone:
        return ()
    noun = "seed" if len(alone) == 1 else "seeds"
    told = f"{noun} {', '.join(alone)}: the baseline has none"
    if len(alone) < len(arm):
        return (f"{told}, so counted without a pair",)
    return (f"{told}, so not compared; train it with a seed of the baseline's: seed=N",)


def _row(run: RunPredictions, metric: str, verdict: Verdict | None) -> RunRow:
    """Return a run's row."""
    seeds = verdict.seeds if verdict else ()
    change = next((one for one in seeds if one.seed == run.cfg.seed), None)
    return RunRow(
        folder=str(run.folder),
        seed=run.cfg.seed,
        value=score(run.predictions_N, run.losses_N, run.labels_N, metric),
        difference=change.difference if change else None,
        num_gained=change.num_gained if change else None,
        num_lost=change.num_lost if change else None,
        mcnemar_p=change.mcnemar_p if change else None,
        train_s=run.train_s,
        memory_gib=run.memory_gib,
        command=run.command,
    )


def _changed(found: Mapping[str, BySeed], baseline: str) -> dict[str, dict[str, str]]:
    """Return what each arm changes, by the settings in its first run."""
    if not found[baseline]:
        return {}
    base = next(iter(found[baseline].values()))
    return {name: changes(base, next(iter(arm.values()))) for name, arm in found.items() if arm}


def _relative(
    overrides: Mapping[str, Mapping[str, Any]], baseline: str
) -> dict[str, dict[str, Any]]:
    """Return overrides without those that the baseline makes too."""
    base = overrides.get(baseline, {})
    return {
        name: {k: v for k, v in made.items() if k not in base or base[k] != v}
        for name, made in overrides.items()
    }


def _interaction(
    names: tuple[str, str, str],
    model: SeedModel,
    baseline: str,
    labels_N: NDArray[np.int64],
    rule: Mapping[str, Any],
) -> Interaction:
    """Return the difference of differences."""
    metric = rule["metric"]
    first, second, both = names
    signs = {both: 1, first: -1, second: -1, baseline: 1}
    found = difference(model, signs, strata_of(labels_N, metric), alpha=rule["alpha"])
    return describe(*names, found, metric)


def _about(
    every: Sequence[RunPredictions], order: Sequence[str], split: str, metric: str, margin: float
) -> StudyAbout:
    """Return what was compared, and how."""
    first = every[0]
    return StudyAbout(
        split=split,
        metric=metric,
        metric_label=METRICS[metric],
        margin=margin,
        level=LEVEL,
        baseline=order[0],
        num_photos=len(first.labels_N),
        num_classes=len(np.unique(first.labels_N)),
        hashes=first.hashes,
    )


def _classes(every: Sequence[RunPredictions]) -> list[StudyClass]:
    """Return the class list with the photos that each class has."""
    first = every[0]
    size = max(int(first.labels_N.max()) + 1, len(first.classes or []))
    names = first.classes or [f"class {label}" for label in range(size)]
    support_K = np.bincount(first.labels_N, minlength=size).tolist()
    known = first.train_counts if len(first.train_counts or []) == size else None
    counts: Sequence[int | None] = known or [None] * size
    return [StudyClass(*row) for row in zip(names, support_K, counts, strict=True)]
