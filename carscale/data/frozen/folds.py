"""Parts of train that are held out in turn. N samples, K classes."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from carscale.data.frozen.layout import split_hash
from carscale.data.frozen.manifest import made_of, read_manifest
from carscale.data.frozen.split_assignment import components
from carscale.errors import DataError
from carscale.types import Split, Splits

if TYPE_CHECKING:
    from numpy.typing import NDArray


COLUMNS = ["id", "sha256", "original_sha256", "class", "group", "key", "synthetic"]


def hold_out(splits: Splits, num_folds: int, fold: int) -> Splits:
    """Return splits that train on all of train but one part, and validate on that.

    The true val is not in them; test stays. Ids stay those of the manifest. Hashes are of what the
    parts hold, so runs of different folds differ.

    Args:
        splits: Whole ones.
        num_folds: At least 2.
        fold: In ``[0, num_folds)``.

    Raises:
        DataError: A part would be empty.
    """
    train = splits.train
    rows = _manifest_rows(train.root, train.ids_N)
    groups_N = components([_links(row) for row in rows])
    is_val_N = np.array(_assigned(train, groups_N, num_folds)) == fold
    if not is_val_N.any() or is_val_N.all():
        num_groups = len(set(groups_N))  # photos that must stay together are one
        raise DataError(
            f"{train.root}: {len(train)} train photos in {num_groups} groups give no "
            f"{num_folds} folds",
            f"take {num_groups} at most: data.num_folds={num_groups}"
            if num_groups > 1
            else "no part can be held out: freeze without --group-by, or with more photos",
        )
    kept, val = (
        _part(train, mask_N, name, rows)
        for mask_N, name in ((~is_val_N, "train"), (is_val_N, "val"))
    )
    hashes = splits.card["hashes"] | {"train": kept.hash, "val": val.hash}
    return replace(splits, train=kept, val=val, card=splits.card | {"hashes": hashes})


def fold_numbers(split: Split, num_folds: int) -> NDArray[np.int64]:
    """Return the fold of each photo: stratified by class, what belongs together in one.

    Args:
        split: Any of a frozen folder.
        num_folds: At least 2; a small split may leave folds empty.

    Returns:
        int64 ``[N]`` in ``[0, num_folds)``, the same in every version of the data.
    """
    groups_N = components([_links(row) for row in _manifest_rows(split.root, split.ids_N)])
    return np.array(_assigned(split, groups_N, num_folds), dtype=np.int64)


def _assigned(split: Split, groups_N: Sequence[int], num_folds: int) -> list[int]:
    """Return the fold of each photo, by the groups that stay together."""
    return assign_folds(split.labels_N.tolist(), groups_N, split.keys_N.tolist(), num_folds)


def assign_folds(
    labels_N: Sequence[int], groups_N: Sequence[int], names_N: Sequence[str], num_folds: int
) -> list[int]:
    """Return each sample's fold: stratified by class, groups whole, always the same.

    Where all groups hold one sample, a class's folds differ by one at most. A class of two groups
    or more is in two folds at least, unless a group of it spans classes. Fold 0 is the last to be
    empty, and the last fold is empty exactly where there are fewer groups than folds.

    Args:
        labels_N: Class numbers.
        groups_N: Group numbers; samples of a group get one fold.
        names_N: What the order is drawn from, all different: keys, which are the same in every
            version. The order of the samples does not matter.
        num_folds: At least 2.

    Example:
        >>> sorted(assign_folds([0, 0, 0, 0], [0, 1, 2, 3], ["a", "b", "c", "d"], 2))
        [0, 0, 1, 1]
    """
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups_N):
        members[group].append(index)
    draw = {group: min(_draw(names_N[row]) for row in rows) for group, rows in members.items()}
    order = sorted(members, key=lambda group: (-len(members[group]), draw[group]))
    of_label: dict[int, Counter[int]] = defaultdict(Counter)
    total: Counter[int] = Counter()
    fold_of: dict[int, int] = {}
    for group in order:  # the largest first, where its classes and then all are fewest
        labels = Counter(labels_N[row] for row in members[group])

        def burden(fold: int, labels: Counter[int] = labels) -> tuple[int, int, int]:
            return sum(of_label[label][fold] * n for label, n in labels.items()), total[fold], fold

        fold = min(range(num_folds), key=burden)
        fold_of[group] = fold
        total[fold] += len(members[group])
        for label, count in labels.items():
            of_label[label][fold] += count
    return [fold_of[group] for group in groups_N]


def _manifest_rows(root: Path, ids_N: NDArray[np.int64]) -> list[dict[str, str]]:
    """Return hash, class and group of some photos."""
    columns = read_manifest(root, COLUMNS)
    place_N = np.searchsorted(columns["id"], ids_N)
    names = COLUMNS[1:]
    picked = [columns[name][place_N].tolist() for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*picked, strict=True)]


def _links(row: dict[str, str]) -> list[str]:
    """Return what a photo shares with those it must stay with.

    Its bytes, its photo, its group, and a synthetic photo's car.
    """
    links = [f"sha256 {row['sha256']}", f"photo {row['original_sha256']}", f"key {row['key']}"]
    if row["synthetic"]:
        links += [f"key {key}" for key in made_of(row["synthetic"])[:1]]
    return links + ([f"group {row['group']}"] if row["group"] else [])


def _part(split: Split, mask_N: NDArray[np.bool_], name: str, rows: list[dict[str, str]]) -> Split:
    """Return some samples as a split."""
    return replace(
        split,
        name=name,
        ids_N=split.ids_N[mask_N],
        keys_N=split.keys_N[mask_N],
        paths_N=split.paths_N[mask_N],
        labels_N=split.labels_N[mask_N],
        sizes_N2=split.sizes_N2[mask_N],
        hash=split_hash(row for row, is_in in zip(rows, mask_N, strict=True) if is_in),
    )


def _draw(name: str) -> bytes:
    """Return a draw that depends on a name alone."""
    return hashlib.sha256(f"fold {name}".encode()).digest()
