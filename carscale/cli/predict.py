"""``carscale predict RUN PHOTOS``: the five likeliest classes of any photo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from carscale.cli.options import Csv, Json, RunFolderArg
from carscale.cli.output import check_one_format, print_csv, print_json, print_table


def predict(
    run: RunFolderArg,
    photos: Annotated[list[Path], typer.Argument(help="Photos and folders of photos.")],
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Name the five likeliest classes of each photo; an unreadable file gets a line saying so.

    Example: carscale predict runs/effnet_focal photo1.jpg folder/
    """
    from carscale import workflows

    check_one_format(as_json, as_csv)
    rows = workflows.predict(run, photos).rows
    if as_json:
        for row in rows:
            print_json(row, indent=None)
    elif as_csv:
        names = [f"{what}{n}" for n in range(1, 6) for what in ("class", "prob")]
        print_csv(("path", "error", *names), map(_cells, rows))
    else:
        print_table(("photo", "class", ">probability"), _lines(rows))
    if all(row["error"] for row in rows):
        raise typer.Exit(1)


def _cells(row: dict[str, Any]) -> list[object]:
    """Return a photo's line: path, error, then class and probability five times."""
    pairs = [value for top in row["top5"] for value in (top["class"], f"{top['prob']:.6f}")]
    return [row["path"], row["error"] or "", *pairs]


def _lines(rows: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield a line a class; the photo's name stands on its first."""
    for row in rows:
        if row["error"]:
            yield row["path"], (row["error"], "red"), ""
        for place, top in enumerate(row["top5"]):
            style = "dim" if place else "bold"
            yield "" if place else row["path"], (top["class"], style), f"{top['prob']:.3f}"
