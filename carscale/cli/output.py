"""What commands print: results on stdout as JSON, CSV or a table, notes on stderr.

Names of photos and classes are anyone's: tables show them on one line, without what a terminal
would obey.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from carscale.errors import ConfigError
from carscale.progress import note

MIN_WIDTH = 100
"""Columns of a table where the output is narrower or is no terminal."""


def shown(text: object) -> str:
    r"""Return text on one line without what a terminal would obey.

    Example:
        >>> shown("a\nb\x1b[31m, Škoda")
        'a\\nb\\x1b[31m, Škoda'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def first_few(names: Sequence[str], limit: int = 3) -> str:
    """Return a count, the first names, and how many more there are.

    Example:
        >>> first_few(["a", "b", "c", "d"])
        '4: a; b; c and 1 more'
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)}: " + "; ".join(map(shown, names[:limit])) + more


def print_json(value: object) -> None:
    """Print a result as JSON; NaN is refused."""
    print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a result as CSV."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[Any]], *, max_rows: int | None = None
) -> None:
    """Print a table for people.

    Args:
        headings: Of the columns; one that starts with ``>`` holds numbers, on the right.
        rows: Cells: text, or a ``(text, style)`` pair as rich has styles; ``None`` is empty.
        max_rows: Further rows are counted, and ``--json`` is named for them.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    every = list(rows)
    if not every:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=any(headings))
    for heading in headings:
        justify: Any = "right" if heading.startswith(">") else "left"
        table.add_column(heading.removeprefix(">"), justify=justify, overflow="fold")
    for row in every[:max_rows]:
        cells = [cell if isinstance(cell, tuple) else (cell, "") for cell in row]
        table.add_row(*(Text("" if c is None else shown(c), style=style) for c, style in cells))
    Console(width=max(MIN_WIDTH, Console().width), highlight=False).print(table)
    if max_rows is not None and len(every) > max_rows:
        print(f"and {len(every) - max_rows} more; all: --json")


def print_notes(lines: Iterable[str]) -> None:
    """Write what a person should know to stderr."""
    for line in lines:
        note(f"note: {line}")


def check_one_format(as_json: bool, as_csv: bool) -> None:
    """Raise where both JSON and CSV are asked for."""
    if as_json and as_csv:
        raise ConfigError("command line: --json and --csv exclude each other")
