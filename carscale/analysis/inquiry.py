"""From evidence to an analysis: every part in turn. N samples, W wrong ones, K classes."""

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

__all__ = ["analyse", "wrong_rows"]


def analyse(
    evidence: Evidence,
    *,
    more_notes: Sequence[str] = (),
    advance: Callable[[str], None] = lambda text: None,
) -> Analysis:
    """Return why a model errs on a split.

    Args:
        evidence: What is known; what is not is named in the notes of the result.
        more_notes: Why something could not be read, to stand before those.
        advance: Told what comes next, in a few words, for a progress bar.

    Raises:
        ValueError: A column has not one entry a sample.
    """
    _check_lengths(evidence)
    predictions, num_classes = evidence.predictions, len(evidence.classes)
    wrong_W = wrong_rows(evidence)
    advance("who is taken for whom")
    confusions = find_confusions(predictions.labels_N, predictions.prediction_N, evidence.classes)
    advance("suspected labels")
    suspicion = suspect(predictions, num_classes, hard_ids=evidence.hard_ids)
    reviews = _reviews(evidence)
    advance("groups of mistakes")
    groups, primary_W = find_groups(evidence, wrong_W, suspicion, confusions)
    advance("shared looks")
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
    loss_W = np.nan_to_num(predictions.loss_N[rows], nan=-np.inf)
    return rows[np.lexsort((predictions.ids_N[rows], -loss_W))]


def _check_lengths(evidence: Evidence) -> None:
    """Raise where a column has not one entry a sample."""
    num = len(evidence.predictions)
    columns = {**evidence.attributes, **evidence.flags}
    if evidence.embeddings_ND is not None:
        columns["embeddings"] = evidence.embeddings_ND
    wrong = [f"{name} {len(values)}" for name, values in columns.items() if len(values) != num]
    if wrong:
        raise ValueError(f"columns must have {num} entries, got {', '.join(wrong)}")


def _reviews(evidence: Evidence) -> tuple[Review, ...]:
    """Return label reviews: of train when there are folds, and of the split."""
    told = []
    if evidence.train is not None and evidence.train.folds is not None:
        told.append((evidence.train.folds, "train"))
    if len(evidence.predictions):
        told.append((evidence.predictions, evidence.split))
    conflicting = None if evidence.near is None else evidence.near.ids_P2
    return tuple(
        review_labels(
            part,
            len(evidence.classes),
            name,
            conflicting_ids=conflicting,
            hard_ids=evidence.hard_ids,
        )
        for part, name in told
    )


def _learning(evidence: Evidence) -> tuple[LearningRow, ...]:
    """Return how many photos the worse classes lack; nothing where no curve is seen."""
    if evidence.train_counts_K is None:
        return ()
    wrong_K, support_K = class_errors(evidence)
    slope = slope_of_classes(evidence.train_counts_K, wrong_K, support_K)
    if slope is None or slope[1] <= 0:
        return ()
    return photos_needed(evidence.train_counts_K, wrong_K, support_K, slope)


def _notes(evidence: Evidence) -> tuple[str, ...]:
    """Return what could not be looked at, and what to type to get it."""
    train, notes = evidence.train, []
    again = f"carscale evaluate RUN --split {evidence.split} --embeddings"
    if evidence.embeddings_ND is None or train is None or train.embeddings_MD is None:
        notes.append(f"No embeddings: no odd views, no shared looks. Make them with: {again}")
    if train is None or train.folds is None:
        notes.append(
            "No out-of-sample predictions of train, so its labels are not reviewed. "
            "Make them with: carscale folds RUN"
        )
    if train is None or train.dynamics is None:
        notes.append("No training dynamics: no data map. Train with train.log_dynamics=true")
    if evidence.predictions.probs_NK is None and len(evidence.predictions):
        notes.append(
            "Only the five best probabilities are kept, so a model that is too sure makes more "
            f"labels look wrong. Keep all with: carscale evaluate RUN --split {evidence.split} "
            "--probs"
        )
    if not any(one.make for one in evidence.classes):
        notes.append("Class names tell no make: mistakes are not sorted by make, model, year.")
    return tuple(notes)
