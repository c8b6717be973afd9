"""Figures of a data set: numbers in, a matplotlib figure out; no pyplot.

Axes: N photos.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)

from carscale.report.page.class_bars import COLOURS
from carscale.report.page.theme import Theme, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray


NUM_BINS = 40
MOST_TIMES = 4
"""Taller bars than so many times the lower peak are cut, and say how tall they are."""


def draw_histogram(
    theme: Theme,
    groups: Sequence[tuple[str, NDArray[np.float32]]],
    *,
    title: str,
    x: str,
    is_log: bool = False,
) -> Figure:
    """Draw which share of each group's photos has which value.

    Args:
        theme: Colours.
        groups: A name and the values of its photos, finite; the first is filled.
        title: What is measured.
        x: Its unit.
        is_log: Whether equal steps are equal ratios.
    """
    figure = Figure(figsize=(4.8, 3.0), layout="constrained")
    axes = figure.subplots()
    edges = _edges([values for _, values in groups], is_log=is_log)
    peaks = []
    for number, (name, values_N) in enumerate(groups):
        colour = getattr(theme, COLOURS[number % len(COLOURS)])
        counts, _ = np.histogram(np.clip(values_N, edges[0], edges[-1]), edges)
        shares = counts / max(1, len(values_N))
        peaks.append((shares.max(), 0.5 * (edges[shares.argmax()] + edges[shares.argmax() + 1])))
        if number == 0:
            axes.stairs(shares, edges, fill=True, color=colour, alpha=0.35)
        axes.stairs(shares, edges, color=colour, linewidth=1.8, label=name)
    tidy(axes, title=title, x=x)
    if is_log:
        _log_ticks(axes, edges)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    top = min(max(peak for peak, _ in peaks), MOST_TIMES * min(peak for peak, _ in peaks))
    axes.set_ylim(0, 1.1 * top)
    for peak, place in peaks:
        if peak > top:
            axes.annotate(
                f"\N{UPWARDS ARROW} {peak:.0%}",
                (place, 1.02 * top),
                xytext=(6, 0),
                textcoords="offset points",
                fontsize=9,
                color=theme.ink,
            )
    if len(groups) > 1:
        figure.legend(loc="outside lower left", ncols=2, fontsize=9)
    return figure


def _edges(parts: Sequence[NDArray[np.float32]], *, is_log: bool) -> NDArray[np.float64]:
    """Return the bounds of bins between the 0.2 and 99.8 % quantiles; the ends hold the rest."""
    low, high = np.quantile(np.concatenate(parts).astype(np.float64), [0.002, 0.998])
    if is_log:
        low, high = max(low, 1e-6), max(high, 1e-6)
        spread = max(np.log(high / low), 0.2)
        centre = 0.5 * (np.log(low) + np.log(high))
        return np.exp(np.linspace(centre - spread / 2, centre + spread / 2, NUM_BINS + 1))
    spread = max(high - low, 1e-3 * max(1.0, abs(high)))
    centre = (low + high) / 2
    return np.linspace(centre - spread / 2, centre + spread / 2, NUM_BINS + 1)


def _log_ticks(axes: Axes, edges: NDArray[np.float64]) -> None:
    """Put a few round numbers on a logarithmic axis."""
    axes.set_xscale("log")
    digits = (1, 2, 5) if edges[-1] > 20 * edges[0] else (1, 1.5, 2, 3, 5, 7)
    steps = [digit * 10.0**power for power in range(-3, 6) for digit in digits]
    inside = [value for value in steps if edges[0] <= value <= edges[-1]]
    axes.xaxis.set_major_locator(FixedLocator(inside or [float(edges[0]), float(edges[-1])]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
