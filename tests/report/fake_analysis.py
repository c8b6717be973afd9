"""What an analysis might find in random predictions: consistent, not clever."""

import numpy as np

from carscale.analysis.confusions import find_confusions
from carscale.analysis.pipeline import wrong_rows
from carscale.analysis.result import (
    Analysis,
    Calibration,
    Cluster,
    Evidence,
    Group,
    Hardness,
    LearningRow,
    Review,
    Slice,
    TrainSide,
    Trait,
)
from carscale.types import CarClass

GROUPS = (
    ("wrong-label", "Label probably wrong", "Confident learning counts the label as an error."),
    ("dark", "Dark photo", "The photo is darker than 95 % of train."),
    ("look-alike", "Look-alike classes", "The two classes are mistaken for each other both ways."),
    ("rare-class", "Rare class", "Among the quarter of classes with the fewest train photos."),
    ("unsure", "Unsure", "No class got more than half of the probability."),
)


def fake_classes(rows):
    return tuple(CarClass(**row) for row in rows)


def fake_analysis(
    predictions, rows, *, split="val", seed=0, train_paths=None, num_reviewed=40, has_train=True
):
    """An ``Analysis`` of these predictions.

    Args:
        predictions: Of a split.
        rows: Classes as mappings.
        train_paths: Pairs of label and path; made up when absent.
    """
    rng = np.random.default_rng(seed)
    classes = fake_classes(rows)
    size = len(classes)
    told = predictions
    wrong_W = wrong_rows(Evidence(split, told, classes))
    confusions = find_confusions(told.labels_N, told.prediction_N, classes)
    groups, primary_W = _groups(wrong_W, told, rng)
    train_counts_K = rng.geometric(1 / 40, size) + 8
    if train_paths is None:
        labels = rng.integers(size, size=300)
        train_paths = [(int(k), f"train/{k}/{i}.jpg") for i, k in enumerate(labels)]
    train = TrainSide(
        ids_M=np.arange(len(train_paths)) + 100_000,
        paths_M=np.array([path for _, path in train_paths], dtype=object),
        labels_M=np.array([label for label, _ in train_paths]),
    )
    flags = {"dark": rng.random(len(told)) < 0.05, "tiny": rng.random(len(told)) < 0.02}
    evidence = Evidence(
        split=split,
        predictions=told,
        classes=classes,
        train_counts_K=train_counts_K,
        attributes={"brightness": rng.normal(110, 30, len(told))},
        flags=flags,
        rules={"dark": "Mean brightness below 40 of 255.", "tiny": "Shorter side below 64 px."},
        train=train if has_train else None,
    )
    return Analysis(
        evidence=evidence,
        wrong_W=wrong_W,
        groups=groups,
        primary_W=primary_W,
        confusions=confusions,
        slices=_slices(told, rng),
        clusters=_clusters(wrong_W, told, rng),
        calibration=_calibration(told),
        reviews=_reviews(told, train, size, rng, split, num_reviewed, has_train),
        hardness=_hardness(train, rng) if has_train else None,
        learning=_learning(train_counts_K, rng),
        actions=_actions(len(wrong_W), np.int64(size)),
        notes=("Near duplicates were not looked for: carscale data duplicates.",),
    )


def _groups(wrong_W, told, rng):
    primary_W = np.full(len(wrong_W), -1)
    groups = []
    for number, (name, title, definition) in enumerate(GROUPS):
        share = (0.08, 0.1, 0.5, 0.3, 0.4)[number]
        is_in_W = rng.random(len(wrong_W)) < share
        first_W = is_in_W & (primary_W < 0)
        primary_W[first_W] = number
        advice = "Look at the photos and mend what is wrong with them."
        rows = wrong_W[is_in_W]
        groups.append(Group(name, title, definition, rows, int(first_W.sum()), advice))
    return tuple(groups), primary_W


def _slices(told, rng):
    correct_N = told.prediction_N == told.labels_N
    slices = []
    for attribute in ("brightness", "sharpness", "source", "width"):
        part_N = rng.integers(4, size=len(told))
        for value in range(4):
            is_in_N = part_N == value
            num, right = int(is_in_N.sum()), int(correct_N[is_in_N].sum())
            if num == 0:
                continue
            accuracy = right / num
            spread = 1.96 * (accuracy * (1 - accuracy) / num + 1e-4) ** 0.5
            rest = float(correct_N[~is_in_N].mean()) if (~is_in_N).any() else float("nan")
            p = float(rng.random())
            slices.append(
                Slice(
                    attribute, f"quarter {value + 1}", num, right, accuracy,
                    max(0, accuracy - spread), min(1, accuracy + spread), rest, p, p < 0.05,
                )
            )  # fmt: skip
    return tuple(sorted(slices, key=lambda one: one.accuracy))


