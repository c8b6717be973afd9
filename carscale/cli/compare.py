"""``carscale compare RUN RUN...``: what differs, by how much, and whether that is shown."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carscale import outgoing
from carscale.cli.options import Csv, Force, Json, Metric
from carscale.cli.output import check_one_format, print_csv_text, print_json, print_table, say

if TYPE_CHECKING:
    from carscale.report.study.rows import ArmRow
    from carscale.verdicts import StudyResult


def compare(
    run_folders: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders; the first is the baseline."),
    ],
    split: Annotated[str, typer.Option(help="val or test; predictions must be there.")] = "val",
    metric: Metric = "top1",
    margin: Annotated[
        float, typer.Option(help="Points; a difference smaller than this is none.")
    ] = 1.0,
    as_json: Json = False,
    as_csv: Csv = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a page with results.json and results.csv.")
    ] = None,
    force: Force = False,
) -> None:
    """Say whether runs differ: paired by photo and seed, with intervals, a verdict each.

    Runs of the same settings are seeds of one arm.

    Example: carscale compare runs/baseline runs/focal --metric balanced_accuracy
    """
    from carscale import progress
    from carscale.verdicts.arms import compare as compare_runs

    check_one_format(as_json, as_csv)
    _check(split, margin)
    if out is not None:
        from carscale.report import check_page_folder

        check_page_folder(out, "study", replaces=force)
    with progress.bar("compare", None, unit="runs") as advance:
        advance(0, f"reading {len(run_folders)} runs")
        result = compare_runs(run_folders, split=split, metric=metric, margin=margin / 100)
        advance(len(run_folders), "done")
    print_study(result, as_json=as_json, as_csv=as_csv)
    if out is not None:
        from carscale.report import write_study

        command = shlex.join(["carscale", *sys.argv[1:]])
        page = write_study(out, result, title="Comparison of runs", command=command)
        progress.note(f"wrote {page}")


def _check(split: str, margin: float) -> None:
    """Raise where an option can't be used."""
    from carscale.errors import ConfigError
    from carscale.workflows.model_runs import check_split

    check_split(split, ("val", "test", "train"))
    if not 0 < margin < 100:
        raise ConfigError(f"--margin {margin:g}: must lie between 0 and 100 points")


def print_study(study: StudyResult, *, as_json: bool, as_csv: bool) -> None:
    """Print a study as a table, as JSON or as CSV."""
    if as_json:
        print_json(study.as_dict())
        return
    from carscale.report import arm_rows, results_csv

    if as_csv:
        print_csv_text(results_csv(study))
    else:
        _print_table(study, arm_rows(study))


def _print_table(study: StudyResult, rows: list[ArmRow]) -> None:
    """Print a row an arm, then what each changes, then what else must be known."""
    from carscale.verdicts.text import name_of_intervals

    about = study.about
    say(
        f"{about.metric_label} on {about.num_photos:,} {about.split} photos of "
        f"{about.num_classes:,} classes; differences in points, {name_of_intervals(about.looks)}"
    )
    numbers = ("seeds", about.metric_label, "difference", "interval", "p", "train")
    cells = [_cells(row, about.metric) for row in rows]
    print_table(("arm", *(f">{name}" for name in numbers), "verdict"), cells)
    for arm in study.arms:
        for line in (*arm.settings, *arm.notes):
            say(outgoing.one_line(f"{arm.name}: {line}"))
    for one in study.interactions:
        say(outgoing.one_line(one.sentence))


def _cells(row: ArmRow, metric: str) -> list[str]:
    """Return a row's words."""
    from carscale.verdicts.text import metric_text, p_text, points

    return [
        row.arm,
        str(row.num_seeds),
        metric_text(row.value, metric),
        "" if row.difference is None else points(row.difference),
        "" if row.low is None or row.high is None else f"{points(row.low)} to {points(row.high)}",
        "" if row.p_adjusted is None else p_text(row.p_adjusted),
        "" if row.train_s is None else f"{row.train_s:,.0f} s",
        row.verdict,
    ]
