"""Tables beside the page, as CSV that any program opens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from carscale import disk, outgoing
from carscale.report.page.checks import finite


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a CSV file and return its link from the page."""
    content = csv_text(header, rows).encode("utf-8")
    with disk.writing(path, len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return f"{path.parent.name}/{path.name}"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    r"""Return a table as CSV; NaN and ``None`` become empty cells, no cell is a formula.

    Example:
        >>> csv_text(["a", "b"], [[1, None], [float("nan"), "x"]])
        'a,b\n1,\n,x\n'
    """
    return outgoing.csv_text([header, *([_cell(value) for value in row] for row in rows)])


def _cell(value: object) -> object:
    """Return what goes into a cell."""
    if isinstance(value, float):
        number = finite(value)
        return "" if number is None else number
    return "" if value is None else value
