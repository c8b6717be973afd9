"""Figures of a study: what each arm changes, class by class, and at what cost.

Axes: A arms, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from carscale.report.page.theme import Hover, Theme, shorten, tidy
from carscale.verdicts.text import points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from carscale.report.study.rows import Effect


MAX_NAMED = 40
"""More classes stand side by side without their names."""
MAX_WRITTEN = 160
"""More cells have no number in them."""
WORDS = {
    "helps": ("green", "^", True),
    "hurts": ("bad", "v", True),
    "no difference": ("blue", "o", True),
    "inconclusive": ("muted", "o", False),
}
"""Colour, marker and whether it is filled, so that colour alone says nothing."""
PLACES = tuple((side, lift) for lift in (0, 13, -13, 26, -26, 39, -39) for side in (1, -1))
"""Where a name may stand beside its point, the best first: side, and points of height."""


@dataclass(frozen=True)
class Cost:
    """What an arm costs in training; the baseline has no effect."""

    arm: str
    train_s: float
    effect: Effect | None

    @property
    def difference(self) -> float:
        """Return the difference from the baseline, as a share."""
        return self.effect.value if self.effect else 0.0


def draw_forest(theme: Theme, effects: Sequence[Effect], *, margin: float) -> Figure:
    """Draw each arm's difference with its interval, the best on top; faint dots are seeds.

    Args:
        theme: Colours.
        effects: The best first.
        margin: Half the width of the band that counts as no difference, as a share.
    """
    figure = Figure(figsize=(7.8, 1.35 + 0.46 * len(effects)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-100 * margin, 100 * margin, color=theme.calm, alpha=0.55, linewidth=0)
    axes.axvline(0, color=theme.ink, linewidth=1.1)
    upwards = effects[::-1]
    for place, one in enumerate(upwards):
        colour = getattr(theme, WORDS[one.word][0])
        x_S = 100 * np.array(one.per_seed)
        axes.plot(x_S, np.full(len(x_S), place - 0.26), ".", color=theme.muted, markersize=5)
        axes.hlines(place, 100 * one.low, 100 * one.high, color=colour, linewidth=2.4)
        _mark(axes, theme, 100 * one.value, place, one.word)
    axes.set_yticks(range(len(effects)), [shorten(one.arm, 30) for one in upwards])
    axes.set_ylim(-0.7, len(effects) - 0.3)
    tidy(axes, x="points against the baseline")
    axes.grid(False, axis="y")
    axes.tick_params(axis="y", labelsize=10.5, labelcolor=theme.ink)
    axes.xaxis.set_major_locator(MaxNLocator(9, steps=[1, 2, 5, 10]))
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(effects)), [f"{points(one.value)}  {one.word}" for one in upwards])
    right.tick_params(length=0, labelsize=10, labelcolor=theme.ink)
    for side in (*axes.spines.values(), *right.spines.values()):
        side.set_visible(False)
    return figure


def _mark(axes: Axes, theme: Theme, x: float, y: float, word: str) -> None:
    """Draw the marker of a verdict."""
    name, marker, is_filled = WORDS[word]
    colour = getattr(theme, name)
    axes.plot(
        x,
        y,
        marker,
        markersize=9,
        color=colour,
        markeredgewidth=2,
        markerfacecolor=colour if is_filled else theme.paper,
    )


def draw_heat(
    theme: Theme,
    changes_AK: NDArray[np.float64],
    stands_out_AK: NDArray[np.bool_],
    arms: Sequence[str],
    classes: Sequence[str],
    *,
    order: str,
) -> Figure:
    """Draw each arm's change of each class's recall; what stands out is marked with a dot.

    Few classes stand below one another with their names, many side by side without.

    Args:
        theme: Colours.
        changes_AK: As shares; NaN where a class has no photo.
        stands_out_AK: Where the interval excludes 0.
        arms: Names, in the order of the figure.
        classes: Likewise.
        order: What their order is, in words.
    """
    is_tall = len(classes) <= MAX_NAMED
    size = _tall_size(arms, classes) if is_tall else (11.0, 1.9 + 0.42 * len(arms))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    grid = 100 * (changes_AK.T if is_tall else changes_AK)
    dots = stands_out_AK.T if is_tall else stands_out_AK
    most = max(5.0, float(np.nanmax(np.abs(grid), initial=0)))
    scale = LinearSegmentedColormap.from_list("change", [theme.orange, theme.paper, theme.blue])
    norm = Normalize(-most, most)
    axes.imshow(grid, cmap=scale, norm=norm, aspect="auto", interpolation="none")
    if is_tall and grid.size <= MAX_WRITTEN:
        _write_numbers(axes, grid, dots, (theme, norm))
    else:
        down, across = np.nonzero(dots)
        axes.plot(across, down, ".", color=theme.ink, markersize=3.2)
    _label(axes, arms, classes, order, is_tall=is_tall)
    axes.tick_params(length=0, labelcolor=theme.ink)
    axes.set_xticks(np.arange(1, grid.shape[1]) - 0.5 if is_tall else [], minor=True)
    axes.set_yticks(np.arange(1, grid.shape[0]) - 0.5, minor=True)
    axes.grid(True, which="minor", color=theme.grid, linewidth=0.8)
    axes.tick_params(which="minor", length=0)
    bar = figure.colorbar(
        ScalarMappable(norm, scale), ax=axes, location="bottom" if is_tall else "right",
        shrink=0.8 if is_tall else 1.0, aspect=26 if is_tall else 8, pad=0.02,
    )  # fmt: skip
    bar.set_label("points of recall")
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: points(value / 100, digits=0)))
    return figure


def hover_of_cells(
    changes_AK: NDArray[np.float64], arms: Sequence[str], classes: Sequence[str]
) -> Hover:
    """Return the places of the heat map's cells in its coordinates, and their words."""
    is_tall = len(classes) <= MAX_NAMED
    cells = np.argwhere(np.isfinite(changes_AK))
    across, down = (cells if is_tall else cells[:, ::-1]).T.tolist()
    words = [
        f"{classes[label]}, {arms[arm]}: {points(changes_AK[arm, label])} points"
        for arm, label in cells
    ]
    return across, down, words


