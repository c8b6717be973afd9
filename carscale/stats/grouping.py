"""Groups from pairs: what they join, and average linkage. P pairs, N things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def connected(rows_P2: NDArray[np.integer]) -> list[NDArray[np.int64]]:
    """Return what pairs join, directly or through others.

    Args:
        rows_P2: Pairs of numbers.

    Returns:
        Numbers of each group, ascending; groups by their first.

    Example:
        >>> [group.tolist() for group in connected(np.array([[1, 3], [3, 4], [5, 9]]))]
        [[1, 3, 4], [5, 9]]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(rows_P2):
        return []
    rows, places = np.unique(rows_P2, return_inverse=True)
    one, other = places.reshape(-1, 2).T
    links = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(rows), len(rows)))
    numbers = connected_components(links, directed=False)[1]
    order = np.argsort(numbers, kind="stable")
    groups = np.split(rows[order].astype(np.int64), np.flatnonzero(np.diff(numbers[order])) + 1)
    return sorted(groups, key=lambda group: int(group[0]))


def average_groups(distances_NN: NDArray[np.floating], most: float) -> NDArray[np.int64]:
    """Return groups by average linkage: joined while their mean distance is at most so much.

    Args:
        distances_NN: Symmetric; the diagonal is passed over.
        most: Mean distance up to which two groups join.

    Returns:
        A number of its group for each, int64 ``[N]``.

    Reference:
        Sokal and Michener 1958, UPGMA.

    Example:
        >>> average_groups(np.array([[0, 0.1, 1], [0.1, 0, 0.2], [1, 0.2, 0]]), 0.5).tolist()
        [1, 1, 2]
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    near = np.asarray(distances_NN, dtype=np.float64)[np.triu_indices(len(distances_NN), 1)]
    numbers: NDArray[np.int64] = fcluster(linkage(near, "average"), most, "distance").astype(int)
    return numbers
