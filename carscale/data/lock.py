"""Has a byte of a frozen folder changed since? N samples."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import runs, tables
from carscale.data.layout import LOCKED_FILES, card_hash
from carscale.data.splits import SPLITS
from carscale.errors import DataError
from carscale.progress import bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["verify"]

NUM_NAMED = 3
SLOW_COUNT = 20_000
"""From this many files on a bar is shown."""


def verify(root: Path, *, mode: str = "fast") -> int:
    """Compare a frozen folder with its lock.

    Args:
        root: The folder.
        mode: ``fast`` hashes the photos whose size, times or inode differ from what this machine
            saw last; ``full`` hashes all.

    Returns:
        How many photos were hashed.

    Raises:
        DataError: Names what was added, removed or changed.
    """
    from carscale.data.store import read_card

    card = read_card(root)
    lock = card.get("lock", {})
    stored = {name: _hash_or_none(root / name) for name in LOCKED_FILES}
    stored["card.json"] = card_hash(card)
    broken = [name for name, found in stored.items() if found is None or found != lock.get(name)]
    if broken:
        raise DataError(
            f"{root}: {', '.join(broken)} does not match the lock in card.json",
            "restore the folder from where it was frozen, or freeze anew",
        )
    columns = tables.read_columns(root / "manifest.parquet", ["path", "sha256", "num_bytes"])
    found = _stat_files(root)
    listed = columns["path"].tolist()
    removed = [path for path in listed if path not in found]
    added = sorted(found.keys() - set(listed))
    stats_N4 = np.array([found.get(path, (-1, 0, 0, 0)) for path in listed], dtype=np.int64)
    resized = [
        path
        for path, stat, size in zip(listed, stats_N4, columns["num_bytes"], strict=True)
        if path in found and stat[0] != size
    ]
    manifest_hash = lock["manifest.parquet"]
    cache = _cache_file(root)
    known_N4 = _read_cache(cache, manifest_hash) if mode == "fast" else None
    stale = _stale(stats_N4, known_N4)
    lost = {*removed, *resized}
    suspects = [row for row in stale if listed[row] not in lost]
    changed = resized + _changed(root, listed, columns["sha256"], suspects)
    if added or removed or changed:
        raise _mismatch(root, added, removed, sorted(changed))
    if len(stale):
        _write_cache(cache, manifest_hash, stats_N4)
    return len(suspects)


def _mismatch(root: Path, added: list[str], removed: list[str], changed: list[str]) -> DataError:
    """Return the error that names what differs."""
    parts = {"added": added, "removed": removed, "changed": changed}
    counts = ", ".join(f"{len(paths)} {kind}" for kind, paths in parts.items() if paths)
    lines = [f"{kind}: {_some(paths)}" for kind, paths in parts.items() if paths]
    return DataError(
        f"{root}: the photos do not match their lock: {counts}",
        *lines,
        "restore them, or freeze a new version with: carscale data freeze FOLDER NEW_FOLDER",
    )


def _some(paths: list[str]) -> str:
    """Return the first few paths and how many more there are."""
    more = f" and {len(paths) - NUM_NAMED} more" if len(paths) > NUM_NAMED else ""
    return ", ".join(paths[:NUM_NAMED]) + more


def _stat_files(root: Path) -> dict[str, tuple[int, int, int, int]]:
    """Return size, times and inode of every file in the split folders."""
    found: dict[str, tuple[int, int, int, int]] = {}
    folders = [root / split for split in SPLITS]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif not entry.name.startswith(
                "."
            ):  # readers pass over hidden files, such as a desktop's
                path = os.path.relpath(entry.path, root).replace(os.sep, "/")
                found[path] = _stat(entry)
    return found


def _stat(entry: os.DirEntry[str]) -> tuple[int, int, int, int]:
    """Return a file's size, times and inode; of a broken link what no photo has."""
    try:
        stat = entry.stat()
    except OSError:
        return -1, 0, 0, 0
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _stale(stats_N4: NDArray[np.int64], known_N4: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Return the rows that have to be hashed."""
    if known_N4 is None or known_N4.shape != stats_N4.shape:
        return np.arange(len(stats_N4))
    return np.flatnonzero((stats_N4 != known_N4).any(axis=1))


def _changed(
    root: Path, paths: list[str], hashes: NDArray[Any], suspects: Iterable[int]
) -> list[str]:
    """Hash photos and return those whose bytes changed."""
    rows = list(suspects)

    def is_same(row: int) -> bool:
        return _hash_or_none(root / paths[row]) == hashes[row]

    changed = []
    with (
        ThreadPoolExecutor(runs.num_cores(), "carscale-hash") as pool,
        bar("check photos", len(rows), show=len(rows) >= SLOW_COUNT, unit="photos") as advance,
    ):
        for row, same in zip(rows, pool.map(is_same, rows), strict=True):
            changed += [] if same else [paths[row]]
            advance()
    return changed


def _hash_or_none(path: Path) -> str | None:
    """Return a file's hash; ``None`` when it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _cache_file(root: Path) -> Path:
    """Return where this machine keeps what it saw of a folder; it may be deleted at any time."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return base / "carscale" / "stat" / f"{name[:32]}.npz"


def _read_cache(path: Path, manifest_hash: str) -> NDArray[np.int64] | None:
    """Return what was seen last, if it was of the same lock."""
    try:
        with path.open("rb") as file, np.load(file) as stored:
            return stored["stats"] if str(stored["lock"]) == manifest_hash else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def _write_cache(path: Path, manifest_hash: str, stats_N4: NDArray[np.int64]) -> None:
    """Keep what was seen; a disk that can't take it costs time, nothing else."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(beside, stats=stats_N4, lock=np.array(manifest_hash))
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
