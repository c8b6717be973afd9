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
) -> dict[str, NDArray[Any]]:
    """Return ``own_share_B`` and ``swap_B4`` of ``Params``.

    Args:
        draws_B5: Random numbers in [0, 1): whether to mix, which kind, how much, where. A pair
            takes those of its first row.
        cfg: ``mix_prob``, ``mixup_alpha``, ``cutmix_alpha``.
        view: Side of the square.
        cut_prob: Share of the pairs that swap a rectangle; the others are blended.
    """
    count, side = len(draws_B5), view.image_px
    is_lone_B = partners(count) == np.arange(count)
    pair_B5 = draws_B5[np.arange(count) & ~1]
    mixes_B = (pair_B5[:, 0] < cfg.mix_prob) & ~is_lone_B
    cuts_B = mixes_B & (pair_B5[:, 1] < cut_prob)
    blended_B = stats.beta_quantile(pair_B5[:, 2], cfg.mixup_alpha)
    area_B = 1 - stats.beta_quantile(pair_B5[:, 2], cfg.cutmix_alpha)
    half_B1 = side * np.sqrt(area_B)[:, None] / 2
    centre_B2 = side * pair_B5[:, 3:5]
    low_B2 = np.floor(centre_B2 - half_B1).clip(0, side)
    high_B2 = np.floor(centre_B2 + half_B1).clip(0, side)
    swap_B4 = np.concatenate([low_B2, high_B2 - low_B2], axis=1).astype(np.int64)
    swap_B4[~cuts_B] = 0
    kept_B = 1 - swap_B4[:, 2] * swap_B4[:, 3] / side**2
    own_share_B = np.where(cuts_B, kept_B, np.where(mixes_B, blended_B, 1.0))
    return {"own_share_B": own_share_B.astype(np.float32), "swap_B4": swap_B4}
