"""A study's page: what its figures, tables and words are. A arms, K classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.report.page.checks import printable
from carscale.report.page.templating import environment
from carscale.report.page.theme import figure_entry
from carscale.report.study import plots
from carscale.report.study.rows import (
    CLASS_COLUMNS,
    RESULT_COLUMNS,
    RUN_COLUMNS,
    class_rows,
    csv_text,
    result_rows,
    run_rows,
)
from carscale.verdicts.text import points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from carscale.report.page.theme import Theme


MAX_CLASSES_SHOWN = 40
"""More rows of classes that stand out are left to ``classes.csv``."""
MAX_HOVER = 5000
"""More cells of the heat map say nothing under the pointer."""
WIDE_PX = 560
"""Wider figures scroll on a phone; smaller ones shrink."""
TOLD = {
    "helps": ("helps", "help"),
    "hurts": ("hurts", "hurt"),
    "no difference": ("makes no difference", "make no difference"),
    "can't tell yet": ("can't be told yet", "can't be told yet"),
    "no finished run": ("has no finished run to compare", "have no finished run to compare"),
}
"""How one arm and how several arms of a verdict are spoken of; in the order of the sentence."""

Row = dict[str, Any]


def build_study(study: dict[str, Any], folder: Path, mark: str) -> tuple[str, dict[str, str]]:
    """Draw figures into ``folder/figures``; return the page and its tables by file name.

    Args:
        study: As ``write_study`` takes it, whole.
        folder: Where the page is built.
        mark: Goes into the figures' names.
    """
    tables = {
        "results.csv": csv_text(result_rows(study), RESULT_COLUMNS),
        "runs.csv": csv_text(run_rows(study), RUN_COLUMNS),
        "classes.csv": csv_text(class_rows(study), CLASS_COLUMNS),
    }
    (folder / "figures").mkdir(exist_ok=True)
    shown = _printable(study)
    rows = result_rows(shown)
    out, expected = _standing_out(shown)
    context = {
        "study": shown,
        "about": shown["about"],
        "rows": rows,
        "costs": _costs(rows),
        "summary": _summary(rows),
        "notes": [(arm["name"], note) for arm in shown["arms"] for note in arm["notes"]],
        "runs": run_rows(shown),
        "forest": _forest(shown, rows, folder, mark),
        "heat": _heat(shown, folder, mark),
        "cost_figure": _cost_figure(shown, rows, folder, mark),
        "standing_out": out[:MAX_CLASSES_SHOWN],
        "num_standing_out": len(out),
        "num_by_chance": expected,
    }
    return environment().get_template("study.html.j2").render(context), tables


def _printable(value: Any) -> Any:  # noqa: ANN401 - plain data
    """Return plain data whose texts a page and a figure can hold."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _printable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(one) for one in value]
    return value


def _summary(rows: list[Row]) -> list[tuple[str, list[str], str]]:
    """Return word, arms and how they are spoken of, for each word that some arm has."""
    found = []
    for word, (one, many) in TOLD.items():
        names = [row["arm"] for row in rows if row["word"] == word]
        if names:
            found.append((word, names, one if len(names) == 1 else many))
    return found


def _costs(rows: list[Row]) -> list[Row]:
    """Return how many times the baseline's time each arm takes; ``None`` if not known."""
    base = rows[0]["train_s"]
    return [
        {"times": row["train_s"] / base if base and row["train_s"] is not None else None}
        for row in rows
    ]


def _judged(rows: list[Row]) -> list[Row]:
    """Return arms that have a difference, the best first."""
    judged = [row for row in rows if row["difference"] is not None]
    return sorted(judged, key=lambda row: -row["difference"])


def _entry(
    draw: Callable[[Theme], Figure], place: tuple[Path, str, str], **words: str
) -> tuple[Row, Figure]:
    """Draw a figure whose file names carry the results' mark."""
    folder, kind, mark = place
    entry, figure = figure_entry(draw, folder, f"study-{kind}-{mark}", **words)
    entry["classes"] = "wide" if entry["width"] > WIDE_PX else "snug"
    return entry, figure


