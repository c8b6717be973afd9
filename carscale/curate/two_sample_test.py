"""Can a classifier tell two sets of photos apart, and by what?

Axes: N photos of both sets, F features.

Chosen: logistic regression, cross-validated, its p-value by permutation. Rejected: a p-value from
the binomial of all held-out predictions. Why: folds share their training photos, so these are not
independent, and the permutation is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray


NUM_FOLDS = 5
MOST = 500
"""Photos of each set that are used; more take longer and say the same."""
NUM_COMPONENTS = 32
"""Of more features, the first principal components are used."""


@dataclass(frozen=True)
class TwoSampleResult:
    """How well a classifier tells two sets apart.

    Attributes:
        what: What it saw.
        accuracy: Of photos that it did not learn from; 0.5 is chance.
        low, high: Its interval.
        p: Share of permuted sets that are told apart as well.
        num: Photos of each set.
    """

    what: str
    accuracy: float
    low: float
    high: float
    p: float
    num: int


def classifier_two_sample_test(
    features_AF: NDArray[Any],
    features_BF: NDArray[Any],
    *,
    what: str,
    num_permutations: int = 99,
    seed: int = 0,
) -> TwoSampleResult | None:
    """Return how well logistic regression tells two sets apart by features of their photos.

    As many photos of each; features become ranks, so that no unit and no outlier matters.

    Args:
        features_AF: Of one set, finite.
        features_BF: Of the other, finite.
        what: What the features are, in words.
        num_permutations: The smallest p is 1 / (permutations + 1).
        seed: Of the draws.

    Returns:
        The result; ``None`` with fewer than 10 photos of a set, or no feature that varies.

    Raises:
        ValueError: A feature is not finite.

    Reference:
        Lopez-Paz and Oquab 2017, https://arxiv.org/abs/1610.06545.
    """
    for name, features in (("features_AF", features_AF), ("features_BF", features_BF)):
        stats.finite(name, features)
    num = min(len(features_AF), len(features_BF), MOST)
    if num < 2 * NUM_FOLDS:
        return None
    rng = np.random.Generator(np.random.Philox(seed))
    parts = [rng.permutation(len(part))[:num] for part in (features_AF, features_BF)]
    both_NF = np.concatenate([features_AF[parts[0]], features_BF[parts[1]]]).astype(np.float64)
    both_NF = both_NF[:, np.ptp(both_NF, axis=0) > 0]
    if not both_NF.shape[1]:
        return None
    points_NF = _points(both_NF)
    labels_N = np.repeat([0, 1], num)
    hits = _hits(points_NF, labels_N, rng)
    by_chance = [_hits(points_NF, rng.permutation(labels_N), rng) for _ in range(num_permutations)]
    p = (1 + sum(one >= hits for one in by_chance)) / (num_permutations + 1)
    low, high = stats.jeffreys(hits, 2 * num)
    return TwoSampleResult(what, hits / (2 * num), float(low), float(high), p, num)


def _points(both_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return features on one scale, few enough to learn from; labels play no part in it."""
    if both_NF.shape[1] > NUM_COMPONENTS:
        from sklearn.decomposition import PCA

        num = min(NUM_COMPONENTS, len(both_NF) // 4)
        both_NF = PCA(num, random_state=0).fit_transform(both_NF)
        return np.asarray(both_NF / both_NF.std(axis=0).clip(1e-12))
    ranks_NF = np.empty_like(both_NF)
    for column in range(both_NF.shape[1]):
        _, inverse, counts = np.unique(both_NF[:, column], return_inverse=True, return_counts=True)
        mid_ranks = np.cumsum(counts) - (counts - 1) / 2  # ties share their mean rank
        ranks_NF[:, column] = mid_ranks[inverse]
    scaled_NF: NDArray[np.float64] = (ranks_NF - ranks_NF.mean(axis=0)) / ranks_NF.std(axis=0)
    return scaled_NF


def _hits(
    points_NF: NDArray[np.float64], labels_N: NDArray[np.int64], rng: np.random.Generator
) -> int:
    """Return how many held-out photos get their own set."""
    from sklearn.linear_model import LogisticRegression

    fold_N = np.empty(len(labels_N), dtype=np.int64)
    for label in (0, 1):
        rows = rng.permutation(np.flatnonzero(labels_N == label))
        fold_N[rows] = np.arange(len(rows)) % NUM_FOLDS
    hits = 0
    for fold in range(NUM_FOLDS):
        is_out_N = fold_N == fold
        model = LogisticRegression(solver="newton-cholesky")  # few features
        model.fit(points_NF[~is_out_N], labels_N[~is_out_N])
        hits += int((model.predict(points_NF[is_out_N]) == labels_N[is_out_N]).sum())
    return hits
