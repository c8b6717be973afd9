"""Distances between embeddings, in blocks. N samples, M train samples, D features, K classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


BLOCK_NUMBERS = 1 << 25
"""Numbers that are held at once: 128 MiB."""

MAX_TO_COMPARE = 2000
"""Samples that are compared each with each."""


def normalised(embeddings_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return rows of length 1, so that a product of two is their cosine; a zero row stays."""
    rows_ND = embeddings_ND.astype(np.float32)
    length_N = np.sqrt(np.einsum("nd,nd->n", rows_ND, rows_ND))  # a million rows: no second copy
    rows_ND /= np.maximum(length_N, np.finfo(np.float32).tiny)[:, None]
    return rows_ND


def nearest(
    queries_ND: NDArray[np.float32],
    base_MD: NDArray[np.float32],
    num_neighbours: int,
    *,
    skip_M: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the nearest rows of a base by cosine distance, exactly.

    Args:
        queries_ND: Normalised.
        base_MD: Normalised.
        num_neighbours: n; fewer where the base has fewer.
        skip_M: For each query a row of the base that does not count, itself perhaps; -1 for none.

    Returns:
        Rows of the base ``[N, n]``, nearest first, and their distances ``1 - cosine``.

    Example:
        >>> base = normalised(np.array([[1.0, 0.0], [0.0, 1.0]]))
        >>> nearest(normalised(np.array([[2.0, 0.1]])), base, 1)[0].tolist()
        [[0]]
    """
    num = min(num_neighbours, len(base_MD))
    rows_Nn = np.empty((len(queries_ND), num), dtype=np.int64)
    far_Nn = np.empty((len(queries_ND), num), dtype=np.float32)
    at_once = max(1, BLOCK_NUMBERS // max(1, len(base_MD)))
    for start in range(0, len(queries_ND), at_once):
        part = slice(start, start + at_once)
        near_BM = queries_ND[part] @ base_MD.T
        if skip_M is not None:
            skipped_B = skip_M[part]
            has_B = np.flatnonzero(skipped_B >= 0)
            near_BM[has_B, skipped_B[has_B]] = -np.inf
        top_Bn = np.argpartition(-near_BM, num - 1, axis=1)[:, :num] if num else near_BM[:, :0]
        near_Bn = np.take_along_axis(near_BM, top_Bn.astype(np.int64), axis=1)
        order_Bn = np.argsort(-near_Bn, axis=1, kind="stable")
        rows_Nn[part] = np.take_along_axis(top_Bn, order_Bn, axis=1)
        far_Nn[part] = 1 - np.take_along_axis(near_Bn, order_Bn, axis=1)
    return rows_Nn, far_Nn


def rows_by_class(labels_N: NDArray[np.int64], num_classes: int) -> list[NDArray[np.int64]]:
    """Return each class's rows, ascending, found in one pass over all.

    Example:
        >>> [rows.tolist() for rows in rows_by_class(np.array([2, 0, 2]), 3)]
        [[1], [], [0, 2]]
    """
    order_N = np.argsort(labels_N, kind="stable")
    ends_K = np.cumsum(np.bincount(labels_N, minlength=num_classes))
    return np.split(order_N, ends_K[:-1])


def class_sums(
    embeddings_MD: NDArray[np.float32], rows_of_K: list[NDArray[np.int64]]
) -> NDArray[np.float32]:
    """Return each class's sum, ``[K, D]``; zero for one without samples."""
    return np.stack([embeddings_MD[rows].sum(axis=0) for rows in rows_of_K])


def separation(points_ND: NDArray[np.floating], numbers_N: NDArray[np.integer]) -> float:
    """Return the mean silhouette of clusters, of 2,000 samples at most; -1 for a single cluster.

    Args:
        points_ND: Samples.
        numbers_N: Each one's cluster.

    Reference:
        Rousseeuw 1987, https://doi.org/10.1016/0377-0427(87)90125-7.

    Example:
        >>> separation(np.array([[0.0], [0.1], [5.0], [5.1]]), np.array([0, 0, 1, 1])) > 0.9
        True
    """
    from sklearn.metrics import silhouette_score

    size = len(points_ND)
    some = np.linspace(0, max(0, size - 1), min(size, MAX_TO_COMPARE)).astype(np.int64)
    num_clusters = len(np.unique(numbers_N[some]))
    if not 1 < num_clusters < len(some):
        return -1.0
    return float(silhouette_score(points_ND[some], numbers_N[some]))
