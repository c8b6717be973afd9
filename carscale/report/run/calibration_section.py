"""The sections on calibration, selective prediction and the data map of train.

Axes: N samples, R bins, S steps of a curve, M samples of train.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.analysis import reliability
from carscale.report.page.checks import finite
from carscale.report.page.csv import write_csv
from carscale.report.page.theme import FigureEntry, figure_entry
from carscale.report.run import error_groups_plots, plots

if TYPE_CHECKING:
    from pathlib import Path

    from carscale.analysis.result import Analysis, Calibration, Hardness, Reliability
    from carscale.report.page.checks import SplitResult


REGIONS = ("easy", "ambiguous", "hard")
TARGETS = (0.9, 0.95, 0.98, 0.99)


def build_calibration(split: SplitResult, analysis: Analysis, folder: Path) -> dict[str, Any]:
    """Draw the reliability diagram and, of more than one sample, accuracy against coverage."""
    predictions, found = analysis.evidence.predictions, analysis.calibration
    has_curve = len(found.coverage_S) > 0
    return {
        "figure": _reliability(split.name, reliability(predictions), folder),
        "ece": split.metrics.get("ece"),
        "ece_bins": finite(found.ece),
        "confidence": float(predictions.prob_prediction_N.astype(np.float64).mean()),
        "accuracy": float(np.mean(predictions.prediction_N == predictions.labels_N)),
        "coverage": _coverage(split.name, found, folder) if has_curve else None,
        "operating_points": _operating_points(found),
        "adaptive_ece": finite(found.adaptive_ece),
        "temperature": finite(found.temperature),
    }


def _reliability(split: str, bins: Reliability, folder: Path) -> FigureEntry:
    """Draw accuracy by confidence and store its numbers."""
    num_bins = len(bins.counts_R)
    edges = np.arange(num_bins + 1) / num_bins
    shares = (bins.confidence_R, bins.accuracy_R, bins.low_R, bins.high_R)
    columns = (edges[:-1], edges[1:], bins.counts_R, *shares)
    return figure_entry(
        lambda theme: plots.draw_reliability(theme, bins),
        folder,
        f"reliability-{split}",
        alt=f"Reliability diagram on {split}: accuracy in {num_bins} bins of confidence.",
        caption=f"{num_bins} bins of equal width; lines are 95 % intervals. Bars below the "
        "diagonal: the model is overconfident there.",
        csv=write_csv(
            folder / "tables" / f"reliability-{split}.csv",
            [
                "from",
                "to",
                "num_samples",
                "confidence",
                "accuracy",
                "accuracy_low",
                "accuracy_high",
            ],
            zip(*(column.tolist() for column in columns), strict=True),
        ),
    )


def _coverage(split: str, found: Calibration, folder: Path) -> FigureEntry:
    """Draw accuracy against coverage and store its numbers."""
    columns = (found.coverage_S, found.accuracy_S, found.confidence_S)
    rows = list(zip(*(column.tolist() for column in columns), strict=True))
    shown = rows[:: max(1, len(rows) // 400)]
    words = [
        f"coverage {100 * c:.1f} %: accuracy {100 * a:.1f} %, threshold {100 * s:.1f} %"
        for c, a, s in shown
    ]
    return figure_entry(
        lambda theme: error_groups_plots.draw_coverage(theme, found),
        folder,
        f"coverage-{split}",
        alt=f"Accuracy on {split} against coverage: the share of photos left when those of lowest "
        "confidence are rejected.",
        caption="Accuracy on the photos that are left when those of lowest confidence are "
        "rejected.",
        csv=write_csv(
            folder / "tables" / f"coverage-{split}.csv",
            ["coverage", "accuracy", "confidence"],
            rows,
        ),
        hover=([row[0] for row in shown], [row[1] for row in shown], words),
    )


def _operating_points(found: Calibration) -> list[tuple[float, float, float]]:
    """Return ``(accuracy, coverage, confidence)`` of the most coverage that reaches a target."""
    rows = []
    for target in TARGETS:
        is_met_S = found.accuracy_S >= target
        if not is_met_S.any():
            continue
        best = int(np.flatnonzero(is_met_S)[np.argmax(found.coverage_S[is_met_S])])
        rows.append((target, float(found.coverage_S[best]), float(found.confidence_S[best])))
    return rows


def build_hardness(found: Hardness, names: list[str], folder: Path) -> dict[str, Any]:
    """Draw the data map of train and store its numbers."""
    counts = [(region, int(np.sum(found.region_M == region))) for region in REGIONS]
    labels = [names[number] for number in found.labels_M.tolist()]
    measured = (
        found.confidence_M, found.variability_M, found.correctness_M, found.forgotten_M,
        found.region_M,
    )  # fmt: skip
    columns = (found.ids_M.tolist(), labels, *(column.tolist() for column in measured))
    entry = figure_entry(
        lambda theme: error_groups_plots.draw_hardness(theme, found),
        folder,
        "data-map",
        alt=f"Data map of {len(labels)} train photos: mean probability of the label against its "
        "standard deviation over epochs; "
        + ", ".join(f"{count} {region}" for region, count in counts)
        + ".",
        caption=f"Each dot is a train photo, over {found.num_epochs} epochs. Top left: easy. "
        "Right: ambiguous, the prediction changes. Bottom left: hard, where wrong labels gather.",
        csv=write_csv(
            folder / "tables" / "data-map.csv",
            ["id", "class", "confidence", "variability", "correctness", "forgotten", "region"],
            zip(*columns, strict=True),
        ),
    )
    return {
        "figure": entry,
        "counts": counts,
        "num_samples": len(labels),
        "num_epochs": found.num_epochs,
        "num_never": int(np.sum(found.forgotten_M < 0)),
    }
