"""Tables beside the page, as CSV that any program opens."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from carscale.report.page.checks import finite


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Write a CSV file and return its link from the page; NaN and ``None`` become empty cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([csv_cell(value) for value in row])
    return f"{path.parent.name}/{path.name}"


def csv_cell(value: object) -> object:
    """Return what goes into a cell."""
    if isinstance(value, float):
        number = finite(value)
        return "" if number is None else number
    return "" if value is None else value