def _clusters(wrong_W, told, rng):
    if len(wrong_W) < 9:
        return ()
    part_W = rng.integers(4, size=len(wrong_W))  # the last has no cluster
    clusters = []
    for number in range(3):
        rows = wrong_W[part_W == number]
        labels, counts = np.unique(told.labels_N[rows], return_counts=True)
        best = np.argsort(-counts, kind="stable")[:5]
        traits = (
            Trait("brightness", "darker: median 61, elsewhere 118", 61, 118, 0.001),
            Trait("width", "narrower: median 240 px, elsewhere 610 px", 240, 610, 0.01),
        )[: number % 3]
        pairs = tuple((int(labels[i]), int(counts[i])) for i in best)
        clusters.append(Cluster(rows, traits, pairs))
    return tuple(clusters)


def _calibration(told):
    order = np.argsort(-told.prob_prediction_N)
    right = (told.prediction_N == told.labels_N)[order]
    steps = np.arange(len(told), 0, -1)
    accuracy_S = np.cumsum(right)[steps - 1] / steps
    confidence_S = told.prob_prediction_N[order][steps - 1]
    return Calibration(0.043, 0.039, 1.21, steps / len(told), accuracy_S, confidence_S)


def _reviews(told, train, size, rng, split, num, has_train):
    reviews = []
    sides = [("train", train)] if has_train else []
    for name, ids, paths, labels in (
        (split, told.ids_N, told.paths_N, told.labels_N),
        *((name, side.ids_M, side.paths_M, side.labels_M) for name, side in sides),
    ):
        rows = np.arange(min(num, len(ids)))
        prob = np.sort(rng.uniform(0.5, 1, len(rows)))[::-1]
        reviews.append(
            Review(
                name, ids[rows], paths[rows], labels[rows],
                (labels[rows] + 1) % size if size > 1 else labels[rows],
                prob_label_R=0.4 * (1 - prob), prob_suggested_R=prob,
                is_suspect_R=rows < len(rows) // 3, num_expected=len(rows) / 3,
                expected_R=np.cumsum(prob * 0.6),
            )
        )  # fmt: skip
    return tuple(reviews)


def _hardness(train, rng):
    num = len(train.ids_M)
    confidence_M = rng.beta(4, 1.5, num)
    variability_M = np.sqrt(confidence_M * (1 - confidence_M)) * rng.uniform(0.4, 0.9, num)
    regions = np.array(["easy", "ambiguous", "hard"], dtype=object)
    region_M = regions[np.where(confidence_M < 0.35, 2, np.where(variability_M > 0.25, 1, 0))]
    forgotten_M = rng.integers(-1, 4, num)
    return Hardness(
        train.ids_M, train.labels_M, confidence_M, variability_M, confidence_M, forgotten_M,
        region_M, 12,
    )  # fmt: skip


def _learning(train_counts_K, rng):
    rows = []
    for number in range(0, len(train_counts_K), 3):
        more = None if number % 4 == 0 else int(rng.integers(5, 200))
        low, high = (None, None) if more is None else (more // 2, more * 3)
        rows.append(LearningRow(number, int(train_counts_K[number]), 0.3, 0.2, more, low, high))
    return tuple(rows)


def _actions(num_wrong, size):
    return (
        {"kind": "review", "title": "Look at 40 train labels",
         "why": "About 13 of them are wrong; a wrong label costs its class twice.",
         "command": "carscale data relabel data/cars decisions.csv data/cars-v2",
         "num": size, "num_mistakes": 31, "ids": np.arange(3)},
        {"kind": "photos", "title": "Add 310 photos of 9 classes",
         "why": "Their error is above the mean and the learning curve still falls.",
         "command": None, "more": 310, "num_mistakes": 1},
        {"kind": "classes", "title": "Tell look-alikes apart at a higher resolution",
         "why": f"Half of {num_wrong} mistakes are between two classes mistaken both ways.",
         "command": "accelerate launch recipes/effnet_focal.py data.image_px=320"},
        {"kind": "dark", "title": "Train with darker photos", "why": "Dark photos are worse.",
         "command": "accelerate launch recipes/effnet_focal.py augment.policy=strong"},
    )  # fmt: skip
