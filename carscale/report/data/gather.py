"""Read all that a data set's page shows.

Axes: N photos in the order of the manifest, S side of a signature, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import data
from carscale.data.frozen.split_assignment import split_names
from carscale.report.page.checks import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.data import DuplicateGroups, StatsTable
    from carscale.types import CarClass


COLUMNS = (
    *("id", "path", "class", "split", "width", "height", "origin", "licence"),
    *("key", "synthetic_method", "synthetic"),
)
EXTREMES: dict[str, tuple[str, int]] = {
    "dark": ("brightness", 1),
    "bright": ("brightness", -1),
    "blurred": ("sharpness", 1),
    "low information": ("information", 1),
}
"""What orders the examples of a flag: the smallest first, or with -1 the largest."""

Advance = Callable[[str, int], None]


@dataclass(frozen=True, eq=False)
class Flag:
    """A rule and the photos that it finds.

    Attributes:
        rule: In words.
        mask_N: bool, by row.
        order_N: Which examples are shown first: the smallest; ``None`` for the manifest's order.
    """

    rule: str
    mask_N: NDArray[np.bool_]
    order_N: NDArray[Any] | None = None


@dataclass(frozen=True, eq=False)
class DataRecord:
    """A frozen folder or pack.

    Attributes:
        root: Where it lies.
        name: Of the folder.
        card: Its card.
        classes: The class list.
        splits: Names, ``train`` first.
        rows: Columns of the manifest, by id; ``origin`` is never empty where the card knows.
        stats: What was measured of the photos.
        flags: By name.
        pairs: Exact and near duplicates as groups of two, leaks first.
        refused: Path and reason of what could not be frozen.
        left_out: Path and reason of what a merge left out.
    """

    root: Path
    name: str
    card: dict[str, Any]
    classes: tuple[CarClass, ...]
    splits: tuple[str, ...]
    rows: dict[str, NDArray[Any]]
    stats: StatsTable
    flags: dict[str, Flag]
    pairs: DuplicateGroups
    refused: tuple[tuple[str, str], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.rows["id"])


def gather_data(
    root: Path,
    *,
    more_flags: Mapping[str, tuple[NDArray[np.bool_], str]] | None = None,
    advance: Advance = lambda what, total: None,
) -> DataRecord:
    """Read a frozen folder or pack, measure its photos, find duplicates.

    Args:
        root: The folder; its lock is not checked here.
        more_flags: Further rules by name: a mask by manifest id, and the rule in words.
        advance: Told what is done and how much of it there is; once a photo where it measures.

    Raises:
        DataError: No frozen folder.
    """
    splits = data.read_splits(root)
    card = splits.card
    rows = data.read_manifest(root, COLUMNS)
    order_N = np.argsort(rows["id"], kind="stable")
    rows = {name: column[order_N] for name, column in rows.items()}
    source = str(card.get("source", ""))
    rows["origin"] = np.array([name or source for name in rows["origin"].tolist()], dtype=object)
    measured = data.photo_stats(root, lambda total: advance("measure photos", total))
    flags = _flags(measured)
    for name, (mask_N, rule) in (more_flags or {}).items():
        flags[name] = Flag(rule, np.asarray(mask_N, dtype=bool))
    return DataRecord(
        root=root,
        name=root.resolve().name,
        card=card,
        classes=splits.classes,
        splits=split_names(card),
        rows=rows,
        stats=measured,
        flags=flags,
        pairs=_pairs(root, measured, advance),
        refused=_listed(root, "quarantine.jsonl"),
        left_out=_listed(root, "merge.jsonl"),
    )


def _flags(measured: StatsTable) -> dict[str, Flag]:
    """Return the rules that every data set is judged by."""
    flags = {}
    shorter_N = np.minimum(measured.values["width"], measured.values["height"])
    aspect_N = np.abs(np.log(measured.values["width"] / measured.values["height"]))
    orders = {
        "tiny": shorter_N,
        "odd aspect": -aspect_N,
        **{name: sign * measured.values[column] for name, (column, sign) in EXTREMES.items()},
    }
    for name, mask_N in data.quality_flags(measured).items():
        flags[name] = Flag(data.QUALITY_RULES.get(name, ""), mask_N, orders.get(name))
    if measured.unreadable:
        gone = set(measured.unreadable)
        mask_N = np.array([path in gone for path in measured.paths_N.tolist()], dtype=bool)
        flags["unreadable"] = Flag("the photo can no longer be read", mask_N)
    return flags


def _pairs(root: Path, measured: StatsTable, advance: Advance) -> DuplicateGroups:
    """Return exact duplicates, each with the first of them, and near duplicates; leaks first."""
    photos = data.read_photos(root)
    near = data.near_duplicates(root, photos, measured, advance)
    settled_P2 = data.settled_pairs(root, photos)
    groups = data.duplicate_groups(photos, near, settled_P2=settled_P2)
    return data.pair_groups(photos, groups.links, settled_P2)


def _listed(root: Path, name: str) -> tuple[tuple[str, str], ...]:
    """Return path and reason of each line of a list; empty without one."""
    return tuple(
        (printable(path), printable(reason)) for path, reason in data.read_reasons(root, name)
    )
