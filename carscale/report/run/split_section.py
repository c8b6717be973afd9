"""All sections of one split, in the order a person asks; parts without their input are ``None``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.errors import DataError
from carscale.report.page.checks import printable
from carscale.report.page.script_data import as_script
from carscale.report.run.calibration_section import build_calibration, build_hardness
from carscale.report.run.classes_section import build_classes
from carscale.report.run.confusion_section import build_confusion, matrix_data
from carscale.report.run.error_groups_section import build_groups, build_reviews, build_slices
from carscale.report.run.evidence_section import build_conflicts, build_saliency
from carscale.report.run.photo_cards import build_cards

if TYPE_CHECKING:
    from pathlib import Path

    from carscale.analysis.result import Analysis
    from carscale.report.page.checks import SplitResult
    from carscale.report.page.place import Place
    from carscale.report.run.gather import RunRecord


def build_split(
    record: RunRecord,
    split: SplitResult,
    analysis: Analysis | None,
    place: Place,
    *,
    with_train: bool = True,
) -> dict[str, Any]:
    """Build all sections of one split.

    Args:
        record: The run.
        split: One of its splits.
        analysis: Of its predictions; ``None`` where only metrics are stored.
        place: Where photos come from and where files go.
        with_train: Show what the analysis says of train too; once a page is enough.

    Raises:
        ValueError: The split is predicted and ``analysis`` is ``None``.
        DataError: The analysis is of other predictions.
    """
    folder = place.build_folder
    parts: dict[str, Any] = {
        "name": split.name,
        "classes": build_classes(record, split, analysis, folder),
        **dict.fromkeys(
            ("confusion", "mistakes", "slices", "calibration", "hardness", "conflicts", "data")
        ),
        "reviews": [],
        "saliency": [],
    }
    if split.predictions is None or not len(split.predictions):
        return parts
    analysis = _checked(record, split, analysis)
    names = [one.name for one in record.classes]
    cards = build_cards(analysis, place)
    parts["names"] = names
    parts["confusion"] = build_confusion(analysis, folder)
    parts["mistakes"] = build_groups(analysis, cards, folder)
    parts["slices"] = build_slices(analysis, folder)
    parts["calibration"] = build_calibration(split, analysis, folder)
    if with_train and analysis.hardness is not None and len(analysis.hardness.ids_M):
        parts["hardness"] = build_hardness(analysis.hardness, names, folder)
    if with_train:
        parts["conflicts"] = build_conflicts(analysis, place)
    parts["saliency"] = build_saliency(record.folder, analysis, place)
    parts["reviews"] = build_reviews(analysis, place, with_train=with_train)
    content = {
        "run": record.name,
        "split": split.name,
        "names": names,
        "matrix": matrix_data(analysis.confusions),
        "groups": [group.title for group in analysis.groups],
        "photos": cards,
        "reviews": parts["reviews"],
    }
    parts["data"] = _write_data(split.name, content, folder)
    return parts


def _checked(record: RunRecord, split: SplitResult, analysis: Analysis | None) -> Analysis:
    """Return the analysis of a split with the page's class names."""
    if analysis is None:
        raise ValueError(f"analyses must hold every predicted split, got none of {split.name}")
    predictions, analysed = split.predictions, analysis.evidence.predictions
    assert predictions is not None
    if not (
        np.array_equal(analysed.ids_N, predictions.ids_N)
        and np.array_equal(analysed.prediction_N, predictions.prediction_N)
    ):
        raise DataError(
            f"{record.name}: the analysis of {split.name} is of {len(analysed)} other predictions "
            f"than the {len(predictions)} of the run",
            "analyse again with: carscale report RUN",
        )
    blocks = tuple((printable(make), a, b) for make, a, b in analysis.confusions.blocks)
    return replace(
        analysis,
        evidence=replace(analysis.evidence, classes=record.classes),
        confusions=replace(analysis.confusions, blocks=blocks),
    )


def _write_data(split: str, content: dict[str, Any], folder: Path) -> str:
    """Write ``data/SPLIT.js`` and return its link."""
    path = folder / "data" / f"{split}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_script(split, content), encoding="ascii")
    return f"data/{path.name}"
