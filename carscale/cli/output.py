"""What commands print: results on stdout as JSON, CSV or a table, notes on stderr.

Names of photos and classes are anyone's: tables show them on one line, without what a terminal
would obey.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from carscale import outgoing
from carscale.errors import ConfigError
from carscale.progress import note

MIN_WIDTH = 100
"""Columns of a table where the output is narrower or is no terminal."""


def say(text: object = "") -> None:
    """Print text for people, its lines as they are."""
    print(outgoing.lines(text))


def say_once(result: object, *, next_step: str) -> None:
    """Print a result, and on stderr what to type next, on the first of several processes."""
    if os.environ.get("RANK", "0") == "0":
        note(f"next: {next_step}")
        say(result)


def first_few(names: Sequence[str], limit: int = 3) -> str:
    """Return a count, the first names, and how many more there are.

    Example:
        >>> first_few(["a", "b", "c", "d"])
        '4: a; b; c and 1 more'
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)}: " + "; ".join(map(outgoing.one_line, names[:limit])) + more


def print_json(value: object, *, indent: int | None = 1) -> None:
    """Print a result as JSON; NaN is refused.

    What a terminal would obey, and letters that the output's encoding has not, are escaped.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    print(re.sub(r"[^\n -~]", _escaped, text))


def _escaped(found: re.Match[str]) -> str:
    """Return a letter, or the escapes that JSON has for what is none or can't be written."""
    try:
        found[0].encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(found[0])[1:-1]
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def print_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a result as CSV."""
    print_csv_text(outgoing.csv_text([header, *rows]))


def print_csv_text(text: str) -> None:
    """Print CSV: as it is into a file or a pipe, without what a terminal obeys on one."""
    sys.stdout.write(outgoing.lines(text) if sys.stdout.isatty() else text)


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
        table.add_row(
            *(Text("" if c is None else outgoing.one_line(c), style=style) for c, style in cells)
        )
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
