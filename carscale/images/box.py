"""A box around a car in a photo: from what an annotation says to whole pixels.

Axes: pixels from the upper left corner of the upright photo, right and down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MIN_SIDE_PX = 16
"""Of a box: fewer pixels show no make."""
MIN_INSIDE = 0.5
"""The part of a box that has to lie in its photo; tools let boxes stand out by a pixel or two."""
SLACK_PX = 0.01
"""Of an edge: shares are written with six digits."""


MAX_SIDE_PX, MAX_DIGITS = 1_000_000, 20
"""Of a stated size: more is no photo's."""


class BadBoxError(Exception):
    """A box that can't be cut out; the text is the reason for the quarantine list."""


@dataclass(frozen=True)
class Box:
    """What an annotation says.

    Attributes:
        left, top: Where it begins.
        right, bottom: The first pixel that is not in it any more.
        is_share: Numbers are shares of width and height, 0 to 1, not pixels.
        photo_size: Width and height of the photo that was annotated, where the annotation says it.
            It tells whether the box is of the photo as stored or turned upright, and whether the
            photo was resized since.
        margin: What is added on each side, as a share of the box's width and height.

    Example:
        >>> Box(20, 30, 120, 110, margin=0.1).edges((200, 150))
        (10, 22, 130, 118)
        >>> Box(0.5, 0.5, 0.25, 0.75).edges((200, 150))
        Traceback (most recent call last):
        carscale.images.box.BadBoxError: flipped box: its right side 0.25 lies left of 0.5
    """

    left: float
    top: float
    right: float
    bottom: float
    is_share: bool = False
    photo_size: tuple[int, int] | None = None
    margin: float = 0.0

    def __str__(self) -> str:
        """Return the sides as a manifest holds them: ``20,30,120,110``; of a share with a ``%``."""
        sides = (self.left, self.top, self.right, self.bottom)
        if self.is_share:
            return ",".join(f"{100 * side:.6g}%" for side in sides)
        return ",".join(f"{side:g}" for side in sides)

    def check(self) -> None:
        """Raise ``BadBoxError`` where no photo can have such a box."""
        if not all(map(math.isfinite, (self.left, self.top, self.right, self.bottom))):
            raise BadBoxError("a side of its box is no finite number")
        if self.right < self.left:
            raise BadBoxError(
                f"flipped box: its right side {self.right:g} lies left of {self.left:g}"
            )
        if self.bottom < self.top:
            raise BadBoxError(
                f"flipped box: its lower side {self.bottom:g} lies above {self.top:g}"
            )
        if self.right == self.left or self.bottom == self.top:
            raise BadBoxError("empty box")

    def edges(self, size: tuple[int, int], orientation: int = 1) -> tuple[int, int, int, int]:
        """Return left, top, right and bottom of what is cut out, with the margin.

        Args:
            size: Width and height of the upright photo.
            orientation: Of its EXIF, 1 to 8.

        Raises:
            BadBoxError: The box is flipped, empty, tiny, mostly outside, or of another photo.
        """
        left, top, right, bottom = self.within(size, orientation)
        beside, above = self.margin * (right - left), self.margin * (bottom - top)
        return (
            max(0, math.floor(left - beside + SLACK_PX)),
            max(0, math.floor(top - above + SLACK_PX)),
            min(size[0], math.ceil(right + beside - SLACK_PX)),
            min(size[1], math.ceil(bottom + above - SLACK_PX)),
        )

    def within(
        self, size: tuple[int, int], orientation: int = 1
    ) -> tuple[float, float, float, float]:
        """Return the box, without its margin, in pixels of the upright photo, cut to it.

        Raises:
            BadBoxError: As ``edges``.
        """
        self.check()
        left, top, right, bottom = self._upright(size, orientation)
        inside = (
            (max(left, 0.0), max(top, 0.0)),
            (min(right, float(size[0])), min(bottom, float(size[1]))),
        )
        (x0, y0), (x1, y1) = inside
        self._check_side(right - left, bottom - top)
        share = max(0.0, x1 - x0) / (right - left) * max(0.0, y1 - y0) / (bottom - top)
        if share < MIN_INSIDE:
            raise BadBoxError(
                f"box {left:g},{top:g} to {right:g},{bottom:g} lies outside of the photo of "
                f"{size[0]} x {size[1]}" + ("" if share == 0 else f" by {1 - share:.0%}")
            )
        self._check_side(x1 - x0, y1 - y0)
        return x0, y0, x1, y1

    @staticmethod
    def _check_side(width: float, height: float) -> None:
        """Raise where a box is too small."""
        if min(width, height) < MIN_SIDE_PX:
            raise BadBoxError(
                f"tiny box of {width:g} x {height:g} px; at least {MIN_SIDE_PX} a side"
            )

    def _upright(
        self, size: tuple[int, int], orientation: int
    ) -> tuple[float, float, float, float]:
        """Return the box in pixels of the upright photo."""
        width, height = size
        stated = self.photo_size or size
        if self.is_share:
            sides = (self.left, self.top, self.right, self.bottom)
            left, top, right, bottom = (
                side * length for side, length in zip(sides, (*stated, *stated), strict=True)
            )
        else:
            left, top, right, bottom = self.left, self.top, self.right, self.bottom
        if orientation > 4 and _is_alike(stated, (height, width)) and not _is_alike(stated, size):
            left, top, right, bottom = _turned((left, top, right, bottom), stated, orientation)
            stated = stated[::-1]
        if not _is_alike(stated, size):
            raise BadBoxError(
                f"box of a photo of {stated[0]} x {stated[1]}, and this one is {width} x {height}"
            )
        across, down = width / stated[0], height / stated[1]
        return left * across, top * down, right * across, bottom * down


def photo_size(width: object, height: object) -> tuple[int, int] | None:
    """Return a photo's size as an annotation says it; ``None`` where it says none that can be.

    Example:
        >>> photo_size("640", 480.0), photo_size(0, 0), photo_size("NaN", 480)
        ((640, 480), None, None)
    """
    try:
        sides = [float(str(side)[:MAX_DIGITS]) for side in (width, height)]
    except ValueError:
        return None
    is_size = all(1 <= side <= MAX_SIDE_PX for side in sides)  # false for NaN
    return (int(sides[0]), int(sides[1])) if is_size else None


def _is_alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Tell whether a photo may be the other, resized: their sides differ by rounding alone."""
    if min(*one, *other) < 1:
        return False
    across, down = other[0] / one[0], other[1] / one[1]
    slack = 1 / min(one[0], other[0]) + 1 / min(one[1], other[1])
    return abs(across / down - 1) <= slack


def _turned(
    sides: tuple[float, float, float, float], size: tuple[int, int], orientation: int
) -> tuple[float, float, float, float]:
    """Return a box of a photo as stored in the upright one; orientations 5 to 8 swap the sides."""
    left, top, right, bottom = sides
    width, height = size
    if orientation in (7, 8):  # what was right is now at the top
        left, right = width - right, width - left
    if orientation in (6, 7):  # what was at the bottom is now left
        top, bottom = height - bottom, height - top
    return top, left, bottom, right
