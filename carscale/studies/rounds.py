"""Which runs come next, in a study that is looked at after every round.

A round is one run more of the baseline and of each arm that is open. After it the study is judged
with the error that this look may spend; arms that are settled, or that the budget can't settle, get
no more runs, and the others share what is left: the ones first that one run more settles most
probably.

What was found is not stored: it is worked out again from the finished runs, in order, so that a
study that was killed goes on as if it had not been.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from carscale.errors import CarscaleError, ConfigError
from carscale.progress import note
from carscale.studies.plan import Job, StudyPlan
from carscale.verdicts.looks import Looks
from carscale.verdicts.study_result import StudyResult
from carscale.verdicts.verdict import Verdict

Judge = Callable[[Mapping[str, list[Path]], float], StudyResult]
"""Run folders by arm and the error that may be spent -> what is known."""

MAX_ROUNDS = 50
"""Seeds of an arm, in a study that is given minutes."""
MAX_FAILURES = 2
MIN_STEP = 0.02
"""Part of the planned runs that must be new at a look."""


@dataclass
class Rounds:
    """The rounds of a study.

    Attributes:
        plan: Its arms and seeds; a round takes the next seed.
        costs: What a run of each arm costs: seconds, or steps.
        total: What may be spent, in the same unit.
        judge: Judges run folders.
        pace: How many times their planned cost finished runs took; ``None``: as planned.
        on_look: Called with what each look found.
        looks: What has been found so far.
        verdicts: Of the last look, by arm.
        done: Finished runs, by arm.
        failures: Runs of each arm that failed one after another.
        result: What is known after the last look; ``None`` before the first.
    """

    plan: StudyPlan
    costs: Mapping[str, float]
    total: float
    judge: Judge
    pace: Callable[[Mapping[str, list[Path]]], float] | None = None
    on_look: Callable[[StudyResult], None] = lambda _: None
    looks: Looks = field(default_factory=Looks)
    result: StudyResult | None = None

    def __post_init__(self) -> None:
        self.factor = 1.0
        self.margin = self.plan.study.margin / 100
        self.verdicts: dict[str, Verdict] = {}
        self.failures = dict.fromkeys(self.plan.arms, 0)
        self.done: dict[str, list[Path]] = {name: [] for name in self.plan.arms}

    def __iter__(self) -> Iterator[list[Job]]:
        """Yield the jobs of each round; they are judged when the next round is asked for."""
        waiting = [name for name in self.plan.arms if name != self.plan.study.baseline]
        seeds = self.plan.study.seeds
        for number, seed in enumerate(seeds, start=1):
            names = self._affordable(waiting)
            if len(names) < 2:
                break
            jobs = [self.plan.job(name, seed) for name in names]
            is_new = not all(job.folder.is_finished for job in jobs)
            yield jobs
            self._count(jobs)
            if self.failures[self.plan.study.baseline]:
                note(f"{self.plan.study.baseline}: its run failed: without it nothing is compared")
                break
            self.factor = self.pace(self.done) if self.pace else 1.0
            self._look(waiting, number, is_new=is_new)
            waiting = [name for name in self._by_chance(waiting) if self.looks.is_open(name)]
        if not self.looks.is_over:
            self._judge(1.0, {})  # with all error that is left, also what was given up as hopeless

    def _count(self, jobs: list[Job]) -> None:
        """Note which runs of a round finished; an arm whose runs fail gets no more."""
        for job in jobs:
            if job.folder.is_finished:
                self.failures[job.arm] = 0
                self.done[job.arm].append(job.folder.path)
                continue
            self.failures[job.arm] += 1
            if self.failures[job.arm] == MAX_FAILURES:
                told = {job.arm: f"no more runs: {MAX_FAILURES} failed one after another"}
                self.looks = replace(self.looks, notes=self.looks.notes | told)

    @property
    def spent(self) -> float:
        """Return what the runs so far cost."""
        return sum(self._cost(name) * len(folders) for name, folders in self.done.items())

    def _look(self, waiting: list[str], number: int, *, is_new: bool) -> None:
        """Judge what is done after a round, with the error that this look may spend."""
        num_seeds = len(self.plan.study.seeds)
        left = min(num_seeds - number, self._rounds_left(waiting))
        planned = number / num_seeds if self.pace is None else self.spent / self.total
        fraction = 1.0 if left < 1 else planned
        before = self.looks.fractions[-1] if self.looks.fractions else 0.0
        if left and not before + MIN_STEP <= fraction <= 1 - MIN_STEP:
            return  # hardly anything is new; the next look has this error to spend too
        self._judge(fraction, dict.fromkeys(waiting, left))
        if is_new and self.result is not None:
            self.on_look(self.result)

    def _judge(self, fraction: float, more: Mapping[str, int]) -> None:
        """Judge what is done; of one seed of each arm nothing is settled, nor spent."""
        try:
            found = self.judge(self.done, self.looks.alpha(fraction))
        except CarscaleError as error:
            note(f"no look yet: {error}")
            return
        if found.about.spread is not None and found.about.spread.freedom:
            self.verdicts = {arm.name: arm.verdict for arm in found.arms if arm.verdict}
            self.looks = self.looks.after(self.verdicts, fraction, more, margin=self.margin)
        self.result = self.looks.shown(found)

    def _by_chance(self, waiting: list[str]) -> list[str]:
        """Return arms by the probability that one run more settles them, the largest first."""
        more = dict.fromkeys(waiting, 1)
        chances = self.looks.chances(self.verdicts, more, margin=self.margin)
        return sorted(waiting, key=lambda name: -chances.get(name, 0.0))

    def _affordable(self, waiting: list[str]) -> list[str]:
        """Return the baseline and the first arms that the budget still holds."""
        names, left = [], self.total * (1 + 1e-9) - self.spent
        for name in [self.plan.study.baseline, *waiting]:
            left -= self._cost(name)
            if left >= 0:
                names.append(name)
            elif name == self.plan.study.baseline:
                return []
            else:
                left += self._cost(name)
        return names

    def _rounds_left(self, waiting: list[str]) -> int:
        """Return how many rounds of these arms the budget still holds; 1 of some of them."""
        whole = sum(self._cost(name) for name in [self.plan.study.baseline, *waiting])
        rounds = math.floor((self.total * (1 + 1e-9) - self.spent) / whole) if waiting else 0
        return rounds or int(len(self._affordable(waiting)) > 1)

    def _cost(self, name: str) -> float:
        """Return what a run of an arm costs."""
        return self.costs[name] * self.factor


def check_budget(plan: StudyPlan, costs: Mapping[str, float], minutes: float) -> None:
    """Raise where a budget does not hold one run of each arm.

    Args:
        plan: The study.
        costs: Seconds of a run, by arm.
        minutes: What may be spent.

    Raises:
        ConfigError: Names the least budget.
    """
    least = sum(costs.values()) / 60
    if minutes < least:
        raise ConfigError(
            f"budget.minutes={minutes:g}: too small for one seed of each of {len(plan.arms)} arms, "
            f"which take {least:.1f} minutes",
            f"give it {math.ceil(2 * least)} minutes, two seeds of each: fewer settle nothing; "
            "or train shorter: budget.epochs, data.image_px",
        )
