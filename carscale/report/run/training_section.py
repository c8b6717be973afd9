"""The training section: curves, their numbers, and which epoch became the run's result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale.report.page.checks import finite
from carscale.report.page.csv import write_csv
from carscale.report.page.theme import FigureEntry, Theme, figure_entry
from carscale.report.run import plots

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from carscale.report.run.gather import RunRecord


Rows = Sequence[dict[str, Any]]


def build_training(record: RunRecord, folder: Path) -> dict[str, Any]:
    """Draw the curves of a run.

    Returns:
        ``figures``: entries for the page.
        ``chosen``: the epoch event that became the run's result, or ``None``.
        ``is_selected``: it was selected by its val score.
        ``window``: steps that the smoothed loss averages.
        ``num_steps``, ``num_epochs``: how far it went.
    """
    section = record.config.get("train")
    takes_last = isinstance(section, dict) and section.get("select") == "last"
    best = [row for row in record.epochs if row.get("is_best") is True]
    kept = record.epochs if takes_last else best
    chosen = kept[-1] if kept else None
    window = max(1, len(record.steps) // 25)
    figures = []
    if record.steps:
        figures.append(_loss(record.steps, record.epochs, window, folder))
    if any(isinstance(row.get("val"), dict) for row in record.epochs):
        figures.append(_val(record.epochs, chosen, folder))
    figures += _series(record.steps, record.timing, folder)
    return {
        "figures": figures,
        "chosen": chosen,
        "is_selected": chosen is not None and not takes_last,
        "window": window,
        "num_steps": record.steps[-1]["step"] if record.steps else 0,
        "num_epochs": record.epochs[-1]["epoch"] if record.epochs else 0,
    }


def _loss(steps: Rows, epochs: Rows, window: int, folder: Path) -> FigureEntry:
    """Draw the loss and store its numbers."""
    last = next(
        (value for row in reversed(steps) if (value := finite(row.get("loss"))) is not None), None
    )
    first = next((value for row in steps if (value := finite(row.get("loss"))) is not None), None)
    course = "no finite value" if last is None else f"from {first:.3f} to {last:.3f}"
    smooth_S = plots.smooth(plots.column(steps, "loss"), window)
    keys = ("step", "epoch", "loss", "lr", "grad_norm")
    return figure_entry(
        lambda theme: plots.draw_loss(theme, steps, epochs, window),
        folder,
        "loss",
        alt=f"Training loss over {len(steps)} steps: {course}.",
        caption=f"Faint: each step. Bold: mean over {window} steps around it. Training loss may be "
        "weighted and is of augmented photos, so compare shapes, not heights.",
        csv=write_csv(
            folder / "tables" / "steps.csv",
            [*keys, "loss_smoothed"],
            ([*map(row.get, keys), mean] for row, mean in zip(steps, smooth_S, strict=True)),
        ),
    )


def _val(epochs: Rows, chosen: dict[str, Any] | None, folder: Path) -> FigureEntry:
    """Draw the val metrics and store their numbers."""
    number = None if chosen is None else finite(chosen["epoch"])
    picked = "no epoch is marked" if number is None else f"epoch {number:.0f} was chosen"
    vals = [row["val"] if isinstance(row.get("val"), dict) else {} for row in epochs]
    keys = sorted({key for val in vals for key in val if finite(val[key]) is not None})
    rows = (
        [row["epoch"], row.get("step"), *(finite(val.get(key)) for key in keys), row.get("is_best")]
        for row, val in zip(epochs, vals, strict=True)
    )
    header = ["epoch", "step", *keys, "is_best"]
    return figure_entry(
        lambda theme: plots.draw_val(theme, epochs, number),
        folder,
        "val",
        alt=f"Val metrics of {len(epochs)} scored epochs; {picked}.",
        caption="Val metrics by scored epoch. Dashed: the epoch whose weights were kept.",
        csv=write_csv(folder / "tables" / "epochs.csv", header, rows),
    )


def _series(steps: Rows, timing: Rows, folder: Path) -> list[FigureEntry]:
    """Draw the learning rate and the speed where they were logged."""
    entries = []
    for rows, key, title, unit in (
        (steps, "lr", "Learning rate", ""),
        (timing, "images_per_s", "Speed", "images / s"),
    ):
        if not any(finite(row.get(key)) is not None for row in rows):
            continue

        def draw(
            theme: Theme, rows: Rows = rows, key: str = key, title: str = title, unit: str = unit
        ) -> Figure:
            return plots.draw_series(theme, rows, key, title=title, y=unit)

        most = max(value for row in rows if (value := finite(row.get(key))) is not None)
        csv = "tables/steps.csv"
        if rows is timing:
            keys = ("step", "elapsed_s", "images_per_s", "wait_share", "memory_gib")
            lines = ([*map(row.get, keys)] for row in rows)
            csv = write_csv(folder / "tables" / "timing.csv", keys, lines)
        alt = f"{title} by step, at most {most:.4g} {unit}.".replace(" .", ".")
        entries.append(figure_entry(draw, folder, key, alt=alt, caption="", csv=csv))
    return entries
