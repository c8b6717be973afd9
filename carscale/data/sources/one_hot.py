"""Tables with a column for each class, in which 1 says yes and 0 no."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from carscale.tables import TextTable

NUM_LOOKED_AT = 200
"""Rows that must be so before a table is taken for one."""


def class_columns(table: TextTable, image: str) -> list[str]:
    """Return the columns that are classes; none where the table says classes otherwise.

    Each cell beside the image's is 0 or 1, and most rows have one 1.
    """
    place = table.columns.index(image)
    names = [name for at, name in enumerate(table.columns) if at != place]
    if len(names) < 2 or len({*names}) < len(names) or not all(names):
        return []
    num_rows = num_lone = 0
    for _, cells in islice(table.rows(), NUM_LOOKED_AT):
        marks = _marks(cells, place)
        if len(marks) != len(names) or not {*marks} <= {"0", "1"}:
            return []
        num_rows += 1
        num_lone += marks.count("1") == 1
    return names if num_lone > num_rows / 2 else []


def hot_rows(
    table: TextTable, image: str, names: list[str]
) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Yield a row's number and its path and label; the reason alone where it has several."""
    place = table.columns.index(image)
    for number, cells in table.rows():
        marks = _marks(cells, place)
        said = [name for name, mark in zip(names, marks, strict=False) if mark == "1"]
        if len(marks) != len(names) or not {*marks} <= {"0", "1"}:
            yield number, "has other cells than 0 and 1"
        elif len(said) > 1:
            yield number, f"has several classes: {', '.join(said)}"
        else:
            yield number, {"path": cells[place], "label": said[0] if said else ""}


def _marks(cells: list[str], place: int) -> list[str]:
    """Return the cells beside the image's."""
    return [cell.strip() for at, cell in enumerate(cells) if at != place]
