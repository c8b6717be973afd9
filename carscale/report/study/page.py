"""A study's page: what its figures, tables and words are. A arms, K classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.report.page.checks import printable
from carscale.report.page.place import MARKS
from carscale.report.page.templating import page_html
from carscale.report.page.theme import FigureEntry, figure_entry
from carscale.report.study import plots
from carscale.report.study.plots import Cost
from carscale.report.study.rows import (
    ArmRow,
    Effect,
    arm_rows,
    class_rows,
    classes_csv,
    effects_of,
    results_csv,
    run_rows,
    runs_csv,
)
from carscale.verdicts.text import name_of_intervals, points

if TYPE_CHECKING:
    from carscale.verdicts.study_result import StudyAbout, StudyClass, StudyResult
    from carscale.verdicts.verdict import ClassChange


MAX_CLASSES_SHOWN = 40
"""More rows of classes that stand out are left to ``classes.csv``."""
MAX_HOVER = 5000
"""More cells of the heat map say nothing under the pointer."""
SPOKEN = {
    "helps": ("helps", "help"),
    "hurts": ("hurts", "hurt"),
    "no difference": ("makes no difference", "make no difference"),
    "inconclusive": ("is inconclusive", "are inconclusive"),
    "no finished run": ("has no finished run to compare", "have no finished run to compare"),
}
"""How one arm and how several arms of a verdict are spoken of; in the order of the sentence."""


def build_study(
    study: StudyResult, folder: Path, mark: str, words: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Draw figures into ``folder/figures``; return the page and its tables by file name.

    Args:
        study: What was found.
        folder: Where the page is built.
        mark: Goes into the figures' names.
        words: ``title``, ``intro`` and ``command``.
    """
    tables = {
        "results.csv": results_csv(study),
        "runs.csv": runs_csv(study),
        "classes.csv": classes_csv(study),
    }
    (folder / "figures").mkdir(exist_ok=True)
    shown = _printable(study)
    rows, effects = arm_rows(shown), effects_of(shown)
    out, expected = _standing_out(shown)
    context = {
        **_printable(dict(words)),
        "mark": MARKS["study"],
        "study": shown,
        "about": shown.about,
        "rows": rows,
        "time_ratios": _time_ratios(shown),
        "summary": _summary(rows),
        "notes": [(arm.name, note) for arm in shown.arms for note in arm.notes],
        "runs": run_rows(shown),
        "forest": _forest(shown.about, effects, folder, mark),
        "heat": _heat(shown, folder, mark),
        "cost_figure": _cost_figure(shown, effects, folder, mark),
        "standing_out": out[:MAX_CLASSES_SHOWN],
        "num_standing_out": len(out),
        "num_by_chance": expected,
    }
    return page_html("study.html.j2", folder.parent, context), tables


