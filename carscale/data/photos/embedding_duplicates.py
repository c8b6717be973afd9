"""Photos that a model takes for the same one: neighbours far nearer than anyone else.

Chosen: two photos that are each other's nearest, at less than half the distance to the next.
Rejected: a cosine alone: how near photos of one class lie depends on the model and how long it was
trained.
Measured: on the drawn demo 26 of 28 near duplicates and none else (the nearest pair of others is at
0.61 of the distance to the next). On Stanford's 8,144 photos, seen by a network that knows ImageNet
alone: 39 pairs, 25 of them near duplicates by hash too; of the other 14 all but one show one photo,
cut by more than a tenth or mirrored.
Axes: N photos, D features, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


MIN_COSINE, MOST_OF_NEXT = 0.8, 0.5
BLOCK = 1024

EMBEDDING_RULE = (
    f"each other's nearest by embedding, cosine {MIN_COSINE:g} or more, at less than "
    f"{MOST_OF_NEXT:.0%} of the distance to the next photo (known duplicates aside)"
)
"""When two photos are a pair by embedding, in words."""


class EmbeddingPairs(NamedTuple):
    """Pairs of photos that a model takes for the same, ordered.

    Attributes:
        rows_P2: Rows, int64, the smaller first.
        cosines_P: Of their embeddings, float32.
    """

    rows_P2: NDArray[np.int64]
    cosines_P: NDArray[np.float32]


def embedding_pairs(embeddings_ND: NDArray[np.floating], groups_N: Sequence[int]) -> EmbeddingPairs:
    """Find pairs by ``EMBEDDING_RULE``, exactly; takes quadratic time (10,000 photos: seconds).

    Args:
        embeddings_ND: What a model saw.
        groups_N: Photos of one number are known to be the same; the nearest in another group is
            asked for.

    Returns:
        The pairs, by the first row, then the second.

    Raises:
        ValueError: An embedding is not finite, or there are not as many groups.

    Example:
        >>> rows = np.array([[1.0, 0.0, 0.0], [1.0, 0.01, 0.0], [0.7, 0.7, 0.0], [0.0, 0.0, 1.0]])
        >>> embedding_pairs(rows, range(4)).rows_P2.tolist()
        [[0, 1]]
    """
    if len(embeddings_ND) != len(groups_N):
        raise ValueError(f"{len(embeddings_ND)} embeddings for {len(groups_N)} groups")
    num_bad = int((~np.isfinite(embeddings_ND)).any(axis=1).sum())
    if num_bad:
        raise ValueError(f"embeddings must be finite, {num_bad} of {len(embeddings_ND)} are not")
    rows_N2, cosines_N2 = _nearest_two(embeddings_ND, np.asarray(groups_N, dtype=np.int64))
    first_N = np.arange(len(rows_N2))
    with np.errstate(invalid="ignore"):
        is_far_N = (1 - cosines_N2[:, 0]) < MOST_OF_NEXT * (1 - cosines_N2[:, 1])
    is_good_N = is_far_N & (cosines_N2[:, 0] >= MIN_COSINE)
    other_N = rows_N2[:, 0]
    is_pair_N = is_good_N & is_good_N[other_N] & (other_N[other_N] == first_N)
    rows = np.flatnonzero(is_pair_N & (first_N < other_N))
    pairs_P2 = np.stack([rows, other_N[rows]], axis=1).astype(np.int64)
    return EmbeddingPairs(pairs_P2, cosines_N2[rows, 0].astype(np.float32))


def _nearest_two(
    embeddings_ND: NDArray[np.floating], groups_N: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the nearest row of another group, and the cosines with it and with the next.

    The next is of yet another group. A photo without a first or a next has cosines of -1.
    """
    count = len(embeddings_ND)
    rows_N2 = np.zeros((count, 2), dtype=np.int64)
    cosines_N2 = np.full((count, 2), -1, dtype=np.float32)
    unit_ND = embeddings_ND.astype(np.float32)
    unit_ND /= np.maximum(np.linalg.norm(unit_ND, axis=1, keepdims=True), 1e-12)
    for start in range(0, count, BLOCK):
        cosines_BN = unit_ND[start : start + BLOCK] @ unit_ND.T
        at = np.arange(len(cosines_BN))
        cosines_BN[groups_N[start : start + BLOCK, None] == groups_N[None]] = -2
        for place in range(2):
            best = cosines_BN.argmax(axis=1)
            rows_N2[start + at, place] = best
            cosines_N2[start + at, place] = np.clip(cosines_BN[at, best], -1, 1)
            cosines_BN[groups_N[best][:, None] == groups_N[None]] = -2
    return rows_N2, cosines_N2
