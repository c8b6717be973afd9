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
- ``intake``: decode a source, and go on after a kill; ``adding``: a version with more photos;
  ``versions``: what a new version is made of; ``pooled``: threads, results in order;
  ``beside``: folders that appear whole.
- ``relabelling``: a new version with corrected labels; ``decisions``: the review it takes.
- ``store``: read a frozen folder or a pack.
- ``quality``: which photos are dark, blurred, tiny; ``near``: which are nearly the same;
  ``near_grouping``: keep those in one split; ``alike``: which a model takes for the same.
- ``leaving_out``: a new version without some photos.
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
    from carscale.data.adding import Arrival, add_photos
    from carscale.data.alike import ALIKE_RULE, AlikePairs, alike_pairs
    from carscale.data.demo import build_demo
    from carscale.data.folds import hold_out
    from carscale.data.freezing import FreezeRule, check_out, freeze
    from carscale.data.intake import Intake, take_in
    from carscale.data.layout import as_text, quarantine_lines
    from carscale.data.leaving_out import DEDUPE_LIST, leave_out
    from carscale.data.lock import verify
    from carscale.data.names import parse_car_name, safe_name
    from carscale.data.near import NearPairs, look_correlations, near_groups, near_pairs
    from carscale.data.packing import PackRule, pack
    from carscale.data.quality import (
        QUALITY_RULES,
        PhotoAttributes,
        photo_attributes,
        quality_flags,
    )
    from carscale.data.relabelling import Relabelled, relabel
    from carscale.data.scan import Scan
    from carscale.data.source_frozen import scan_frozen
    from carscale.data.sources import local_paths, open_source
    from carscale.data.store import load, named_split, photo_reader, read_card, read_splits
    from carscale.data.versions import read_parent

__all__ = [
    "ALIKE_RULE",
    "DEDUPE_LIST",
    "QUALITY_RULES",
    "AlikePairs",
    "Arrival",
    "FreezeRule",
    "Intake",
    "NearPairs",
    "PackRule",
    "PhotoAttributes",
    "Relabelled",
    "Scan",
    "add_photos",
    "alike_pairs",
    "as_text",
    "build_demo",
    "check_out",
    "freeze",
    "hold_out",
    "leave_out",
    "load",
    "local_paths",
    "look_correlations",
    "named_split",
    "near_groups",
    "near_pairs",
    "open_source",
    "pack",
    "parse_car_name",
    "photo_attributes",
    "photo_reader",
    "quality_flags",
    "quarantine_lines",
    "read_card",
    "read_parent",
    "read_splits",
    "relabel",
    "safe_name",
    "scan_frozen",
    "take_in",
    "verify",
]

HOMES = {
    "ALIKE_RULE": "alike",
    "DEDUPE_LIST": "leaving_out",
    "QUALITY_RULES": "quality",
    "AlikePairs": "alike",
    "Arrival": "adding",
    "FreezeRule": "freezing",
    "Intake": "intake",
    "NearPairs": "near",
    "PackRule": "packing",
    "PhotoAttributes": "quality",
    "Relabelled": "relabelling",
    "Scan": "scan",
    "add_photos": "adding",
    "alike_pairs": "alike",
    "as_text": "layout",
    "build_demo": "demo",
    "check_out": "freezing",
    "freeze": "freezing",
    "hold_out": "folds",
    "leave_out": "leaving_out",
    "load": "store",
    "local_paths": "sources",
    "look_correlations": "near",
    "named_split": "store",
    "near_groups": "near",
    "near_pairs": "near",
    "open_source": "sources",
    "pack": "packing",
    "parse_car_name": "names",
    "photo_attributes": "quality",
    "photo_reader": "store",
    "quality_flags": "quality",
    "quarantine_lines": "layout",
    "read_card": "store",
    "read_parent": "versions",
    "read_splits": "store",
    "relabel": "relabelling",
    "safe_name": "names",
    "scan_frozen": "source_frozen",
    "take_in": "intake",
    "verify": "lock",
}


def __getattr__(name: str) -> object:
    """Load a part when it is used."""
    if name in HOMES:
        return getattr(import_module(f"carscale.data.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
