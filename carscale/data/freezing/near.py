"""Near duplicates of a source while it is frozen: kept in one split, or one of each kept. N photos.

Chosen: photos of two classes are never dropped. Rejected: the larger one: one label is wrong, or
they show two cars, and a person has to say which.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from carscale.data.frozen.split_assignment import components
from carscale.data.photos.near_duplicates import Advance, NearPairs, near_pairs
from carscale.data.photos.near_groups import near_groups
from carscale.data.photos.sample import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray


LARGE_SHARE = 0.05
"""Of all photos: a group of more bends the splits."""
NOT_TO_LOOK = "not to look for them: --near-duplicates ignore"


def near_samples(
    samples: Sequence[Sample],
    stats_N: NDArray[Any],
    advance: Advance = lambda what, total: None,
) -> NearPairs:
    """Return the near duplicates among photos that are to be frozen.

    Args:
        samples: Decoded photos; groups by a rule count against a pair.
        stats_N: Of each, as ``images.STATS_DTYPE``.
        advance: As ``near_pairs`` tells it.
    """
    return near_pairs(
        stats_N["phash"],
        stats_N["signature"],
        lambda row: samples[row].staged.read_bytes(),
        contents_N=[sample.sha256 for sample in samples],
        groups_N=[sample.group_name for sample in samples],
        advance=advance,
    )


def group_near(
    samples: Sequence[Sample], pairs: NearPairs, spare: Container[int] = ()
) -> tuple[list[Sample], list[str]]:
    """Give photos that are nearly the same one group name.

    Photos of the same bytes, or that have one group already, come along; a group that has a name
    keeps it.

    Args:
        samples: Decoded photos.
        pairs: From ``near_samples``.
        spare: Rows that will be left out; they are not told.

    Returns:
        The samples, and lines a person should read.
    """
    near = near_groups(pairs)
    links = [
        [f"sha256 {sample.sha256}"] + ([f"group {sample.group_name}"] if sample.group_name else [])
        for sample in samples
    ]
    for number, group in enumerate(near):
        for row in group.tolist():
            links[row].append(f"near {number}")
    groups_N = components(links)
    wanted = {groups_N[row] for group in near for row in group.tolist()}
    members: dict[int, list[int]] = defaultdict(list)
    for n, number in enumerate(groups_N):
        if number in wanted:
            members[number].append(n)
    grouped = list(samples)
    for group_rows in members.values():
        name = _name([samples[n] for n in group_rows])
        for n in group_rows:
            grouped[n] = replace(samples[n], group_name=name)
    number_of = {samples[row].sha256: n for n, rows in enumerate(near) for row in rows.tolist()}
    sizes = Counter(
        number_of[sample.sha256]
        for row, sample in enumerate(samples)
        if sample.sha256 in number_of and row not in spare
    )
    largest = max((sum(n not in spare for n in rows) for rows in members.values()), default=0)
    notes = _notes([size for size in sizes.values() if size > 1], largest, len(samples))
    classes: dict[int, set[str]] = defaultdict(set)
    for sample in samples:
        classes[number_of.get(sample.sha256, -1)].add(sample.file.class_name)
    if num_two := sum(len(classes[number]) > 1 for number in range(len(near))):
        notes.append(
            f"{num_two} of these groups lie in two classes, by a wrong label or as two cars; a "
            "page asks which: carscale data dedupe FROZEN --out FOLDER"
        )
    return grouped, notes + pairs.notes()


def spare_samples(samples: Sequence[Sample], pairs: NearPairs) -> dict[int, int]:
    """Return the photos that ``--near-duplicates drop`` leaves out, and the one kept for each.

    Of near and exact duplicates of one class, in one given split, the largest photo stays.

    Args:
        samples: Decoded photos.
        pairs: From ``near_samples``.
    """
    near: dict[str, int] = {}
    for number, group in enumerate(near_groups(pairs)):
        near |= {samples[row].sha256: number for row in group.tolist()}
    members: dict[Any, list[int]] = defaultdict(list)
    for row, sample in enumerate(samples):
        members[near.get(sample.sha256, sample.sha256)].append(row)
    spare: dict[int, int] = {}
    for rows in members.values():
        if len({(samples[row].file.class_name, samples[row].file.split) for row in rows}) > 1:
            continue
        best = min(rows, key=lambda row: _rank(samples[row]))
        spare |= {row: best for row in rows if row != best}
    return spare


def _rank(sample: Sample) -> tuple[int, int, str]:
    """Return what the photo that stays has least of."""
    area = sample.photo.width * sample.photo.height
    return -area, -sample.num_bytes, sample.file.relative


def _name(samples: Sequence[Sample]) -> str:
    """Return a group's name: one that it has, else by its bytes, whatever the files are called."""
    given = sorted({sample.group_name for sample in samples if sample.group_name})
    return given[0] if given else f"near:{min(sample.sha256 for sample in samples)[:16]}"


def _notes(sizes: Sequence[int], largest: int, count: int) -> list[str]:
    """Return what was grouped, and whether a group, with what a rule adds, is too large."""
    if not sizes:
        return []
    lines = [
        f"near duplicates: {len(sizes)} groups of {sum(sizes)} photos, each kept in one split; "
        f"{NOT_TO_LOOK}"
    ]
    if largest > max(10, LARGE_SHARE * count):
        lines.append(
            f"the largest group has {largest} of {count} photos: splits may miss their fractions"
        )
    return lines
