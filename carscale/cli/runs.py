"""``carscale runs``: all runs on a data set over time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from carscale import outgoing
from carscale.cli.options import Json
from carscale.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from carscale.studies.history import DataHistory


def list_runs(
    folder: Annotated[Path, typer.Argument(help="Where runs lie, at any depth.")] = Path("runs"),
    metric: Annotated[
        Literal["top1", "balanced_accuracy", "macro_f1"], typer.Option(help="What is shown.")
    ] = "top1",
    out: Annotated[
        Path | None, typer.Option(help="Folder for a page with the progress curve.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List runs by data set and time: val score, best so far, what changed from the run before.

    Example: carscale runs runs --out runs-page
    """
    from carscale.progress import bar, note
    from carscale.studies.history import find_runs, histories

    if out is not None:
        from carscale.report import check_page_folder

        check_page_folder(out, "history")
    with bar("runs", None, unit="runs") as advance:
        folders = find_runs(folder)
        advance(len(folders), "reading")
        found = histories(folders, base=folder, metric=metric)
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        _print(found, metric)
    if out is not None:
        from carscale.report.study.runs_page import write_index

        note(f"wrote {write_index(out, found, metric=metric)}")


def _print(found: list[DataHistory], metric: str) -> None:
    """Print a table a data set."""
    for history in found:
        known = f"val {history.val_hash[:12]}" if history.val_hash else "not begun"
        say(f"{outgoing.one_line(history.root)} ({known}): {len(history.runs)} runs")
        print_table(
            ("started", "run", f">{metric}", "", ">test", "changed from the run before"),
            (
                (
                    run.started[:16].replace("T", " "),
                    run.name,
                    _percent(run.val.get(metric)) or "-",
                    ("best" if run.is_best else "") if run.state == "done" else run.state,
                    _percent(run.test_top1),
                    "; ".join(run.changes),
                )
                for run in history.runs
            ),
        )


def _percent(share: float | None) -> str:
    """Return a share in percent; nothing for none."""
    return "" if share is None else f"{100 * share:.1f} %"
