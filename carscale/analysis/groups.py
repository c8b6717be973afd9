"""Error groups: mistakes with a named cause. N samples, M of train, W wrong ones, K classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from carscale.analysis.neighbours import class_sums, nearest, normalised, rows_by_class
from carscale.analysis.result import Group

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.analysis.labels import Suspicion
    from carscale.analysis.result import Confusions, Evidence


PRIMARY_RULE = (
    "A mistake's primary cause is the first group it is in, in the order of the list: label "
    "errors, then properties of the photo, then of the classes, narrow before wide."
)
FAR_QUANTILE = 0.99
NUM_NEIGHBOURS = 5
NUM_USUAL = 5000
"""Train photos that the usual distance to neighbours is measured on."""

MAX_BASE = 200_000
"""Train photos searched for neighbours; an even sample of more."""

MIN_OWN = 20
"""A class of fewer train photos takes its limit from all of train."""

RARE_SHARE = 0.25
SETTINGS = {
    "dark": ("augment.policy=photometric", "twice the colour jitter of `standard`"),
    "bright": ("augment.policy=photometric", "twice the colour jitter of `standard`"),
    "blurred": ("augment.policy=degrade", "blur, noise and JPEG artefacts"),
    "tiny": ("augment.policy=degrade", "blur, noise and JPEG artefacts, as of enlarged photos"),
    "odd-aspect": ("data.fit=pad", "keeps the whole photo and its aspect ratio"),
    "odd-view": ("augment.policy=geometric", "shear, rotation and shift"),
}
"""Setting that augments train photos like those of a group, and what it does."""

OVERLAP = 0.05
"""Smallest share of two classes' train photos that lie nearer to the mean of the other."""

MIN_MUTUAL = 2
"""Least number of mistakes between look-alikes."""


@dataclass(frozen=True, eq=False)
class _Known:
    """What the rules test, computed once."""

    evidence: Evidence
    wrong_W: NDArray[np.int64]
    suspicion: Suspicion
    confusions: Confusions
    distances: _Distances | None


@dataclass(frozen=True, eq=False)
class _Distances:
    """Embeddings of wrong photos against train.

    Attributes:
        far_W: Mean distance to the nearest train photos, over the distance that 99 % of train
            photos keep among themselves.
        odd_W: Distance to the mean of the own class, over what 99 % of its train photos keep from
            the mean of the others.
        overlap: Share of two classes' train photos that is nearer to the other's mean.
    """

    far_W: NDArray[np.float64]
    odd_W: NDArray[np.float64]
    overlap: Callable[[int, int], float]


def find_groups(
    evidence: Evidence,
    wrong_W: NDArray[np.int64],
    suspicion: Suspicion,
    confusions: Confusions,
) -> tuple[tuple[Group, ...], NDArray[np.int64]]:
    """Sort the mistakes into groups, and each into one primary group.

    Args:
        evidence: What is known.
        wrong_W: Rows of the wrong predictions, highest loss first.
        suspicion: Of the labels of all rows.
        confusions: The pairs of classes.

    Returns:
        The groups that have a member, in the order that decides; and for each wrong row the index
        of its primary group, -1 where it is in none.
    """
    known = _Known(evidence, wrong_W, suspicion, confusions, _measure(evidence, wrong_W))
    found = [(rule, rule.test(known)) for rule in _rules(evidence)]
    found = [(rule, is_in_W) for rule, is_in_W in found if is_in_W.any()]
    if not found:
        return (), np.full(len(wrong_W), -1)
    is_in_GW = np.stack([is_in_W for _, is_in_W in found])
    primary_W = np.where(is_in_GW.any(axis=0), is_in_GW.argmax(axis=0), -1)
    groups = tuple(
        Group(
            name=rule.name,
            title=rule.title,
            definition=rule.definition,
            rows_G=wrong_W[is_in_W],
            num_primary=int((primary_W == index).sum()),
            advice=rule.advice,
        )
        for index, (rule, is_in_W) in enumerate(found)
    )
    return groups, primary_W


@dataclass(frozen=True)
class _Rule:
    """A group before it is filled."""

    name: str
    title: str
    definition: str
    advice: str
    test: Callable[[_Known], NDArray[np.bool_]]


def _rules(evidence: Evidence) -> list[_Rule]:
    """Return all rules in the order that decides on a primary cause."""
    quality = [
        _Rule(
            name.replace(" ", "-"),
            f"{name[:1].upper()}{name[1:]} photos",
            _sentence(evidence.rules.get(name, f"the photo is {name}")),
            f"Decide whether such photos occur in production. If so, add some{_or_train(name)}; "
            "if not, leave them out when freezing.",
            lambda known, name=name: known.evidence.flags[name][known.wrong_W],  # type: ignore[misc]
        )
        for name in evidence.flags
    ]
    return [*OF_LABELS, *quality, *OF_PHOTOS, *OF_CLASSES]


