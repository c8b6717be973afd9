"""A study as rows: for the tables on its page, its CSV files and the command line."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING

from carscale.report.page.csv import csv_text

if TYPE_CHECKING:
    from carscale.verdicts.study_result import ArmResult, RunRow, StudyClass, StudyResult
    from carscale.verdicts.verdict import ClassChange

RUN_COLUMNS = (
    "seed", "value", "difference", "num_gained", "num_lost", "mcnemar_p", "train_s", "memory_gib",
    "folder", "command",
)  # fmt: skip
CLASS_COLUMNS = ("support", "difference", "low", "high", "stands_out")


@dataclass(frozen=True)
class ArmRow:
    """An arm in ``results.csv``; what does not exist is ``None``.

    Attributes:
        arm, word, verdict: Its name, the verdict in a word, and with what would settle it.
        difference, low, high: From the baseline, with its 95 % interval; shares, not points.
        doubt: The larger reason to doubt: ``seeds`` or ``photos``.
        p_adjusted: Corrected for the number of arms.
        num_seeds: Runs that finished.
        value: Mean of the metric, as a share; of log loss the negative.
        train_s, memory_gib: What a run costs.
        settings, notes: ``;`` between.
    """

    arm: str
    word: str
    verdict: str
    difference: float | None
    low: float | None
    high: float | None
    doubt: str | None
    p_adjusted: float | None
    num_seeds: int
    value: float | None
    train_s: float | None
    memory_gib: float | None
    settings: str
    notes: str


def arm_rows(study: StudyResult) -> list[ArmRow]:
    """Return a row per arm, the baseline first."""
    return [_arm_row(arm) for arm in study.arms]


def _arm_row(arm: ArmResult) -> ArmRow:
    """Return an arm's row."""
    verdict = arm.verdict
    found = verdict.difference if verdict else None
    return ArmRow(
        arm=arm.name,
        word=verdict.word if verdict else "baseline",
        verdict=verdict.text if verdict else "baseline",
        difference=found.value if found else None,
        low=found.interval.low if found else None,
        high=found.interval.high if found else None,
        doubt=found.source if found else None,
        p_adjusted=verdict.p_adjusted if verdict else None,
        num_seeds=len(arm.runs),
        value=arm.value,
        train_s=arm.train_s,
        memory_gib=arm.memory_gib,
        settings="; ".join(arm.settings),
        notes="; ".join(arm.notes),
    )


@dataclass(frozen=True)
class Effect:
    """An arm's difference from the baseline, for figures; as shares.

    Attributes:
        arm, word: Its name and its verdict in a word.
        value, low, high: The difference and its 95 % interval.
        per_seed: Of each seed.
        train_s: What a run costs; ``None`` when not logged.
    """

    arm: str
    word: str
    value: float
    low: float
    high: float
    per_seed: tuple[float, ...]
    train_s: float | None


def effects_of(study: StudyResult) -> list[Effect]:
    """Return the arms that could be compared, the best first."""
    found = []
    for arm in study.arms:
        if arm.verdict and (one := arm.verdict.difference):
            low, high = one.interval.low, one.interval.high
            word = arm.verdict.word
            found.append(Effect(arm.name, word, one.value, low, high, one.per_seed, arm.train_s))
    return sorted(found, key=lambda one: -one.value)


def run_rows(study: StudyResult) -> list[tuple[str, RunRow]]:
    """Return every run with its arm's name."""
    return [(arm.name, run) for arm in study.arms for run in arm.runs]


def class_rows(study: StudyResult) -> list[tuple[str, StudyClass, ClassChange]]:
    """Return every arm's change of every class: the arm's name, the class, the change."""
    return [
        (arm.name, study.classes[change.label], change)
        for arm in study.arms
        for change in (arm.verdict.classes if arm.verdict else ())
    ]


def results_csv(study: StudyResult) -> str:
    """Return ``results.csv``: a row per arm."""
    return csv_text([field.name for field in fields(ArmRow)], map(astuple, arm_rows(study)))


def runs_csv(study: StudyResult) -> str:
    """Return ``runs.csv``: a row per run."""
    return csv_text(
        ["arm", *RUN_COLUMNS],
        ([arm, *(getattr(run, name) for name in RUN_COLUMNS)] for arm, run in run_rows(study)),
    )


def classes_csv(study: StudyResult) -> str:
    """Return ``classes.csv``: a row per arm and class."""
    return csv_text(
        ["arm", "class", "train_count", *CLASS_COLUMNS],
        (
            [arm, one.name, one.train_count, *(getattr(change, name) for name in CLASS_COLUMNS)]
            for arm, one, change in class_rows(study)
        ),
    )
