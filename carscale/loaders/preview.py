"""A picture of what a policy does. B samples, D draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carscale import augment, images
from carscale.loaders.reading import read
from carscale.loaders.rendering import render

if TYPE_CHECKING:
    from carscale import config
    from carscale.types import Split, View

__all__ = ["preview_grid"]

GAP_PX = 6


def preview_grid(
    split: Split, cfg: config.Augment, view: View, *, num_photos: int, num_draws: int, seed: int
) -> bytes:
    """Return a PNG: a row a photo, its plain view first, then draws of the policy.

    The draws are the renderer's own, at stream positions 0, 1, 2 ...
    """
    rng = augment.generator(seed, "preview")
    num_rows = min(num_photos, len(split))
    rows = rng.choice(len(split), size=num_rows, replace=False)
    side, pitch = view.image_px, view.image_px + GAP_PX
    shape = (num_rows * pitch + GAP_PX, (num_draws + 1) * pitch + 2 * GAP_PX, 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for line, row in enumerate(rows):
        data = read(split, int(row))
        sizes_B2 = np.repeat(split.sizes_N2[row : row + 1], num_draws, axis=0)
        first = line * num_draws
        drawn = augment.policy(cfg, view)(seed, first, first + num_draws, sizes_B2)
        views = [render(data, augment.plain(sizes_B2[:1], view), 0, view)]
        views += [render(data, drawn, draw, view) for draw in range(num_draws)]
        top = GAP_PX + line * pitch
        for column, pixels in enumerate(views):
            left = GAP_PX + column * pitch + (GAP_PX if column else 0)
            sheet[top : top + side, left : left + side] = pixels
    return images.encode_png(sheet)
