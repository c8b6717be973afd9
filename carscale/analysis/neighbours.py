"""Distances between embeddings, in blocks. N samples, M train samples, D features, K classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["class_means", "nearest", "normalised"]

BLOCK_NUMBERS = 1 << 25
"""Distances that are held at once: 128 MiB."""


def normalised(embeddings_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return rows of length 1, so that a product of two is their cosine; a zero row stays."""
    rows_ND = embeddings_ND.astype(np.float32)
    length_N1 = np.linalg.norm(rows_ND, axis=1, keepdims=True)
    return rows_ND / np.maximum(length_N1, np.finfo(np.float32).tiny)


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


def class_means(
    embeddings_MD: NDArray[np.float32], labels_M: NDArray[np.int64], num_classes: int
) -> NDArray[np.float32]:
    """Return each class's mean direction, normalised, ``[K, D]``; zero for one without samples."""
    sums_KD = np.zeros((num_classes, embeddings_MD.shape[1]), dtype=np.float32)
    np.add.at(sums_KD, labels_M, embeddings_MD)
    return normalised(sums_KD)
