"""Which duplicates a new version leaves out, and why.

Chosen: val and test stay as they are. Rejected: keeping the larger photo wherever it lies. Why:
results of before could not be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from carscale.data import DuplicateGroup, PhotoRows
from carscale.data.frozen.split_assignment import PARTIAL
from carscale.data.photos.duplicate_groups import Kind
from carscale.data.photos.duplicates import LEARNED


@dataclass(frozen=True)
class Drops:
    """What a new version leaves out.

    Attributes:
        reasons: Why, by row.
        for_review: Groups of train photos in two classes, which all stay.
        held_out: Groups with photos in two of val and the tests, which stay as they are.
    """

    reasons: dict[int, str]
    for_review: tuple[DuplicateGroup, ...]
    held_out: tuple[DuplicateGroup, ...]


def choose_drops(photos: PhotoRows, groups: Iterable[DuplicateGroup]) -> Drops:
    """Choose which photos a new version leaves out: all but one of each group, if that is safe.

    Val and tests stay. A train photo that one of these shows too goes, whatever its class. Of
    duplicates within train the largest photo stays; in two classes all stay, for a person to say
    which label is wrong, or one of each class where a person said that both are right. Pairs by
    embedding are not touched.

    Args:
        photos: Of all splits.
        groups: From ``data.duplicate_groups``.

    Returns:
        What goes and why, and what a person must decide.
    """
    reasons: dict[int, str] = {}
    for_review, held_out = [], []
    for group in groups:
        if group.kind == "by embedding":
            continue
        learned = [row for row in group.rows if photos.splits_N[row] in LEARNED]
        evaluated = [row for row in group.rows if photos.splits_N[row] not in LEARNED]
        if len({str(photos.splits_N[row]) for row in evaluated}) > 1:
            held_out.append(group)
        if evaluated:
            reasons |= _reasons(photos, group, learned, evaluated)
            continue
        if group.is_conflict:
            for_review.append(group)
            continue
        for rows in _by_class(photos, learned):
            best = min(rows, key=lambda row: _rank(photos, row))
            reasons |= _reasons(photos, group, [row for row in rows if row != best], [best])
    return Drops(reasons, tuple(for_review), tuple(held_out))


def _by_class(photos: PhotoRows, rows: Iterable[int]) -> list[list[int]]:
    """Return rows by class; those of which only the make is known are with the first."""
    parts: dict[str, list[int]] = {}
    for row in sorted(rows, key=lambda row: photos.splits_N[row] == PARTIAL):
        is_whole = photos.splits_N[row] != PARTIAL
        name = str(photos.classes_N[row]) if is_whole or not parts else next(iter(parts))
        parts.setdefault(name, []).append(row)
    return list(parts.values())


def _rank(photos: PhotoRows, row: int) -> tuple[bool, int, int, str]:
    """Return what the photo that stays has least of: a known class, then size."""
    area = int(photos.sizes_N2[row].prod())
    is_partial = photos.splits_N[row] == PARTIAL
    return is_partial, -area, -int(photos.bytes_N[row]), str(photos.paths_N[row])


def _reasons(
    photos: PhotoRows, group: DuplicateGroup, dropped: Iterable[int], kept: Sequence[int]
) -> dict[int, str]:
    """Return why photos go: the photo that shows the same, and how sure that is."""
    direct: dict[int, tuple[float, int, Kind]] = {}
    stay = set(kept)
    for link in group.links:
        for row, other in ((link.one, link.other), (link.other, link.one)):
            found = (link.agreement, -other, link.kind)
            if other in stay and found > direct.get(row, (-2.0, 0, "near")):
                direct[row] = found
    same = {str(photos.content_N[row]): row for row in reversed(kept)}
    reasons = {}
    for row in dropped:
        agreement, other, kind = direct.get(row, (0.0, 0, "near"))
        copy = same.get(str(photos.content_N[row]))
        if kind == "exact" or copy is not None:
            path = photos.paths_N[-other if copy is None else copy]
            reasons[row] = f"same bytes as {path}"
        elif row in direct:
            path = photos.paths_N[-other]
            reasons[row] = f"nearly the same as {path} ({agreement:.0%} of the details agree)"
        else:
            reasons[row] = f"through others nearly the same as {photos.paths_N[kept[0]]}"
    return reasons
