"""Actions: what to do about the mistakes, what that mends, and what it costs.

N samples, M train samples, K classes, P pairs, G samples of a class.

Chosen: an action states its gain in photos of the split where something tells it: the mistakes it
is about, times the share that such actions mend; *not measured* otherwise. Rejected: a rank by the
number of mistakes alone: the widest group is not what is mended soonest.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import evaluation, stats
from carscale.analysis.neighbours import normalised, rows_by_class, separation
from carscale.analysis.training_actions import augmentations, fine_tuning, rebalancing

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
TOLD_APART = 0.6
"""A merge is advised where the pair is told apart less often, by the upper end of the interval."""
MAX_IDS = 2000
LOOK_S = 5.0
"""A person's look at a photo, in seconds: assumed, not measured."""
MIN_PART = 8
MIN_SEEN = 3
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
    """Return what to do, what mends most per minute first.

    Each is plain data: ``kind``, ``title``, ``why``, ``command`` (or ``None``; RUN, NAME, DIR,
    RECIPE and ROOT stand for what only the caller knows), ``then`` (what comes after a person's
    part, or ``None``), ``num_mistakes``, ``gain`` (photos that it may mend; ``None``: not
    measured), ``seconds`` (of this machine, or of a person who looks; ``None``: not known) and its
    own numbers.
    """
    augmented = augmentations(evidence, groups)
    found = [
        *_check_labels(evidence, reviews, groups),
        *_conflicts(evidence),
        *rebalancing(evidence),
        *_merges(evidence, confusions),
        *_splits(evidence),
        *augmented,
        *_more_photos(evidence, learning),
        *fine_tuning(evidence, hardness, confusions, augmented),
    ]
    whole = [{"then": None, "gain": None, "seconds": None, **action} for action in found]
    return tuple(sorted(whole, key=_worth))


def _worth(action: dict[str, Any]) -> tuple[bool, float, int]:
    """Sort what is measured first, by gain per minute; a cost not known counts as ten minutes."""
    gain, seconds = action["gain"], action["seconds"] or 600.0
    return gain is None, -60 * (gain or 0.0) / seconds, -action["num_mistakes"]


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
        expected = float(review.expected_R[shown - 1]) if shown else 0.0
        if round(expected) == 0:
            continue
        num_suspects = int(review.is_suspect_R.sum())
        new = f"ROOT-relabelled-{review.split}"
        relabel = f"carscale data relabel ROOT decisions.csv {new}"
        again = f"carscale evaluate RUN data.root={new} --split {review.split}"
        if review.split == "train":
            again = f"accelerate launch RECIPE config=RUN/config.yaml data.root={new}"
            again += " run.name=NAME-relabelled"
        else:
            relabel += " --any-split"
        actions.append(
            {
                "kind": "check-labels",
                "title": f"Check {shown} labels of {review.split}",
                "why": f"About {num_errors:.0f} of {len(review)} labels of {review.split} are "
                f"expected to be wrong, {expected:.0f} of them among the first {shown} of the "
                f"label review. ({num_suspects} are marked: confident learning or a near "
                "duplicate gives another class.) In the page's label review press W, R or U, "
                "then save.",
                "command": "carscale report RUN",
                "then": f"{relabel} && {again}",
                "num_mistakes": about if review.split == evidence.split else shown,
                "gain": expected if review.split == evidence.split else None,
                "seconds": LOOK_S * shown,
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
    photos = [pair.as_dict()["photos"] for pair in conflicts]
    is_held_out = any(one["split"] != "train" for pair in photos for one in pair)
    return [
        {
            "kind": "near-duplicates",
            "title": f"Review {len(conflicts)} pairs of near duplicates with different labels",
            "why": "The photos look the same: one label is wrong, or they show two cars. The page "
            "asks which, and saves answers.csv.",
            "command": "carscale data dedupe ROOT --out NAME-duplicates",
            "then": "carscale data relabel ROOT answers.csv ROOT-answered"
            + (" --any-split" if is_held_out else ""),
            "seconds": 2 * LOOK_S * len(conflicts),
            "num_mistakes": int(np.isin(evidence.conflict_ids_P2, wrong).any(axis=1).sum()),
            "pairs": photos,
        }
    ]


def _merges(evidence: Evidence, confusions: Confusions) -> list[dict[str, Any]]:
    """Suggest merging pairs that can't be told apart: right less than 60 %, beyond doubt."""
    names = [one.name for one in evidence.classes]
    predictions = evidence.predictions
    labels_N, prediction_N = predictions.labels_N, predictions.prediction_N
    actions: list[dict[str, Any]] = []
    for pair in confusions.pairs:
        if pair.kind != "two-way" or pair.p >= 0.05 or len(actions) == MAX_MERGES:
            continue
        both = np.array([pair.first, pair.second])
        right = int((np.isin(labels_N, both) & (prediction_N == labels_N)).sum())
        low, high = stats.jeffreys(right, right + pair.total)
        if float(high) >= TOLD_APART:
            continue
        before, after = merge_effect(labels_N, prediction_N, pair.first, pair.second)
        first, second = names[pair.first], names[pair.second]
        merge = shlex.quote(f"{first} + {second} -> {first} / {second}")
        actions.append(
            {
                "kind": "merge",
                "title": f"Merge {first} and {second}, or add photos that tell them apart",
                "why": f"Of {right + pair.total} photos of either, taken for one of the two, "
                f"{right / (right + pair.total):.0%} are right (95 % interval {float(low):.0%} to "
                f"{float(high):.0%}). Merged, top-1 on {evidence.split} would be {after:.1%} "
                f"instead of {before:.1%}.",
                "command": f"carscale data refine ROOT ROOT-merged --merge {merge} && accelerate "
                "launch RECIPE config=RUN/config.yaml data.root=ROOT-merged run.name=NAME-merged "
                "&& carscale compare RUN DIR/NAME-merged",
                "num_mistakes": pair.total,
                "gain": float(pair.total),
                "seconds": evidence.train_s,
                "classes": [first, second],
                "top1_before": before,
                "top1_after": after,
            }
        )
    return actions


def _splits(evidence: Evidence) -> list[dict[str, Any]]:
    """Suggest splitting classes whose train embeddings form two clusters of unlike recall."""
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
        worse = part == int(np.argmin(recalls))
        wins, num = int(right[worse].sum()), int(worse.sum())
        p = float(stats.fewer_right([wins], [num], int(right.sum()), len(right))[0])
        if p * 2 * num_classes >= 0.05:  # either part could be the worse one, of any class
            continue
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


def _more_photos(evidence: Evidence, learning: Sequence[LearningRow]) -> list[dict[str, Any]]:
    """Suggest how many photos to add to which classes, of those whose recall is low on val.

    Of val alone: each split would name another goal, and test is not what data are planned by.
    """
    if evidence.split != "val":
        return []
    per_class = evaluation.per_class(evidence.predictions, evidence.classes)
    learning = [row for row in learning if per_class[row.number]["has_low_recall"]]
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
    support_K = [int(row["support"]) for row in per_class]
    gain = sum((row.error - row.target) * support_K[row.number] for row in learning)
    why = (
        f"Their recall on {evidence.split} is below the mean beyond doubt. To reach the mean error "
        f"of {learning[0].target:.1%}: {', '.join(listed)}."
    )
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
            "gain": max(0.0, gain),
            "classes": rows,
        }
    ]


def _counted(num: int) -> str:
    """Return a number of classes in words."""
    return f"{num} class" if num == 1 else f"{num} classes"
