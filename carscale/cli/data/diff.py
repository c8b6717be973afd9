"""``carscale data diff A B``: what changed between two frozen folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Json
from carscale.cli.output import print_json, print_table, say

MAX_ROWS = 30
"""Of a table; the JSON has all."""


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="Frozen folder or pack, the older.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Frozen folder or pack, the newer.")],
    as_json: Json = False,
) -> None:
    """Tell what changed between two versions: photos by class and source, splits, classes.

    Example: carscale data diff data/cars data/cars-2
    """
    from carscale import workflows

    found = workflows.diff(a, b)
    if as_json:
        print_json(found.as_dict())
        return
    splits = [
        (
            row["split"],
            "–" if row["a"] is None else row["a"],
            "–" if row["b"] is None else row["b"],
            "same" if row["is_equal"] else "other",
        )
        for row in found.splits
    ]
    print_table(("split", ">A", ">B", "photos and labels"), splits)
    say()
    for rows in (found.by_source(), found.by_class()):
        if not rows:
            continue
        names = [
            name
            for name in rows[0]
            if name in ("source", "class") or any(row[name] for row in rows)
        ]
        headings = [names[0], *(f">{name.replace('_', ' ')}" for name in names[1:])]
        cells = (
            [row[name] or ("(none)" if row[name] == "" else ".") for name in names] for row in rows
        )
        print_table(headings, cells, max_rows=MAX_ROWS)
        say()
    for sentence in found.sentences():
        say(sentence)
