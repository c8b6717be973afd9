"""The photos of each class as bars. K classes, S splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from carscale.report.page.theme import Theme, shorten, tidy

if TYPE_CHECKING:
    from numpy.typing import NDArray


MAX_NAMED = 40
MAX_BARS = 400
COLOURS = ("blue", "orange", "green", "muted", "bad")


def draw_class_bars(
    theme: Theme, names: Sequence[str], counts_SK: NDArray[np.int64], splits: Sequence[str]
) -> Figure:
    """Draw the photos of each class, splits on top of each other; of one split with its median.

    Args:
        theme: Colours.
        names: Of the classes, in the order of the figure.
        counts_SK: Photos.
        splits: Names.
    """
    is_named, is_single = len(names) <= MAX_NAMED, len(splits) == 1
    height = (4.6 if is_named else 3.2) + (0.0 if is_single else 0.2)
    figure = Figure(figsize=(9.6, height), layout="constrained")
    axes = figure.subplots()
    places_K, base_K = np.arange(len(names)), np.zeros(len(names))
    for split, counts_K, name in zip(splits, counts_SK, COLOURS, strict=False):
        style = {"color": getattr(theme, name), "alpha": 0.85, "label": split}
        if len(names) <= MAX_BARS:
            axes.bar(places_K, counts_K, 0.82, bottom=base_K, **style)
        else:  # thinner than a pixel: areas are smaller and look the same
            axes.fill_between(places_K, base_K, base_K + counts_K, linewidth=0, step="mid", **style)
        base_K = base_K + counts_K
    if is_single:
        median = float(np.median(counts_SK[0]))
        axes.axhline(median, color=theme.ink, linestyle=(0, (4, 3)), linewidth=1.1)
        place = (len(names) - 0.5, median)
        axes.text(*place, f"median {median:g}", ha="right", va="bottom", fontsize=9.5)
    else:
        axes.legend(loc="upper right", ncols=len(splits), fontsize=9.5)
    x = "" if is_named else f"{len(names):,} classes"
    tidy(axes, x=x, y=f"{splits[0]} photos" if is_single else "photos")
    axes.grid(False, axis="x")
    axes.set_xlim(-0.6, len(names) - 0.4)
    axes.set_ylim(0, max(1.0, 1.06 * base_K.max(initial=1)))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xticks([])
    if is_named:
        shown = [shorten(name, 26) for name in names]
        axes.set_xticks(
            places_K, shown, rotation=50, ha="right", rotation_mode="anchor", fontsize=8.5
        )
    return figure
