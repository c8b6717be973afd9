"""Run the whole error analysis, part by part. N samples, W wrong ones, K classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from carscale.analysis.actions import plan_actions
from carscale.analysis.calibration import calibrate
from carscale.analysis.clusters import find_clusters
from carscale.analysis.confusions import find_confusions
from carscale.analysis.groups import find_groups
from carscale.analysis.hardness import map_hardness
from carscale.analysis.labels import review_labels, suspect
from carscale.analysis.learning import class_errors, photos_needed, slope_of_classes
from carscale.analysis.result import Analysis, Evidence, LearningRow, Review
from carscale.analysis.slices import find_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.analysis.labels import Suspicion
    from carscale.types import Predictions


def analyse(
    evidence: Evidence,
    *,
    more_notes: Sequence[str] = (),
    advance: Callable[[str], None] = lambda text: None,
) -> Analysis:
    """Return why a model errs on a split.

    Args:
        evidence: What is known; the notes of the result say what is missing.
        more_notes: Why something could not be read, put before those.
        advance: Told what comes next, in a few words, for a progress bar.

    Raises:
        ValueError: A column has not one entry a sample, or a probability is not finite.
    """
    _check(evidence)
    predictions, num_classes = evidence.predictions, len(evidence.classes)
    wrong_W = wrong_rows(evidence)
    advance("confused pairs")
    confusions = find_confusions(predictions.labels_N, predictions.prediction_N, evidence.classes)
    advance("suspected label errors")
    suspicion = suspect(predictions, num_classes, hard_ids=evidence.hard_ids)
    reviews = _reviews(evidence, suspicion)
    advance("error groups")
    groups, primary_W = find_groups(evidence, wrong_W, suspicion, confusions)
    advance("error clusters")
    clusters = find_clusters(evidence, wrong_W)
    advance("slices")
    slices = find_slices(evidence)
    hardness = map_hardness(evidence.train) if evidence.train is not None else None
    learning = _learning(evidence)
    actions = plan_actions(
        evidence,
        groups=groups,
        confusions=confusions,
        reviews=reviews,
        hardness=hardness,
        learning=learning,
    )
    return Analysis(
        evidence=evidence,
        wrong_W=wrong_W,
        groups=groups,
        primary_W=primary_W,
        confusions=confusions,
        slices=tuple(slices),
        clusters=clusters,
        calibration=calibrate(predictions),
        reviews=reviews,
        hardness=hardness,
        learning=learning,
        actions=actions,
        notes=(*more_notes, *_notes(evidence)),
    )


def wrong_rows(evidence: Evidence) -> NDArray[np.int64]:
    """Return the rows that are wrong, highest loss first; of equal ones the lower id."""
    predictions = evidence.predictions
    rows = np.flatnonzero(predictions.prediction_N != predictions.labels_N)
    return rows[np.lexsort((predictions.ids_N[rows], -predictions.loss_N[rows]))]


def _check(evidence: Evidence) -> None:
    """Raise where a column has not one entry a sample, or holds a number that can't be."""
    num = len(evidence.predictions)
    columns = {**evidence.attributes, **evidence.flags}
    if evidence.embeddings_ND is not None:
        columns["embeddings"] = evidence.embeddings_ND
    wrong = [f"{name} {len(values)}" for name, values in columns.items() if len(values) != num]
    if wrong:
        raise ValueError(f"columns must have {num} entries, got {', '.join(wrong)}")
    parts = [evidence.predictions]
    if evidence.train is not None and evidence.train.folds is not None:
        parts.append(evidence.train.folds)
    for part in parts:
        if part.fault:
            raise ValueError(f"predictions must hold numbers: {part.fault}")
    if evidence.embeddings_ND is not None:
        num_bad = int((~np.isfinite(evidence.embeddings_ND)).any(axis=1).sum())
        if num_bad:
            raise ValueError(f"embeddings must be finite, those of {num_bad} of {num} are not")


def _reviews(evidence: Evidence, suspicion: Suspicion) -> tuple[Review, ...]:
    """Return label reviews: of train when there are folds, and of the split."""
    parts: list[tuple[Predictions, str, Suspicion | None]] = []
    if evidence.train is not None and evidence.train.folds is not None:
        parts.append((evidence.train.folds, "train", None))
    if len(evidence.predictions):
        parts.append((evidence.predictions, evidence.split, suspicion))
    conflicting = None if evidence.conflicts is None else evidence.conflict_ids_P2
    num_classes = len(evidence.classes)
    return tuple(
        review_labels(
            part,
            num_classes,
            name,
            found=found or suspect(part, num_classes, hard_ids=evidence.hard_ids),
            conflicting_ids=conflicting,
        )
        for part, name, found in parts
    )


def _learning(evidence: Evidence) -> tuple[LearningRow, ...]:
    """Return how many photos the worse classes lack; empty without a learning curve."""
    if evidence.train_counts_K is None:
        return ()
    wrong_K, support_K = class_errors(evidence)
    slope = slope_of_classes(evidence.train_counts_K, wrong_K, support_K)
    if slope is None or slope[1] <= 0:
        return ()
    return photos_needed(evidence.train_counts_K, wrong_K, support_K, slope)


def _notes(evidence: Evidence) -> tuple[str, ...]:
    """Return what is missing, and the command that makes it."""
    train, notes = evidence.train, []
    again = f"carscale evaluate RUN --split {evidence.split} --embeddings"
    if evidence.embeddings_ND is None:
        notes.append(f"No embeddings: no odd views, no error clusters. Make them with: {again}")
    elif train is not None and train.embeddings_MD is None:
        notes.append(f"No embeddings of train: no odd views. Make them with: {again}")
    if train is None or train.folds is None:
        notes.append(
            "No out-of-sample predictions of train: its labels are not reviewed. "
            "Make them with: carscale folds RUN"
        )
    if train is None or train.dynamics is None:
        notes.append("No training dynamics: no data map. Train with train.log_dynamics=true")
    if evidence.predictions.probs_NK is None and len(evidence.predictions):
        notes.append(
            "Only the top-5 probabilities are stored, so an overconfident model makes more labels "
            f"look wrong. Store all with: carscale evaluate RUN --split {evidence.split} --probs"
        )
    if not any(one.make for one in evidence.classes):
        notes.append("Class names hold no make: mistakes are not grouped by make, model, year.")
    return tuple(notes)
