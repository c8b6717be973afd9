"""Policies: random numbers and photo sizes in, parameters out.

Axes: B samples, R random numbers; ``affine_B23`` maps output to source, both in continuous pixels
(pixel ``i`` covers ``[i, i + 1)``); ``colour_B34`` is a matrix and an offset on RGB in 0..255.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from carscale.augment.draws import uniforms
from carscale.types import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.config import Augment

__all__ = ["POLICIES", "Params", "Policy", "plain", "policy"]

# Columns of the random numbers. A column never changes its meaning: arms stay paired.
AREA, ASPECT, LEFT, TOP, FLIP, ROTATE, SHIFT_X, SHIFT_Y, BRIGHTNESS, CONTRAST, SATURATION = range(
    11
)

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
MID_GREY = 128.0
ASPECT_MAX = 4 / 3


@dataclass(frozen=True, eq=False)
class Params:
    """What to render, one row a sample.

    Attributes:
        affine_B23: float64, output to source.
        colour_B34: float32 colour matrix and offset, or ``None`` when colours stay.
    """

    affine_B23: NDArray[np.float64]
    colour_B34: NDArray[np.float32] | None = None

    def rows(self, first: int, last: int) -> Params:
        """Return the parameters of samples ``first`` to ``last - 1``."""
        colour = None if self.colour_B34 is None else self.colour_B34[first:last]
        return Params(self.affine_B23[first:last], colour)


@dataclass(frozen=True)
class Policy:
    """A named policy with its settings and view: call it with a seed, positions and sizes."""

    cfg: Augment
    view: View

    def __call__(self, seed: int, first: int, last: int, sizes_B2: NDArray[np.int64]) -> Params:
        """Return the parameters of stream positions ``first`` to ``last - 1``."""
        draws_BR = uniforms(seed, "augment", first, last)
        return POLICIES[self.cfg.policy](draws_BR, sizes_B2, self.cfg, self.view)


def policy(cfg: Augment, view: View) -> Policy:
    """Return the policy that the settings name."""
    return Policy(cfg, view)


def plain(sizes_B2: NDArray[np.int64], view: View) -> Params:
    """Return the parameters of the evaluation view.

    ``squash`` stretches the photo over the square; ``pad`` fits it inside, centred, on the fill
    colour; ``crop`` covers the square and cuts what sticks out.

    Example:
        >>> plain(np.array([[200, 100]]), View(image_px=50, fit="pad")).affine_B23[0].tolist()
        [[4.0, 0.0, -0.0], [0.0, 4.0, -48.0]]
    """
    side = view.image_px
    sizes = sizes_B2.astype(np.float64)
    if view.fit == "squash":
        shown_B2 = np.full_like(sizes, side)
    else:
        longest = sizes.max(axis=1) if view.fit == "pad" else sizes.min(axis=1)
        shown_B2 = np.maximum(1, np.rint(sizes * side / longest[:, None]))  # whole pixels
    scale_B2 = sizes / shown_B2
    offset_B2 = np.floor((side - shown_B2) / 2)
    return Params(_axis_aligned(scale_B2, -offset_B2 * scale_B2))


def none(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Show train photos as they are evaluated."""
    return plain(sizes_B2, view)


