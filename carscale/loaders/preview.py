"""A picture of what a policy does. B samples, D draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch import from_numpy

from carscale import augment, images
from carscale.loaders.build import paste_stream
from carscale.loaders.mixing import mixed
from carscale.loaders.reading import read, unreadable
from carscale.loaders.rendering import render

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale import config
    from carscale.types import Split, View


GAP_PX = 6


def preview_grid(
    split: Split, cfg: config.Augment, view: View, *, num_photos: int, num_draws: int, seed: int
) -> bytes:
    """Return a PNG: a row a photo, its evaluation view first, then draws of the policy.

    The draws are the renderer's own, at stream positions 0, 1, 2 ...; a policy that mixes pairs
    takes the photo of the next row for partner.
    """
    rng = augment.generator(seed, "preview")
    num_rows = min(num_photos, len(split))
    rows = rng.choice(len(split), size=num_rows, replace=False)
    side, pitch = view.image_px, view.image_px + GAP_PX
    shape = (num_rows * pitch + GAP_PX, (num_draws + 1) * pitch + 2 * GAP_PX, 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for line, row in enumerate(rows):
        partner = int(rows[(line + 1) % num_rows])
        views = [eval_view(split, int(row), view)]
        views += _draws(
            split, (int(row), partner), augment.policy(cfg, view), (seed, line, num_draws)
        )
        top = GAP_PX + line * pitch
        for column, pixels in enumerate(views):
            left = GAP_PX + column * pitch + (GAP_PX if column else 0)
            sheet[top : top + side, left : left + side] = pixels
    return images.encode_png(sheet)


def eval_view(split: Split, row: int, view: View) -> NDArray[np.uint8]:
    """Return a photo as it is evaluated, uint8 ``[H, W, 3]``.

    Args:
        split: Where the photo is.
        row: Index in it.
        view: How a photo becomes an input.

    Raises:
        LoaderError: The photo can't be read; names it.
    """
    params = augment.plain(split.sizes_N2[row : row + 1], view)
    try:
        return render(read(split, row), params, 0, view)
    except (OSError, images.BadPhotoError) as error:
        raise unreadable(split, row, error) from error


def _draws(
    split: Split, pair: tuple[int, int], policy: augment.Policy, at: tuple[int, int, int]
) -> list[NDArray[np.uint8]]:
    """Return draws of the first photo of a pair: ``at`` is the seed, the line, the number."""
    seed, line, num = at
    first = line * num
    probe = policy(seed, 0, 1, split.sizes_N2[:1])
    if probe.swap_B4 is None:
        return _rendered(split, [pair[0]] * num, policy, seed, first)[0]
    if policy.has_paste_stream:
        rows = paste_stream(split, policy, seed).rows(first, first + num)
        own, params = _rendered(split, [pair[0]] * num, policy, seed, first)
        places = first + np.arange(num)
        more = policy.pasted_params(seed, places, split.sizes_N2[rows])
        pixels = own + _pixels(split, rows.tolist(), more, policy.view)
        params, chosen = params.joined(more), num + np.arange(num)
    else:
        pixels, params = _rendered(split, [*pair] * num, policy, seed, 2 * first)
        chosen = augment.partners(2 * num)
    images_BCHW = from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    shown = list(mixed(images_BCHW, params, chosen).permute(0, 2, 3, 1).numpy())
    return shown if policy.has_paste_stream else shown[::2]


def _rendered(
    split: Split, rows: list[int], policy: augment.Policy, seed: int, first: int
) -> tuple[list[NDArray[np.uint8]], augment.Params]:
    """Return photos at stream positions from ``first`` on, and their parameters."""
    params = policy(seed, first, first + len(rows), split.sizes_N2[rows])
    return _pixels(split, rows, params, policy.view), params


def _pixels(
    split: Split, rows: list[int], params: augment.Params, view: View
) -> list[NDArray[np.uint8]]:
    """Return photos, rendered."""
    content = {row: read(split, row) for row in set(rows)}
    return [render(content[row], params, index, view) for index, row in enumerate(rows)]
