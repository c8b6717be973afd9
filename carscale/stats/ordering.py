"""An order that puts what is similar side by side. K things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from carscale.stats.numbers import finite

if TYPE_CHECKING:
    from numpy.typing import NDArray


MAX_OPTIMAL = 200
"""Beyond so many things the tree's leaves keep the order that the clustering gives them."""


def order_by_similarity(similarity_KK: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return a permutation by average-linkage clustering: the order of the tree's leaves.

    Args:
        similarity_KK: Symmetric, >= 0; the diagonal does not matter.

    Returns:
        int64 ``[K]``; as they stand where nothing is similar.

    Raises:
        ValueError: A similarity is negative or not finite.

    Reference:
        Bar-Joseph et al. 2001, https://doi.org/10.1093/bioinformatics/17.suppl_1.S22, for
        the order of up to 200 leaves.

    Example:
        >>> order_by_similarity(np.array([[0, 0, 5], [0, 0, 0], [5, 0, 0]])).tolist() in (
        ...     [[1, 0, 2], [1, 2, 0], [0, 2, 1], [2, 0, 1]]
        ... )
        True
    """
    size = len(similarity_KK)
    upper = finite("similarity_KK", similarity_KK[np.triu_indices(size, 1)], low=0)
    if size < 3 or not upper.any():
        return np.arange(size)
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering

    distances = 1 - upper / upper.max()
    tree = linkage(distances, "average")
    if size <= MAX_OPTIMAL:
        tree = optimal_leaf_ordering(tree, distances)
    return leaves_list(tree).astype(np.int64)
