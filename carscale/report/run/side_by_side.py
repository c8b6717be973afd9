"""The page of several runs: metrics side by side, mistakes by cause, photos gained and lost.

Axes: N samples of a split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import analysis, disk, files
from carscale.report.page.checks import finite, printable
from carscale.report.page.csv import write_csv
from carscale.report.page.pictures import link_to
from carscale.report.page.place import MARKS, check_page_folder
from carscale.report.page.templating import page_html
from carscale.report.page.theme import figure_entry
from carscale.report.run import error_groups_plots
from carscale.report.run.gather import RunRecord, gather
from carscale.report.run.page import HEADLINE, headline_of
from carscale.runs import RunFolder

if TYPE_CHECKING:
    from carscale.analysis.result import Analysis


def write_overview(
    run_dirs: Sequence[Path],
    folder: Path,
    *,
    analyses: Sequence[Mapping[str, Analysis]],
) -> Path:
    """Write ``index.html``, tables and figures; return the page's path.

    Whatever else lies in the folder stays as it is.

    Args:
        run_dirs: Run folders with their reports; the first is what others are compared with.
        folder: Where the page goes; made when absent.
        analyses: Of each run, by split.

    Raises:
        RunError: A run can't be read.
        ConfigError: The folder holds another page.
    """
    check_page_folder(folder, "runs")
    disk.make_folder(folder)
    records = [gather(run_dir) for run_dir in run_dirs]
    names = _names(records)
    context = {
        "mark": MARKS["runs"],
        "names": names,
        "links": [
            link_to(RunFolder(one.folder).report_folder / "index.html", folder) for one in records
        ],
        "splits": [_side_by_side(split, records) for split in ("test", "val")],
        "labels": [(key, label) for key, label, _ in HEADLINE],
        "causes": _causes(analyses, names, folder),
        "changes": _changes(records, names),
    }
    context["csv"] = _numbers_csv(context, folder)
    text = page_html("several.html.j2", folder.parent, context)
    files.write_atomic(folder / "index.html", text.encode("utf-8", "replace"))
    return folder / "index.html"


def _names(records: Sequence[RunRecord]) -> list[str]:
    """Return a name per run; the whole path where two have the same name."""
    names = [one.name for one in records]
    return [
        name if names.count(name) == 1 else printable(one.folder)
        for name, one in zip(names, records, strict=True)
    ]


def _side_by_side(split: str, records: Sequence[RunRecord]) -> dict[str, Any]:
    """Return a split's numbers of every run; ``None`` for a run without that split."""
    rows: list[dict[str, Any] | None] = []
    for one in records:
        result = one.splits.get(split)
        row = headline_of(result) if result and result.metrics else None
        if row:
            row["by_key"] = {entry["key"]: entry for entry in row["entries"]}
            row["hash"] = _hash(one, split)
        rows.append(row)
    hashes = {row["hash"] for row in rows if row and row["hash"]}
    return {"name": split, "rows": rows, "is_there": any(rows), "num_hashes": len(hashes)}


def _hash(record: RunRecord, split: str) -> str:
    """Return the hash of a run's split; empty if unknown."""
    data = record.env.get("data")
    hashes = data.get("hashes") if isinstance(data, dict) else None
    return str(hashes.get(split) or "") if isinstance(hashes, dict) else ""


def _causes(
    analyses: Sequence[Mapping[str, Analysis]], names: Sequence[str], folder: Path
) -> dict[str, Any] | None:
    """Draw the primary causes of the runs whose val was analysed; ``None`` without any."""
    known = [(name, one["val"]) for name, one in zip(names, analyses, strict=True) if "val" in one]
    titles = dict.fromkeys(group.title for _, one in known for group in one.groups)
    if not titles:
        return None
    rows = []
    for name, one in known:
        counts: dict[str, int | None] = {group.title: group.num_primary for group in one.groups}
        if not one.evidence.has_embeddings:
            counts |= dict.fromkeys(analysis.EMBEDDED_GROUPS)  # not measured
        none = int(np.sum(np.asarray(one.primary_W) < 0))
        rows.append((name, [*(counts.get(title, 0) for title in titles), none]))
    words = [*titles, "none of these"]
    entry = figure_entry(
        lambda theme: error_groups_plots.draw_causes(theme, words, rows),
        folder,
        "causes",
        alt="Mistakes on val by primary cause: "
        + "; ".join(f"{name} {sum(filter(None, counts))} in all" for name, counts in rows)
        + ".",
        caption="Each mistake counts once, for the first group it is in.",
        csv=write_csv(
            folder / "tables" / "causes.csv",
            ["cause", *(name for name, _ in rows)],
            ([word, *(counts[i] for _, counts in rows)] for i, word in enumerate(words)),
        ),
    )
    return {"figure": entry, "words": words, "rows": rows}


def _changes(records: Sequence[RunRecord], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return how many photos each other run gained and lost against the first, split by split."""
    changes = []
    first = records[0]
    for other, name in zip(records[1:], names[1:], strict=True):
        for split in ("val", "test"):
            here, there = (one.splits.get(split) for one in (first, other))
            if here is None or there is None:
                continue
            changes.append({"split": split, "name": name, **_flips(first, other, split)})
    return changes


def _flips(first: RunRecord, other: RunRecord, split: str) -> dict[str, Any]:
    """Return the numbers of photos gained and lost, or why they are not known."""
    a, b = first.splits[split].predictions, other.splits[split].predictions
    if a is None or b is None:
        return {"trouble": "no predictions"}
    if not _hash(first, split) or _hash(first, split) != _hash(other, split):
        return {"trouble": "not the same photos and labels"}
    if not np.array_equal(a.keys_N, b.keys_N):
        return {"trouble": "the predictions are of other photos than the split's hash says"}
    correct_N, then_N = a.prediction_N == a.labels_N, b.prediction_N == b.labels_N
    gained, lost = int(np.sum(then_N & ~correct_N)), int(np.sum(correct_N & ~then_N))
    return {
        "trouble": "",
        "gained": gained,
        "lost": lost,
        "num_samples": len(a),
    }


def _numbers_csv(context: dict[str, Any], folder: Path) -> str:
    """Store the numbers of all runs."""
    rows = []
    for split in context["splits"]:
        for name, row in zip(context["names"], split["rows"], strict=True):
            for entry in row["entries"] if row else ():
                values = [finite(entry[key]) for key in ("value", "low", "high")]
                rows.append([name, split["name"], row["num_samples"], entry["key"], *values])
    header = ["run", "split", "num_samples", "metric", "value", "low", "high"]
    return write_csv(folder / "tables" / "runs.csv", header, rows)
