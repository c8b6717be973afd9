"""Photos on disk: from a source to frozen splits, and from those to ``Split``s.

In: class folders, a table, an archive, shards or a set of ``datasets``. Out: ``train/ val/ test/``
with one flat level of class folders, a manifest, a class list, a card with the lock, or a pack of
that; then ``Splits`` for every other room.

- ``names``: class and file names that no reader trips over, and what a class name tells.
- ``sources``: one way into every kind of source; ``scan``: class folders, and what a scan is;
  ``source_tables``, ``source_archives`` and ``source_members``, ``source_shards``, ``source_hub``:
  the other kinds; ``source_rows``: what a row says.
- ``splits``: who goes where.
- ``freezing``: decode, make plain, assign, write beside, rename.
- ``lock``: has a byte changed since?
- ``packing``: a copy in a few large files, giant photos shrunk; ``hf_files``: as ``datasets`` opens
  them; ``shards``: read them.
- ``folds``: hold a part of train out.
- ``relabelling``: a new version with corrected labels; ``decisions``: the review it takes.
- ``store``: read a frozen folder or a pack.
- ``quality``: which photos are dark, blurred, tiny; ``near``: which are nearly the same.
- ``demo``: car pictures drawn from nothing.

To add a kind of source: a module that makes a ``Scan``, and a line in ``sources``.

Chosen: class numbers are the order of folder names, so that HF ``imagefolder`` and torchvision give
the same labels.
Rejected: ids from whichever classes a split happens to hold.
Chosen: sizes, times and inodes in a cache of this machine tell what to hash again. Rejected: times
in the lock (a copy would break it), hashing all at each start (a million photos take minutes).
Chosen: a pack is a frozen folder of another format, and ``Split.read_bytes`` hides which. Rejected:
a loader of its own (each backend, report and preview would have to know it), smaller photos as
files (a million small files are what a slow disk is worst at).
Chosen: samples of a source are named as their file or member is, or ``<class>/<file>`` where a set
of ``datasets`` has rows; the draw of splits goes by names, so the same photos get the same splits
whatever they came in. Rejected: row numbers (other splits for each container).
Chosen: archives are read, never unpacked to names of theirs. Rejected: unpacking with a filter
(twice the room and a million files for what is decoded once).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carscale.data.demo import build_demo
    from carscale.data.folds import hold_out
    from carscale.data.freezing import FreezeRule, freeze
    from carscale.data.lock import verify
    from carscale.data.names import parse_car_name, safe_name
    from carscale.data.near import NearPairs, near_groups, near_pairs
    from carscale.data.packing import PackRule, pack
    from carscale.data.quality import (
        QUALITY_RULES,
        PhotoAttributes,
        photo_attributes,
        quality_flags,
    )
    from carscale.data.relabelling import Relabelled, relabel
    from carscale.data.sources import open_source
    from carscale.data.store import load, photo_reader, read_card, read_splits

__all__ = [
    "QUALITY_RULES",
    "FreezeRule",
    "NearPairs",
    "PackRule",
    "PhotoAttributes",
    "Relabelled",
    "build_demo",
    "freeze",
    "hold_out",
    "load",
    "near_groups",
    "near_pairs",
    "open_source",
    "pack",
    "parse_car_name",
    "photo_attributes",
    "photo_reader",
    "quality_flags",
    "read_card",
    "read_splits",
    "relabel",
    "safe_name",
    "verify",
]

HOMES = {
    "FreezeRule": "freezing",
    "NearPairs": "near",
    "PackRule": "packing",
    "PhotoAttributes": "quality",
    "QUALITY_RULES": "quality",
    "Relabelled": "relabelling",
    "build_demo": "demo",
    "freeze": "freezing",
    "hold_out": "folds",
    "load": "store",
    "near_groups": "near",
    "near_pairs": "near",
    "open_source": "sources",
    "pack": "packing",
    "parse_car_name": "names",
    "photo_attributes": "quality",
    "photo_reader": "store",
    "quality_flags": "quality",
    "read_card": "store",
    "read_splits": "store",
    "relabel": "relabelling",
    "safe_name": "names",
    "verify": "lock",
}


def __getattr__(name: str) -> object:
    """Load a part when it is used."""
    if name in HOMES:
        return getattr(import_module(f"carscale.data.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
