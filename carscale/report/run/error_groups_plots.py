"""Figures of an analysis: numbers in, a matplotlib figure out; no pyplot.

Axes: S steps, M samples of train.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from carscale.report.page.theme import Theme, shorten, tidy

if TYPE_CHECKING:
    from carscale.analysis.result import Calibration, Hardness


MAX_DOTS = 6000


def draw_coverage(theme: Theme, found: Calibration) -> Figure:
    """Draw accuracy against coverage, for selective prediction."""
    figure = Figure(figsize=(6.2, 4.2), layout="constrained")
    axes = figure.subplots()
    coverage_S, accuracy_S = np.asarray(found.coverage_S), np.asarray(found.accuracy_S)
    stride = max(1, len(coverage_S) // 2000)
    axes.plot(coverage_S[::stride], accuracy_S[::stride], color=theme.blue, linewidth=2)
    whole = int(np.argmax(coverage_S))
    axes.plot(coverage_S[whole], accuracy_S[whole], "o", color=theme.blue, markersize=6)
    axes.axhline(accuracy_S[whole], color=theme.muted, linestyle=(0, (4, 3)), linewidth=1)
    tidy(axes, title="Risk-coverage", x="coverage", y="accuracy")
    axes.set_xlim(0, 1.02)
    low = float(np.nanmin(accuracy_S))
    axes.set_ylim(max(0.0, low - 0.08), 1.01)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return figure


def draw_hardness(theme: Theme, found: Hardness) -> Figure:
    """Draw the data map: mean probability of the label against its spread over epochs.

    Reference:
        Swayamdipta et al. 2020, https://aclanthology.org/2020.emnlp-main.746.
    """
    figure = Figure(figsize=(6.2, 4.6), layout="constrained")
    axes = figure.subplots()
    stride = max(1, len(found.ids_M) // MAX_DOTS)
    for region, colour, marker in (
        ("easy", theme.blue, "o"),
        ("ambiguous", theme.orange, "s"),
        ("hard", theme.bad, "D"),
    ):
        is_in_M = np.asarray(found.region_M) == region
        rows = np.flatnonzero(is_in_M)[::stride]
        axes.scatter(
            np.asarray(found.variability_M)[rows],
            np.asarray(found.confidence_M)[rows],
            s=9,
            alpha=0.45,
            linewidths=0,
            color=colour,
            marker=marker,
            label=f"{region} ({int(is_in_M.sum()):,})",
            rasterized=len(rows) > 1500,
        )
    tidy(
        axes,
        title="Data map of train",
        x="variability over epochs",
        y="mean probability of the label",
    )
    axes.set_xlim(left=0)
    axes.set_ylim(-0.02, 1.02)
    figure.legend(loc="outside lower left", ncols=3, fontsize=9.5, markerscale=1.8)
    return figure


def draw_causes(
    theme: Theme, titles: Sequence[str], runs: Sequence[tuple[str, Sequence[int | None]]]
) -> Figure:
    """Draw how many mistakes each primary cause has, runs side by side.

    Args:
        theme: Colours.
        titles: Of the causes, the first on top.
        runs: Names with a count a cause; ``None``: not measured.
    """
    height = 0.9 + len(titles) * (0.22 + 0.2 * len(runs))
    figure = Figure(figsize=(9.6, max(2.6, height)), layout="constrained")
    axes = figure.subplots()
    colours = (theme.blue, theme.orange, theme.green, theme.bad, theme.muted)
    thick = 0.84 / len(runs)
    for number, (name, counts) in enumerate(runs):
        places = np.arange(len(titles)) - 0.42 + thick * (number + 0.5)
        style: dict[str, Any] = {
            "color": colours[number % len(colours)],
            "alpha": 1.0 if number < len(colours) else 0.55,
        }
        lengths = [count or 0 for count in counts]
        axes.barh(places, lengths, 0.92 * thick, label=shorten(name, 40), **style)
        for place, count in zip(places, counts, strict=True):
            told = " not measured" if count is None else f" {count:,}"
            axes.text(count or 0, place, told, va="center", fontsize=8.5, color=theme.muted)
    axes.set_yticks(np.arange(len(titles)), [shorten(title, 44) for title in titles])
    axes.invert_yaxis()
    tidy(axes, x="mistakes")
    axes.grid(False, axis="y")
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    figure.legend(loc="outside lower left", ncols=2, fontsize=9.5)
    return figure
