"""A study as rows: for the table on the page, ``results.csv`` and the command line."""

from __future__ import annotations

import csv
import io
from typing import Any

from carscale.report.page.csv import csv_cell

RESULT_COLUMNS = (
    "arm", "word", "verdict", "difference", "low", "high", "wider", "p_holm", "num_seeds", "value",
    "train_s", "memory_gib", "settings", "notes",
)  # fmt: skip
"""Differences and the metric are shares, not points."""
RUN_COLUMNS = (
    "arm", "seed", "value", "difference", "num_gained", "num_lost", "mcnemar_p", "train_s",
    "memory_gib", "folder", "command",
)  # fmt: skip
CLASS_COLUMNS = (
    "arm", "class", "train_count", "support", "difference", "low", "high", "stands_out",
)  # fmt: skip


def result_rows(study: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row an arm, the baseline first; what does not exist is ``None``."""
    return [_result(arm) for arm in study["arms"]]


def _result(arm: dict[str, Any]) -> dict[str, Any]:
    """Return an arm's row."""
    verdict = arm["verdict"] or {}
    found = verdict.get("difference") or {}
    interval = found.get("interval") or {}
    return {
        "arm": arm["name"],
        "word": "baseline" if arm["is_baseline"] else verdict.get("word"),
        "verdict": "baseline" if arm["is_baseline"] else verdict.get("text"),
        "difference": found.get("value"),
        "low": interval.get("low"),
        "high": interval.get("high"),
        "wider": interval.get("source"),
        "p_holm": verdict.get("p_holm"),
        "num_seeds": len(arm["runs"]) if arm["is_baseline"] else len(verdict.get("seeds") or ()),
        "value": arm["value"],
        "train_s": arm["train_s"],
        "memory_gib": arm["memory_gib"],
        "settings": "; ".join(arm["settings"]),
        "notes": "; ".join(arm["notes"]),
    }


def run_rows(study: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row a run."""
    return [{"arm": arm["name"], **run} for arm in study["arms"] for run in arm["runs"]]


def class_rows(study: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row an arm and class: name, photos, change of recall with its interval."""
    known = [{"class": one["name"], "train_count": one["train_count"]} for one in study["classes"]]
    return [
        {"arm": arm["name"], **known[row["label"]], **row}
        for arm in study["arms"]
        if arm["verdict"]
        for row in arm["verdict"]["classes"]
    ]


def csv_text(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    """Return rows as CSV; what does not exist is an empty cell."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([csv_cell(row[name]) for name in columns])
    return sink.getvalue()
