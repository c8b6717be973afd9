"""Columns of a table that hold a box, by the names that tools give them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from carscale import images, tables
from carscale.data.sources.rows import BadRowError

CORNERS = (
    *(("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"), ("x0", "y0", "x1", "y1")),
    *(("minx", "miny", "maxx", "maxy"), ("left", "top", "right", "bottom")),
    ("roix1", "roiy1", "roix2", "roiy2"),
)
SIZES = (
    *(("x", "y", "w", "h"), ("x", "y", "width", "height"), ("left", "top", "width", "height")),
    ("xmin", "ymin", "width", "height"),
)
PHOTO_SIZES = (("imagewidth", "imageheight"), ("imgwidth", "imgheight"), ("width", "height"))
_BEFORE = re.compile(r"^(bbox|boundingbox|box|bb)(?=.)")


@dataclass(frozen=True)
class BoxColumns:
    """Which columns say what.

    Attributes:
        sides: Left, top, and right, bottom or width, height.
        are_corners: The last two are the other corner.
        photo_size: Width and height of the photo; may be empty.
    """

    sides: tuple[str, ...]
    are_corners: bool
    photo_size: tuple[str, ...]

    def box_of(self, row: Mapping[str, object]) -> images.Box | None:
        """Return a row's box; ``None`` where all its cells are empty.

        Raises:
            BadRowError: Cells hold no numbers.
        """
        cells = [row[name] for name in self.sides]
        if all(cell is None or not str(cell).strip() for cell in cells):
            return None
        first, second, third, fourth = map(_number, cells)
        if not self.are_corners:
            third, fourth = first + third, second + fourth
        stated = [row[name] for name in self.photo_size]
        is_share = max(first, second, third, fourth) <= 1
        return images.Box(
            *(first, second, third, fourth),
            is_share=is_share,
            photo_size=images.photo_size(*stated) if stated else None,
        )


def box_columns(columns: Sequence[str]) -> BoxColumns | None:
    """Return the columns of a box; ``None`` where a table has none.

    Example:
        >>> box_columns(["filename", "width", "height", "class", "xmin", "ymin", "xmax", "ymax"])
        BoxColumns(sides=('xmin', 'ymin', 'xmax', 'ymax'), are_corners=True, \
photo_size=('width', 'height'))
        >>> box_columns(["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"]).sides[0]
        'bbox_x1'
    """
    plain = {_plain(name): name for name in reversed(columns)}
    for names, are_corners in [(n, True) for n in CORNERS] + [(n, False) for n in SIZES]:
        if all(name in plain for name in names):
            sizes = (pair for pair in PHOTO_SIZES if not set(pair) & set(names))
            size = next((pair for pair in sizes if all(name in plain for name in pair)), ())
            return BoxColumns(
                tuple(plain[name] for name in names),
                are_corners,
                tuple(plain[name] for name in size),
            )
    return None


def _plain(name: str) -> str:
    """Return a column's name without case, separators and a word for box before it."""
    return _BEFORE.sub("", re.sub(r"[\W_]+", "", name.casefold()))


def _number(cell: object) -> float:
    """Return a cell as a number."""
    try:
        return tables.number_of(str(cell))
    except ValueError as error:
        raise BadRowError(f"its box holds {str(cell)[:20]!r}, no number") from error
