"""Groups of near duplicates without chains. P pairs.

Chosen: average linkage: a photo joins a group when, on average, it agrees with all of it. Rejected:
joining through others: among like photos one false pair a photo makes one group of all.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import numpy as np

from carscale import stats
from carscale.data.photos.near_duplicates import MIN_AGREEMENT, SMALL, NearPairs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def near_groups(pairs: NearPairs) -> list[NDArray[np.int64]]:
    """Return photos that are nearly the same as each other.

    Photos that pairs join, at most ``SMALL`` of them, are grouped by average linkage; pairs that
    are none count 0. Of more, groups are what agrees with one photo, that with the most pairs
    first.

    Args:
        pairs: From ``near_pairs``.

    Returns:
        Rows of each group, ascending; groups by their first row.

    Example:
        >>> rows_P2 = np.array([[1, 3], [1, 4], [3, 4], [4, 9]])
        >>> near_groups(NearPairs(rows_P2, np.ones(4, np.float32)))[0].tolist()
        [1, 3, 4]
    """
    groups = []
    for rows_P2, agreements_P in _parts(pairs):
        groups += _linked(rows_P2, agreements_P)
    return sorted(groups, key=lambda rows: int(rows[0]))


def _parts(pairs: NearPairs) -> list[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Return the pairs of each set of photos that pairs join."""
    number = {row: n for n, rows in enumerate(stats.connected(pairs.rows_P2)) for row in rows}
    part_P = np.array([number[row] for row in pairs.rows_P2[:, 0].tolist()], np.int64)
    order = np.argsort(part_P, kind="stable")
    edges = np.flatnonzero(np.diff(part_P[order])) + 1
    split = np.split(order, edges) if len(order) else []
    return [(pairs.rows_P2[part], pairs.agreements_P[part]) for part in split]


def _linked(
    rows_P2: NDArray[np.int64], agreements_P: NDArray[np.float32]
) -> list[NDArray[np.int64]]:
    """Return the groups of one set of photos."""
    groups, is_left_P = _stars(rows_P2)
    rows, places = np.unique(rows_P2[is_left_P], return_inverse=True)
    places_P2, agreements_P = places.reshape(-1, 2), agreements_P[is_left_P]
    if len(rows) == 2:
        return [*groups, rows]
    if len(rows):
        agreements = np.zeros((len(rows), len(rows)))
        agreements[places_P2[:, 0], places_P2[:, 1]] = agreements_P
        numbers = stats.average_groups(1 - (agreements + agreements.T), 1 - MIN_AGREEMENT)
        found = [rows[numbers == number] for number in np.unique(numbers)]
        groups += [group for group in found if len(group) > 1]
    return groups


def _stars(rows_P2: NDArray[np.int64]) -> tuple[list[NDArray[np.int64]], NDArray[np.bool_]]:
    """Take what agrees with the photo that has the most pairs until few photos have pairs.

    Returns:
        Rows of each star, and which pairs lie outside of all.
    """
    others: dict[int, set[int]] = {row: set() for row in np.unique(rows_P2).tolist()}
    if len(others) <= SMALL:
        return [], np.ones(len(rows_P2), bool)
    for one, other in rows_P2.tolist():
        others[one].add(other)
        others[other].add(one)
    queue = [(-len(near), row) for row, near in others.items()]
    heapq.heapify(queue)
    stars: list[NDArray[np.int64]] = []
    while len(others) > SMALL:
        count, leader = heapq.heappop(queue)
        if leader not in others or len(others[leader]) != -count:
            continue  # it has fewer pairs by now, and stands in the queue with these
        star = {leader, *others[leader]}
        stars.append(np.array(sorted(star), np.int64))
        touched = {row for member in star for row in others.pop(member)} - star
        for row in touched:
            others[row] -= star
            if others[row]:
                heapq.heappush(queue, (-len(others[row]), row))
            else:
                del others[row]
    is_left_P: NDArray[np.bool_] = np.all(np.isin(rows_P2, list(others)), axis=1)
    return stars, is_left_P
