"""All sections of one split, in the order a person asks; parts without their input are ``None``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carscale.report.calibration_section import build_calibration, build_hardness
from carscale.report.classes_section import build_classes
from carscale.report.confusion_section import build_confusion
from carscale.report.data_file import write_data
from carscale.report.evidence_section import build_conflicts, build_saliency
from carscale.report.found_sections import build_groups, build_reviews, build_slices
from carscale.report.photo_cards import build_cards
from carscale.report.subject import subject_of

if TYPE_CHECKING:
    from carscale.analysis.result import Analysis
    from carscale.report.checks import SplitResult
    from carscale.report.gather import RunRecord
    from carscale.report.subject import Place

__all__ = ["build_split"]


def build_split(
    record: RunRecord,
    split: SplitResult,
    analysis: Analysis | None,
    place: Place,
    *,
    with_train: bool = True,
) -> dict[str, Any]:
    """Draw and store all there is on one split.

    Args:
        record: The run.
        split: One of its splits.
        analysis: What was found on it; ``None`` when nobody looked.
        place: Where photos come from and where files go.
        with_train: Show what the analysis says of train too; once a page is enough.
    """
    folder = place.build_folder
    parts: dict[str, Any] = {
        "name": split.name,
        "short": build_classes(record, split, analysis, folder),
        **dict.fromkeys(("confusion", "mistakes", "slices", "calibration", "hardness", "data")),
        "reviews": [],
        "conflicts": None,
        "saliency": [],
        "is_analysed": analysis is not None,
    }
    subject = subject_of(record.name, split, record.classes, analysis)
    if subject is None:
        return parts
    names = [one.name for one in record.classes]
    cards = build_cards(subject, place)
    parts["names"] = names
    parts["confusion"] = build_confusion(subject, folder)
    parts["mistakes"] = build_groups(subject, cards, folder)
    parts["slices"] = build_slices(subject, folder)
    parts["calibration"] = build_calibration(split, subject, folder)
    hardness = analysis.hardness if analysis is not None and with_train else None
    if hardness is not None and len(hardness.ids_M):
        parts["hardness"] = build_hardness(hardness, names, folder)
    parts["conflicts"] = build_conflicts(analysis if with_train else None, place)
    parts["saliency"] = build_saliency(record.folder, analysis, place)
    parts["reviews"] = build_reviews(subject, place, with_train=with_train)
    parts["data"] = write_data(subject, folder, photos=cards, reviews=parts["reviews"])
    return parts