def _or_train(flag: str) -> str:
    """Return the advice on a setting that makes photos of a quality flag, where there is one."""
    setting, _ = SETTINGS.get(flag.replace(" ", "-"), ("", ""))
    return f", or train with `{setting}` if the run does not yet" if setting else ""


def _sentence(text: str) -> str:
    """Return text with a capital and a full stop."""
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _suspected(known: _Known) -> NDArray[np.bool_]:
    """Tell which labels are probably wrong."""
    return known.suspicion.is_likely_N[known.wrong_W]


def _duplicated(known: _Known) -> NDArray[np.bool_]:
    """Tell which photos have a near duplicate with another label."""
    if known.evidence.conflicts is None:
        return np.zeros(len(known.wrong_W), dtype=bool)
    return np.isin(known.evidence.predictions.ids_N[known.wrong_W], known.evidence.conflict_ids_P2)


def _far(known: _Known) -> NDArray[np.bool_]:
    """Tell which photos are far from all of train."""
    if known.distances is None:
        return np.zeros(len(known.wrong_W), dtype=bool)
    return known.distances.far_W > 1


def _odd(known: _Known) -> NDArray[np.bool_]:
    """Tell which photos are unlike the train photos of their class."""
    if known.distances is None:
        return np.zeros(len(known.wrong_W), dtype=bool)
    return known.distances.odd_W > 1


def _two_classes(known: _Known, test: Callable[[int, int], bool]) -> NDArray[np.bool_]:
    """Tell of each mistake whether its two classes pass a test."""
    predictions = known.evidence.predictions
    pairs_W2 = np.stack([predictions.labels_N, predictions.prediction_N], axis=1)[known.wrong_W]
    if not len(pairs_W2):
        return np.zeros(0, dtype=bool)
    pairs_P2, place_W = np.unique(pairs_W2, axis=0, return_inverse=True)
    passes_P = np.array([test(one, other) for one, other in pairs_P2.tolist()], dtype=bool)
    return passes_P[place_W.reshape(-1)]


def _look_alike(known: _Known) -> NDArray[np.bool_]:
    """Tell which mistakes are between classes that are often confused and overlap."""
    confused = {
        frozenset((pair.first, pair.second))
        for pair in known.confusions.pairs
        if pair.p < 0.05 and pair.total >= MIN_MUTUAL
    }
    distances = known.distances

    def test(one: int, other: int) -> bool:
        if frozenset((one, other)) not in confused:
            return False
        return distances is None or distances.overlap(one, other) >= OVERLAP

    return _two_classes(known, test)


def _same(*names: str, differ: str | None = None) -> Callable[[_Known], NDArray[np.bool_]]:
    """Return the test that two classes share some parts of their names."""

    def rule(known: _Known) -> NDArray[np.bool_]:
        classes = known.evidence.classes

        def test(one: int, other: int) -> bool:
            first, second = classes[one], classes[other]
            shared = all(
                getattr(first, name) is not None and getattr(first, name) == getattr(second, name)
                for name in names
            )
            return shared and (differ is None or getattr(first, differ) != getattr(second, differ))

        return _two_classes(known, test)

    return rule


def _rare(known: _Known) -> NDArray[np.bool_]:
    """Tell which true classes are among the quarter with the fewest train photos."""
    counts_K = known.evidence.train_counts_K
    if counts_K is None or not len(counts_K) or counts_K.min() == counts_K.max():
        return np.zeros(len(known.wrong_W), dtype=bool)
    most = np.quantile(counts_K, RARE_SHARE, method="lower")
    is_rare_K = (counts_K <= most) & (counts_K < np.median(counts_K))
    return is_rare_K[known.evidence.predictions.labels_N[known.wrong_W]]


OF_LABELS = (
    _Rule(
        "label",
        "Suspected label error",
        "Confident learning assigns the photo to another class than its label, and the label is "
        "among the 2n most likely to be wrong, where n label errors are expected.",
        "Check them in the label review, most suspicious first, and apply your decisions with "
        "`carscale data relabel`.",
        _suspected,
    ),
    _Rule(
        "duplicate",
        "Near duplicate with another label",
        "A near duplicate of the photo is labelled with another class.",
        "One of the two labels is wrong, or the photo shows both cars: decide in the label review.",
        _duplicated,
    ),
)
OF_PHOTOS = (
    _Rule(
        "far",
        "Far from the training data",
        "Mean embedding distance to the five nearest train photos is larger than for 99 % of train "
        f"photos (searched among {MAX_BASE:,} where there are more).",
        "Nothing like it was trained on. If such photos matter, add some: other angles, "
        "backgrounds, or another source.",
        _far,
    ),
    _Rule(
        "odd-view",
        "Odd view or part of a car",
        "Embedding distance to the class mean is larger than for 99 % of the class's train photos "
        f"(of all train photos where the class has fewer than {MIN_OWN}).",
        "Often an interior, a detail, or a rare angle. Stronger cropping "
        "(`augment.crop_scale_min`) helps with parts; more photos help with angles.",
        _odd,
    ),
)
EMBEDDED_GROUPS = tuple(rule.title for rule in OF_PHOTOS)
"""Titles of the groups that nothing is known of without embeddings."""

