"""An analysis as plain data: for JSON, CSV and Parquet. W wrong samples, T top classes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.analysis.groups import PRIMARY_RULE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.analysis.result import Analysis, Review


MAX_PAIRS = 200
MAX_REVIEW = 500
NO_GROUP = "unexplained"


def mistake_columns(analysis: Analysis) -> dict[str, Any]:
    """Return one row a mistake, highest loss first, as columns.

    Returns:
        ``id``, ``path``, ``label``, ``prediction`` (names), ``prob_label``, ``prob_prediction``,
        ``margin``, ``loss``, ``primary`` (group), ``groups`` (names, ``;`` between), ``top5``
        (names ``[W, T]``), ``top5_prob`` ``[W, T]``, and ``embedding`` ``[W, D]`` where known.
    """
    predictions, wrong_W = analysis.evidence.predictions, analysis.wrong_W
    names_K = np.array([one.name for one in analysis.evidence.classes], dtype=object)
    group_names = [group.name for group in analysis.groups]
    columns: dict[str, Any] = {
        "id": predictions.ids_N[wrong_W],
        "path": predictions.paths_N[wrong_W],
        "label": names_K[predictions.labels_N[wrong_W]],
        "prediction": names_K[predictions.prediction_N[wrong_W]],
        "prob_label": predictions.prob_label_N[wrong_W],
        "prob_prediction": predictions.prob_prediction_N[wrong_W],
        "margin": predictions.margin_N[wrong_W],
        "loss": predictions.loss_N[wrong_W],
        "primary": np.array([*group_names, NO_GROUP], dtype=object)[analysis.primary_W],
        "groups": _group_names(analysis),
        "top5": names_K[predictions.top5_NT[wrong_W]],
        "top5_prob": predictions.top5_prob_NT[wrong_W],
    }
    if analysis.evidence.embeddings_ND is not None:
        columns["embedding"] = analysis.evidence.embeddings_ND[wrong_W]
    return columns


def _group_names(analysis: Analysis) -> NDArray[Any]:
    """Return the names of each mistake's groups, ``;`` between, computed once per combination."""
    wrong_W, groups = analysis.wrong_W, analysis.groups
    is_in_WG = np.zeros((len(wrong_W), len(groups)), dtype=bool)
    for column, group in enumerate(groups):
        is_in_WG[:, column] = np.isin(wrong_W, group.rows_G)
    codes_W = is_in_WG @ (1 << np.arange(len(groups)))
    codes, first, place_W = np.unique(codes_W, return_index=True, return_inverse=True)
    names = np.empty(len(codes), dtype=object)
    names[:] = [
        ";".join(group.name for group, is_in in zip(groups, is_in_WG[row], strict=True) if is_in)
        for row in first.tolist()
    ]
    return names[place_W.reshape(-1)]


def as_dict(analysis: Analysis) -> dict[str, Any]:
    """Return all that was found, but the mistakes themselves, as plain data."""
    evidence, predictions = analysis.evidence, analysis.evidence.predictions
    names = [one.name for one in evidence.classes]
    calibration = asdict(analysis.calibration)
    for name in ("coverage_S", "accuracy_S", "confidence_S"):
        calibration[name] = calibration[name].tolist()
    for name in ("ece", "adaptive_ece"):  # of no samples NaN, which JSON does not know
        calibration[name] = calibration[name] if len(predictions) else None
    return {
        "split": evidence.split,
        "num_samples": len(predictions),
        "num_mistakes": len(analysis.wrong_W),
        "num_unexplained": int((analysis.primary_W < 0).sum()),
        "primary_rule": PRIMARY_RULE,
        "groups": [
            {
                "name": group.name,
                "title": group.title,
                "definition": group.definition,
                "num_mistakes": len(group.rows_G),
                "num_primary": group.num_primary,
                "advice": group.advice,
                "ids": predictions.ids_N[group.rows_G].tolist(),
            }
            for group in analysis.groups
        ],
        "pairs": [
            asdict(pair) | {"first": names[pair.first], "second": names[pair.second]}
            for pair in analysis.confusions.pairs[:MAX_PAIRS]
        ],
        "slices": [asdict(one) for one in analysis.slices],
        "clusters": [
            {
                "ids": predictions.ids_N[cluster.rows_G].tolist(),
                "traits": [asdict(trait) for trait in cluster.traits],
                "classes": [[names[number], count] for number, count in cluster.classes],
            }
            for cluster in analysis.clusters
        ],
        "calibration": calibration,
        "reviews": [_review(review, names) for review in analysis.reviews],
        "learning": [asdict(row) | {"class": names[row.number]} for row in analysis.learning],
        "actions": list(analysis.actions),
        "notes": list(analysis.notes),
    }


def _review(review: Review, names: list[str]) -> dict[str, Any]:
    """Return a review list, its first 500 samples."""
    shown = slice(0, MAX_REVIEW)
    columns = zip(
        review.ids_R[shown].tolist(),
        review.paths_R[shown].tolist(),
        review.labels_R[shown].tolist(),
        review.suggested_R[shown].tolist(),
        review.prob_label_R[shown].tolist(),
        review.prob_suggested_R[shown].tolist(),
        review.is_suspect_R[shown].tolist(),
        strict=True,
    )
    return {
        "split": review.split,
        "num_suspects": int(review.is_suspect_R.sum()),
        "num_expected_by_confident_learning": review.num_expected,
        "num_expected_among_all": float(review.expected_R[-1]) if len(review) else 0.0,
        "samples": [
            {
                "id": id_,
                "path": path,
                "label": names[label],
                "suggested": names[suggested],
                "prob_label": prob_label,
                "prob_suggested": prob_suggested,
                "is_suspect": is_suspect,
            }
            for id_, path, label, suggested, prob_label, prob_suggested, is_suspect in columns
        ],
    }
