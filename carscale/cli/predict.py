"""``carscale predict RUN PHOTOS``: the five likeliest classes of any photo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from carscale.cli.options import Csv, Json
from carscale.cli.output import check_one_format, print_csv, print_json, print_table


def predict(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Run folder, or what carscale export made.")
    ],
    photos: Annotated[list[Path], typer.Argument(help="Photos and folders of photos.")],
    above: Annotated[
        float, typer.Option(help="Abstain where the likeliest class has less probability.")
    ] = 0.0,
    unknown: Annotated[
        bool,
        typer.Option(
            "--unknown",
            help="Abstain on photos that resemble no class; an export must be verified.",
        ),
    ] = False,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Name the five likeliest classes of each photo; an unreadable file gets a line saying so.

    Example: carscale predict runs/effnet_focal photo1.jpg folder/
    """
    from carscale import workflows

    check_one_format(as_json, as_csv)
    rows = workflows.predict(run, photos, above=above, unknown=unknown).rows
    if as_json:
        for row in rows:
            print_json(row, indent=None)
    elif as_csv:
        names = [f"{what}{n}" for n in range(1, 6) for what in ("class", "prob")]
        print_csv(("path", "error", "abstains", *names), map(_cells, rows))
    else:
        print_table(("photo", "class", ">probability"), _lines(rows))
    if all(row["error"] for row in rows):
        raise typer.Exit(1)


def _cells(row: dict[str, Any]) -> list[object]:
    """Return a photo's line: path, error, why it abstains, then five times class and prob."""
    pairs = [value for top in row["top5"] for value in (top["class"], f"{top['prob']:.6f}")]
    missing = [""] * (10 - len(pairs))
    return [row["path"], row["error"] or "", row["abstains"] or "", *pairs, *missing]


def _lines(rows: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield a line a class; the photo's name stands on its first."""
    for row in rows:
        if row["error"]:
            yield row["path"], (row["error"], "red"), ""
        if row["abstains"]:
            yield row["path"], (f"abstains: {row['abstains']}", "yellow"), ""
        for place, top in enumerate(row["top5"]):
            is_first = not place and not row["abstains"]
            style = "bold" if is_first else "dim"
            yield row["path"] if is_first else "", (top["class"], style), f"{top['prob']:.3f}"
