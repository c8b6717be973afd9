"""What a backend is told: dense arrays, one row a sample. B samples, S op slots."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.augment.geometry import Geometry, axis_aligned, planned, straight
from carscale.types import View

if TYPE_CHECKING:
    from numpy.typing import NDArray


PLATE_SPARE_PX = 256
"""The noise plate is this much larger than the square each way; a sample shows a window of it."""

CROP_RATIO_MAX = 8
"""Of longer photos ``crop`` shrinks the middle alone: a panorama would fill the memory."""


@dataclass(frozen=True, eq=False)
class Params:
    """What to render, one row a sample. Backends apply the parts in this order.

    Attributes:
        affine_B23: Output to source, float64.
        sizes_B2: Width and height of the photos, int64.
        geometry: How to render the affine.
        colour_B3: Brightness b, contrast c, saturation s, float32: ``b * (c * (x - 128) + 128)`` of
            a pixel whose distance from its BT.601 grey was multiplied by s; ``None`` where colours
            stay.
        ops_BS: Slots, numbers of ``SLOT_OPS``, int64; ``None`` without slots.
        magnitudes_BS: Their magnitudes, float32.
        noise_B2: Left and top of the window of the noise plate, int64; ``None`` without noise.
        erase_B4: Left, top, width, height of a square part to fill, int64; ``None`` without.
        own_share_B: How much of its own photo a picture shows once it is mixed with its partner's
            (of rows 2k and 2k + 1 each other's, unless the loader names another), float32 in
            [0, 1]; ``None`` without mixing, or where the model says it.
        swap_B4: Left, top, width, height of the part that comes from the partner, int64; where it
            is empty, pictures are blended. ``None`` without mixing.
        source_B4: The part of the partner that is stretched into it, int64; ``None``: the same.
    """

    affine_B23: NDArray[np.float64]
    sizes_B2: NDArray[np.int64]
    geometry: Geometry
    colour_B3: NDArray[np.float32] | None = None
    ops_BS: NDArray[np.int64] | None = None
    magnitudes_BS: NDArray[np.float32] | None = None
    noise_B2: NDArray[np.int64] | None = None
    erase_B4: NDArray[np.int64] | None = None
    own_share_B: NDArray[np.float32] | None = None
    swap_B4: NDArray[np.int64] | None = None
    source_B4: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.affine_B23)

    def rows(self, first: int, last: int) -> Params:
        """Return the parameters of samples ``first`` to ``last - 1``."""
        cut: dict[str, Any] = {"geometry": self.geometry.rows(first, last)}
        for name in {field.name for field in fields(self)} - {"geometry"}:
            part = getattr(self, name)
            cut[name] = None if part is None else part[first:last]
        return Params(**cut)

    def joined(self, more: Params) -> Params:
        """Return the parameters of these samples, then those of more samples of one policy."""
        parts: dict[str, Any] = {"geometry": self.geometry.joined(more.geometry)}
        for name in {field.name for field in fields(self)} - {"geometry"}:
            part = getattr(self, name)
            parts[name] = None if part is None else np.concatenate([part, getattr(more, name)])
        return Params(**parts)


def make_params(
    affine_B23: NDArray[np.float64],
    sizes_B2: NDArray[np.int64],
    view: View,
    **parts: Any,  # noqa: ANN401 - arrays
) -> Params:
    """Return parameters with their geometry planned."""
    return Params(affine_B23, sizes_B2, planned(affine_B23, sizes_B2, view.image_px), **parts)


def plain(sizes_B2: NDArray[np.int64], view: View) -> Params:
    """Return the parameters of the evaluation view: what timm and torchvision make of a photo.

    ``squash`` stretches the photo over the square; ``pad`` fits it inside, centred, on the fill
    colour; ``crop`` covers the square and cuts what sticks out. The photo is decoded whole, as by
    those who open an exported model.

    Example:
        >>> plain(np.array([[200, 100]]), View(image_px=50, fit="pad")).affine_B23[0].tolist()
        [[4.0, 0.0, 0.0], [0.0, 4.0, -48.0]]
    """
    side = view.image_px
    kept_B2 = sizes_B2
    if view.fit == "squash":
        shown_B2 = np.full_like(sizes_B2, side)
    elif view.fit == "pad":  # rounds as timm's ResizeKeepRatio
        ratio_B1 = sizes_B2.max(axis=1, keepdims=True) / side
        shown_B2 = np.maximum(1, np.rint(sizes_B2 / ratio_B1)).astype(np.int64)
    else:  # rounds as torchvision's Resize
        shorter_B1 = sizes_B2.min(axis=1, keepdims=True)
        kept_B2 = np.minimum(sizes_B2, CROP_RATIO_MAX * shorter_B1)
        shown_B2 = side * kept_B2 // shorter_B1
    free_B2 = side - shown_B2
    place_B2 = np.where(free_B2 < 0, np.rint(free_B2 / 2), free_B2 // 2).astype(np.int64)
    begin_B2 = (sizes_B2 - kept_B2) // 2
    scale_B2 = kept_B2 / shown_B2
    affine_B23 = axis_aligned(scale_B2, begin_B2 - place_B2 * scale_B2)
    return Params(affine_B23, sizes_B2, straight(begin_B2, kept_B2, shown_B2, place_B2))
