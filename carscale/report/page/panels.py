"""Photos side by side, some under a heat map, as one PNG. H height, W width."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from numpy.typing import NDArray


SIDE_IN = 2.3
DOTS_PER_INCH = 110
WORDS_WIDTH = 27


def draw_panels(panels: Sequence[tuple[str, NDArray[Any], NDArray[Any] | None]]) -> bytes:
    """Return a PNG of photos with words above them.

    Args:
        panels: Words, photo uint8 ``[H, W, 3]`` and, where there is one, heat float ``[H, W]`` in
            [0, 1] to lay over it.
    """
    figure = Figure(figsize=(SIDE_IN * len(panels), SIDE_IN + 0.62), layout="constrained")
    for axes, (words, pixels_HWC, heat_HW) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        axes.imshow(pixels_HWC)
        if heat_HW is not None:
            axes.imshow(heat_HW, cmap="inferno", alpha=0.15 + 0.55 * heat_HW, vmin=0, vmax=1)
        title = textwrap.fill(words, WORDS_WIDTH, max_lines=3, placeholder=" …")
        axes.set_title(title, fontsize=8.5, parse_math=False)
        axes.set_axis_off()
    sink = io.BytesIO()
    figure.savefig(sink, format="png", dpi=DOTS_PER_INCH)
    return sink.getvalue()
