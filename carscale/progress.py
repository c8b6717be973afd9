"""Bars and notes on stderr; the door to rich, with ``cli``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from carscale import outgoing

FIRST_LINE_S = 2.0
LONGER_BY_S = 10.0
LONGEST_GAP_S = 60.0
"""Lines come after 2 s, then 10, 20, 30 ... s later, at last once a minute."""


def note(text: str) -> None:
    """Write one line to stderr, above a bar if one is shown; none to a terminal that has gone."""
    with suppress(OSError):
        sys.stderr.write(outgoing.lines(text) + "\n")
        sys.stderr.flush()


@contextmanager
def bar(
    title: str,
    total: int | None,
    *,
    start: int = 0,
    show: bool = True,
    unit: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[..., None]]:
    """Show counts, speed and time left while the block runs.

    On a terminal a bar is redrawn in place and gone when done; elsewhere (a log file, CI) a line
    goes out now and then, once a minute at last, and one at the end.

    Args:
        title: What is being done.
        total: Number of things; ``None`` when unknown.
        start: Number of things that were done before; they do not count for the speed.
        show: Whether this process shows it: rank 0 does.
        unit: What is counted, for the speed.
        clock: Seconds, for the lines; never goes back.

    Yields:
        ``advance(count=1, text=None, total=None)``: adds to the count; sets the text behind the bar
        and the total.
    """
    if not show:
        yield lambda count=1, text=None, total=None: None
        return
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        with _drawn(console, title, total, start=start, unit=unit) as advance:
            yield advance
        return
    lines = _Lines(title, total, start, unit, clock)
    try:
        yield lines.advance
    finally:
        lines.end()


@contextmanager
def stages(*, unit: str = "photos", **units: str) -> Iterator[Callable[[str, int], None]]:
    """Show one bar after the other while the block runs, each for a stage of the work.

    Args:
        unit: What is counted.
        units: What is counted in a stage, by its title, where that is something else.

    Yields:
        ``advance(title, total)``: adds one to the bar of that title; another title ends the bar
        before, and so does its total, as what comes next may show bars of its own.
    """
    with ExitStack() as stack:
        shown: tuple[str, Callable[..., None]] | None = None
        count = 0

        def advance(title: str, total: int) -> None:
            nonlocal shown, count
            if shown is None or shown[0] != title:
                stack.close()
                one = bar(title, total, unit=units.get(title, unit))
                shown, count = (title, stack.enter_context(one)), 0
            shown[1](total=total)
            count += 1
            if count >= total:
                stack.close()
                shown = None

        yield advance


@contextmanager
def _drawn(
    console: Any,  # noqa: ANN401 - rich is imported late
    title: str,
    total: int | None,
    *,
    start: int,
    unit: str,
) -> Iterator[Callable[..., None]]:
    """Draw a bar with rich."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", markup=False),
    )
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task(outgoing.one_line(title), total=total, completed=start, text="")

    def advance(count: int = 1, text: str | None = None, total: int | None = None) -> None:
        shown = None if text is None else outgoing.one_line(text)
        changes: dict[str, Any] = {"text": shown, "total": total}
        known = {name: value for name, value in changes.items() if value is not None}
        progress.update(task, advance=count, **known)

    progress.start()
    try:
        yield advance
    finally:
        with suppress(OSError):  # the terminal has gone
            progress.stop()


@dataclass
class _Lines:
    """A bar as plain lines, few enough for the log of a run of days."""

    title: str
    total: int | None
    start: int
    unit: str
    clock: Callable[[], float]
    text: str = ""

    def __post_init__(self) -> None:
        self.count = self.start
        self.began = self.clock()
        self.gap_s = 0.0
        self.due = self.began + FIRST_LINE_S

    def advance(self, count: int = 1, text: str | None = None, total: int | None = None) -> None:
        """Add to the count; write a line when one is due."""
        self.count += count
        self.text = self.text if text is None else text
        self.total = self.total if total is None else total
        now = self.clock()
        if now < self.due:
            return
        self.gap_s = min(LONGEST_GAP_S, self.gap_s + LONGER_BY_S)
        self.due = now + self.gap_s
        note(self._line(now, is_end=False))

    def end(self) -> None:
        """Write the last line."""
        note(self._line(self.clock(), is_end=True))

    def _line(self, now: float, *, is_end: bool) -> str:
        """Return title, count, share, speed, time left (at the end: taken) and text."""
        elapsed_s = now - self.began
        speed = (self.count - self.start) / elapsed_s if elapsed_s > 0 else 0.0
        whole = f"/{self.total}" if self.total else ""
        parts = [self.title]
        parts += (
            [f"{self.count}{whole} {self.unit}".rstrip()]
            if self.count or self.total is not None
            else []
        )
        parts += [f"{self.count / self.total:.0%}"] if self.total else []
        parts += [f"{speed:.{2 if speed < 10 else 0}f} {self.unit}/s"] if speed else []
        if is_end:
            parts.append(f"in {_span(elapsed_s)}")
        elif self.total and speed:
            parts.append(f"{_span((self.total - self.count) / speed)} left")
        return "  ".join([*parts, self.text]).rstrip()


def _span(seconds: float) -> str:
    """Return ``h:mm:ss``."""
    return str(timedelta(seconds=round(seconds)))
