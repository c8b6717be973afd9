"""Mixing two photos: which pairs, how much, where. B samples.

Chosen: partners are rows 2k and 2k + 1 of a batch, and give each other the same share: the weight
of a batch's labels stays what it was, and cuts between ranks never part them. Rejected: a random
partner in the batch: another world size would mix other photos.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.config import Augment
    from carscale.types import View


SHRUNK = (0.1, 0.8)
"""Side of a shrunk partner, as a share of the square's."""


def partners(num_samples: int) -> NDArray[np.int64]:
    """Return each row's partner; a last lone row is its own.

    Example:
        >>> partners(5).tolist()
        [1, 0, 3, 2, 4]
    """
    rows_B = np.arange(num_samples)
    return np.where(rows_B ^ 1 < num_samples, rows_B ^ 1, rows_B)


def mixed_pairs(
    draws_B5: NDArray[np.float64], cfg: Augment, view: View, *, cut_prob: float
) -> dict[str, Any]:
    """Return ``own_share_B`` and ``swap_B4`` of ``Params``.

    Args:
        draws_B5: Random numbers in [0, 1): whether to mix, which kind, how much, where. A pair
            takes those of its first row.
        cfg: ``mix_prob``, ``mixup_alpha``, ``cutmix_alpha``.
        view: Side of the square.
        cut_prob: Share of the pairs that swap a rectangle; the others are blended.
    """
    pair_B5, mixes_B = _of_pairs(draws_B5, cfg)
    cuts_B = mixes_B & (pair_B5[:, 1] < cut_prob)
    swap_B4 = rectangles(pair_B5[:, 2:], cfg.cutmix_alpha, view.image_px)
    swap_B4[~cuts_B] = 0
    blended_B = stats.beta_quantile(pair_B5[:, 2], cfg.mixup_alpha)
    own_share_B = np.where(mixes_B & ~cuts_B, blended_B, kept_share(swap_B4, view.image_px))
    return {"own_share_B": own_share_B.astype(np.float32), "swap_B4": swap_B4}


def shrunk_pairs(draws_B5: NDArray[np.float64], cfg: Augment, view: View) -> dict[str, Any]:
    """Return ``own_share_B``, ``swap_B4`` and ``source_B4``: the whole partner, shrunk, somewhere.

    Its side is ``SHRUNK`` of the square's, uniform; the pair takes the numbers of its first row.
    """
    side = view.image_px
    pair_B5, mixes_B = _of_pairs(draws_B5, cfg)
    low, high = SHRUNK
    size_B1 = np.rint(side * (low + pair_B5[:, 2:3] * (high - low))).clip(1, side)
    corner_B2 = np.floor(pair_B5[:, 3:5] * (side - size_B1 + 1))
    swap_B4 = np.concatenate([corner_B2, size_B1, size_B1], axis=1).astype(np.int64)
    swap_B4[~mixes_B] = 0
    source_B4 = np.where(mixes_B[:, None], np.array([0, 0, side, side]), 0)
    own_share_B = kept_share(swap_B4, side).astype(np.float32)
    return {"own_share_B": own_share_B, "swap_B4": swap_B4, "source_B4": source_B4}


def exchanged_pairs(draws_B5: NDArray[np.float64], cfg: Augment, view: View) -> dict[str, Any]:
    """Return ``swap_B4`` and ``source_B4``: each photo's rectangle holds the partner's, stretched.

    Each row draws its own rectangle. What labels count is for the model to say. Nothing is mixed
    where one of both is empty.
    """
    _, mixes_B = _of_pairs(draws_B5, cfg)
    swap_B4 = rectangles(draws_B5[:, 2:], cfg.snapmix_alpha, view.image_px)
    source_B4 = swap_B4[partners(len(swap_B4))]
    is_empty_B = (swap_B4[:, 2:].prod(axis=1) == 0) | (source_B4[:, 2:].prod(axis=1) == 0)
    swap_B4[~mixes_B | is_empty_B] = 0
    source_B4[~mixes_B | is_empty_B] = 0
    return {"swap_B4": swap_B4, "source_B4": source_B4}


def own_rectangles(draws_B5: NDArray[np.float64], cfg: Augment, view: View) -> dict[str, Any]:
    """Return ``own_share_B`` and ``swap_B4`` of pictures that each get a partner of their own."""
    swap_B4 = rectangles(draws_B5[:, 2:], cfg.cutmix_alpha, view.image_px)
    swap_B4[draws_B5[:, 0] >= cfg.mix_prob] = 0
    own_share_B = kept_share(swap_B4, view.image_px).astype(np.float32)
    return {"own_share_B": own_share_B, "swap_B4": swap_B4}


def rectangles(draws_B3: NDArray[np.float64], alpha: float, side: int) -> NDArray[np.int64]:
    """Return rectangles of the square's aspect, cut to the square: left, top, width, height.

    Args:
        draws_B3: How much, and where the centre lies; in [0, 1).
        alpha: The area is a share of the square's drawn from Beta(alpha, alpha).
        side: Of the square.
    """
    area_B = 1 - stats.beta_quantile(draws_B3[:, 0], alpha)
    half_B1 = side * np.sqrt(area_B)[:, None] / 2
    centre_B2 = side * draws_B3[:, 1:3]
    low_B2 = np.floor(centre_B2 - half_B1).clip(0, side)
    high_B2 = np.floor(centre_B2 + half_B1).clip(0, side)
    return np.concatenate([low_B2, high_B2 - low_B2], axis=1).astype(np.int64)


def kept_share(swap_B4: NDArray[np.int64], side: int) -> NDArray[np.float64]:
    """Return the share of the square that lies outside of each rectangle."""
    return np.asarray(1 - swap_B4[:, 2] * swap_B4[:, 3] / side**2)


def _of_pairs(
    draws_B5: NDArray[np.float64], cfg: Augment
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the numbers of each pair's first row, and whether the pair is mixed."""
    rows_B = np.arange(len(draws_B5))
    pair_B5 = draws_B5[rows_B & ~1]
    return pair_B5, (pair_B5[:, 0] < cfg.mix_prob) & (partners(len(rows_B)) != rows_B)
