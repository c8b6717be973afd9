"""Colours, and how a figure becomes files: same numbers, same bytes, for light and dark pages."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Theme:
    """Colours of a figure; ``heat`` goes from one mistake to the most."""

    name: str
    paper: str
    ink: str
    muted: str
    grid: str
    calm: str
    blue: str
    orange: str
    green: str
    bad: str
    heat: tuple[str, ...]


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1c2530",
    muted="#586472",
    grid="#dfe3e8",
    calm="#dfe4ea",
    blue="#0f6cbd",
    orange="#b8560b",
    green="#2a7d46",
    bad="#c92a4b",
    heat=("#ffc28a", "#f2711c", "#c92a2a", "#6b0f1a"),
)
DARK = Theme(
    name="dark",
    paper="#1a2028",
    ink="#e7ebf0",
    muted="#a3afbd",
    grid="#343d49",
    calm="#343e4a",
    blue="#6cb6ff",
    orange="#ffa657",
    green="#7bd88f",
    bad="#ff7b93",
    heat=("#7a4a1e", "#e8811a", "#ffb84d", "#fff0b3"),
)


PNG_DPI = 144


def render(draw: Callable[[Theme], Figure], folder: Path, name: str) -> Figure:
    """Draw a figure for light and for dark pages: ``<name>-light.svg``, ``-dark.svg``, ``.png``.

    Args:
        draw: Makes the figure in the colours of a theme.
        folder: Where the files go.
        name: Of the files, without ending.

    Returns:
        The figure as last drawn; its layout, which tells where points lie, is the same in both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for theme in (DARK, LIGHT):
        style: Any = {
            "axes.edgecolor": theme.grid,
            "axes.facecolor": "none",
            "axes.labelcolor": theme.muted,
            "axes.spines.right": False,
            "axes.spines.top": False,
            "axes.unicode_minus": False,
            "figure.facecolor": "none",
            "font.family": "sans-serif",
            "font.size": 10.5,
            "grid.color": theme.grid,
            "legend.frameon": False,
            "savefig.facecolor": "none",
            "svg.fonttype": "none",
            "svg.hashsalt": "carscale",
            "text.color": theme.ink,
            "text.parse_math": False,  # a class may be called $x$
            "xtick.color": theme.muted,
            "ytick.color": theme.muted,
        }
        with mpl.rc_context(style), warnings.catch_warnings():
            # The browser has glyphs that matplotlib's font lacks; the text is stored as text.
            warnings.filterwarnings("ignore", message="Glyph .* missing from")
            figure = draw(theme)
            if (engine := figure.get_layout_engine()) is not None:
                engine.execute(figure)
                figure.set_layout_engine(None)  # with one, each file is drawn twice
            figure.savefig(
                folder / f"{name}-{theme.name}.svg", format="svg", metadata={"Date": None}
            )
            if theme is LIGHT:  # for slides and mails
                figure.savefig(folder / f"{name}.png", dpi=PNG_DPI, facecolor=theme.paper)
    return figure


def tidy(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Set the labels of axes and a light grid."""
    axes.grid(True, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if title:
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")


def shorten(text: str, limit: int) -> str:
    """Return text of at most ``limit`` characters, cut in the middle.

    The year at its end tells classes apart.

    Example:
        >>> shorten("Aston Martin V8 Vantage Convertible 2012", 20)
        'Aston Marti…ble 2012'
    """
    if len(text) <= limit:
        return text
    tail = (limit - 1) * 2 // 5 + 1
    return f"{text[: limit - 1 - tail]}…{text[-tail:]}"


@dataclass(frozen=True)
class FigureEntry:
    """A drawn figure on a page.

    Attributes:
        name: Of its files, without ending.
        width, height: In px.
        alt, caption: Its words.
        csv: Link to its numbers.
        points: What the pointer shows: shares of width and height from the top left, and words.
    """

    name: str
    width: int
    height: int
    alt: str
    caption: str
    csv: str | None
    points: list[tuple[float, float, str]]


Hover = tuple[Sequence[float], Sequence[float], Sequence[str]]
"""Points of a figure in its data's coordinates, and the words of each."""


def figure_entry(
    draw: Callable[[Theme], Figure],
    folder: Path,
    name: str,
    *,
    alt: str,
    caption: str,
    csv: str | None = None,
    hover: Hover | None = None,
) -> FigureEntry:
    """Draw a figure into ``folder/figures``; return what the page needs of it."""
    figure = render(draw, folder / "figures", name)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    points = []
    if hover is not None:
        x, y, words = hover
        places = points_of(figure, x, y)
        points = [(u, v, text) for (u, v), text in zip(places, words, strict=True)]
    return FigureEntry(name, width, height, alt, caption, csv, points)


def points_of(figure: Figure, x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """Return where data points lie in a drawn figure: shares of width and height, from the top."""
    axes = figure.axes[0]
    places = figure.transFigure.inverted().transform(
        axes.transData.transform(np.column_stack([x, y]).reshape(-1, 2))
    )
    return [(round(float(u), 4), round(float(1 - v), 4)) for u, v in places]
