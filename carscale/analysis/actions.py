"""Actions: what to do about the mistakes, and what that would change.

N samples, M train samples, K classes, P pairs, G samples of a class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.analysis.groups import SETTINGS
from carscale.analysis.neighbours import normalised, rows_by_class, separation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from carscale.analysis.result import (
        Confusions,
        Evidence,
        Group,
        Hardness,
        LearningRow,
        Review,
    )


MAX_MERGES = 5
MAX_IDS = 2000
MIN_PART = 8
MIN_SEEN = 3
MIN_GROUP_SHARE = 0.03
MIN_SPLIT_SAMPLES = 30
MIN_GAP = 0.3
MAX_POINTS = 2000
"""Train photos of a class that are clustered; an even sample of more."""


def plan_actions(
    evidence: Evidence,
    *,
    groups: Sequence[Group],
    confusions: Confusions,
    reviews: Sequence[Review],
    hardness: Hardness | None,
    learning: Sequence[LearningRow],
) -> tuple[dict[str, Any], ...]:
    """Return what to do, sorted by the number of mistakes it concerns, the most first.

    Each is plain data: ``kind``, ``title``, ``why``, ``command`` (or ``None``; RUN, NAME, DIR,
    RECIPE and ROOT stand for what only the caller knows), ``num_mistakes`` and its own numbers.
    """
    found = [
        *_check_labels(evidence, reviews, groups),
        *_conflicts(evidence),
        *_merges(evidence, confusions),
        *_splits(evidence),
        *_augmentations(evidence, groups),
        *_more_photos(evidence, learning),
        *_fine_tuning(evidence, hardness, confusions),
    ]
    return tuple(sorted(found, key=lambda one: -one["num_mistakes"]))


def merge_effect(
    labels_N: NDArray[np.int64], prediction_N: NDArray[np.int64], one: int, other: int
) -> tuple[float, float]:
    """Return top-1 before and after two classes count as one.

    Example:
        >>> merge_effect(np.array([0, 1, 2, 2]), np.array([1, 1, 2, 0]), 0, 1)
        (0.5, 0.75)
    """
    is_correct_N = labels_N == prediction_N
    both = np.array([one, other])
    is_merged_N = np.isin(labels_N, both) & np.isin(prediction_N, both)
    return float(is_correct_N.mean()), float((is_correct_N | is_merged_N).mean())


def _check_labels(
    evidence: Evidence, reviews: Sequence[Review], groups: Sequence[Group]
) -> list[dict[str, Any]]:
    """Suggest a review of the labels that are probably wrong."""
    doubted = [group.rows_G for group in groups if group.name in ("label", "duplicate")]
    about = len(np.unique(np.concatenate(doubted))) if doubted else 0
    actions: list[dict[str, Any]] = []
    for review in reviews:
        num_errors = float(review.expected_R[-1]) if len(review) else 0.0
        shown = min(len(review), 2 * round(num_errors))
        if shown == 0:
            continue
        expected = float(review.expected_R[shown - 1])
        num_suspects = int(review.is_suspect_R.sum())
        actions.append(
            {
                "kind": "check-labels",
                "title": f"Check {shown} labels of {review.split}",
                "why": f"About {num_errors:.0f} of {len(review)} labels of {review.split} are "
                f"expected to be wrong, {expected:.0f} of them among the first {shown} of the "
                f"label review. ({num_suspects} are suspects: confident learning or a near "
                "duplicate gives another class.)",
                "command": "carscale data relabel ROOT decisions.csv OUT",
                "num_mistakes": about if review.split == evidence.split else shown,
                "split": review.split,
                "num_suspects": num_suspects,
                "num_shown": shown,
                "num_expected_errors": round(expected, 1),
                "ids": review.ids_R[:MAX_IDS][:shown].tolist(),
            }
        )
    return actions


def _conflicts(evidence: Evidence) -> list[dict[str, Any]]:
    """List near duplicates with different labels."""
    conflicts = evidence.conflicts
    if not conflicts:
        return []
    predictions = evidence.predictions
    wrong = predictions.ids_N[predictions.prediction_N != predictions.labels_N]
    return [
        {
            "kind": "near-duplicates",
            "title": f"Review {len(conflicts)} pairs of near duplicates with different labels",
            "why": "The photos look the same: one label is wrong, or they show two cars. The page "
            "asks which; carscale data relabel takes the answers.",
            "command": "carscale data dedupe ROOT --out FOLDER",
            "num_mistakes": int(np.isin(evidence.conflict_ids_P2, wrong).any(axis=1).sum()),
            "pairs": [pair.as_dict()["photos"] for pair in conflicts],
        }
    ]


def _merges(evidence: Evidence, confusions: Confusions) -> list[dict[str, Any]]:
    """Suggest merging pairs that are confused both ways more than by chance, with the new top-1."""
    names = [one.name for one in evidence.classes]
    predictions = evidence.predictions
    actions: list[dict[str, Any]] = []
    for pair in confusions.pairs:
        if pair.kind != "two-way" or pair.p >= 0.05 or len(actions) == MAX_MERGES:
            continue
        labels_N, prediction_N = predictions.labels_N, predictions.prediction_N
        before, after = merge_effect(labels_N, prediction_N, pair.first, pair.second)
        first, second = names[pair.first], names[pair.second]
        actions.append(
            {
                "kind": "merge",
                "title": f"Merge {first} and {second}, or add photos that tell them apart",
                "why": f"They are confused {pair.total} times, in both directions. Merged, top-1 "
                f"on {evidence.split} would be {after:.1%} instead of {before:.1%}.",
                "command": None,
                "num_mistakes": pair.total,
                "classes": [first, second],
                "top1_before": before,
                "top1_after": after,
            }
        )
    return actions


def _splits(evidence: Evidence) -> list[dict[str, Any]]:
    """Suggest splitting classes whose train embeddings form two clusters."""
    train = evidence.train
    if train is None or train.embeddings_MD is None or evidence.embeddings_ND is None:
        return []
    predictions, num_classes = evidence.predictions, len(evidence.classes)
    train_rows_K = rows_by_class(train.labels_M, num_classes)
    rows_K = rows_by_class(predictions.labels_N, num_classes)
    actions: list[dict[str, Any]] = []
    for k, (one, rows) in enumerate(zip(evidence.classes, rows_K, strict=True)):
        right = predictions.prediction_N[rows] == k
        if right.all():
            continue
        some = train_rows_K[k][:: max(1, -(-len(train_rows_K[k]) // MAX_POINTS))]
        centres = _two_parts(normalised(train.embeddings_MD[some]), evidence.seed)
        if centres is None:
            continue
        part = (normalised(evidence.embeddings_ND[rows]) @ centres.T).argmax(axis=1)
        if min((part == 0).sum(), (part == 1).sum()) < MIN_SEEN:
            continue
        recalls = [float(right[part == side].mean()) for side in (0, 1)]
        actions.append(
            {
                "kind": "split",
                "title": f"Check whether {one.name} is two classes",
                "why": "Its train embeddings form two clusters (two generations, or two views); "
                f"recall is {recalls[0]:.0%} on one and {recalls[1]:.0%} on the other.",
                "command": None,
                "num_mistakes": int((~right).sum()),
                "classes": [one.name],
                "recall_of_parts": recalls,
            }
        )
    return sorted(actions, key=lambda one: -one["num_mistakes"])[:MAX_MERGES]


def _two_parts(points_GD: NDArray[np.float32], seed: int) -> NDArray[np.float32] | None:
    """Return the centres of two well separated clusters; ``None`` where there are none."""
    if len(points_GD) < MIN_SPLIT_SAMPLES or (points_GD == points_GD[0]).all():
        return None
    from sklearn.cluster import KMeans

    fit = KMeans(2, n_init=4, random_state=seed).fit(points_GD)
    counts = np.bincount(fit.labels_, minlength=2)
    if counts.min() < MIN_PART or separation(points_GD, fit.labels_) < MIN_GAP:
        return None
    return normalised(fit.cluster_centers_)


def _augmentations(evidence: Evidence, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Suggest the augmentation that makes train photos like those of a group."""
    num_wrong = int((evidence.predictions.labels_N != evidence.predictions.prediction_N).sum())
    actions: list[dict[str, Any]] = []
    for group in groups:
        setting, words = _setting(group.name, evidence.settings)
        if setting is None or len(group.rows_G) < max(2, MIN_GROUP_SHARE * num_wrong):
            continue
        actions.append(
            {
                "kind": "augment",
                "title": f"Try {setting}",
                "why": f"{len(group.rows_G)} mistakes are in the group “{group.title}”: {words}.",
                "command": f"accelerate launch RECIPE config=RUN/config.yaml {setting} "
                f"run.name=NAME-{group.name} && carscale compare RUN DIR/NAME-{group.name}",
                "num_mistakes": len(group.rows_G),
                "group": group.name,
                "setting": setting,
            }
        )
    return actions


