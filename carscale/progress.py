"""Bars and notes on stderr; the door to rich, with ``cli``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["bar", "note"]


def note(text: str) -> None:
    """Write one line to stderr, above a bar if one is shown."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


@contextmanager
def bar(
    title: str, total: int | None, *, show: bool = True, unit: str = ""
) -> Iterator[Callable[..., None]]:
    """Show a bar with counts, speed and time left while the block runs.

    On a terminal it is redrawn in place and gone when done; elsewhere (a log file, CI) one line
    goes out at the end.

    Args:
        title: What is being done.
        total: Number of things; ``None`` when unknown.
        show: Whether this process shows it: rank 0 does.
        unit: What is counted, for the speed.

    Yields:
        ``advance(count=1, text=None, total=None)``: adds to the count; sets the text behind the bar
        and the total.
    """
    if not show:
        yield lambda count=1, text=None, total=None: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=console.is_terminal) as progress:
        task = progress.add_task(title, total=total, text="")

        def advance(count: int = 1, text: str | None = None, total: int | None = None) -> None:
            changes: dict[str, Any] = {"text": text, "total": total}
            known = {name: value for name, value in changes.items() if value is not None}
            progress.update(task, advance=count, **known)

        yield advance
