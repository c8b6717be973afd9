"""All sections of one split, in the order a person asks; parts without their input are ``None``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carscale.report.page.script_data import write_data
from carscale.report.run.calibration_section import build_calibration, build_hardness
from carscale.report.run.classes_section import build_classes
from carscale.report.run.confusion_section import build_confusion
from carscale.report.run.error_groups_section import build_groups, build_reviews, build_slices
from carscale.report.run.evidence_section import build_conflicts, build_saliency
from carscale.report.run.photo_cards import build_cards
from carscale.report.run.subject import subject_of

if TYPE_CHECKING:
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
