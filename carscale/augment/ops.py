"""Single operations of op lists (RandAugment kind): their numbers, ranges and matrices.

An op that moves pixels becomes part of the one affine; an op that changes them fills a slot: a
number of ``SLOT_OPS`` and a magnitude. Left out: ops that depend on the photo's own histogram
(equalize, autocontrast; contrast is about mid grey, not about the photo's mean).
Axes: B samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


SLOT_OPS = (
    "none",
    "brightness",  # factor on the pixels
    "contrast",  # factor on the distance from mid grey
    "saturation",  # factor on the distance from the pixel's own grey; 0 is a grey picture
    "sharpness",  # 1 nothing, 0 smoothed, 2 sharpened
    "posterize",  # bits kept, 1 to 8
    "solarize",  # values from this one on are inverted
    "blur",  # sigma of a Gaussian, output px
    "noise",  # standard deviation of added Gaussian noise, grey levels
    "jpeg",  # quality of a JPEG that the picture passed through
)
"""What a slot can hold; a slot stores the index here."""


@dataclass(frozen=True)
class Op:
    """One op of an op list.

    Attributes:
        name: A slot's op, or ``rotate``, ``shear_x``, ``shear_y``, ``move_x``, ``move_y``.
        low, high: Magnitude at strength 0 and 1: degrees, shear factor, share of the side, or the
            slot's unit.
        is_signed: Whether a coin turns the magnitude round (about 1 for factors, 0 elsewhere).
    """

    name: str
    low: float
    high: float
    is_signed: bool = True

    @property
    def is_geometric(self) -> bool:
        """Tell whether the op belongs to the affine."""
        return self.name not in SLOT_OPS


def _listed(
    *, shear: float, move: float, degrees: float, factor: float, bits: float
) -> tuple[Op, ...]:
    """Return the op list with one paper's widths."""
    return (
        Op("none", 0, 0, is_signed=False),
        Op("shear_x", 0, shear),
        Op("shear_y", 0, shear),
        Op("move_x", 0, move),
        Op("move_y", 0, move),
        Op("rotate", 0, degrees),
        Op("brightness", 0, factor),
        Op("saturation", 0, factor),
        Op("contrast", 0, factor),
        Op("sharpness", 0, factor),
        Op("posterize", 8, bits, is_signed=False),
        Op("solarize", 255, 0, is_signed=False),
    )


LISTED_OPS = {
    "rand": _listed(shear=0.3, move=150 / 331, degrees=30, factor=0.9, bits=4),
    "trivial": _listed(shear=0.99, move=32 / 224, degrees=135, factor=0.99, bits=2),
}
"""The ranges of RandAugment and of TrivialAugment (Wide), as torchvision has them.

References:
    Cubuk et al. 2020, https://arxiv.org/abs/1909.13719, table 6; Mueller and Hutter 2021,
    https://arxiv.org/abs/2103.10158, table 1.
"""


def strength(
    op: Op, share_B: NDArray[np.float64], turns_B: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return an op's magnitudes.

    Args:
        op: One of a list.
        share_B: Strength in [0, 1].
        turns_B: Where a signed op turns round.

    Example:
        >>> strength(Op("brightness", 0, 0.9), np.array([1.0, 1.0]), np.array([False, True]))
        array([1.9, 0.1])
    """
    value_B = op.low + (op.high - op.low) * share_B
    if op.name == "posterize":
        value_B = np.rint(value_B)
    if not op.is_signed:
        return value_B
    value_B = np.where(turns_B, -value_B, value_B)
    return value_B if op.is_geometric else 1 + value_B


def matrix(name: str, magnitude_B: NDArray[np.float64], side_px: int) -> NDArray[np.float64]:
    """Return a geometric op's affines from output to output, about the square's centre.

    Args:
        name: ``rotate``, ``shear_x``, ``shear_y``, ``move_x`` or ``move_y``.
        magnitude_B: Degrees, shear factor, or share of the side.
        side_px: Side of the square.
    """
    affine_B23 = np.zeros((len(magnitude_B), 2, 3))
    affine_B23[:, 0, 0] = affine_B23[:, 1, 1] = 1
    if name == "rotate":
        angle_B = np.deg2rad(magnitude_B)
        affine_B23[:, 0, 0] = affine_B23[:, 1, 1] = np.cos(angle_B)
        affine_B23[:, 0, 1], affine_B23[:, 1, 0] = -np.sin(angle_B), np.sin(angle_B)
    elif name == "shear_x":
        affine_B23[:, 0, 1] = magnitude_B
    elif name == "shear_y":
        affine_B23[:, 1, 0] = magnitude_B
    centre_2 = np.full(2, side_px / 2)
    affine_B23[:, :, 2] = centre_2 - affine_B23[:, :, :2] @ centre_2
    if name in ("move_x", "move_y"):
        affine_B23[:, "xy".index(name[-1]), 2] += side_px * magnitude_B
    return affine_B23
