"""Policies that change one photo: which random numbers become which parameters.

Axes: B samples, R random numbers of each, S op slots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.augment.geometry import axis_aligned, compose, mirrored, snapped
from carscale.augment.ops import LISTED_OPS, SLOT_OPS, Op, matrix, strength
from carscale.augment.params import PLATE_SPARE_PX, Params, make_params, plain
from carscale.types import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.config import Augment


# Columns of the random numbers. A column never changes its meaning: arms stay paired.
AREA, ASPECT, LEFT, TOP, FLIP, ROTATE, SHIFT_X, SHIFT_Y, BRIGHTNESS, CONTRAST, SATURATION = range(
    11
)
SHEAR_X, SHEAR_Y, GREY = range(11, 14)
ERASE, ERASE_AREA, ERASE_ASPECT, ERASE_LEFT, ERASE_TOP = range(14, 19)
BLUR, BLUR_SIGMA, NOISE, NOISE_LEVEL, NOISE_X, NOISE_Y, JPEG, JPEG_QUALITY = range(19, 27)
MIX, MIX_KIND, MIX_SHARE, MIX_X, MIX_Y = range(
    27, 32
)  # of a pair those of its first sample, where both share a rectangle
MIXING = [MIX, MIX_KIND, MIX_SHARE, MIX_X, MIX_Y]
OP_COLUMNS = range(32, 64, 3)  # op, strength, sign of each op in a list

ASPECT_MAX = 4 / 3
ERASE_ASPECT_MAX = 10 / 3
NUM_STRENGTHS = 31
"""Strengths of op lists, 0 to 30, as in RandAugment and TrivialAugment."""


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
    return make_params(_cropped(draws_BR, sizes_B2, cfg, view), sizes_B2, view)


def standard(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``.

    Rotate, shift, and change brightness, contrast and saturation.
    """
    crop_B23 = _cropped(draws_BR, sizes_B2, cfg, view)
    affine_B23 = compose(crop_B23, _rotate_and_shift(draws_BR, cfg, view))
    return make_params(affine_B23, sizes_B2, view, colour_B3=_colour(draws_BR, cfg))