OF_CLASSES = (
    _Rule(
        "other-year",
        "Same model, different year",
        "True and predicted class have the same make, model and body, but not the same year.",
        "Small details decide: raise the resolution (`data.image_px`), or merge the years if "
        "nobody needs them apart.",
        _same("make", "model", "body", differ="year"),
    ),
    _Rule(
        "look-alike",
        "Look-alike models",
        "The two classes are confused significantly more often than by chance (p < 0.05 after "
        "correction); with embeddings, also at least 5 % of their train photos lie nearer to the "
        "mean of the other class.",
        "More photos of both classes, a higher resolution, or fine-tuning on photos of the pair: "
        "`recipes/finetune_hard.py`.",
        _look_alike,
    ),
    _Rule(
        "rare",
        "Rare class",
        "The true class is among the quarter of classes with the fewest train photos, and below "
        "the median.",
        "More photos of it; until then `carscale rebalance`: another classifier layer, in seconds.",
        _rare,
    ),
    _Rule(
        "same-make",
        "Same make",
        "True and predicted class are of the same make.",
        "The make is right and the model is wrong: higher resolution, stronger augmentation.",
        _same("make"),
    ),
    _Rule(
        "same-body",
        "Same body, different make",
        "True and predicted class have the same body type but different makes.",
        "The body is right and the make is wrong: badges and lamps are small, so raise the "
        "resolution and use crops that keep the front whole.",
        _same("body", differ="make"),
    ),
)


def _measure(evidence: Evidence, wrong_W: NDArray[np.int64]) -> _Distances | None:
    """Measure wrong photos against train; ``None`` without embeddings of both."""
    train = evidence.train
    if evidence.embeddings_ND is None or train is None or train.embeddings_MD is None:
        return None
    if len(train.ids_M) <= NUM_NEIGHBOURS or not len(wrong_W):
        return None
    base_MD = normalised(train.embeddings_MD)
    wrong_WD = normalised(evidence.embeddings_ND[wrong_W])
    rows_of_K = rows_by_class(train.labels_M, len(evidence.classes))
    sums_KD = class_sums(base_MD, rows_of_K)
    means_KD = normalised(sums_KD)
    true_W = evidence.predictions.labels_N[wrong_W]
    limit_K = _usual_from_mean(base_MD, rows_of_K, sums_KD)
    from_mean_W = 1 - np.einsum("wd,wd->w", wrong_WD, means_KD[true_W])

    def overlap(one: int, other: int) -> float:
        between_D = means_KD[other] - means_KD[one]
        crossed = (base_MD[rows_of_K[one]] @ between_D > 0).sum()
        crossed += (base_MD[rows_of_K[other]] @ between_D <= 0).sum()
        return float(crossed / max(1, len(rows_of_K[one]) + len(rows_of_K[other])))

    return _Distances(
        far_W=_distance_to_train(wrong_WD, base_MD),
        odd_W=from_mean_W / np.maximum(limit_K[true_W], 1e-6),
        overlap=overlap,
    )


def _distance_to_train(
    wrong_WD: NDArray[np.float32], base_MD: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the mean distance to the nearest train photos, over what 99 % of those keep."""
    if len(base_MD) > MAX_BASE:
        base_MD = base_MD[np.linspace(0, len(base_MD) - 1, MAX_BASE).astype(np.int64)]
    some = np.linspace(0, len(base_MD) - 1, min(len(base_MD), NUM_USUAL)).astype(np.int64)
    usual_S = nearest(base_MD[some], base_MD, NUM_NEIGHBOURS, skip_M=some)[1].mean(axis=1)
    far_W = nearest(wrong_WD, base_MD, NUM_NEIGHBOURS)[1].mean(axis=1)
    return far_W / max(float(np.quantile(usual_S, FAR_QUANTILE)), 1e-6)


def _usual_from_mean(
    base_MD: NDArray[np.float32],
    rows_of_K: list[NDArray[np.int64]],
    sums_KD: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return, by class, the distance that 99 % of its photos keep from the mean of the others.

    A photo's own share in the mean would make it look nearer than a new photo is. Infinite for a
    class without photos.
    """
    found = []
    for rows, sum_D in zip(rows_of_K, sums_KD, strict=True):
        own_GD = base_MD[rows] if len(rows) > 1 else base_MD[:0]
        found.append(1 - np.einsum("gd,gd->g", own_GD, normalised(sum_D - own_GD)))
    pooled = np.concatenate(found)
    of_all = float(np.quantile(pooled, FAR_QUANTILE)) if len(pooled) else np.inf
    limit_K = np.full(len(found), of_all)
    for k, own in enumerate(found):
        if len(own) >= MIN_OWN:
            limit_K[k] = np.quantile(own, FAR_QUANTILE)
        elif not len(rows_of_K[k]):
            limit_K[k] = np.inf
    return limit_K
