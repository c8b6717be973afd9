"""Has a byte of a frozen folder or pack changed since? N files: photos, or a pack's shards."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import contained, threads
from carscale.data.frozen.cache import read_cache, write_cache
from carscale.data.frozen.layout import LOCKED_FILES, PACK_FORMAT, card_hash, read_card
from carscale.data.frozen.manifest import read_manifest
from carscale.data.frozen.names import is_clutter
from carscale.data.frozen.split_assignment import split_names
from carscale.errors import DataError, UnsafePathError
from carscale.progress import bar

if TYPE_CHECKING:
    from numpy.typing import NDArray


NUM_NAMED = 3
SLOW_COUNT = 20_000
SLOW_BYTES = 4 << 30
"""From this many files or bytes on a bar is shown."""


@dataclass(frozen=True, eq=False)
class Listed:
    """The files that a lock lists: the photos of a folder, the shards of a pack."""

    kind: str
    paths: list[str]
    hashes: list[str]
    sizes_N: NDArray[np.int64]
    command: str


def verify(root: Path, *, mode: str = "fast") -> int:
    """Compare a frozen folder or pack with its lock.

    Args:
        root: The folder.
        mode: ``fast`` hashes the files whose size, times or inode differ from what this machine
            saw last; ``full`` hashes all.

    Returns:
        How many photos, of a pack how many shards, were hashed.

    Raises:
        DataError: Names what was added, removed or changed.
    """
    card = read_card(root)
    lock = card.get("lock", {})
    names = dict.fromkeys([*LOCKED_FILES, *lock])
    stored = {name: _hash_or_none(root, name) for name in names if name != "card.json"}
    stored["card.json"] = card_hash(card)
    broken = [name for name, found in stored.items() if found is None or found != lock.get(name)]
    if broken:
        raise DataError(
            f"{root}: {', '.join(broken)} does not match the lock in card.json",
            "restore the folder from where it was frozen, or freeze anew",
        )
    listed, found = _read_lists(root, card)
    removed = [path for path in listed.paths if path not in found]
    more = found.keys() - set(listed.paths)
    added = sorted(path for path in more if not is_clutter(path))
    stats_N4 = np.array([found.get(path, (-1, 0, 0, 0)) for path in listed.paths], dtype=np.int64)
    resized = [
        path
        for path, stat, size in zip(listed.paths, stats_N4, listed.sizes_N, strict=True)
        if path in found and stat[0] != size
    ]
    manifest_hash = lock["manifest.parquet"]
    known = read_cache(root, "stat", manifest_hash) if mode == "fast" else None
    known_N4 = None if known is None else known.get("stats")
    stale = _stale(stats_N4, known_N4)
    lost = {*removed, *resized}
    suspects = [row for row in stale if listed.paths[row] not in lost]
    changed = resized + _changed(root, listed, suspects)
    if added or removed or changed:
        raise _mismatch(root, listed, added, removed, sorted(changed))
    if len(stale):
        write_cache(root, "stat", manifest_hash, stats=stats_N4)
    return len(suspects)


def _read_lists(
    root: Path, card: dict[str, Any]
) -> tuple[Listed, dict[str, tuple[int, int, int, int]]]:
    """Return the files that the lock lists, and the stats of those that are there.

    Another file in a pack is read by nobody, and ``datasets`` leaves some; another file among
    photos is a photo to most readers.
    """
    if card["format"] == PACK_FORMAT:
        shards = card["shards"]
        paths = [shard["path"] for shard in shards]
        sizes_N = np.array([shard["num_bytes"] for shard in shards], dtype=np.int64)
        hashes = [shard["sha256"] for shard in shards]
        places = {path: contained.inside(root, path, "file") for path in paths}
        there = {path: _stat(place) for path, place in places.items() if place.exists()}
        return Listed("shards", paths, hashes, sizes_N, "pack"), there
    columns = read_manifest(root, ["path", "sha256", "num_bytes"])
    paths, hashes = columns["path"].tolist(), columns["sha256"].tolist()
    found = _stat_files(root, split_names(card))
    return Listed("photos", paths, hashes, columns["num_bytes"], "freeze"), found


def _mismatch(
    root: Path, listed: Listed, added: list[str], removed: list[str], changed: list[str]
) -> DataError:
    """Return the error that names what differs."""
    parts = {"added": added, "removed": removed, "changed": changed}
    counts = ", ".join(f"{len(paths)} {kind}" for kind, paths in parts.items() if paths)
    lines = [f"{kind}: {_some(paths)}" for kind, paths in parts.items() if paths]
    return DataError(
        f"{root}: the {listed.kind} do not match their lock: {counts}",
        *lines,
        f"restore them, or {listed.command} a new version with: "
        f"carscale data {listed.command} SOURCE NEW_FOLDER",
    )


def _some(paths: list[str]) -> str:
    """Return the first few paths and how many more there are."""
    more = f" and {len(paths) - NUM_NAMED} more" if len(paths) > NUM_NAMED else ""
    return ", ".join(paths[:NUM_NAMED]) + more


def _stat_files(root: Path, splits: Iterable[str]) -> dict[str, tuple[int, int, int, int]]:
    """Return size, times and inode of every file in the split folders."""
    found: dict[str, tuple[int, int, int, int]] = {}
    folders = [contained.inside(root, split, "folder") for split in splits]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            else:
                path = os.path.relpath(entry.path, root).replace(os.sep, "/")
                found[path] = _stat(entry)
    return found


def _stat(entry: os.DirEntry[str] | Path) -> tuple[int, int, int, int]:
    """Return a file's size, times and inode; of a link or device what no photo has."""
    try:
        stat = entry.stat(follow_symlinks=False)
    except OSError:
        return -1, 0, 0, 0
    if not S_ISREG(stat.st_mode):
        return -1, 0, 0, 0
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _stale(stats_N4: NDArray[np.int64], known_N4: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return the rows that have to be hashed."""
    if known_N4 is None or known_N4.shape != stats_N4.shape:
        return np.arange(len(stats_N4))
    return np.flatnonzero((stats_N4 != known_N4).any(axis=1))


def _changed(root: Path, listed: Listed, suspects: Iterable[int]) -> list[str]:
    """Hash files and return those whose bytes changed."""
    rows = list(suspects)
    is_slow = len(rows) >= SLOW_COUNT or listed.sizes_N[rows].sum() >= SLOW_BYTES

    def is_same(row: int) -> bool:
        return _hash_or_none(root, listed.paths[row]) == listed.hashes[row]

    changed = []
    with (
        ThreadPoolExecutor(threads.num_cores(), "carscale-hash") as pool,
        bar(f"check {listed.kind}", len(rows), show=is_slow, unit=listed.kind) as advance,
    ):
        for row, same in zip(rows, pool.map(is_same, rows), strict=True):
            changed += [] if same else [listed.paths[row]]
            advance()
    return changed


def _hash_or_none(root: Path, name: str) -> str | None:
    """Return the hash of a folder's file; ``None`` when it can't be read."""
    try:
        with os.fdopen(contained.open_inside(root, name), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except UnsafePathError:
        raise
    except OSError:
        return None
