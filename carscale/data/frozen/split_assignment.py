"""Who goes into train, val and test. Pure functions of names, counts and a seed.

Axes: N samples, K classes, S splits.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

SPLITS = ("train", "val", "test")
TRAIN, VAL, TEST = range(3)
PARTIAL = "partial"
"""The split of photos of which only the make is known."""


def split_names(card: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of a data set's splits: train, val, test, then what merges added.

    Example:
        >>> split_names({"extra_splits": ["test_external"]})
        ('train', 'val', 'test', 'test_external')
    """
    return (*SPLITS, *(card.get("extra_splits") or ()))


def components(links: Sequence[Sequence[str]]) -> list[int]:
    """Return, for each sample, the number of the group it must stay with.

    Args:
        links: Names a sample shares with others (its group, its hash); samples with a name in
            common stay together, through others too.

    Returns:
        A group number each: the position of the group's first sample.

    Example:
        >>> components([["a"], ["b"], ["a", "c"], ["c"]])
        [0, 1, 0, 0]
    """
    parent = list(range(len(links)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[str, int] = {}
    for index, names in enumerate(links):
        for name in names:
            other = root(first.setdefault(name, index))
            mine = root(index)
            parent[max(mine, other)] = min(mine, other)
    return [root(index) for index in range(len(links))]


def targets(
    count: int, fractions: tuple[float, float, float], *, order: tuple[int, int, int] = (0, 1, 2)
) -> list[int]:
    """Return how many of a class's samples each split should get: largest remainders.

    With three or more samples each split that wants any gets one; train always does. ``order``
    settles ties; it alternates over classes, so that val and test come out equal in size.

    Example:
        >>> [targets(count, (0.7, 0.15, 0.15)) for count in (40, 3, 1)]
        [[28, 6, 6], [1, 1, 1], [1, 0, 0]]
    """
    exact = [count * fraction for fraction in fractions]
    whole = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(order, key=lambda split: round(whole[split] - exact[split], 9))
    for split in by_remainder[: count - sum(whole)]:
        whole[split] += 1
    wanting = [split for split in range(3) if fractions[split] > 0 and whole[split] == 0]
    for split in wanting:
        if count >= 3 or split == TRAIN:
            whole[whole.index(max(whole))] -= 1
            whole[split] += 1
    return whole


def assign(
    labels_N: Sequence[int],
    groups_N: Sequence[int],
    names_N: Sequence[str],
    *,
    fractions: tuple[float, float, float],
    seed: int,
) -> list[int]:
    """Return each sample's split: stratified by class, groups whole, no class missing from train.

    Args:
        labels_N: Class numbers.
        groups_N: Group numbers; samples of a group get one split.
        names_N: What the order is drawn from, with the seed: relative paths.
        fractions: Of train, val and test; sum to 1.
        seed: Another seed, another draw.
    """
    labels = np.asarray(labels_N)
    want = {
        int(k): targets(
            int(n), fractions, order=(TRAIN, VAL, TEST) if k % 2 else (TRAIN, TEST, VAL)
        )
        for k, n in zip(*np.unique(labels, return_counts=True), strict=True)
    }
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups_N):
        members[group].append(index)
    draw = {group: _draw(seed, names_N[rows[0]]) for group, rows in members.items()}
    order = sorted(members, key=lambda group: (-len(members[group]), draw[group]))
    split_of: dict[int, int] = {}
    for group in order:  # the largest first, into the split that lacks most of its classes
        group_labels = [labels_N[row] for row in members[group]]
        lack = [sum(want[label][split] for label in group_labels) for split in range(3)]
        split = lack.index(max(lack))
        split_of[group] = split
        for label in group_labels:
            want[label][split] -= 1
    _fill_train(split_of, members, labels_N, order)
    return [split_of[group] for group in groups_N]


def leaks(given_N: Sequence[int], groups_N: Sequence[int]) -> dict[int, int]:
    """Return train samples whose group has one in val or test too, and that one.

    Example:
        >>> leaks([TRAIN, TRAIN, TEST, VAL], [0, 1, 0, 3])
        {0: 2}
    """
    held_out: dict[int, int] = {}
    for row, (split, group) in enumerate(zip(given_N, groups_N, strict=True)):
        if split != TRAIN and (group not in held_out or split > given_N[held_out[group]]):
            held_out[group] = row
    return {
        row: held_out[group]
        for row, (split, group) in enumerate(zip(given_N, groups_N, strict=True))
        if split == TRAIN and group in held_out
    }


def draw_val(
    labels_N: Sequence[int],
    groups_N: Sequence[int],
    given_N: Sequence[int],
    names_N: Sequence[str],
    *,
    fraction: float,
    seed: int,
) -> list[int]:
    """Return given splits with a part of train, drawn as ``assign`` does, as val."""
    rows = [row for row, split in enumerate(given_N) if split == TRAIN]
    drawn = assign(
        [labels_N[row] for row in rows],
        [groups_N[row] for row in rows],
        [names_N[row] for row in rows],
        fractions=(1 - fraction, fraction, 0.0),
        seed=seed,
    )
    result = list(given_N)
    for row, split in zip(rows, drawn, strict=True):
        result[row] = split
    return result


def long_tail_sizes(counts_K: Sequence[int], most: int, least: int) -> list[int]:
    """Return train sizes that fall exponentially from ``most`` to ``least``.

    None is above what there is; the class with the most samples is the head.

    Reference:
        Cui et al. 2019, https://arxiv.org/abs/1901.05555, section 5.1 (long-tailed CIFAR).

    Example:
        >>> long_tail_sizes([30, 30, 50], 40, 10)
        [20, 10, 40]
    """
    ranks = np.argsort(np.argsort(-np.asarray(counts_K), kind="stable"), kind="stable")
    steps = max(1, len(counts_K) - 1)
    sizes = [round(most * (least / most) ** (int(rank) / steps)) for rank in ranks]
    return [min(size, count) for size, count in zip(sizes, counts_K, strict=True)]


def cut_long_tail(
    labels_N: Sequence[int],
    groups_N: Sequence[int],
    splits_N: list[int],
    names_N: Sequence[str],
    *,
    most_and_least: tuple[int, int],
    seed: int,
) -> list[int]:
    """Return splits with train cut to a long tail.

    What is cut goes half to val, half to test, groups whole.
    """
    num_classes = max(labels_N) + 1
    in_train = [row for row, split in enumerate(splits_N) if split == TRAIN]
    counts_K = np.bincount([labels_N[row] for row in in_train], minlength=num_classes).tolist()
    spare_K = np.asarray(counts_K) - long_tail_sizes(counts_K, *most_and_least)
    members: dict[int, list[int]] = defaultdict(list)
    for row in in_train:
        members[groups_N[row]].append(row)
    result = list(splits_N)
    moved_K2 = np.zeros((num_classes, 2), dtype=int)
    for group in sorted(
        members, key=lambda group: _draw(seed, names_N[members[group][0]] + "/tail")
    ):
        group_labels = {labels_N[row] for row in members[group]}
        label, size = next(iter(group_labels)), len(members[group])
        if len(group_labels) > 1 or spare_K[label] < size:
            continue
        spare_K[label] -= size
        to_test = int(moved_K2[label, 1] < moved_K2[label, 0])
        moved_K2[label, to_test] += size
        for row in members[group]:
            result[row] = TEST if to_test else VAL
    return result


def _draw(seed: int, name: str) -> bytes:
    """Return bytes to order by: a pure function of the seed and a name, whatever else there is."""
    return hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest()


def _fill_train(
    split_of: dict[int, int],
    members: dict[int, list[int]],
    labels_N: Sequence[int],
    order: list[int],
) -> None:
    """Move the smallest group of a class to train where train has none of it."""
    trained = {
        labels_N[row] for group in order if split_of[group] == TRAIN for row in members[group]
    }
    for group in reversed(order):
        group_labels = {labels_N[row] for row in members[group]}
        if not group_labels <= trained:
            split_of[group] = TRAIN
            trained |= group_labels