def geometric(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; rotate and shift as ``standard``; shear. Colours stay.

    Reference:
        Simard et al. 2003, Best practices for convolutional neural networks applied to visual
        document analysis, https://doi.org/10.1109/ICDAR.2003.1227801, section 2 (affine part).
    """
    affine_B23 = compose(
        _cropped(draws_BR, sizes_B2, cfg, view), _rotate_and_shift(draws_BR, cfg, view)
    )
    for name, column in (("shear_x", SHEAR_X), ("shear_y", SHEAR_Y)):
        shear_B = cfg.shear * _spread(draws_BR[:, column])
        affine_B23 = compose(affine_B23, matrix(name, shear_B, view.image_px))
    return make_params(affine_B23, sizes_B2, view)


def photometric(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; change colours twice as much as ``standard``.

    One in ten is grey, one in five blurred.

    Reference:
        Chen et al. 2020, https://arxiv.org/abs/2002.05709, appendix A (milder here).
    """
    colour_B3 = 1 + 2 * (_colour(draws_BR, cfg) - 1)
    colour_B3[:, 2] *= draws_BR[:, GREY] >= 0.1
    blurs_B = draws_BR[:, BLUR] < 0.2
    sigma_B = 0.1 + draws_BR[:, BLUR_SIGMA] * (cfg.blur_sigma_max - 0.1)
    return make_params(
        _cropped(draws_BR, sizes_B2, cfg, view),
        sizes_B2,
        view,
        colour_B3=np.maximum(colour_B3, 0, dtype=np.float32),
        **_slots([(blurs_B, "blur", sigma_B)]),
    )


def degrade(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; then, each with a chance of ``degrade_prob``, spoil the photo.

    Blur, then Gaussian noise, then JPEG artefacts: what cheap cameras and web sites do.

    Reference:
        Hendrycks and Dietterich 2019, https://arxiv.org/abs/1903.12261 (the kinds of damage).
    """
    prob = cfg.degrade_prob
    spoils = [
        ("blur", BLUR, 0.3 + draws_BR[:, BLUR_SIGMA] * (cfg.blur_sigma_max - 0.3)),
        ("noise", NOISE, 2 + draws_BR[:, NOISE_LEVEL] * (cfg.noise_max - 2)),
        ("jpeg", JPEG, np.rint(95 - draws_BR[:, JPEG_QUALITY] * (95 - cfg.jpeg_quality_min))),
    ]
    window_B2 = np.floor(draws_BR[:, [NOISE_X, NOISE_Y]] * (PLATE_SPARE_PX + 1))
    return make_params(
        _cropped(draws_BR, sizes_B2, cfg, view),
        sizes_B2,
        view,
        noise_B2=window_B2.astype(np.int64),
        **_slots([(draws_BR[:, column] < prob, name, m_B) for name, column, m_B in spoils]),
    )


def erase(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; fill a rectangle with the fill colour, ``erase_prob`` often.

    It has 2 to 33 % of the square's area and an aspect of 0.3 to 3.3, log-uniform; what does not
    fit is cut to the square.

    Reference:
        Zhong et al. 2017, https://arxiv.org/abs/1708.04896, algorithm 1 (filled with the mean).
    """
    erase_B4 = filled_rectangles(draws_BR, cfg, view)
    return make_params(_cropped(draws_BR, sizes_B2, cfg, view), sizes_B2, view, erase_B4=erase_B4)


def filled_rectangles(draws_BR: NDArray[np.float64], cfg: Augment, view: View) -> NDArray[np.int64]:
    """Return rectangles to fill; all zero where nothing is."""
    side = view.image_px
    area_B = (0.02 + draws_BR[:, ERASE_AREA] * (0.33 - 0.02)) * side**2
    root_B = np.exp(_spread(draws_BR[:, ERASE_ASPECT]) * np.log(ERASE_ASPECT_MAX) / 2)
    size_B2 = np.stack([root_B, 1 / root_B], axis=1) * np.sqrt(area_B)[:, None]
    size_B2 = np.rint(size_B2).clip(1, side)
    corner_B2 = np.floor(draws_BR[:, [ERASE_LEFT, ERASE_TOP]] * (side - size_B2 + 1))
    erase_B4 = np.concatenate([corner_B2, size_B2], axis=1).astype(np.int64)
    erase_B4[draws_BR[:, ERASE] >= cfg.erase_prob] = 0
    return erase_B4


def rand(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; then ``num_ops`` random ops of one ``magnitude``.

    Reference:
        Cubuk et al. 2020, https://arxiv.org/abs/1909.13719, figure 2; ranges in ``ops``. Differs:
        ops on the photo's own histogram are left out, ops that move pixels come first.
    """
    share = cfg.magnitude / (NUM_STRENGTHS - 1)
    listed = LISTED_OPS["rand"]
    return _op_list(draws_BR, sizes_B2, cfg, view, listed=listed, num_ops=cfg.num_ops, share=share)


def trivial(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> Params:
    """Crop and mirror as ``simple``; then one random op of a random strength.

    Reference:
        Mueller and Hutter 2021, https://arxiv.org/abs/2103.10158, algorithm 1; ranges in ``ops``.
        Differs as ``rand`` does.
    """
    return _op_list(draws_BR, sizes_B2, cfg, view, listed=LISTED_OPS["trivial"], num_ops=1)


def _op_list(
    draws_BR: NDArray[np.float64],
    sizes_B2: NDArray[np.int64],
    cfg: Augment,
    view: View,
    *,
    listed: tuple[Op, ...],
    num_ops: int,
    share: float | None = None,
) -> Params:
    """Draw ops from a list; a ``share`` of ``None`` draws the strength too."""
    affine_B23 = _cropped(draws_BR, sizes_B2, cfg, view)
    slots = []
    for column in OP_COLUMNS[:num_ops]:
        chosen_B = np.floor(draws_BR[:, column] * len(listed)).astype(np.int64)
        drawn_B = np.floor(draws_BR[:, column + 1] * NUM_STRENGTHS) / (NUM_STRENGTHS - 1)
        share_B = drawn_B if share is None else np.full(len(draws_BR), share)
        turns_B = draws_BR[:, column + 2] < 0.5
        ops_B = np.zeros(len(draws_BR), dtype=np.int64)
        magnitudes_B = np.zeros(len(draws_BR), dtype=np.float32)
        for number, op in enumerate(listed):
            is_it_B = chosen_B == number
            magnitude_B = strength(op, share_B, turns_B)
            if op.is_geometric:
                moved_B23 = compose(affine_B23, matrix(op.name, magnitude_B, view.image_px))
                affine_B23 = np.where(is_it_B[:, None, None], moved_B23, affine_B23)
            else:
                ops_B[is_it_B] = SLOT_OPS.index(op.name)
                magnitudes_B[is_it_B] = magnitude_B[is_it_B]
        slots.append((ops_B, magnitudes_B))
    return make_params(
        affine_B23,
        sizes_B2,
        view,
        ops_BS=np.stack([ops_B for ops_B, _ in slots], axis=1),
        magnitudes_BS=np.stack([magnitudes_B for _, magnitudes_B in slots], axis=1),
    )


def _slots(
    parts: list[tuple[NDArray[np.bool_], str, NDArray[np.float64]]],
) -> dict[str, NDArray[Any]]:
    """Return slots, each of one op where its mask says so."""
    ops = [np.where(is_on_B, SLOT_OPS.index(name), 0) for is_on_B, name, _ in parts]
    magnitudes = [np.where(is_on_B, m_B, 0).astype(np.float32) for is_on_B, _, m_B in parts]
    return {"ops_BS": np.stack(ops, axis=1), "magnitudes_BS": np.stack(magnitudes, axis=1)}


def _cropped(
    draws_BR: NDArray[np.float64], sizes_B2: NDArray[np.int64], cfg: Augment, view: View
) -> NDArray[np.float64]:
    """Return affines of random regions of what the plain view shows, every other one mirrored.

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
    side = view.image_px
    straight_B23 = snapped(axis_aligned(region_B2 / side, corner_B2), sizes_B2, side)
    return mirrored(straight_B23, draws_BR[:, FLIP] < 0.5, side)


def _rotate_and_shift(
    draws_BR: NDArray[np.float64], cfg: Augment, view: View
) -> NDArray[np.float64]:
    """Return affines from output to output: about the centre, then aside."""
    turned_B23 = matrix("rotate", cfg.rotate_degrees * _spread(draws_BR[:, ROTATE]), view.image_px)
    shift_B2 = cfg.shift * view.image_px * _spread(draws_BR[:, [SHIFT_X, SHIFT_Y]])
    turned_B23[:, :, 2] += shift_B2
    return turned_B23


def _colour(draws_BR: NDArray[np.float64], cfg: Augment) -> NDArray[np.float32]:
    """Return factors of brightness, contrast and saturation."""
    widths_3 = np.array([cfg.brightness, cfg.contrast, cfg.saturation])
    drawn_B3 = _spread(draws_BR[:, [BRIGHTNESS, CONTRAST, SATURATION]])
    return (1 + widths_3 * drawn_B3).astype(np.float32)


def _spread(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map [0, 1) to [-1, 1)."""
    return 2 * draws - 1
