"""What ``carscale study`` does once its file is read: judge, look, write the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from carscale import disk, files
from carscale.errors import CarscaleError, ConfigError, RunError
from carscale.progress import note
from carscale.report import write_study
from carscale.runs import RunFolder
from carscale.shapes import problem
from carscale.studies.plan import StudyPlan
from carscale.studies.rounds import Rounds, check_budget
from carscale.studies.speed import Speed, run_seconds
from carscale.verdicts import StudyResult, judge
from carscale.verdicts.verdict import ALPHA

AT_THE_END = "at the end"
"""The rule of a study that trains every arm with every seed."""


@dataclass
class StudyWork:
    """A study in progress.

    Attributes:
        plan: Its arms, seeds and folder.
        command: What started it, for the page.
        earlier: Runs of earlier studies whose seeds tell of these.
        rounds: Where it is looked at while it runs; ``None`` trains every arm with every seed.
    """

    plan: StudyPlan
    command: str
    earlier: Sequence[Sequence[Path]] = ()
    rounds: Rounds | None = field(default=None, init=False)

    def look_while_it_runs(self, speeds: Mapping[str, Speed]) -> None:
        """Judge after every round, within the budget's minutes or at most all seeds.

        Args:
            speeds: Of all arms, where the budget is in minutes.

        Raises:
            ConfigError: The budget does not hold one seed of each arm, or the study was begun by
                another rule.
        """
        plan, minutes = self.plan, self.plan.study.budget.minutes
        if minutes:
            costs = {name: run_seconds(arm, speeds[name]) for name, arm in plan.arms.items()}
            check_budget(plan, costs, minutes)
            total, pace, rule = 60 * minutes, Pace(plan, speeds), f"{minutes:g} minutes"
        else:
            costs = {name: float(arm.num_steps) for name, arm in plan.arms.items()}
            total, pace = sum(costs.values()) * len(plan.study.seeds), None
            rule = f"until settled, seeds: {len(plan.study.seeds)}"
        self.keep_rule(rule)
        self.rounds = Rounds(plan, costs, total, self.judge, pace, lambda _: self.write_so_far())

    def keep_rule(self, rule: str) -> None:
        """Store how the study is looked at and what tells its spread; a later start keeps both.

        Args:
            rule: In words; the same words, the same rule.

        Raises:
            ConfigError: Runs were judged by another rule: that error is spent.
            RunError: What is stored can't be read.
        """
        path = self.plan.folder / "looks.json"
        has_runs = any(job.folder.is_finished for job in self.plan.jobs)
        stored = files.read_json(path) if path.exists() else {"rule": AT_THE_END, "earlier": []}
        if wrong := problem(stored, {"rule": str, "earlier": [[str]]}):
            raise RunError(f"{path}: {wrong}", "begin anew: --out FOLDER")
        if has_runs and stored["rule"] != rule:
            raise ConfigError(
                f"{self.plan.folder}: its runs were judged by another rule: {stored['rule']} -> "
                f"{rule}; the error that was spent on that can't be spent again",
                "go on by the old rule, or begin anew: --out FOLDER",
            )
        if has_runs and rule != AT_THE_END:
            self.earlier = [[Path(folder) for folder in arm] for arm in stored["earlier"]]
        elif path.exists() or rule != AT_THE_END:
            disk.make_folder(self.plan.folder)
            arms = [[str(folder) for folder in arm] for arm in self.earlier]
            files.write_json(path, {"rule": rule, "earlier": arms})

    def judge(self, folders: Mapping[str, Sequence[Path]], alpha: float = ALPHA) -> StudyResult:
        """Return what finished runs say."""
        study = self.plan.study
        return judge(
            folders,
            study.baseline,
            metric=study.metric,
            margin=study.margin / 100,
            overrides={name: arm.changes for name, arm in self.plan.arms.items()},
            earlier=self.earlier,
            alpha=alpha,
        )

    @property
    def result(self) -> StudyResult:
        """Return what is known: after the last look, or of all that is finished."""
        if self.rounds is not None and self.rounds.result is not None:
            return self.rounds.result
        folders: dict[str, list[Path]] = {name: [] for name in self.plan.arms}
        for job in self.plan.jobs:
            if job.folder.is_finished:
                folders[job.arm].append(job.folder.path)
        return self.judge(folders)

    def write(self) -> tuple[Path, StudyResult]:
        """Write the page; return its path and what it says."""
        result = self.result
        words = {"title": f"Study: {self.plan.study.name}", "intro": self.plan.study.about}
        return write_study(self.plan.folder, result, **words, command=self.command), result

    def write_so_far(self) -> None:
        """Write the page of what is done; a page that can't be made yet stops no training."""
        try:
            page, _ = self.write()
        except CarscaleError as error:
            note(f"no page yet: {error}")
        else:
            note(f"so far: {page}")


@dataclass(frozen=True)
class Pace:
    """How many times its planned seconds training took.

    Attributes:
        plan: The study.
        speeds: Measured before it, by arm.
    """

    plan: StudyPlan
    speeds: Mapping[str, Speed]

    def __call__(self, done: Mapping[str, Sequence[Path]]) -> float:
        """Return the ratio over finished runs, at least a half and at most three."""
        planned = taken = 0.0
        for name, folders in done.items():
            for folder in folders:
                planned += self.plan.arms[name].num_steps * self.speeds[name].step_s
                taken += sum(row.get("elapsed_s") or 0.0 for row in RunFolder(folder).timing())
        return min(3.0, max(0.5, taken / planned)) if planned else 1.0
