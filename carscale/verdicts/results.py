"""``judge``: from run folders to everything that a study page shows. S seeds, N photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.errors import DataError
from carscale.runs import RunFolder
from carscale.verdicts.interactions import Interaction, describe, find_triples
from carscale.verdicts.run_predictions import (
    RunPredictions,
    changes,
    check_comparable,
    read_run_predictions,
)
from carscale.verdicts.verdict import LEVEL, METRICS, Pair, Verdict, judge_pairs, measure, score

if TYPE_CHECKING:
    from numpy.typing import NDArray


BySeed = dict[int, RunPredictions]


@dataclass(frozen=True)
class RunRow:
    """One run of an arm.

    Attributes:
        folder, seed: Which.
        value: Its metric, as a share.
        difference, num_gained, num_lost, mcnemar_p: Against the baseline's run of that seed;
            ``None`` without one.
        train_s, memory_gib: What it cost.
        command: What makes it again; ``None`` when not stored.
    """

    folder: str
    seed: int
    value: float
    difference: float | None
    num_gained: int | None
    num_lost: int | None
    mcnemar_p: float | None
    train_s: float | None
    memory_gib: float | None
    command: str | None


@dataclass(frozen=True)
class ArmResult:
    """An arm: its runs, its cost, its verdict.

    Attributes:
        name: Its name.
        is_baseline: Whether the others are compared with it.
        settings: ``key: baseline's -> its own``.
        value: Mean of the metric over its runs; ``None`` without one.
        verdict: ``None`` for the baseline.
        runs: A row per finished run, by seed.
        train_s: Mean over runs; ``memory_gib``: the largest.
        notes: What is missing or was left out.
    """

    name: str
    is_baseline: bool
    settings: tuple[str, ...]
    value: float | None
    verdict: Verdict | None
    runs: tuple[RunRow, ...]
    train_s: float | None
    memory_gib: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StudyAbout:
    """What was compared, and how.

    Attributes:
        split, metric, metric_label: Whose predictions, and the metric's key and name.
        margin: A smaller difference counts as none, as a share.
        level: Of the intervals.
        baseline: The arm that the others are compared with.
        num_photos, num_classes: Of the split.
        hashes: Of the split, the classes and the baseline's train photos.
    """

    split: str
    metric: str
    metric_label: str
    margin: float
    level: float
    baseline: str
    num_photos: int
    num_classes: int
    hashes: dict[str, str | None]


@dataclass(frozen=True)
class StudyClass:
    """A class with its photos in the compared split and in train (``None``: not known)."""

    name: str
    support: int
    train_count: int | None


@dataclass(frozen=True)
class StudyResult:
    """Everything that is known of a study.

    Attributes:
        about: What was compared.
        classes: In label order.
        arms: The baseline first, the others as they came.
        interactions: Where one arm unites the changes of two others.
    """

    about: StudyAbout
    classes: list[StudyClass]
    arms: list[ArmResult]
    interactions: list[Interaction] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as ``results.json`` has it."""
        return asdict(self)


def judge(
    arms: Mapping[str, Sequence[Path]],
    baseline: str,
    *,
    split: str = "val",
    metric: str = "top1",
    margin: float = 0.01,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
) -> StudyResult:
    """Compare arms with a baseline, paired by seed and by photo.

    Args:
        arms: Run folders by arm. A folder without predictions of the split (failed, or not yet
            run) is skipped and noted; an arm may have none.
        baseline: Name of the arm that the others are compared with.
        split: Whose predictions are read; nothing is predicted here.
        metric: ``top1`` or ``balanced_accuracy``.
        margin: A difference smaller than this is none, as a share.
        overrides: What each arm changes, setting and value, to find arms that unite two others;
            ``None`` takes the settings in the run folders.

    Raises:
        DataError: Runs predicted on other photos or classes, two runs of an arm with one
            seed, or no run at all with predictions.
        ValueError: ``baseline`` is no arm, an unknown metric, or a margin that is not above 0.
    """
    if baseline not in arms:
        raise ValueError(f"baseline must be of {', '.join(arms)}, got {baseline!r}")
    order = [baseline, *(name for name in arms if name != baseline)]
    found = {name: _read_arm(name, arms[name], split) for name in order}
    every = [run for by_seed in found.values() for run in by_seed.values()]
    if not every:
        raise DataError(
            f"no run has predictions of {split} yet",
            f"make them with: carscale evaluate RUN --split {split}",
        )
    check_comparable(every, split)
    if not len(every[0].labels_N):
        raise DataError(f"{every[0].folder}: {split} has no photos, so there is nothing to compare")
    labels_N, base = every[0].labels_N, found[baseline]
    pairs = {name: _pair(found[name], base) for name in order[1:]}
    verdicts = judge_pairs(pairs, labels_N, metric=metric, margin=margin, split=split)
    results = []
    for name in order:
        missing = _missing(arms[name], split)
        results.append(_arm(name, found, baseline, (metric, missing), verdicts.get(name)))
    changed = _changed(found, baseline) if overrides is None else _relative(overrides, baseline)
    interactions = [
        _interaction(names, found, base, labels_N, metric)
        for names in find_triples({name: changed.get(name, {}) for name in order[1:]})
        if set.intersection(*(set(found[name]) for name in names), set(base))
    ]
    return StudyResult(
        _about(every, order, split, metric, margin), _classes(every), results, interactions
    )


def _read_arm(name: str, folders: Sequence[Path], split: str) -> BySeed:
    """Return an arm's finished runs by seed."""
    found: BySeed = {}
    for folder in folders:
        if not RunFolder(Path(folder)).has_predictions(split):
            continue
        run = read_run_predictions(Path(folder), split)
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


def _pair(arm: BySeed, base: BySeed) -> Pair | None:
    """Return the predictions of the seeds that both have; ``None`` if there is none."""
    seeds = tuple(seed for seed in arm if seed in base)
    if not seeds:
        return None
    return Pair(
        np.stack([arm[seed].correct_N for seed in seeds]),
        np.stack([base[seed].correct_N for seed in seeds]),
        seeds,
    )


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
        notes=(*missing, *_unpaired(arm, base)),
    )


def _unpaired(arm: BySeed, base: BySeed) -> tuple[str, ...]:
    """Return a note of the seeds that the baseline lacks."""
    alone = [str(seed) for seed in arm if seed not in base]
    if not alone:
        return ()
    noun = "seed" if len(alone) == 1 else "seeds"
    return (f"{noun} {', '.join(alone)}: the baseline has none, so not compared",)


def _row(run: RunPredictions, metric: str, verdict: Verdict | None) -> RunRow:
    """Return a run's row."""
    seeds = verdict.seeds if verdict else ()
    change = next((one for one in seeds if one.seed == run.cfg.seed), None)
    return RunRow(
        folder=str(run.folder),
        seed=run.cfg.seed,
        value=score(run.correct_N, run.labels_N, metric),
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
    found: Mapping[str, BySeed],
    base: BySeed,
    labels_N: NDArray[np.int64],
    metric: str,
) -> Interaction:
    """Return the difference of differences, on the seeds that all four have."""
    first, second, both = (found[name] for name in names)
    seeds = [seed for seed in both if seed in first and seed in second and seed in base]
    parts = [
        np.stack([arm[seed].correct_N for seed in seeds]).astype(np.float64)
        for arm in (both, first, second, base)
    ]
    crossed_SN = parts[0] - parts[1] - parts[2] + parts[3]
    return describe(*names, measure(crossed_SN, labels_N, metric=metric), metric)


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
