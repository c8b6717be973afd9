"""Synthetic photos on a data set's page, beside the photos they were made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carscale import data
from carscale.report.data.sections import Row, photo_entry, pictures_of
from carscale.report.page.checks import printable

if TYPE_CHECKING:
    from carscale.report.data.gather import DataRecord
    from carscale.report.page.place import Place

NUM_MADE = 24
"""Photos of a method that are shown."""


def build_synthetic(record: DataRecord, place: Place) -> list[Row]:
    """Return a row a way that photos were made: counts, and some beside the photos they are of.

    Those shown are spread over the classes.
    """
    methods_N, row_of = record.rows["synthetic_method"], {}
    for row, key in enumerate(record.rows["key"].tolist()):
        row_of[key] = row
    found = []
    for number, method in enumerate(sorted(set(methods_N.tolist()) - {""})):
        rows_M = np.flatnonzero(methods_N == method)
        shown = rows_M[np.linspace(0, len(rows_M) - 1, min(NUM_MADE, len(rows_M))).astype(int)]
        made_of = [data.made_of(record.rows["synthetic"][row]) for row in shown]
        parents = [[row_of[key] for key in keys if key in row_of] for keys in made_of]
        every = sorted({*shown.tolist(), *(row for rows in parents for row in rows)})
        names = pictures_of(record, place, every, f"made{number}")
        pictures = dict(zip(every, names, strict=True))
        found.append(
            {
                "name": printable(method),
                "num": len(rows_M),
                "num_classes": len(set(record.rows["class"][rows_M].tolist())),
                "photos": [
                    [photo_entry(record, one, pictures[one]) for one in (int(row), *rows)]
                    for row, rows in zip(shown, parents, strict=True)
                ],
            }
        )
    return found
