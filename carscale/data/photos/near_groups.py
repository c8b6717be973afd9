"""Keep near duplicates in one split: ``freeze --near-duplicates group``. N samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.data.frozen.split_assignment import components
from carscale.data.photos.near_duplicates import near_groups, near_pairs
from carscale.data.photos.sample import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray


LARGE_SHARE = 0.05
"""Of all photos: a group of more bends the splits."""


def group_near(samples: Sequence[Sample], stats_N: NDArray[Any]) -> tuple[list[Sample], list[str]]:
    """Give photos that are nearly the same, directly or through others, one group name.

    Photos of the same bytes, or that have one group already, come along; a group that has a name
    keeps it.

    Args:
        samples: Decoded photos.
        stats_N: Of each, as ``images.STATS_DTYPE``; NaN where one could not be measured.

    Returns:
        The samples, and lines a person should read.
    """
    rows = np.flatnonzero(~np.isnan(stats_N["brightness"])).tolist()
    measured = stats_N[rows]
    pairs = near_pairs(measured["phash"], measured["signature"])
    links = [
        [f"sha256 {sample.sha256}"] + ([f"group {sample.group_name}"] if sample.group_name else [])
        for sample in samples
    ]
    near = near_groups(pairs)
    for number, group in enumerate(near):
        for row in group.tolist():
            links[rows[row]].append(f"near {number}")
    groups_N = components(links)
    wanted = {groups_N[rows[row]] for group in near for row in group.tolist()}
    members: dict[int, list[int]] = defaultdict(list)
    for n, number in enumerate(groups_N):
        if number in wanted:
            members[number].append(n)
    grouped = list(samples)
    for group_rows in members.values():
        name = _name([samples[n] for n in group_rows])
        for n in group_rows:
            grouped[n] = replace(samples[n], group_name=name)
    return grouped, _notes([len(one) for one in members.values()], len(samples))


def _name(samples: Sequence[Sample]) -> str:
    """Return a group's name: one that it has, else by its bytes, whatever the files are called."""
    given = sorted({sample.group_name for sample in samples if sample.group_name})
    return given[0] if given else f"near:{min(sample.sha256 for sample in samples)[:16]}"


def _notes(sizes: Sequence[int], count: int) -> list[str]:
    """Return what was grouped, and whether a group is too large."""
    if not sizes:
        return ["no near duplicates"]
    lines = [
        f"{sum(sizes)} photos are near duplicates, in {len(sizes)} groups that stay in one split"
    ]
    if max(sizes) > max(10, LARGE_SHARE * count):
        lines.append(
            f"the largest group has {max(sizes)} of {count} photos: splits may miss their fractions"
        )
    return lines
