"""The sections on data and classes: photos of each class, and which classes underperform.

Axes: K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.report.page.checks import finite, printable
from carscale.report.page.class_bars import MAX_NAMED, draw_class_bars
from carscale.report.page.csv import write_csv
from carscale.report.page.theme import FigureEntry, figure_entry
from carscale.report.run import plots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from carscale.analysis.result import Analysis, LearningRow
    from carscale.report.page.checks import SplitResult
    from carscale.report.run.gather import RunRecord


MAX_REFUSED = 100
PER_CLASS = (
    "class", "train_count", "support", "precision", "precision_low", "precision_high",
    "recall", "recall_low", "recall_high", "f1", "has_low_recall",
)  # fmt: skip
RARE_SHARE = 0.25
RARE = "rare, fine"
LOW_GAP = 0.25
"""A class is called fine only if its recall, at worst, lies no further below the mean than this."""
LEARNING = ("more", "more_low", "more_high", "error", "target")


def build_data(
    record: RunRecord, analyses: Mapping[str, Analysis], folder: Path
) -> dict[str, Any] | None:
    """Return photos by split and class, and quality flags.

    Returns:
        ``counts``: split names with their photos. ``figure``: train photos by class, or ``None``.
        ``span``: fewest, median and most of them. ``flags``: a row a rule. ``refused``: files that
        could not be frozen. ``None`` when nothing is known.
    """
    counts = _split_counts(record)
    photos = _train_photos(record, analyses)
    flags = _flag_rows(analyses)
    if not (counts or photos or flags):
        return None
    refused = next((one.evidence.refused for one in analyses.values()), ())
    figure = _distribution(photos, folder) if photos else None
    numbers = [count for _, count in photos]
    span = (min(numbers), float(np.median(numbers)), max(numbers)) if numbers else None
    return {
        "counts": counts,
        "num_classes": len(record.classes),
        "figure": figure,
        "span": span,
        "flags": flags,
        "flag_splits": [
            split
            for split in ("train", "val", "test")
            if any(split in row["found"] for row in flags)
        ],
        "wrong_splits": list(analyses),
        "refused": refused[:MAX_REFUSED],
        "num_refused": len(refused),
    }


def _split_counts(record: RunRecord) -> list[tuple[str, int]]:
    """Return the photos of each split, as the run's card had them or as they were predicted."""
    data = record.env.get("data")
    stored = data.get("counts") if isinstance(data, dict) else None
    counts = {
        name: int(number)
        for name, count in (stored if isinstance(stored, dict) else {}).items()
        if (number := finite(count)) is not None
    }
    for name, split in record.splits.items():
        if split.predictions is not None:
            counts.setdefault(name, len(split.predictions))
    order = {"train": 0, "val": 1, "test": 2}
    return sorted(counts.items(), key=lambda item: (order.get(item[0], 3), item[0]))


def _train_photos(record: RunRecord, analyses: Mapping[str, Analysis]) -> list[tuple[str, int]]:
    """Return the classes with their train photos, the most first; empty when not known."""
    for one in analyses.values():
        counts_K = one.evidence.train_counts_K
        if counts_K is not None:
            pairs = zip(one.evidence.classes, np.asarray(counts_K).tolist(), strict=True)
            rows = [(each.name, int(count)) for each, count in pairs]
            return sorted(rows, key=lambda row: (-row[1], row[0]))
    for split in record.splits.values():
        rows = [
            (printable(row["class"]), int(count))
            for row in split.metrics.get("per_class") or []
            if (count := finite(row.get("train_count"))) is not None
        ]
        if rows:
            return sorted(rows, key=lambda row: (-row[1], row[0]))
    return []


def _distribution(photos: Sequence[tuple[str, int]], folder: Path) -> FigureEntry:
    """Draw the train photos of each class."""
    names, numbers = [name for name, _ in photos], [count for _, count in photos]
    words = [f"{name}: {count} train photos" for name, count in photos]
    return figure_entry(
        lambda theme: draw_class_bars(theme, names, np.array([numbers]), ["train"]),
        folder,
        "class-photos",
        alt=f"Train photos of {len(photos)} classes: from {min(numbers)} to {max(numbers)}.",
        caption="A bar is a class, the one with the most train photos first.",
        csv=write_csv(folder / "tables" / "class-photos.csv", ["class", "train_photos"], photos),
        hover=(range(len(photos)), numbers, words) if len(photos) > MAX_NAMED else None,
    )


def _flag_rows(analyses: Mapping[str, Analysis]) -> list[dict[str, Any]]:
    """Return how many photos each quality rule finds in each split, and how many are wrong."""
    rows: dict[str, dict[str, Any]] = {}
    for split, analysis in analyses.items():
        evidence = analysis.evidence
        predictions = evidence.predictions
        wrong_N = predictions.prediction_N != predictions.labels_N
        for name, flag_N in evidence.flags.items():
            here = {split: int(np.sum(flag_N))}
            row = rows.setdefault(
                name,
                {
                    "name": name,
                    "rule": evidence.rules.get(name, ""),
                    "found": dict(evidence.quality.get(name, {})),
                    "sizes": dict(evidence.num_photos),
                    "wrong": {},
                },
            )
            row["found"] = here | row["found"]
            row["sizes"] = {split: len(wrong_N)} | row["sizes"]
            num_wrong = int(np.sum(np.asarray(flag_N, dtype=bool) & wrong_N))
            row["wrong"][split] = (num_wrong, here[split])
    return list(rows.values())


