"""``carscale predict RUN PHOTOS``: the five likeliest classes of any photo."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer


def predict(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    photos: Annotated[list[Path], typer.Argument(help="Photos and folders of photos.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines instead of a table.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of a table.")] = False,
) -> None:
    """Name the five likeliest classes of each photo; an unreadable file gets a line saying so.

    Example: carscale predict runs/effnet_focal photo1.jpg folder/
    """
    from carscale.errors import ConfigError
    from carscale.runs import RunFolder

    if as_json and as_csv:
        raise ConfigError("command line: --json and --csv exclude each other")
    folder = RunFolder.open(run)

    from carscale.workflows.predict import predict_photos

    rows = predict_photos(folder, folder.settings(), photos)
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    elif as_csv:
        _print_csv(rows)
    else:
        _print_table(rows)
    if all(row["error"] for row in rows):
        raise typer.Exit(1)


def _print_csv(rows: list[dict[str, Any]]) -> None:
    """Print a line a photo: path, error, then class and probability five times."""
    writer = csv.writer(sys.stdout)
    numbers = range(1, 6)
    writer.writerow(
        ["path", "error", *(f"{what}{n}" for n in numbers for what in ("class", "prob"))]
    )
    for row in rows:
        pairs = [value for top in row["top5"] for value in (top["class"], f"{top['prob']:.6f}")]
        writer.writerow([row["path"], row["error"] or "", *pairs])


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Print a table for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None)
    table.add_column("photo", overflow="fold")
    table.add_column("class")
    table.add_column("probability", justify="right")
    for row in rows:
        if row["error"]:
            table.add_row(Text(row["path"]), Text(row["error"], style="red"), "")
        for place, top in enumerate(row["top5"]):
            style = "bold" if place == 0 else "dim"
            name = Text(row["path"]) if place == 0 else Text("")
            table.add_row(name, Text(top["class"], style=style), f"{top['prob']:.3f}")
    Console().print(table)
