"""``carscale runs``: all runs on a data set over time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from carscale.studies.history import DataHistory

METRICS = ("top1", "balanced_accuracy", "macro_f1")


def list_runs(
    folder: Annotated[Path, typer.Argument(help="Where runs lie, at any depth.")] = Path("runs"),
    metric: Annotated[str, typer.Option(help=f"Of {', '.join(METRICS)}.")] = "top1",
    out: Annotated[
        Path | None, typer.Option(help="Folder for a page with the progress curve.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything as JSON.")] = False,
) -> None:
    """List runs by data set and time: val score, best so far, what changed from the run before.

    Example: carscale runs runs --out runs-page
    """
    from carscale.errors import ConfigError
    from carscale.progress import bar, note
    from carscale.studies.history import find_runs, histories

    if metric not in METRICS:
        raise ConfigError(f"--metric {metric}: must be of {', '.join(METRICS)}")
    if out is not None:
        from carscale.report import check_page_folder

        check_page_folder(out, "history")
    with bar("runs", None, unit="runs") as advance:
        found = find_runs(folder)
        advance(len(found), "reading")
        told = histories(found, base=folder, metric=metric)
    if as_json:
        import json

        print(json.dumps([asdict(one) for one in told], indent=1, ensure_ascii=False))
    else:
        _print(told, metric)
    if out is not None:
        from carscale.report.study.runs_page import write_index

        note(f"wrote {write_index(out, told, metric=metric)}")


def _print(told: list[DataHistory], metric: str) -> None:
    """Print a table a data set."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=max(100, Console().width), highlight=False)
    for history in told:
        known = f"val {history.val_hash[:12]}" if history.val_hash else "not begun"
        console.print(f"{escape(history.root)} ({known}): {len(history.runs)} runs", soft_wrap=True)
        table = Table(box=None)
        for name in ("started", "run", metric, "", "test", "changed from the run before"):
            is_number = name in (metric, "test")
            table.add_column(
                name,
                justify="right" if is_number else "left",
                no_wrap=is_number or name == "started",
                overflow="fold",
            )
        for run in history.runs:
            score = run.val.get(metric)
            table.add_row(
                run.started[:16].replace("T", " "),
                escape(run.name),
                f"{100 * score:.1f} %" if score is not None else "-",
                ("best" if run.is_best else "") if run.state == "done" else run.state,
                f"{100 * run.test_top1:.1f} %" if run.test_top1 is not None else "",
                escape("; ".join(run.changes)),
            )
        console.print(table)