def _setting(group: str, settings: dict[str, str]) -> tuple[str | None, str]:
    """Return the setting to try for a group, and what it does; none that the run already has."""
    if group == "other-year":
        if "data.image_px" not in settings:
            return None, ""
        more_px = -(-int(settings["data.image_px"]) * 3 // 2 // 32) * 32
        return f"data.image_px={more_px}", "details that tell years apart need a higher resolution"
    setting, words = SETTINGS.get(group, ("", ""))
    key, _, value = setting.partition("=")
    return (None, "") if not setting or settings.get(key) == value else (setting, words)


def _more_photos(evidence: Evidence, learning: Sequence[LearningRow]) -> list[dict[str, Any]]:
    """Suggest how many photos to add to which classes."""
    if not learning:
        return []
    names = [one.name for one in evidence.classes]
    wrong_K = np.bincount(
        evidence.predictions.labels_N[
            evidence.predictions.labels_N != evidence.predictions.prediction_N
        ],
        minlength=len(names),
    )
    rows = [
        {
            "class": names[row.number],
            "train_photos": row.train_count,
            "error": row.error,
            "more": row.more,
            "more_low": row.more_low,
            "more_high": row.more_high,
        }
        for row in learning
    ]
    listed = [f"{row['class']} (+{row['more']})" for row in rows if row["more"] is not None][:5]
    hopeless = sum(row["more"] is None for row in rows)
    why = f"To reach the mean error of {learning[0].target:.1%}: {', '.join(listed)}."
    if not listed:
        why = "No such class reaches the mean error with ten times its photos: check its labels."
    elif hopeless:
        why += (
            f" {_counted(hopeless)} would need more than ten times their photos: check the labels."
        )
    return [
        {
            "kind": "more-photos",
            "title": f"Add photos to {_counted(len(rows))}",
            "why": why,
            "command": None,
            "num_mistakes": int(wrong_K[[row.number for row in learning]].sum()),
            "classes": rows,
        }
    ]


def _counted(num: int) -> str:
    """Return a number of classes in words."""
    return f"{num} class" if num == 1 else f"{num} classes"


def _fine_tuning(
    evidence: Evidence, hardness: Hardness | None, confusions: Confusions
) -> list[dict[str, Any]]:
    """Suggest train samples for fine-tuning."""
    train = evidence.train
    if train is None:
        return []
    chosen: list[NDArray[Any]] = []
    why = []
    if train.folds is not None:
        folds = train.folds
        is_wrong_M = folds.prediction_N != folds.labels_N
        is_near_M = is_wrong_M & (folds.prob_label_N >= 0.05)  # else rather a wrong label
        chosen.append(folds.ids_N[is_near_M][np.argsort(folds.margin_N[is_near_M], kind="stable")])
        why.append("misclassified out of sample, with a label that is still probable")
    if hardness is not None:
        ambiguous = hardness.region_M == "ambiguous"
        order = np.argsort(-hardness.variability_M[ambiguous], kind="stable")
        chosen.append(hardness.ids_M[ambiguous][order])
        why.append("ambiguous over training")
    if not chosen:
        confused = [pair for pair in confusions.pairs if pair.p < 0.05][:MAX_MERGES]
        numbers = [number for pair in confused for number in (pair.first, pair.second)]
        chosen.append(train.ids_M[np.isin(train.labels_M, numbers)])
        why.append("of the most confused classes")
    ids = list(dict.fromkeys(np.concatenate(chosen).tolist()))
    if not ids:
        return []
    return [
        {
            "kind": "fine-tune",
            "title": f"Fine-tune on {min(len(ids), MAX_IDS)} train photos",
            "why": f"They are {' or '.join(why)}.",
            "command": None,
            "num_mistakes": 0,
            "ids": ids[:MAX_IDS],
        }
    ]
