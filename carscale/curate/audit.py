"""What state a frozen folder is in: quality, sources, thin classes, leaks.

What ``carscale data check`` and a page about the data ask for. N photos.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import data
from carscale.curate.rgb_swap import RGB_SWAP_RULE, RgbSwap, find_rgb_swaps
from carscale.data import DuplicateGroups
from carscale.types import Splits

if TYPE_CHECKING:
    from numpy.typing import NDArray


Advance = Callable[[str, int], None]

FEW_PHOTOS = 5
FEW_RULE = f"fewer than {FEW_PHOTOS} photos in train, or none in val and test: can't be measured"


@dataclass(frozen=True)
class ThinClass:
    """A class with too few photos: its name and how many it has by split."""

    name: str
    train: int
    val: int
    test: int


@dataclass(frozen=True, eq=False)
class Quality:
    """How the photos themselves are.

    Attributes:
        flags: Paths of photos by flag, of ``data.QUALITY_RULES``.
        unreadable: Why, by path.
        rgb_swaps: What each source's colours say of red and blue.
    """

    flags: dict[str, list[str]]
    unreadable: dict[str, str]
    rgb_swaps: tuple[RgbSwap, ...]


@dataclass(frozen=True, eq=False)
class Audit:
    """What state a frozen folder is in.

    Attributes:
        thin: Near-empty classes, by ``FEW_RULE``; the thinnest first.
        duplicates: Groups of exact and, if looked for, near duplicates.
        near_notes: What a person should know of that search.
        has_near: Whether near duplicates were looked for.
        quality: Of the photos; ``None`` when nobody looked.
    """

    thin: tuple[ThinClass, ...]
    duplicates: DuplicateGroups
    has_near: bool
    quality: Quality | None
    near_notes: list[str] = field(default_factory=list)

    @property
    def leaks(self) -> DuplicateGroups:
        """Groups that lie in splits which must not know of each other."""
        return self.duplicates.taken(self.duplicates.is_leak_G)

    @property
    def conflicts(self) -> DuplicateGroups:
        """Groups that lie in two classes, of which nobody has said which is right."""
        return self.duplicates.taken(self.duplicates.is_conflict_G)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "near_empty_classes": [asdict(one) for one in self.thin],
            "leaks": [group.as_dict() for group in self.leaks],
            "label_conflicts": [group.as_dict() for group in self.conflicts],
            "num_duplicate_groups": len(self.duplicates),
            "looked_for_near_duplicates": self.has_near,
            "near_notes": self.near_notes,
            "quality": None if self.quality is None else _quality_dict(self.quality),
        }


def audit_data(
    root: Path,
    *,
    quality: bool = True,
    near: bool = True,
    advance: Advance = lambda what, total: None,
) -> Audit:
    """Return what state a frozen folder or pack is in; its lock is not checked.

    Args:
        root: The folder.
        quality: Measure the photos: 1 ms each, once; then from a cache.
        near: Look for near duplicates, which measures the photos too; once, then from a cache.
        advance: Told what is done and how much of it there is.

    Raises:
        DataError: No frozen folder.
    """
    photos = data.read_photos(root)
    measured = pairs = None
    if quality or near:
        measured = data.photo_stats(root, lambda total: advance("measure", total))
    if near and measured is not None:
        pairs = data.near_duplicates(root, photos, measured, advance)
    groups = data.duplicate_groups(photos, pairs, settled_P2=data.settled_pairs(root, photos))
    return Audit(
        thin=thin_classes(data.read_splits(root)),
        duplicates=groups,
        has_near=near,
        quality=_quality(root, measured) if quality and measured is not None else None,
        near_notes=[] if pairs is None else pairs.notes(),
    )


def thin_classes(splits: Splits) -> tuple[ThinClass, ...]:
    """Return the classes that ``FEW_RULE`` names, the thinnest first."""
    found = []
    for k, car in enumerate(splits.classes):
        train, val, test = (
            int(split.counts_K[k]) for split in (splits.train, splits.val, splits.test)
        )
        if train < FEW_PHOTOS or not val + test:
            found.append(ThinClass(car.name, train, val, test))
    return tuple(sorted(found, key=lambda one: (one.train, one.val + one.test, one.name)))


def _quality(root: Path, measured: data.StatsTable) -> Quality:
    """Return how the photos are."""
    origins_N = data.read_manifest(root, ["origin"])["origin"]
    values = measured.values
    flags: Mapping[str, NDArray[np.bool_]] = data.quality_flags(measured)
    return Quality(
        flags={name: measured.paths_N[mask_N].tolist() for name, mask_N in flags.items()},
        unreadable=dict(measured.unreadable),
        rgb_swaps=find_rgb_swaps(origins_N.tolist(), values["usual_hues"], values["mirror_hues"]),
    )


def _quality_dict(quality: Quality) -> dict[str, Any]:
    """Return plain data for JSON; NaN becomes ``None``."""
    signs = []
    for sign in quality.rgb_swaps:
        entry = asdict(sign)
        for bound in ("low", "high"):
            entry[bound] = None if np.isnan(entry[bound]) else round(entry[bound], 4)
        signs.append(entry)
    return {
        "flags": {
            name: {"rule": data.QUALITY_RULES[name], "paths": paths}
            for name, paths in quality.flags.items()
        },
        "unreadable": quality.unreadable,
        "red_blue": {"rule": RGB_SWAP_RULE, "sources": signs},
    }
