"""``carscale study FILE.yaml``: train arms and seeds, and say what helps."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carscale import outgoing
from carscale.cli.output import print_json, say

if TYPE_CHECKING:
    from carscale.studies.plan import StudyPlan
    from carscale.studies.run import Launch
    from carscale.studies.speed import Speed
    from carscale.verdicts import StudyResult


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
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """Train every arm with every seed, then compare: verdicts, a page, JSON and CSV.

    Started again, it goes on where it was.

    Example: carscale study recipes/studies/balance.yaml data.root=data/demo --dry-run
    """
    from carscale import config, files
    from carscale.report import check_page_folder
    from carscale.studies.plan import make_plan
    from carscale.studies.run import Launch, run_study
    from carscale.studies.speed import measure_arms, with_budget

    asked = config.read_study(file if file.exists() else config.packaged(file) or file)
    if seeds is not None:
        asked = asked.model_copy(update={"seeds": tuple(range(seeds))})
    folder, words = _placed(overrides or [], out, asked.name)
    plan = make_plan(asked, folder, words=words, file=str(file), runs_files=not dry_run)
    is_ours = any((folder / name).exists() for name in ("plan.json", "speeds.json"))
    check_page_folder(folder, "study", replaces=is_ours)
    how = Launch(tuple(shlex.split(launch)))
    speeds: dict[str, Speed] = {}
    if asked.budget.seconds or dry_run:
        speeds = measure_arms(plan, how, only_packaged=dry_run)
    if asked.budget.seconds:
        plan = with_budget(plan, speeds, asked.budget)
    if dry_run:
        _print_plan(plan, how, speeds)
        return
    failed = run_study(
        plan,
        how,
        any_code=any_code,
        keep_weights=not drop_weights,
        after_seed=lambda: _write_so_far(plan),
    )
    if failed and not any(job.folder.is_finished for job in plan.jobs):
        _report_failures(failed, folder)
        sys.exit(1)
    page, result = _write(plan)
    if as_json:
        print_json(files.read_json(plan.folder / "results.json"))
    else:
        from carscale.cli.compare import print_study

        print_study(result, as_json=False, as_csv=False)
        say(page)
    if failed:
        _report_failures(failed, folder)
        sys.exit(1)


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


def _write(plan: StudyPlan) -> tuple[Path, StudyResult]:
    """Judge what is done and write the page; return its path and what it says."""
    from carscale.report import write_study
    from carscale.verdicts import judge

    asked = plan.study
    folders: dict[str, list[Path]] = {name: [] for name in plan.arms}
    for job in plan.jobs:
        if job.folder.is_finished:
            folders[job.arm].append(job.folder.path)
    result = judge(
        folders,
        asked.baseline,
        metric=asked.metric,
        margin=asked.margin / 100,
        overrides={name: arm.changes for name, arm in plan.arms.items()},
    )
    words = {"title": f"Study: {asked.name}", "intro": asked.about}
    command = shlex.join(["carscale", *sys.argv[1:]])
    return write_study(plan.folder, result, **words, command=command), result


def _write_so_far(plan: StudyPlan) -> None:
    """Write the page of what is done; a page that can't be made yet stops no training."""
    from carscale.errors import CarscaleError
    from carscale.progress import note

    try:
        page, _ = _write(plan)
    except CarscaleError as error:
        note(f"no page yet: {error}")
    else:
        note(f"so far: {page}")


def _print_plan(plan: StudyPlan, launch: Launch, speeds: dict[str, Speed]) -> None:
    """Print arms, what they change, and how long it all takes."""
    from datetime import timedelta

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from carscale.studies.speed import run_seconds

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
    left = [job for job in plan.jobs if not job.folder.is_finished]
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
        f"{len(plan.arms)} arms x {len(plan.study.seeds)} seeds: {len(left)} runs to train of "
        f"{len(plan.jobs)}, {about}"
    )


def _report_failures(failed: dict[str, str], folder: Path) -> None:
    """Say which runs failed and how to go on."""
    from carscale.progress import note

    for name, why in failed.items():
        note(f"failed: {name}: {why}")
    note(f"{len(failed)} runs failed; the same command tries them again (runs in {folder})")
