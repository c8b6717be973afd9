"""The confusion matrix and its confused pairs. N samples, K classes, C cells, P pairs."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from carscale import stats
from carscale.analysis.result import ConfusedPair, Confusions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from carscale.types import CarClass


HALF = 0.5
"""Photos that each class is given beside its own."""

MIN_TO_TELL = 6
"""Fewer mistakes of a pair can all be one-way by chance (2 / 2**5 > 0.05)."""


def find_confusions(
    labels_N: NDArray[np.int64], prediction_N: NDArray[np.int64], classes: Sequence[CarClass]
) -> Confusions:
    """Return the matrix's cells, an order that puts look-alikes together, and the confused pairs.

    Args:
        labels_N: True classes in ``[0, K)``.
        prediction_N: Predicted ones.
        classes: The class list; makes keep together where names tell them.

    Returns:
        Cells, order, and every pair with a mistake, the most frequent first. A pair's chance count
        takes a wrong photo to pick any other class as often as that class has photos and half a
        photo more: without that half, one mistake for a class that the split lacks would stand out.
        Its p is the Poisson tail, adjusted (Holm) for all pairs of classes.
    """
    num_classes = len(classes)
    codes_C, count_C = np.unique(labels_N * num_classes + prediction_N, return_counts=True)
    true_C, predicted_C = np.divmod(codes_C.astype(np.int64), max(1, num_classes))
    support_K = np.bincount(labels_N, minlength=num_classes)
    pairs = _find_pairs(true_C, predicted_C, count_C, support_K)
    order_K, blocks = order_classes(classes, pairs)
    return Confusions(order_K, blocks, true_C, predicted_C, count_C.astype(np.int64), pairs)


def order_classes(
    classes: Sequence[CarClass], pairs: Sequence[ConfusedPair]
) -> tuple[NDArray[np.int64], tuple[tuple[str, int, int], ...]]:
    """Return class numbers by make, then by similarity of their rows; and the makes' blocks.

    Similarity is the share of two classes' photos that is predicted as the other one. Where no name
    tells a make there are no blocks and similarity alone decides.
    """
    has_makes = any(one.make for one in classes)

    def make_of(number: int) -> str:
        return classes[number].make or "" if has_makes else ""

    numbers = sorted(
        range(len(classes)), key=lambda k: (make_of(k).casefold(), make_of(k), classes[k].name)
    )
    pairs_of: dict[str, list[ConfusedPair]] = defaultdict(list)
    for pair in pairs:
        if make_of(pair.first) == make_of(pair.second):
            pairs_of[make_of(pair.first)].append(pair)
    order: list[int] = []
    blocks: list[tuple[str, int, int]] = []
    for make, group in groupby(numbers, key=make_of):
        members = list(group)
        place = {number: index for index, number in enumerate(members)}
        similarity = np.zeros((len(members), len(members)))
        for pair in pairs_of[make]:
            i, j = place[pair.first], place[pair.second]
            share = pair.total / max(1, pair.first_support + pair.second_support)
            similarity[i, j] = similarity[j, i] = share
        start = len(order)
        order += [members[index] for index in stats.order_by_similarity(similarity).tolist()]
        blocks.append((make, start, len(order)))
    return np.array(order, dtype=np.int64), tuple(blocks) if has_makes else ()


def _find_pairs(
    true_C: NDArray[np.int64],
    predicted_C: NDArray[np.int64],
    count_C: NDArray[np.int64],
    support_K: NDArray[np.int64],
) -> tuple[ConfusedPair, ...]:
    """Return every pair of classes with a mistake, the most frequent first."""
    num_classes = len(support_K)
    is_wrong_C = true_C != predicted_C
    true_C, predicted_C, count_C = true_C[is_wrong_C], predicted_C[is_wrong_C], count_C[is_wrong_C]
    missed_K = np.bincount(true_C, count_C, num_classes).astype(np.float64)
    low_C, high_C = np.minimum(true_C, predicted_C), np.maximum(true_C, predicted_C)
    codes_P, pair_C = np.unique(low_C * num_classes + high_C, return_inverse=True)
    low_P, high_P = np.divmod(codes_P.astype(np.int64), max(1, num_classes))
    goes_up_C = true_C == low_C
    up_P = np.bincount(pair_C, count_C * goes_up_C, len(codes_P)).astype(np.int64)
    down_P = np.bincount(pair_C, count_C * ~goes_up_C, len(codes_P)).astype(np.int64)
    picked_K = support_K + HALF
    chance_P = sum(
        missed_K[one] * picked_K[other] / (picked_K.sum() - picked_K[one])
        for one, other in ((low_P, high_P), (high_P, low_P))
    )
    total_P = up_P + down_P
    p_P = stats.holm(
        stats.poisson_tail(total_P, chance_P), num_tests=num_classes * (num_classes - 1) // 2
    )
    share_P = support_K[low_P] / np.maximum(1, support_K[low_P] + support_K[high_P])
    one_way_P = stats.binomial_two_sided(up_P, total_P, np.clip(share_P, 1e-9, 1 - 1e-9)) < 0.05
    order_P = np.lexsort((high_P, low_P, p_P, -total_P))
    pairs = []
    for index in order_P.tolist():
        one, other = int(low_P[index]), int(high_P[index])
        ways = (int(up_P[index]), int(down_P[index]))
        if ways[1] > ways[0]:
            one, other, ways = other, one, ways[::-1]
        kind: Literal["two-way", "one-way", "too few to tell"] = "too few to tell"
        if sum(ways) >= MIN_TO_TELL:
            kind = "one-way" if one_way_P[index] else "two-way"
        support = (int(support_K[one]), int(support_K[other]))
        numbers = (float(chance_P[index]), float(p_P[index]))
        pairs.append(ConfusedPair(one, other, *ways, *support, *numbers, kind))
    return tuple(pairs)
