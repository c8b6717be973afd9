"""``carscale errors RUN``: every mistake, its cause, and what to do."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carscale.cli.splits import check_split

if TYPE_CHECKING:
    from carscale.analysis import Analysis

MAX_ROWS = 10


def errors(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    split: Annotated[str, typer.Option(help="val, test or a test_... of the data.")] = "val",
    data_root: Annotated[
        Path | None, typer.Option(help="Where the photos lie now; the run's data.root otherwise.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All that was found, as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="One line a mistake, as CSV.")] = False,
) -> None:
    """Sort the mistakes of a predicted split by cause; write them, with what to do, to RUN/errors.

    Example: carscale errors runs/effnet_focal
    """
    from carscale import analysis, files, progress, tables
    from carscale.errors import ConfigError
    from carscale.runs import RunFolder

    if as_json and as_csv:
        raise ConfigError("command line: --json and --csv exclude each other")
    check_split(split, ("val", "test"))
    folder = RunFolder.open(run)

    from carscale.workflows.errors import analyse_run

    with progress.bar("errors", None) as advance:
        found = analyse_run(
            folder, split, data_root=data_root, advance=lambda step: advance(1, step)
        )
    columns = analysis.mistake_columns(found)
    out = folder.errors_folder
    out.mkdir(exist_ok=True)
    files.write_atomic(out / f"{split}.parquet", tables.table_bytes(columns))
    files.write_json(out / f"actions-{split}.json", list(found.actions))
    progress.note(f"{len(found.wrong_W)} mistakes: {out / f'{split}.parquet'}")
    for line in found.notes:
        progress.note(f"note: {line}")
    if as_csv:
        _print_csv(columns)
    elif as_json:
        print(json.dumps(analysis.as_dict(found), indent=1, ensure_ascii=False))
    else:
        _print_tables(found)


def _print_csv(columns: dict[str, Any]) -> None:
    """Print a line a mistake; the best classes as ``name:probability``, ``;`` between."""
    names = [name for name in columns if name not in ("top5", "top5_prob", "embedding")]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([*names, "top5"])
    lists = [columns[name].tolist() for name in names]
    best = zip(columns["top5"].tolist(), columns["top5_prob"].tolist(), strict=True)
    for row, (classes, probs) in zip(zip(*lists, strict=True), best, strict=True):
        pairs = ";".join(f"{c}:{p:.4f}" for c, p in zip(classes, probs, strict=True))
        writer.writerow([*row, pairs])


def _print_tables(found: Analysis) -> None:
    """Print causes, pairs, bad slices and actions for people."""
    from rich.console import Console

    console = Console()
    num, wrong = len(found.evidence.predictions), len(found.wrong_W)
    console.print(f"{found.evidence.split}: {wrong} mistakes in {num} photos", highlight=False)
    for table in (_group_table(found), _pair_table(found), _slice_table(found)):
        if table.row_count:
            console.print()
            console.print(table)
    if found.actions:
        console.print("\nWhat to do", style="bold")
    for action in found.actions:
        console.print(f"- {action['title']}", markup=False, highlight=False)
        console.print(f"  {action['why']}", style="dim", markup=False, highlight=False)
        if action["command"]:
            console.print(f"  {action['command']}", style="dim", markup=False, highlight=False)


def _table(*headings: str) -> Any:  # noqa: ANN401 - rich's
    """Return an empty table; all columns but the first hold numbers."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < 1 else "right", overflow="fold")
    return table


def _group_table(found: Analysis) -> Any:  # noqa: ANN401 - rich's
    """Return a row a cause."""
    from rich.text import Text

    table = _table("Cause", "mistakes", "primary")
    for group in found.groups:
        table.add_row(Text(group.title), str(len(group.rows_G)), str(group.num_primary))
    unexplained = int((found.primary_W < 0).sum())
    if unexplained:
        table.add_row(Text("None of these", style="dim"), str(unexplained), str(unexplained))
    return table


def _pair_table(found: Analysis) -> Any:  # noqa: ANN401 - rich's
    """Return the most confused pairs."""
    from rich.text import Text

    table = _table("Taken for each other", "there", "back", "by chance", "p")
    names = [one.name for one in found.evidence.classes]
    for pair in found.confusions.pairs[:MAX_ROWS]:
        table.add_row(
            Text(f"{names[pair.first]} / {names[pair.second]}"),
            f"{pair.first_as_second}/{pair.first_support}",
            f"{pair.second_as_first}/{pair.second_support}",
            f"{pair.chance:.1f}",
            f"{pair.p:.2g}",
        )
    return table


def _slice_table(found: Analysis) -> Any:  # noqa: ANN401 - rich's
    """Return the slices that are worse than the rest beyond doubt."""
    from rich.text import Text

    table = _table("Worse than the rest", "photos", "accuracy", "95 %", "rest")
    for one in [one for one in found.slices if one.is_worst][:MAX_ROWS]:
        table.add_row(
            Text(f"{one.attribute}: {one.value}"),
            str(one.num_samples),
            f"{one.accuracy:.1%}",
            f"{one.low:.1%} to {one.high:.1%}",
            f"{one.rest:.1%}",
        )
    return table
