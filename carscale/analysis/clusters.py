"""Error clusters: mistakes with similar embeddings, and what they have in common.

Axes: W wrong samples, D features, C clusters, T tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import stats
from carscale.analysis.neighbours import normalised, separation
from carscale.analysis.result import Cluster, Trait

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.analysis.result import Evidence


MIN_WRONG = 40
MIN_CLUSTER = 8
MAX_CLUSTERS = 12
MAX_WRONG = 20_000
"""Of more mistakes, those with the highest loss are clustered."""

NUM_COMPONENTS = 32
ALPHA = 0.05
MAX_CLASSES = 3

Test = tuple[int, str, float, float, float, str]
"""Cluster, attribute, p, inside, outside, words."""


def find_clusters(evidence: Evidence, wrong_W: NDArray[np.int64]) -> tuple[Cluster, ...]:
    """Cluster mistakes by their embeddings and test which attributes differ in a cluster.

    K-means on the first 32 principal components; the number of clusters is the one with the best
    silhouette. Numbers are tested by Mann-Whitney, texts and flags by a two-sided binomial test of
    their share, all against the other wrong photos, adjusted (Holm) over clusters and attributes.

    Args:
        evidence: With embeddings; without them, or with fewer than 40 mistakes, nothing is found.
        wrong_W: Rows of the wrong predictions, highest loss first.
    """
    if evidence.embeddings_ND is None or len(wrong_W) < MIN_WRONG:
        return ()
    rows_W = wrong_W[:MAX_WRONG]
    points_WC = _reduced(normalised(evidence.embeddings_ND[rows_W]))
    if not points_WC.std(axis=0).max() > 1e-6:  # all the same: a dead layer
        return ()
    number_W, far_W = _k_means(points_WC, evidence.seed)
    tests: list[Test] = []
    for c in range(number_W.max() + 1):
        if (number_W == c).sum() >= MIN_CLUSTER:
            tests += _tests(evidence, rows_W, c, number_W == c)
    p_T = stats.holm([test[2] for test in tests])
    found = []
    for c in range(number_W.max() + 1):
        members = np.flatnonzero(number_W == c)
        if len(members) < MIN_CLUSTER:
            continue
        members = members[np.argsort(far_W[members], kind="stable")]
        traits = [
            Trait(name, words, inside, outside, float(p))
            for (cluster, name, _, inside, outside, words), p in zip(tests, p_T, strict=True)
            if cluster == c and p < ALPHA
        ]
        labels = evidence.predictions.labels_N[rows_W[members]]
        classes, counts = np.unique(labels, return_counts=True)
        best = np.lexsort((classes, -counts))[:MAX_CLASSES]
        common = tuple((int(classes[i]), int(counts[i])) for i in best)
        traits.sort(key=lambda trait: trait.p)
        found.append(Cluster(rows_W[members], tuple(traits), common))
    return tuple(sorted(found, key=lambda one: -len(one.rows_G)))


def _reduced(rows_WD: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the first principal components."""
    centred_WD = rows_WD - rows_WD.mean(axis=0)
    covariance_DD = centred_WD.T @ centred_WD
    _, vectors_DD = np.linalg.eigh(covariance_DD.astype(np.float64))
    return centred_WD @ vectors_DD[:, ::-1][:, :NUM_COMPONENTS]


def _k_means(
    points_WC: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each point's cluster and its distance to the cluster's centre."""
    from sklearn.cluster import KMeans

    num_distinct = len(np.unique(points_WC.round(6), axis=0))
    most = min(MAX_CLUSTERS, len(points_WC) // MIN_CLUSTER, max(2, num_distinct - 1))
    fits = []
    for num in range(2, most + 1):
        fit = KMeans(num, n_init=4, random_state=seed).fit(points_WC)
        fits.append((separation(points_WC, fit.labels_), -num, fit))
    best = max(fits, key=lambda one: one[:2])[2]
    numbers_W = best.labels_.astype(np.int64)
    far_W = np.linalg.norm(points_WC - best.cluster_centers_[numbers_W], axis=1)
    return numbers_W, far_W


def _tests(
    evidence: Evidence, rows_W: NDArray[np.int64], cluster: int, is_in_W: NDArray[np.bool_]
) -> list[Test]:
    """Test every attribute of a cluster's photos against the other wrong ones."""
    tests: list[Test] = []
    for name, values_N in evidence.attributes.items():
        values_W = values_N[rows_W]
        if values_W.dtype == object or values_W.dtype.kind in "US":
            texts_W = values_W.astype(str)
            tests += [
                _share_test(cluster, name, texts_W == text, is_in_W, text)
                for text in np.unique(texts_W).tolist()
                if text
            ]
        else:
            tests.append(_number_test(cluster, name, values_W, is_in_W))
    for name, flags_N in evidence.flags.items():
        tests.append(_share_test(cluster, "quality", flags_N[rows_W], is_in_W, name))
    return tests


def _number_test(
    cluster: int, name: str, values_W: NDArray[Any], is_in_W: NDArray[np.bool_]
) -> Test:
    """Compare a number inside and outside."""
    values_W = values_W.astype(np.float64)
    inside = values_W[is_in_W & np.isfinite(values_W)]
    outside = values_W[~is_in_W & np.isfinite(values_W)]
    if len(inside) == 0 or len(outside) == 0:
        return cluster, name, 1.0, np.nan, np.nan, ""
    here, there = float(np.median(inside)), float(np.median(outside))
    words = f"{'higher' if here > there else 'lower'} {name}: median {here:.3g}, "
    return (
        cluster,
        name,
        stats.rank_sum(inside, outside),
        here,
        there,
        words + f"other mistakes {there:.3g}",
    )


def _share_test(
    cluster: int,
    name: str,
    has_W: NDArray[np.bool_],
    is_in_W: NDArray[np.bool_],
    value: str,
) -> Test:
    """Compare how common a value is inside and outside."""
    inside, outside = int((has_W & is_in_W).sum()), int((has_W & ~is_in_W).sum())
    num_in, num_out = int(is_in_W.sum()), int((~is_in_W).sum())
    if num_out == 0 or inside + outside == 0:
        return cluster, name, 1.0, 0.0, 0.0, ""
    # of those that have the value, as many should be inside as photos are
    p = stats.binomial_two_sided(inside, inside + outside, num_in / (num_in + num_out))
    here, there = inside / num_in, outside / num_out
    more = "more" if here > there else "fewer"
    words = f"{more} with {name} {value}: {here:.0%}, other mistakes {there:.0%}"
    return cluster, name, float(p), here, there, words
