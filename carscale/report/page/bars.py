"""Bars of speed with their intervals, for ``carscale benchmark loaders``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from carscale.report.page.theme import LIGHT, Theme, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


STYLE: Any = {
    "axes.edgecolor": LIGHT.grid,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10.5,
    "grid.color": LIGHT.grid,
    "svg.hashsalt": "carscale",
    "text.color": LIGHT.ink,
}

KINDS = {
    "floor": ("decoder alone", "muted"),
    "model": ("model alone", "orange"),
}


def write_speeds(rows: Sequence[dict[str, Any]], folder: Path, *, ours: set[str]) -> list[Path]:
    """Write ``loaders.png`` and ``loaders.svg``; return their paths.

    Args:
        rows: ``arm``, ``view``, ``median``, ``low``, ``high`` in images/s.
        folder: Where the files go; made when absent.
        ours: Arms that are carscale's.
    """
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "loaders.png", folder / "loaders.svg"]
    with mpl.rc_context(STYLE):
        figure = draw_speeds(LIGHT, rows, ours=ours)
        figure.savefig(paths[0], dpi=150, facecolor=LIGHT.paper)
        figure.savefig(paths[1], facecolor=LIGHT.paper, metadata={"Date": None})
    return paths


def draw_speeds(theme: Theme, rows: Sequence[dict[str, Any]], *, ours: set[str]) -> Figure:
    """Draw a panel per view, a bar per arm, fastest on top; whiskers are intervals."""
    views = list(dict.fromkeys(row["view"] for row in rows))
    most = max(sum(row["view"] == view for row in rows) for view in views)
    figure = Figure(figsize=(8.5, 0.9 + len(views) * (0.55 + 0.36 * most)), layout="constrained")
    panels = figure.subplots(len(views), 1, squeeze=False)[:, 0]
    for axes, view in zip(panels, views, strict=True):
        _panel(axes, theme, [row for row in rows if row["view"] == view], ours)
        tidy(axes, title=f"{view} view", x="images/s" if view == views[-1] else "")
        axes.grid(False, axis="y")
    return figure


def _panel(axes: Axes, theme: Theme, rows: Sequence[dict[str, Any]], ours: set[str]) -> None:
    """Draw one view."""
    ordered = sorted(rows, key=lambda row: row["median"])
    widest = max(row["high"] for row in ordered)
    for place, row in enumerate(ordered):
        _, colour = KINDS.get(row["arm"], ("", "blue" if row["arm"] in ours else "grid"))
        axes.barh(place, row["median"], height=0.66, color=getattr(theme, colour))
        spread = [[row["median"] - row["low"]], [row["high"] - row["median"]]]
        axes.errorbar(row["median"], place, xerr=spread, color=theme.ink, capsize=3, linewidth=1.2)
        axes.annotate(
            f"{row['median']:,.0f}",
            (row["high"] + 0.012 * widest, place),
            va="center",
            fontsize=9.5,
            color=theme.ink,
        )
    axes.set_yticks(range(len(ordered)), [_label(row["arm"], ours) for row in ordered])
    axes.set_xlim(0, widest * 1.12)


def _label(arm: str, ours: set[str]) -> str:
    """Return an arm's name as people read it."""
    if arm in KINDS:
        return KINDS[arm][0]
    return f"carscale {arm}" if arm in ours else arm
