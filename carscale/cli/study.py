"""``carscale study FILE.yaml``: train arms and seeds, and say what helps."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carscale import outgoing
from carscale.cli.output import print_json, say

if TYPE_CHECKING:
    from carscale.config import Study
    from carscale.studies.launching import Launch
    from carscale.studies.speed import Speed
    from carscale.workflows.studies import StudyWork


UNKNOWN_SEEDS = 3
"""Shown for a budget in minutes where a dry run can't measure how many it holds."""


def study(
    file: Annotated[Path, typer.Argument(help="Study file, or the name of one: carscale recipes.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings of all arms: data.root=..., data.image_px=..."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of runs and page; run.dir/studies/NAME when absent.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds of each arm; the file's when absent.")
    ] = None,
    launch: Annotated[
        str, typer.Option(help="Words for accelerate launch: '--config_file gpu8.yaml'.")
    ] = "",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print arms, runs and, of carscale's own recipes, a measured time; run no other.",
        ),
    ] = False,
    drop_weights: Annotated[
        bool, typer.Option("--drop-weights", help="Keep no weights of finished runs.")
    ] = False,
    any_code: Annotated[
        bool, typer.Option("--any-code", help="Mix runs made by other code with new ones.")
    ] = False,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Minutes for the whole study, judged after every seed; the file's budget."
        ),
    ] = None,
    until_settled: Annotated[
        bool,
        typer.Option(
            "--until-settled",
            help="Judge after every seed; train on only what is not settled.",
        ),
    ] = False,
    use_earlier: Annotated[
        bool,
        typer.Option(
            "--earlier/--no-earlier",
            help="Learn the spread of seeds from earlier studies of these photos and settings.",
        ),
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Train every arm with every seed, then compare: verdicts, a page, JSON and CSV.

    Started again, it goes on where it was. With --minutes 60 it trains for an hour, judges after
    every seed, and gives no more runs to arms that are settled or hopeless.

    Example: carscale study recipes/studies/balance.yaml data.root=data/demo --dry-run
    """
    from carscale.report import check_page_folder
    from carscale.studies.earlier import earlier_runs
    from carscale.studies.launching import Launch
    from carscale.studies.plan import make_plan
    from carscale.studies.run import run_study
    from carscale.studies.speed import measure_arms, with_budget
    from carscale.workflows.studies import AT_THE_END, StudyWork

    asked = _asked(file, minutes, seeds)
    folder, words = _placed(overrides or [], out, asked.name)
    plan = make_plan(asked, folder, words=words, file=str(file), runs_files=not dry_run)
    is_ours = any((folder / name).exists() for name in ("plan.json", "speeds.json"))
    check_page_folder(folder, "study", replaces=is_ours)
    how = Launch(tuple(shlex.split(launch)))
    speeds: dict[str, Speed] = {}
    if asked.budget.seconds or asked.budget.minutes or dry_run:
        speeds = measure_arms(plan, how, only_packaged=dry_run)
    if asked.budget.seconds:
        plan = with_budget(plan, speeds, asked.budget)
    earlier = earlier_runs(plan) if use_earlier else []
    work = StudyWork(plan, shlex.join(["carscale", *sys.argv[1:]]), earlier)
    if dry_run:
        _print_plan(work, how, speeds)
        return
    if asked.budget.minutes or until_settled:
        work.look_while_it_runs(speeds)
    else:
        work.keep_rule(AT_THE_END)
    failed = run_study(
        plan,
        how,
        any_code=any_code,
        keep_weights=not drop_weights,
        rounds=work.rounds,
        after_round=work.write_so_far if work.rounds is None else lambda: None,
    )
    _print_result(work, failed, as_json=as_json)


def _print_result(work: StudyWork, failed: dict[str, str], *, as_json: bool) -> None:
    """Write the page, print what it says, and say what failed."""
    from carscale import files
    from carscale.cli.compare import print_study

    plan = work.plan
    if not failed or any(job.folder.is_finished for job in plan.jobs):
        page, result = work.write()
        if as_json:
            print_json(files.read_json(plan.folder / "results.json"))
        else:
            print_study(result, as_json=False, as_csv=False)
            say(page)
    if failed:
        _report_failures(failed, plan.folder)
        sys.exit(1)


def _asked(file: Path, minutes: float | None, seeds: int | None) -> Study:
    """Return the study file with what the command line says of its length."""
    from carscale import config
    from carscale.errors import ConfigError
    from carscale.studies.rounds import MAX_ROUNDS

    asked = config.read_study(file if file.exists() else config.packaged(file) or file)
    if minutes is not None:
        if not 0 < minutes < math.inf:
            raise ConfigError(f"--minutes {minutes:g}: wanted a number above 0")
        budget = asked.budget.model_copy(update={"minutes": minutes})
        asked = asked.model_copy(update={"budget": budget})
    if asked.budget.minutes and seeds is None:
        seeds = MAX_ROUNDS
    return asked if seeds is None else asked.model_copy(update={"seeds": tuple(range(seeds))})


def _placed(words: list[str], out: Path | None, name: str) -> tuple[Path, tuple[str, ...]]:
    """Return the study's folder, and the words that do not say where it lies."""
    from carscale import config
    from carscale.errors import ConfigError

    places = [word for word in words if word.startswith("run.dir=")]
    if places and out is not None:
        raise ConfigError(f"command line: {places[0]} and --out both say where the study goes")
    base = Path(config.resolve(config.Recipe(), places).run.dir)
    rest = tuple(word for word in words if word not in places)
    return out or base / "studies" / name, rest


def _print_plan(work: StudyWork, launch: Launch, speeds: dict[str, Speed]) -> None:
    """Print arms, what they change, how long it all takes, and what it will be able to tell."""
    from datetime import timedelta

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from carscale.studies.speed import run_seconds

    plan = work.plan
    console = Console(width=max(100, Console().width), highlight=False)
    table = Table(box=None)
    for name in ("arm", "changes", "steps", "a run"):
        table.add_column(name, justify="left" if name in ("arm", "changes") else "right")
    for name, arm in plan.arms.items():
        changes = outgoing.one_line(" ".join(f"{k}={v}" for k, v in arm.changes.items()))
        is_known = name in speeds
        span = str(timedelta(seconds=round(run_seconds(arm, speeds[name])))) if is_known else "?"
        mark = " (baseline)" if name == plan.study.baseline else ""
        table.add_row(f"{name}{mark}", escape(changes), f"{arm.num_steps:,}", span)
    console.print(table)
    num_seeds = _num_seeds(work, speeds)
    left = [job for job in plan.jobs if not job.folder.is_finished]
    left = [job for job in left if job.seed in plan.study.seeds[:num_seeds]]
    for job in left:
        recipe = plan.arms[job.arm].arm.recipe
        say(launch.shown(recipe, plan.words(job)))
    known = [job.arm for job in left if job.arm in speeds]
    whole = sum(run_seconds(plan.arms[name], speeds[name]) for name in known)
    about = f"about {timedelta(seconds=round(whole))} by a few measured steps"
    if len(known) < len(left):
        others = f"{len(left) - len(known)} runs not measured: a dry run runs no recipe of yours"
        about = f"{about}, and {others}" if known else others
    console.print(
        f"{len(plan.arms)} arms, seeds of each: {num_seeds}; {len(left)} runs to train of "
        f"{len(plan.arms) * num_seeds}, {about}"
    )
    say(_forecast(work, num_seeds))


def _num_seeds(work: StudyWork, speeds: dict[str, Speed]) -> int:
    """Return how many seeds of each arm the study holds, if none is settled before."""
    from carscale.studies.rounds import check_budget
    from carscale.studies.speed import run_seconds

    plan, minutes = work.plan, work.plan.study.budget.minutes
    if minutes and speeds.keys() != plan.arms.keys():
        return min(len(plan.study.seeds), UNKNOWN_SEEDS)
    if not minutes:
        return len(plan.study.seeds)
    costs = {name: run_seconds(arm, speeds[name]) for name, arm in plan.arms.items()}
    check_budget(plan, costs, minutes)
    return min(len(plan.study.seeds), int(60 * minutes / sum(costs.values())))


def _forecast(work: StudyWork, num_seeds: int) -> str:
    """Return in words what the study will be able to tell."""
    from carscale.verdicts.forecast import forecast
    from carscale.verdicts.metrics import METRICS

    plan = work.plan
    study, base = plan.study, plan.arms[plan.study.baseline]
    if num_seeds < 2 and not work.earlier:
        return "one seed of each arm settles nothing: give it more seeds or minutes"
    found = forecast(
        work.earlier,
        num_seeds=num_seeds,
        num_arms=len(plan.arms) - 1,
        num_photos=len(base.splits.val),
        metric=study.metric,
    )
    return (
        f"a true difference of {100 * found.difference:.1f} points of {METRICS[study.metric]} will "
        f"be found with 80 % probability ({found.why}; {len(base.splits.val):,} val photos)"
    )


def _report_failures(failed: dict[str, str], folder: Path) -> None:
    """Say which runs failed and how to go on."""
    from carscale.progress import note

    for name, why in failed.items():
        note(f"failed: {name}: {why}")
    note(f"{len(failed)} runs failed; the same command tries them again (runs in {folder})")
