"""The page of all runs: a progress curve and a table a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from carscale import disk, files
from carscale.report.page.place import MARKS, check_page_folder
from carscale.report.page.templating import page_html
from carscale.report.page.theme import Theme, figure_entry, shorten, tidy

if TYPE_CHECKING:
    from carscale.studies.history import DataHistory, RunEntry

NAMED_MAX = 40
"""More runs than this stand without names on the curve."""


def write_index(folder: Path, histories: Sequence[DataHistory], *, metric: str) -> Path:
    """Write ``index.html``, ``runs.json`` and the figures; return the page.

    Args:
        folder: Where they go; made when absent.
        histories: A section each.
        metric: The val metric that is shown.

    Raises:
        ConfigError: The folder holds another page.
    """
    check_page_folder(folder, "history")
    disk.make_folder(folder)
    sections = [_section(folder, n, history, metric) for n, history in enumerate(histories)]
    context = {"mark": MARKS["history"], "sections": sections, "metric": metric}
    text = page_html("runs.html.j2", folder.parent, context)
    files.write_json(folder / "runs.json", [asdict(one) for one in histories])
    files.write_atomic(folder / "index.html", text)
    return folder / "index.html"


def _section(folder: Path, number: int, history: DataHistory, metric: str) -> dict[str, Any]:
    """Draw the progress curve of a data set; return what the page shows of it."""
    scored = [
        run for run in history.runs if run.val.get(metric) is not None and run.state == "done"
    ]
    entry = None
    if len(scored) > 1:
        entry = figure_entry(
            lambda theme: draw_progress(theme, scored, metric),
            folder,
            f"progress-{number}",
            alt=f"{metric} on val of {len(scored)} finished runs, and the best so far.",
            caption="Dots: finished runs, oldest first. Line: the best so far. The best of many "
            "runs on val is optimistically biased: confirm with carscale compare.",
        )
    return {"history": history, "figure": entry, "scored": len(scored)}


def draw_progress(theme: Theme, runs: Sequence[RunEntry], metric: str) -> Figure:
    """Draw each run's val score in order of time, and the best so far as steps."""
    figure = Figure(figsize=(8.5, 4.2), layout="constrained")
    axes = figure.subplots()
    scores = [100 * run.val[metric] for run in runs]
    best = [max(scores[: place + 1]) for place in range(len(scores))]
    axes.step(range(len(best)), best, where="post", color=theme.blue, linewidth=2)
    axes.plot(range(len(scores)), scores, "o", color=theme.muted, markersize=5)
    at = [place for place, run in enumerate(runs) if run.is_best]
    axes.plot(at, [scores[place] for place in at], "o", color=theme.blue, markersize=8)
    tidy(axes, y=f"{metric} on val, %")
    if len(runs) <= NAMED_MAX:
        names = [shorten(Path(run.name).name, 24) for run in runs]
        axes.set_xticks(range(len(runs)), names, rotation=40, ha="right", fontsize=9)
    else:
        axes.set_xlabel("runs, oldest first")
    return figure
