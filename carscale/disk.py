"""Disks that are full, read-only or failing, as one error; and whether there is room.

Chosen: what the system says (``errno``) decides what is a fault of a disk. Rejected: taking every
``OSError`` for one: a wrong path or a program's mistake would be hidden.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carscale.errors import CarscaleError, DataError, DiskError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM)
FAILING = (errno.EIO, errno.ESTALE, errno.ENXIO)
BLOCK_BYTES = 512  # of st_blocks, whatever the disk
UNITS = ("B", "kB", "MB", "GB", "TB")


@contextmanager
def writing(path: Path, num_bytes: int | None = None, *next_steps: str) -> Iterator[None]:
    """Turn what a disk refuses in the block into an error of ours; let other errors pass.

    Args:
        path: What is written, a file or a folder.
        num_bytes: How much it needs, where that is known.
        *next_steps: What holds whatever the disk says.

    Raises:
        DiskError: The disk is full, read-only or failing.
    """
    try:
        yield
    except (OSError, DiskError) as error:
        fault = fault_of(error)
        if fault is None:
            raise
        raise disk_error(fault, path, num_bytes, *next_steps) from fault


def fault_of(error: OSError | DiskError) -> OSError | None:
    """Return what the disk said; ``None`` where an error is not of a disk.

    Of an error of ours it is the cause: who writes a folder names it, not the file in it.
    """
    cause = error if isinstance(error, OSError) else error.__cause__
    is_fault = isinstance(cause, OSError) and cause.errno in (*FULL, *REFUSED, *FAILING)
    return cause if is_fault else None  # type: ignore[return-value]


def disk_error(
    error: OSError, path: Path | str, num_bytes: int | None = None, *next_steps: str
) -> DiskError:
    """Return the error of what could not be written, with the room it needs and what to do.

    Args:
        error: What the disk said.
        path: What was written, or in words what has no path.
        num_bytes: How much it needs at least, where that is known.
        *next_steps: Lines that follow what to do about the disk.
    """
    fact = f"{path}: can't be written: {error.strerror or error}"
    if error.errno in FULL:
        parts = [f"it needs at least {size_text(num_bytes)}"] if num_bytes else []
        if isinstance(path, Path):
            parts.append(f"{size_text(free_bytes(path))} are free there")
        fact = "; ".join([fact, *([", ".join(parts)] if parts else [])])
        advice = "make room on that disk; then type the same command again"
    elif error.errno in REFUSED:
        advice = "make it writable for this user; then type the same command again"
    else:
        advice = "the disk or the network drive fails; when it is back, type the same command again"
    return DiskError(fact, advice, *next_steps)


def folder_error(
    error: OSError | DiskError, out: Path | str, num_bytes: int | None, *next_steps: str
) -> CarscaleError:
    """Return the error of a folder that can't be written: of the disk, or of its place."""
    fault = fault_of(error)
    if fault is not None:
        return disk_error(fault, out, num_bytes, *next_steps)
    if isinstance(error, DiskError):
        return error
    return DataError(f"{out}: can't be written: {error}", *next_steps)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless it is there.

    Raises:
        DiskError: The disk is full, read-only or failing.
    """
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


def check_room(out: Path, num_bytes: int, doing: str) -> None:
    """Raise when a result surely does not fit, before any work is done.

    Args:
        out: Where it goes.
        num_bytes: About how much it is.
        doing: What is done, for the message: ``freezing``.

    Raises:
        DiskError: Less is free.
    """
    free = free_bytes(out)
    if num_bytes <= free or not shutil.disk_usage(_nearest(out)).total:  # some say they hold 0
        return
    raise DiskError(
        f"{out}: {doing} needs about {size_text(num_bytes)}, {size_text(free)} are free there",
        "make room on that disk, or give a folder on another one",
    )


def free_bytes(path: Path) -> int:
    """Return the room that this user has on a path's disk, whether or not the path is there."""
    return shutil.disk_usage(_nearest(path)).free


def _nearest(path: Path) -> Path:
    """Return a path, or the nearest folder above it that is there."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    return there


def bytes_in(folder: Path) -> int:
    """Return how much room the files below a folder take; 0 where there is none."""
    stats = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum(max(stat.st_size, BLOCK_BYTES * stat.st_blocks) for stat in stats)


def size_text(num_bytes: float) -> str:
    """Return a size in the unit that reads best.

    Example:
        >>> size_text(512), size_text(4_100_000), size_text(1.2e13)
        ('512 B', '4.1 MB', '12.0 TB')
    """
    for unit in UNITS[:-1]:
        if num_bytes < 1000:
            return f"{num_bytes:.0f} B" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} {UNITS[-1]}"
