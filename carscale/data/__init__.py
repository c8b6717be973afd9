"""Photos on disk: from class folders to frozen splits, and from those to ``Split``s.

In: a folder of class folders. Out: ``train/ val/ test/`` with one flat level of class folders, a
manifest, a class list, a card with the lock; then ``Splits`` for every other room.

- ``names``: class and file names that no reader trips over, and what a class name tells.
- ``scan``: a source folder's files and classes.
- ``splits``: who goes where.
- ``freezing``: decode, make plain, assign, write beside, rename.
- ``lock``: has a byte changed since?
- ``store``: read a frozen folder.
- ``demo``: car pictures drawn from nothing.

Chosen: class numbers are the order of folder names, so that HF ``imagefolder`` and torchvision give
the same labels.
Rejected: ids from whichever classes a split happens to hold.
Chosen: sizes, times and inodes in a cache of this machine tell what to hash again. Rejected: times
in the lock (a copy would break it), hashing all at each start (a million photos take minutes).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carscale.data.demo import build_demo
    from carscale.data.freezing import FreezeRule, freeze
    from carscale.data.lock import verify
    from carscale.data.names import parse_car_name, safe_name
    from carscale.data.store import load, read_splits

__all__ = [
    "FreezeRule",
    "build_demo",
    "freeze",
    "load",
    "parse_car_name",
    "read_splits",
    "safe_name",
    "verify",
]

HOMES = {
    "FreezeRule": "freezing",
    "build_demo": "demo",
    "freeze": "freezing",
    "load": "store",
    "parse_car_name": "names",
    "read_splits": "store",
    "safe_name": "names",
    "verify": "lock",
}


def __getattr__(name: str) -> object:
    """Load a part when it is used."""
    if name in HOMES:
        return getattr(import_module(f"carscale.data.{HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