def _forest(study: dict[str, Any], rows: list[Row], folder: Path, mark: str) -> Row | None:
    """Draw differences with intervals; ``None`` when nothing could be compared."""
    about, judged = study["about"], _judged(rows)
    if not judged:
        return None
    seeds = {
        arm["name"]: [one["difference"] for one in arm["verdict"]["seeds"]]
        for arm in study["arms"]
        if arm["verdict"]
    }
    drawn = [row | {"per_seed": seeds[row["arm"]]} for row in judged]
    told = "; ".join(
        f"{row['arm']} {points(row['difference'])} ({points(row['low'])} to "
        f"{points(row['high'])}), {row['word']}"
        for row in judged
    )
    entry, _ = _entry(
        lambda theme: plots.draw_forest(theme, drawn, margin=about["margin"]),
        (folder, "forest", mark),
        alt=f"Points of {about['metric_label']} against {about['baseline']}: {told}.",
        caption=f"Bars: 95 % intervals of the difference in {about['metric_label']}. Small dots: "
        f"single seeds. Band: ±{100 * about['margin']:g} points: inside it a difference is none.",
        csv="results.csv",
    )
    return entry


def _heat(study: dict[str, Any], folder: Path, mark: str) -> Row | None:
    """Draw the change of each class; ``None`` when nothing could be compared."""
    arms = [arm for arm in study["arms"] if arm["verdict"] and arm["verdict"]["classes"]]
    if not arms:
        return None
    classes = study["classes"]
    held = sorted(row["label"] for row in arms[0]["verdict"]["classes"])
    is_counted = all(classes[label]["train_count"] is not None for label in held)
    if is_counted:
        held.sort(key=lambda label: (-classes[label]["train_count"], label))
    place = {label: column for column, label in enumerate(held)}
    changes_AK = np.full((len(arms), len(held)), np.nan)
    out_AK = np.zeros((len(arms), len(held)), dtype=bool)
    for number, arm in enumerate(arms):
        for row in arm["verdict"]["classes"]:
            changes_AK[number, place[row["label"]]] = row["difference"]
            out_AK[number, place[row["label"]]] = row["stands_out"]
    names = [arm["name"] for arm in arms]
    labels = [classes[label]["name"] for label in held]
    order = "from the most train photos to the fewest" if is_counted else "in the list's order"
    entry, figure = _entry(
        lambda theme: plots.draw_heat(theme, changes_AK, out_AK, names, labels, order=order),
        (folder, "heat", mark),
        alt=f"Change of recall of {len(held)} classes, {order}, by {', '.join(names)}; "
        "the numbers are in the CSV.",
        caption=f"Change of each class's recall against {study['about']['baseline']}, {order}. "
        "A dot: the class's own 95 % interval excludes 0.",
        csv="classes.csv",
    )
    if changes_AK.size <= MAX_HOVER:
        entry["hover"] = {"points": plots.locate_cells(figure, changes_AK, names, labels)}
    return entry


def _cost_figure(study: dict[str, Any], rows: list[Row], folder: Path, mark: str) -> Row | None:
    """Draw gain against training time; ``None`` when times were not logged."""
    about = study["about"]
    drawn = [row for row in _judged(rows) if row["train_s"] is not None]
    if not drawn:
        return None
    if rows[0]["train_s"] is not None:
        drawn = [rows[0] | {"difference": 0.0}, *drawn]
    label = about["metric_label"]
    told = "; ".join(
        f"{row['arm']} {points(row['difference'])} points in {row['train_s']:.0f} s"
        for row in drawn
    )
    entry, _ = _entry(
        lambda theme: plots.draw_costs(theme, drawn, metric=label),
        (folder, "costs", mark),
        alt=f"Difference in {label} against training time: {told}.",
        caption="Up is better, left is cheaper. Time is the mean over runs of the seconds spent in "
        "training steps, on the machine that ran them. The diamond is the baseline.",
        csv="results.csv",
    )
    return entry


def _standing_out(study: dict[str, Any]) -> tuple[list[Row], float]:
    """Return classes whose interval excludes 0, the largest change first; how many chance gives."""
    rows = class_rows(study)
    out = [row for row in rows if row["stands_out"]]
    out.sort(key=lambda row: -abs(row["difference"]))
    return out, (1 - study["about"]["level"]) * len(rows)
