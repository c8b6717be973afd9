"""Locks of folders: files that a live process holds; they end with it, however it ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from carscale import contained, disk
from carscale.errors import RunError


def open_lock(path: Path) -> IO[bytes]:
    """Open a lock file, made when absent; what another has put there is not followed."""
    with disk.writing(path):
        descriptor = contained.open_file(path, os.O_RDWR | os.O_CREAT)
    return os.fdopen(descriptor, "r+b", buffering=0)


@contextmanager
def hold_lock(
    folder: Path,
    *,
    doing: str = "training in this folder",
    next_step: str = "wait for it, end it, or start another run with: run.name=NAME",
) -> Iterator[None]:
    """Keep other processes out of a folder until this one ends, however it ends.

    Args:
        folder: A run's, or another one that is written.
        doing: What the other process would be doing, for the message.
        next_step: What a person may do then.

    Raises:
        RunError: Another live process holds the folder.
    """
    with open_lock(folder / ".lock") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RunError(
                f"{folder}: another process is {doing}",
                next_step,
            ) from error
        yield


def is_held(folder: Path) -> bool:
    """Tell whether a live process holds a run folder's lock."""
    try:
        descriptor = contained.open_file(folder / ".lock")
    except FileNotFoundError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False
