"""Bytes of photos, and what becomes of a photo that can't be read."""

from __future__ import annotations

import time

from carscale.errors import LoaderError
from carscale.progress import note
from carscale.types import Split

READ_TRIES = 3
RETRY_AFTER_S = 0.2


def read(split: Split, row: int) -> bytes:
    """Return a photo's bytes; a disk that stutters gets a second and a third chance.

    Raises:
        OSError: The photo is gone or can't be read.
    """
    for attempt in range(READ_TRIES):
        try:
            return split.read_bytes(row)
        except FileNotFoundError:
            raise
        except OSError:
            if attempt == READ_TRIES - 1:
                raise
            time.sleep(RETRY_AFTER_S)
    raise AssertionError("the last try returns or raises")


def unreadable(split: Split, row: int, error: Exception) -> LoaderError:
    """Return the error that names a photo and what to do about it."""
    return LoaderError(
        f"{split.where(row)}: can't be read: {error}",
        f"compare the photos with their lock: carscale data check {split.root}",
        "the same command goes on from the last checkpoint",
        "or train without such photos: loader.on_unreadable=fill",
    )


def note_filled(split: Split, row: int, error: Exception) -> None:
    """Say that a photo is shown as a grey square."""
    note(f"unreadable, shown as a grey square: {split.where(row)} ({error})")
