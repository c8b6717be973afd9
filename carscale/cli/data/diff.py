"""``carscale data diff A B``: what changed between two frozen folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carscale.cli.terminal import shown

if TYPE_CHECKING:
    from carscale.curate import Difference

MAX_ROWS = 30
"""Of a table; the JSON has all."""


def show_difference(
    a: Annotated[Path, typer.Argument(metavar="A", help="Frozen folder or pack, the older.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Frozen folder or pack, the newer.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON, with a line a photo that changed.")
    ] = False,
) -> None:
    """Tell what changed between two versions: photos by class and source, splits, classes.

    Example: carscale data diff data/cars data/cars-2
    """
    from carscale import curate

    found = curate.find_difference(a, b)
    if as_json:
        print(json.dumps(found.as_dict(), indent=1, ensure_ascii=False))
        return
    _print_tables(found)
    for sentence in found.sentences():
        print(sentence)


def _print_tables(found: Difference) -> None:
    """Print splits, sources and classes; an empty table is left out."""
    splits = [
        [
            row["split"],
            "–" if row["a"] is None else row["a"],
            "–" if row["b"] is None else row["b"],
            "same" if row["is_equal"] else "other",
        ]
        for row in found.splits
    ]
    _print_table(["split", "A", "B", "photos and labels"], splits)
    for rows in (found.by_source(), found.by_class()):
        if rows:
            heads = [name for name in rows[0] if name in ("source", "class") or _any(rows, name)]
            cells = [[row[name] for name in heads] for row in rows]
            _print_table([name.replace("_", " ") for name in heads], cells)


def _any(rows: Sequence[dict[str, Any]], name: str) -> bool:
    """Tell whether any row has such a change."""
    return any(row[name] for row in rows)


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print one table, its first rows where it is long."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for place, head in enumerate(heads):
        is_name = place == 0 or head == "photos and labels"
        table.add_column(head, justify="left" if is_name else "right", overflow="fold")
    for row in rows[:MAX_ROWS]:
        table.add_row(*(Text(shown(cell or ".") if cell != "" else "(none)") for cell in row))
    console = Console()
    console.print(table)
    if len(rows) > MAX_ROWS:
        print(f"and {len(rows) - MAX_ROWS} more; all: --json")
    print()
