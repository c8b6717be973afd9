"""The page of all runs: a progress curve and a table a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from carscale import files
from carscale.report.page.templating import environment
from carscale.report.page.theme import Theme, figure_entry, shorten, tidy

NAMED_MAX = 40
"""More runs than this stand without names on the curve."""


def write_index(folder: Path, told: Sequence[dict[str, Any]], *, metric: str) -> Path:
    """Write ``index.html``, ``runs.json`` and the figures; return the page.

    Args:
        folder: Where they go; made when absent.
        told: ``experiment.DataHistory`` as dicts.
        metric: The val metric that is shown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sections = []
    for number, history in enumerate(told):
        scored = [
            run
            for run in history["runs"]
            if run["val"].get(metric) is not None and run["state"] == "done"
        ]
        entry = None
        if len(scored) > 1:
            entry, _ = figure_entry(
                lambda theme, rows=scored: draw_progress(theme, rows, metric),  # type: ignore[misc]
                folder,
                f"progress-{number}",
                alt=f"{metric} on val of {len(scored)} finished runs, and the best so far.",
                caption="Dots: finished runs, oldest first. Line: the best so far. The more runs "
                "are compared on val, the more its best flatters: confirm with carscale compare.",
            )
        sections.append(history | {"figure": entry, "scored": len(scored)})
    text = environment().get_template("runs.html.j2").render(sections=sections, metric=metric)
    files.write_json(folder / "runs.json", list(told))
    files.write_atomic(folder / "index.html", text)
    return folder / "index.html"


def draw_progress(theme: Theme, rows: Sequence[dict[str, Any]], metric: str) -> Figure:
    """Draw each run's val score in order of time, and the best so far as steps."""
    figure = Figure(figsize=(8.5, 4.2), layout="constrained")
    axes = figure.subplots()
    scores = [100 * row["val"][metric] for row in rows]
    best = [max(scores[: place + 1]) for place in range(len(scores))]
    axes.step(range(len(best)), best, where="post", color=theme.blue, linewidth=2)
    axes.plot(range(len(scores)), scores, "o", color=theme.muted, markersize=5)
    at = [place for place, row in enumerate(rows) if row["is_best"]]
    axes.plot(at, [scores[place] for place in at], "o", color=theme.blue, markersize=8)
    tidy(axes, y=f"{metric} on val, %")
    if len(rows) <= NAMED_MAX:
        names = [shorten(Path(row["name"]).name, 24) for row in rows]
        axes.set_xticks(range(len(rows)), names, rotation=40, ha="right", fontsize=9)
    else:
        axes.set_xlabel("runs, oldest first")
    return figure