def _printable(value: Any) -> Any:  # noqa: ANN401 - texts anywhere in it
    """Return a value whose texts a page and a figure can hold."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _printable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(one) for one in value]
    if is_dataclass(value) and not isinstance(value, type):
        texts = {field.name: _printable(getattr(value, field.name)) for field in fields(value)}
        return replace(value, **texts)
    return value


def _summary(rows: list[ArmRow]) -> list[tuple[str, list[str], str]]:
    """Return word, arms and how they are spoken of, for each word that some arm has."""
    found = []
    for word, (one, many) in SPOKEN.items():
        names = [row.arm for row in rows if row.word == word]
        if names:
            found.append((word, names, one if len(names) == 1 else many))
    return found


def _time_ratios(study: StudyResult) -> list[float | None]:
    """Return each arm's training time over the baseline's, of the fastest run of each.

    Other programs slow some runs down; the fastest is the least disturbed. ``None`` if not known.
    """
    fastest = [
        min((run.train_s for run in arm.runs if run.train_s is not None), default=None)
        for arm in study.arms
    ]
    base = fastest[0] if fastest else None
    return [one / base if base and one is not None else None for one in fastest]


def _forest(
    about: StudyAbout, effects: list[Effect], folder: Path, mark: str
) -> FigureEntry | None:
    """Draw differences with intervals; ``None`` when nothing could be compared."""
    if not effects:
        return None
    numbers = "; ".join(
        f"{one.arm} {points(one.value)} ({points(one.low)} to {points(one.high)}), {one.word}"
        for one in effects
    )
    return figure_entry(
        lambda theme: plots.draw_forest(theme, effects, margin=about.margin),
        folder,
        f"study-forest-{mark}",
        alt=f"Points of {about.metric_label} against {about.baseline}: {numbers}.",
        caption=f"Bars: {name_of_intervals(about.looks)} of the difference in "
        f"{about.metric_label}. Small dots: single seeds. "
        f"Band: ±{100 * about.margin:g} points: inside it a difference is none.",
        csv="results.csv",
    )


def _heat(study: StudyResult, folder: Path, mark: str) -> FigureEntry | None:
    """Draw the change of each class; ``None`` when nothing could be compared."""
    arms = [(arm.name, arm.verdict.classes) for arm in study.arms if arm.verdict]
    arms = [(name, changes) for name, changes in arms if changes]
    if not arms:
        return None
    classes = study.classes
    labels = sorted(row.label for row in arms[0][1])
    counts = {label: classes[label].train_count for label in labels}
    is_counted = None not in counts.values()
    if is_counted:
        labels.sort(key=lambda label: (-(counts[label] or 0), label))
    place = {label: column for column, label in enumerate(labels)}
    changes_AK = np.full((len(arms), len(labels)), np.nan)
    out_AK = np.zeros((len(arms), len(labels)), dtype=bool)
    for number, (_, changes) in enumerate(arms):
        for row in changes:
            changes_AK[number, place[row.label]] = row.difference
            out_AK[number, place[row.label]] = row.stands_out
    arm_names = [name for name, _ in arms]
    names = [classes[label].name for label in labels]
    order = "from the most train photos to the fewest" if is_counted else "in the list's order"
    return figure_entry(
        lambda theme: plots.draw_heat(theme, changes_AK, out_AK, arm_names, names, order=order),
        folder,
        f"study-heat-{mark}",
        alt=f"Change of recall of {len(names)} classes, {order}, by {', '.join(arm_names)}; "
        "the numbers are in the CSV.",
        caption=f"Change of each class's recall against {study.about.baseline}, {order}. "
        "A dot: the class's own 95 % interval excludes 0.",
        csv="classes.csv",
        hover=plots.hover_of_cells(changes_AK, arm_names, names)
        if changes_AK.size <= MAX_HOVER
        else None,
    )


def _cost_figure(
    study: StudyResult, effects: list[Effect], folder: Path, mark: str
) -> FigureEntry | None:
    """Draw the difference against training time; ``None`` when times were not logged."""
    baseline = study.arms[0]
    costs = [Cost(one.arm, one.train_s, one) for one in effects if one.train_s is not None]
    if not costs:
        return None
    if baseline.train_s is not None:
        costs = [Cost(baseline.name, baseline.train_s, None), *costs]
    label = study.about.metric_label
    numbers = "; ".join(
        f"{one.arm} {points(one.difference)} points in {one.train_s:.0f} s" for one in costs
    )
    return figure_entry(
        lambda theme: plots.draw_costs(theme, costs, metric=label),
        folder,
        f"study-costs-{mark}",
        alt=f"Difference in {label} against training time: {numbers}.",
        caption="Up is better, left is cheaper. Time is the mean over runs of the seconds spent in "
        "training steps, on the machine that ran them. The diamond is the baseline.",
        csv="results.csv",
    )


def _standing_out(
    study: StudyResult,
) -> tuple[list[tuple[str, StudyClass, ClassChange]], float]:
    """Return classes whose interval excludes 0, the largest change first; how many chance gives."""
    rows = class_rows(study)
    out = [row for row in rows if row[2].stands_out]
    out.sort(key=lambda row: -abs(row[2].difference))
    return out, (1 - study.about.level) * len(rows)
