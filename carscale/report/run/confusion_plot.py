"""The confusion matrix as a figure that can be read with 2 classes and with 2,000.

Axes: K classes, G cells of the figure along one side (K, or fewer when classes are summed up).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, PowerNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from carscale.report.page.theme import Theme, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


MAX_LABELLED = 40  # more classes: the makes are written
MAX_COUNTED = 24  # more classes: no numbers in the cells
MAX_CELLS = 500  # more classes: several are summed up in one cell
MAX_MAKES = 52
LIGHT_CELL = 125  # of 255
MAX_SHIFT = 2.2  # label heights that a make's label may stand off its rows
Block = tuple[str, int, int]


def sum_blocks(confusion_KK: NDArray[np.int64], factor: int) -> NDArray[np.int64]:
    """Return the matrix with ``factor`` neighbours summed up along each side.

    Example:
        >>> sum_blocks(np.arange(9).reshape(3, 3), 2).tolist()
        [[8, 7], [13, 8]]
    """
    edges = np.arange(0, len(confusion_KK), factor)
    return np.add.reduceat(np.add.reduceat(confusion_KK, edges, axis=0), edges, axis=1)


def draw_confusion(
    theme: Theme, confusion_KK: NDArray[np.int64], names: Sequence[str], blocks: Sequence[Block]
) -> Figure:
    """Draw mistakes in colour and correct predictions in grey.

    Args:
        theme: Colours.
        confusion_KK: Counts in the order of the figure, true classes down.
        names: Class names in that order.
        blocks: Makes as ``(make, start, stop)``; empty when not known.
    """
    size = len(names)
    side = float(np.clip(0.33 * size + 3.2, 4.6, 11.0))
    figure = Figure(figsize=(side, side * 0.96), layout="constrained")
    axes = figure.subplots()
    factor = -(-size // MAX_CELLS)
    mistakes_KK = confusion_KK - np.diag(np.diag(confusion_KK))
    cells_GG4 = _paint(axes, theme, mistakes_KK, np.diag(confusion_KK), factor)
    if size <= MAX_COUNTED:
        _write_counts(axes, theme, confusion_KK, cells_GG4)
    if len(blocks) > 1:
        cuts = [start - 0.5 for _, start, _ in blocks[1:]]
        thin, strength = (0.9, 0.5) if size <= MAX_LABELLED else (0.5, 0.3)
        axes.hlines(cuts, -0.5, size - 0.5, color=theme.muted, linewidth=thin, alpha=strength)
        axes.vlines(cuts, -0.5, size - 0.5, color=theme.muted, linewidth=thin, alpha=strength)
    if size <= MAX_LABELLED:
        _label_classes(axes, names)
    else:
        _label_blocks(axes, theme, blocks or _sparse(names), side)
    figure.supylabel("true class", fontsize=11, color=theme.muted)
    figure.supxlabel("predicted class", fontsize=11, color=theme.muted)
    for spine in axes.spines.values():
        spine.set_visible(True)
    return figure


def _paint(
    axes: Axes,
    theme: Theme,
    mistakes_KK: NDArray[np.int64],
    right_K: NDArray[np.int64],
    factor: int,
) -> NDArray[np.uint8]:
    """Fill the cells, grey where correct, a heat scale for mistakes; return their colours."""
    size = len(right_K)
    counts_GG = sum_blocks(mistakes_KK, factor)
    most = int(counts_GG.max(initial=0))
    heat = LinearSegmentedColormap.from_list("mistakes", theme.heat)
    norm = PowerNorm(0.6, vmin=min(1, most), vmax=max(2, most))
    rgba_GG4 = heat(norm(np.maximum(counts_GG, 1)))
    rgba_GG4[counts_GG == 0] = (0, 0, 0, 0)
    diagonal = np.arange(len(counts_GG))
    is_right_G = np.add.reduceat(right_K, np.arange(0, size, factor)) > 0
    calm_G = diagonal[is_right_G & (counts_GG[diagonal, diagonal] == 0)]
    rgba_GG4[calm_G, calm_G] = to_rgba(theme.calm)
    cells_GG4 = (rgba_GG4 * 255).round().astype(np.uint8)
    stop = len(counts_GG) * factor - 0.5
    axes.imshow(cells_GG4, interpolation="none", extent=(-0.5, stop, stop, -0.5))
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)
    if most > 1:
        bar = axes.figure.colorbar(
            ScalarMappable(norm, heat), ax=axes, shrink=0.3, aspect=24, pad=0.01, anchor=(0, 0.98)
        )
        bar.locator = MaxNLocator(min(5, most), integer=True)
        bar.set_label("mistakes in a cell")
        bar.outline.set_visible(False)
        bar.ax.tick_params(length=0)
        bar.update_ticks()
    return cells_GG4


def _write_counts(
    axes: Axes, theme: Theme, confusion_KK: NDArray[np.int64], cells_KK4: NDArray[np.uint8]
) -> None:
    """Write the counts into the cells, dark on light colours and light on dark ones."""
    for row, col in np.argwhere(confusion_KK).tolist():
        count = int(confusion_KK[row, col])
        light = float(cells_KK4[row, col, :3] @ (0.299, 0.587, 0.114))
        colour = "#141a21" if light > LIGHT_CELL else "#ffffff"
        if row == col:
            colour = theme.muted
        axes.text(
            col, row, str(count), ha="center", va="center", fontsize=8.5 if count < 1000 else 7,
            color=colour,
        )  # fmt: skip


def _label_classes(axes: Axes, names: Sequence[str]) -> None:
    """Write every class at its row and column."""
    places = np.arange(len(names))
    labels = [shorten(name, 30) for name in names]
    axes.set_yticks(places, labels, fontsize=9)
    axes.set_xticks(places, labels, fontsize=9, rotation=90)
    axes.tick_params(length=0)


def _label_blocks(axes: Axes, theme: Theme, blocks: Sequence[Block], side_in: float) -> None:
    """Write the makes beside their rows and columns, moved apart where they are thin."""
    size = axes.get_xlim()[1] + 0.5
    gap = size / (side_in * 72 * 0.76) * 10
    blocks, middles, places = _choose(blocks, gap, size)
    axes.set_xticks([])
    axes.set_yticks([])
    far = 0.018 * size
    for (make, _, _), middle, place in zip(blocks, middles, places, strict=True):
        line: dict[str, Any] = {
            "color": theme.muted,
            "linewidth": 0.6,
            "alpha": 0.8,
            "clip_on": False,
        }
        axes.plot([-0.5, -far - 0.5], [middle, place], **line)
        axes.plot([middle, place], [size - 0.5, size - 0.5 + far], **line)
        word: dict[str, Any] = {"fontsize": 8, "color": theme.ink}
        text = shorten(make, 18)
        axes.text(-1.25 * far - 0.5, place, text, ha="right", va="center", **word)
        axes.text(place, size - 0.5 + 1.25 * far, text, ha="center", va="top", rotation=90, **word)
    axes.set_xlim(-0.5, size - 0.5)
    axes.set_ylim(size - 0.5, -0.5)


def _sparse(names: Sequence[str]) -> list[Block]:
    """Return some classes, evenly spread, where there is no room for all and no make known."""
    places = np.unique(np.linspace(0, len(names) - 1, 30).round().astype(int)).tolist()
    return [(names[place], place, place + 1) for place in places]


def _choose(
    blocks: Sequence[Block], gap: float, size: float
) -> tuple[list[Block], list[float], list[float]]:
    """Return the makes that get a label, their middles, the labels' places; none for thin ones."""
    big = sorted(blocks, key=lambda block: block[1] - block[2])[:MAX_MAKES]
    kept = sorted(big, key=lambda block: block[1])
    while True:
        middles = [(start + stop - 1) / 2 for _, start, stop in kept]
        places = _apart(middles, gap, size)
        far = [abs(place - middle) for place, middle in zip(places, middles, strict=True)]
        worst = int(np.argmax(far))
        if far[worst] <= MAX_SHIFT * gap:
            return kept, middles, places
        near = range(max(0, worst - 5), min(len(kept), worst + 6))
        del kept[min(near, key=lambda i: (kept[i][2] - kept[i][1], abs(i - worst)))]


def _apart(middles: Sequence[float], gap: float, size: float) -> list[float]:
    """Return places at least ``gap`` apart, moved as little as can be (least squares)."""
    groups: list[tuple[float, int]] = []  # mean of what is left after the gaps, members
    for i, middle in enumerate(middles):
        mean, members = middle - i * gap, 1
        while groups and groups[-1][0] > mean:
            other, more = groups.pop()
            mean, members = (mean * members + other * more) / (members + more), members + more
        groups.append((mean, members))
    eased = [mean for mean, members in groups for _ in range(members)]
    last = size - 0.5 - (len(middles) - 1) * gap
    return [max(0.0, min(place, last)) + i * gap for i, place in enumerate(eased)]