def _tall_size(arms: Sequence[str], classes: Sequence[str]) -> tuple[float, float]:
    """Return inches for a figure with a row a class."""
    names = max(len(shorten(name, 34)) for name in classes)
    width = 1.1 + 0.075 * names + 0.85 * len(arms)
    return float(np.clip(width, 4.6, 11.0)), 2.3 + 0.3 * len(classes)


def _write_numbers(
    axes: Axes,
    grid: NDArray[np.float64],
    dots: NDArray[np.bool_],
    look: tuple[Theme, Normalize],
) -> None:
    """Write points into cells, bold with a dot where they stand out."""
    theme, norm = look
    for row, column in np.argwhere(np.isfinite(grid)).tolist():
        strong = abs(float(norm(grid[row, column])) - 0.5) > 0.36
        is_out = bool(dots[row, column])
        axes.text(
            column,
            row,
            f"{points(grid[row, column] / 100, digits=0)}{' •' if is_out else ''}",
            ha="center",
            va="center",
            fontsize=9,
            fontweight="bold" if is_out else "normal",
            color=theme.paper if strong else theme.ink,
        )


def _label(
    axes: Axes, arms: Sequence[str], classes: Sequence[str], order: str, *, is_tall: bool
) -> None:
    """Write the names along the axes."""
    if not is_tall:
        axes.set_yticks(range(len(arms)), [shorten(name, 26) for name in arms])
        axes.set_xticks([])
        axes.set_xlabel(f"{len(classes)} classes, {order}")
        return
    axes.set_yticks(range(len(classes)), [shorten(name, 34) for name in classes])
    axes.set_xticks(range(len(arms)), [shorten(name, 22) for name in arms])
    axes.xaxis.tick_top()
    for label in axes.get_xticklabels():
        label.set(rotation=28, ha="left", rotation_mode="anchor")


def draw_costs(theme: Theme, costs: Sequence[Cost], *, metric: str) -> Figure:
    """Draw each arm's difference against its training time; the baseline is the diamond at 0.

    Args:
        theme: Colours.
        costs: Of the arms.
        metric: Its name, for the axis.
    """
    figure = Figure(figsize=(8.2, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color=theme.ink, linewidth=1.1)
    unit, name = (60.0, "minutes") if max(one.train_s for one in costs) >= 120 else (1.0, "s")
    for one in costs:
        x, y, effect = one.train_s / unit, 100 * one.difference, one.effect
        if effect is None:
            axes.plot(x, y, "D", color=theme.ink, markersize=8)
            continue
        colour = getattr(theme, WORDS[effect.word][0])
        axes.vlines(x, 100 * effect.low, 100 * effect.high, color=colour, linewidth=1.6, alpha=0.7)
        _mark(axes, theme, x, y, effect.word)
    tidy(axes, x=f"training time of a run, {name}", y=f"points of {metric}")
    axes.margins(x=0.14, y=0.08)
    _name_points(axes, theme, costs, unit)
    return figure


def _name_points(axes: Axes, theme: Theme, costs: Sequence[Cost], unit: float) -> None:
    """Write arm names beside their points, above or below where two would meet."""
    axes.get_figure(root=True).draw_without_rendering()  # type: ignore[union-attr] # the layout
    px = axes.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    left, right = axes.get_window_extent().intervalx
    zero = axes.transData.transform((0, 0))[1]
    spots = {
        one.arm: axes.transData.transform((one.train_s / unit, 100 * one.difference))
        for one in costs
    }
    taken = [(x - 5 * px, x + 5 * px, y) for x, y in spots.values()]
    for one in sorted(costs, key=lambda one: one.train_s):
        x, y = spots[one.arm]
        text = shorten(one.arm, 24)
        width = 5.6 * px * len(text)
        for side, lift in PLACES:
            start = x + 9 * px if side > 0 else x - 9 * px - width
            level = y + lift * px
            hits = any(
                start < v and u < start + width and abs(level - w) < 12 * px for u, v, w in taken
            )
            is_struck = abs(level - zero) < 7 * px
            if hits or is_struck or start < left or start + width > right:
                continue
            taken.append((start, start + width, level))
            axes.annotate(
                text, (one.train_s / unit, 100 * one.difference), xytext=(9 * side, lift),
                textcoords="offset points", va="center", ha="left" if side > 0 else "right",
                fontsize=9.5, color=theme.ink,
            )  # fmt: skip
            break