def build_classes(
    record: RunRecord, split: SplitResult, analysis: Analysis | None, folder: Path
) -> dict[str, Any] | None:
    """List and draw all classes; from val and test together where both are predicted.

    Args:
        record: The run.
        split: One of its splits.
        analysis: Tells how many photos a class lacks; ``None`` where only metrics are stored.
        folder: Of the page.
    """
    pooled = record.held_out
    if pooled and split.name != "val":
        return None  # once is enough, with val
    section = judge_classes(pooled or split.metrics)
    rows = section["rows"]
    if not rows:
        return None
    has_learning = _add_learning(rows, record, analysis)
    section["has_learning"] = has_learning
    section["photos"] = "val + test" if pooled else split.name
    section["rule"] = (pooled or split.metrics).get("low_recall_rule") or ""
    section["without_support"] = [row["class"] for row in rows if not row.get("support")]
    header = [*PER_CLASS, *(LEARNING if has_learning else ())]
    section["csv"] = write_csv(
        folder / "tables" / f"per-class-{split.name}.csv",
        header,
        ([row.get(key) for key in header] for row in rows),
    )
    section["figure"] = _recall(split.name, section, folder)
    return section


def judge_classes(metrics: dict[str, Any]) -> dict[str, Any]:
    """Separate classes of low recall from those that are merely rare, by a split's metrics.

    Returns:
        ``rows``: those of ``per_class`` with a verdict, those of low recall first, then by recall.
        ``mean_recall``: what low recall is measured by.
        ``low``: those of low recall. ``rare``: those that are fine, though among the quarter with
        the fewest train photos. ``rare_up_to``: that number of photos; ``None`` when all classes
        have as many.
    """
    named = {printable(name) for name in metrics.get("low_recall_classes") or []}
    rows = [
        {**dict.fromkeys(PER_CLASS), **row, "class": printable(row["class"])}
        for row in metrics.get("per_class") or []
    ]
    for row in rows:
        row["has_low_recall"] = bool(row["has_low_recall"]) or row["class"] in named
    counts = [n for row in rows if (n := finite(row["train_count"])) is not None]
    rare_up_to = float(np.quantile(counts, RARE_SHARE, method="lower")) if counts else None
    if counts and rare_up_to == max(counts):
        rare_up_to = None
    recalls = [recall for row in rows if (recall := finite(row["recall"])) is not None]
    mean_recall = float(np.mean(recalls)) if recalls else 0.0
    for row in rows:
        row["verdict"] = _verdict(row, mean_recall, rare_up_to)
    rows.sort(key=_worst_first)
    rare = [row for row in rows if row["verdict"] == RARE]
    return {
        "rows": rows,
        "mean_recall": mean_recall,
        "low": [row for row in rows if row["has_low_recall"]],
        "rare": sorted(rare, key=lambda row: (row["train_count"], row["class"])),
        "rare_up_to": rare_up_to,
    }


def _verdict(row: dict[str, Any], mean_recall: float, rare_up_to: float | None) -> str:
    """Return the verdict on a class."""
    if row["has_low_recall"]:
        return "low recall"
    if finite(row["recall"]) is None:
        return "not judged"
    low = finite(row["recall_low"])
    if low is not None and low < mean_recall - LOW_GAP:
        return "too few photos to tell"
    count = finite(row["train_count"])
    is_rare = rare_up_to is not None and count is not None and count <= rare_up_to
    return RARE if is_rare else "fine"


def _worst_first(row: dict[str, Any]) -> tuple[bool, float, str]:
    """Order rows: low recall first, then by recall; those without samples last."""
    recall = finite(row["recall"])
    return not row["has_low_recall"], 2.0 if recall is None else recall, row["class"]


def _add_learning(
    rows: Sequence[dict[str, Any]], record: RunRecord, analysis: Analysis | None
) -> bool:
    """Add how many photos each class lacks; return whether any is known."""
    needs: dict[str, LearningRow] = {
        record.classes[row.number].name: row for row in (analysis.learning if analysis else ())
    }
    for row in rows:
        need = needs.get(row["class"])
        row["need"] = need
        row.update({key: getattr(need, key, None) for key in LEARNING})
    return bool(needs)


def _recall(split: str, section: dict[str, Any], folder: Path) -> FigureEntry | None:
    """Draw recall against train photos; ``None`` when no class has both."""
    shown = [
        row
        for row in section["rows"]
        if finite(row.get("recall")) is not None and finite(row.get("train_count")) is not None
    ]
    if not shown:
        return None
    recalls, counts = [[row[key] for row in shown] for key in ("recall", "train_count")]
    words = [
        f"{row['class']}: recall {100 * row['recall']:.1f} %, {row['train_count']} train photos"
        for row in shown
    ]
    return figure_entry(
        lambda theme: plots.draw_recall(theme, shown),
        folder,
        f"recall-{split}",
        alt=f"Recall of {len(shown)} classes against their train photos; "
        f"{len(section['low'])} have low recall.",
        caption="A mark is a class, its line the 95 % interval of its recall. Low and on the left: "
        "more photos may help. Low and on the right: it has photos, look at its confusions.",
        csv=section["csv"],
        hover=(counts, recalls, words),
    )