def simple(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop a random region of a random aspect and mirror every other photo.

    The region has ``crop_scale_min`` to 1 of the photo's area and an aspect of 3/4 to 4/3,
    log-uniform; one that does not fit shrinks, its aspect kept.

    Reference:
        Szegedy et al. 2015, https://arxiv.org/abs/1409.4842, section 6.
    """
    return Params(_mirror(_random_crop(draws_BR, sizes_B2, cfg, view), draws_BR, view))


def standard(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``.

    Rotate, shift, and change brightness, contrast and saturation.
    """
    crop_B23 = _mirror(_random_crop(draws_BR, sizes_B2, cfg, view), draws_BR, view)
    affine_B23 = _compose(crop_B23, _rotate_and_shift(draws_BR, cfg, view))
    return Params(affine_B23, _colour(draws_BR, cfg))


POLICIES: dict[str, Callable[..., Params]] = {"none": none, "simple": simple, "standard": standard}


def _random_crop(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> NDArray[np.float64]:
    """Return affines of random regions of what the plain view shows.

    With ``pad`` a region may be longer than the photo's short side; the photo then lies wholly
    inside it, somewhere. With ``crop`` it shrinks to fit the photo. With ``squash`` it has the
    photo's aspect times the drawn one.
    """
    sizes = sizes_B2.astype(np.float64)
    share_B = cfg.crop_scale_min + draws_BR[:, AREA] * (1 - cfg.crop_scale_min)
    root_B = np.exp(_spread(draws_BR[:, ASPECT]) * np.log(ASPECT_MAX) / 2)  # sqrt of the aspect
    shape_B2 = np.stack([root_B, 1 / root_B], axis=1) * np.sqrt(share_B)[:, None]
    if view.fit == "pad":
        longest_B1 = sizes.max(axis=1, keepdims=True)
        region_B2 = shape_B2 * longest_B1
        region_B2 *= np.minimum(1, longest_B1 / region_B2.max(axis=1, keepdims=True))
    elif view.fit == "squash":
        region_B2 = np.minimum(shape_B2, 1) * sizes
    else:
        region_B2 = shape_B2 * np.sqrt(sizes.prod(axis=1, keepdims=True))
        region_B2 *= np.minimum(1, (sizes / region_B2).min(axis=1, keepdims=True))
    corner_B2 = draws_BR[:, [LEFT, TOP]] * (sizes - region_B2)
    return _axis_aligned(region_B2 / view.image_px, corner_B2)


def _mirror(
    affine_B23: NDArray[np.float64], draws_BR: NDArray[np.float64], view: View
) -> NDArray[np.float64]:
    """Mirror left and right where the draw says so."""
    flips_B = draws_BR[:, FLIP] < 0.5
    mirrored_B23 = affine_B23.copy()
    mirrored_B23[:, :, 2] += affine_B23[:, :, 0] * view.image_px
    mirrored_B23[:, :, 0] *= -1
    return np.where(flips_B[:, None, None], mirrored_B23, affine_B23)


def _rotate_and_shift(
    draws_BR: NDArray[np.float64], cfg: Augment, view: View
) -> NDArray[np.float64]:
    """Return affines from output to output: about the centre, then aside."""
    angle_B = np.deg2rad(cfg.rotate_degrees) * _spread(draws_BR[:, ROTATE])
    cos_B, sin_B = np.cos(angle_B), np.sin(angle_B)
    turn_B22 = np.stack([np.stack([cos_B, -sin_B], 1), np.stack([sin_B, cos_B], 1)], 1)
    centre_2 = np.full(2, view.image_px / 2)
    shift_B2 = cfg.shift * view.image_px * _spread(draws_BR[:, [SHIFT_X, SHIFT_Y]])
    offset_B2 = centre_2 - turn_B22 @ centre_2 + shift_B2
    return np.concatenate([turn_B22, offset_B2[:, :, None]], axis=2)


def _colour(draws_BR: NDArray[np.float64], cfg: Augment) -> NDArray[np.float32]:
    """Return ``b * (c * (S x - 128) + 128)`` as matrix and offset; S keeps BT.601 luma."""
    bright_B = 1 + cfg.brightness * _spread(draws_BR[:, BRIGHTNESS])
    contrast_B = 1 + cfg.contrast * _spread(draws_BR[:, CONTRAST])
    saturate_B = (1 + cfg.saturation * _spread(draws_BR[:, SATURATION]))[:, None, None]
    keep_luma_B33 = saturate_B * np.eye(3) + (1 - saturate_B) * LUMA
    matrix_B33 = (bright_B * contrast_B)[:, None, None] * keep_luma_B33
    offset_B = bright_B * MID_GREY * (1 - contrast_B)
    offset_B31 = np.broadcast_to(offset_B[:, None, None], (len(offset_B), 3, 1))
    return np.concatenate([matrix_B33, offset_B31], axis=2).astype(np.float32)


def _axis_aligned(
    scale_B2: NDArray[np.float64], offset_B2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return affines that scale and move."""
    affine_B23 = np.zeros((len(scale_B2), 2, 3))
    affine_B23[:, 0, 0], affine_B23[:, 1, 1] = scale_B2[:, 0], scale_B2[:, 1]
    affine_B23[:, :, 2] = offset_B2
    return affine_B23


def _compose(outer_B23: NDArray[np.float64], inner_B23: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``outer(inner(x))``."""
    linear_B22 = outer_B23[:, :, :2] @ inner_B23[:, :, :2]
    moved_B2 = (outer_B23[:, :, :2] @ inner_B23[:, :, 2:])[:, :, 0] + outer_B23[:, :, 2]
    return np.concatenate([linear_B22, moved_B2[:, :, None]], axis=2)


def _spread(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map [0, 1) to [-1, 1)."""
    return 2 * draws - 1
