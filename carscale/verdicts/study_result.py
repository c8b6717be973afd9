"""What is known of a comparison: arms, runs, verdicts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from carscale.verdicts.interactions import Interaction
from carscale.verdicts.variance import SeedSpread
from carscale.verdicts.verdict import ALPHA, Verdict


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
        spread: How far seeds of one arm lie apart, pooled over all.
        earlier: The part of it that earlier runs of these photos gave; without degrees of freedom
            where theirs is another spread. ``None``: there are none.
        alpha: Error that was spent: 0.05, or what this look could spend.
        looks: Part of the planned runs that was in, look by look; empty where it was not looked at
            while it ran.
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
    spread: SeedSpread | None = None
    earlier: SeedSpread | None = None
    alpha: float = ALPHA
    looks: tuple[float, ...] = ()


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
