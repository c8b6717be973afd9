"""Compare any runs: those of the same settings are seeds of one arm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from carscale.errors import ConfigError, DataError
from carscale.verdicts.results import judge
from carscale.verdicts.run_predictions import (
    RunPredictions,
    changes,
    merged_classes,
    read_run_predictions,
)
from carscale.verdicts.study_result import StudyResult

SEED_SUFFIX = re.compile(r"[-_. ]*(?:seed|s)?[-_. ]*\d+$")


def compare(
    folders: Sequence[Path], *, split: str = "val", metric: str = "top1", margin: float = 0.01
) -> StudyResult:
    """Compare runs with the first one and its seeds.

    Args:
        folders: Run folders; the first is in the baseline.
        split: Whose predictions are read. Where a run's data have the classes of another run,
            merged (``carscale data refine``), both are scored under the merged ones.
        metric: ``top1``, ``balanced_accuracy``, ``macro_f1`` or ``log_loss``.
        margin: Smaller differences count as none, as a share.

    Raises:
        RunError: A folder that holds no run.
        ConfigError: A run twice, only one run, or only one arm.
        DataError: No predictions, other photos or classes, or no seed in common.
    """
    places: dict[Path, Path] = {}
    for folder in folders:
        place = Path(folder).resolve()
        if place in places:
            raise ConfigError(f"{folder}: is given twice", "name each run once")
        places[place] = Path(folder)
    if len(folders) < 2:
        raise ConfigError(
            f"compare: {len(folders)} run is given, wanted two or more",
            "compare with: carscale compare BASELINE RUN...",
        )
    found = [read_run_predictions(folder, split) for folder in places.values()]
    classes_of = merged_classes(found)
    if classes_of is not None:
        found = [read_run_predictions(run.folder, split, classes_of) for run in found]
    arms = group_runs(found)
    if len(arms) == 1:
        raise ConfigError(
            f"compare: all {len(folders)} runs have the same settings but for the seed: one arm",
            "name a run of other settings too",
        )
    baseline = next(iter(arms))
    _check_seeds(arms)
    paths = {name: [run.folder for run in found] for name, found in arms.items()}
    return judge(paths, baseline, split=split, metric=metric, margin=margin)


def group_runs(found: Sequence[RunPredictions]) -> dict[str, list[RunPredictions]]:
    """Return runs by arm: equal but for the seed and for what changes no result.

    An arm of one run has its folder's name, one of several the name without the seed's number.
    """
    groups: list[list[RunPredictions]] = []
    for run in found:
        home = next((group for group in groups if not changes(group[0], run)), None)
        if home is None:
            groups.append([run])
        else:
            home.append(run)
    arms: dict[str, list[RunPredictions]] = {}
    for group in groups:
        arms[_name(group, arms)] = group
    return arms


def _name(group: Sequence[RunPredictions], taken: dict[str, list[RunPredictions]]) -> str:
    """Return a name that no other arm has."""
    whole = group[0].folder.resolve().name
    short = SEED_SUFFIX.sub("", whole) if len(group) > 1 else whole
    for name in (short or whole, whole, str(group[0].folder)):
        if name not in taken:
            return name
    return f"{group[0].folder} ({len(taken)})"


def _check_seeds(arms: dict[str, list[RunPredictions]]) -> None:
    """Raise where no arm shares a seed with the baseline."""
    (name, base), *others = arms.items()
    seeds = {run.cfg.seed for run in base}
    if any(run.cfg.seed in seeds for _, group in others for run in group):
        return
    theirs = sorted({run.cfg.seed for _, group in others for run in group})
    raise DataError(
        f"{name}: has seeds {sorted(seeds)}, the others {theirs}: none in common, "
        "so no two runs can be paired",
        f"train one of the others with: seed={min(seeds)}",
    )
