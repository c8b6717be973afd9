"""Bytes of photos, and what becomes of a photo that can't be read."""

from __future__ import annotations

import shlex
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
    """Return the error that names a photo and what to do about it.

    A run keeps its settings and its photos, so whatever changes these needs another name; and a
    photo that is not as it was frozen is refused at every start.
    """
    steps = [
        f"list all that changed: carscale data check {shlex.quote(str(split.root))}",
        "put them back as they were; then the same command goes on from the last checkpoint",
        "or freeze what is left of the source and train on that: carscale data freeze PHOTOS NEW; "
        "data.root=NEW run.name=NAME",
    ]
    if isinstance(error, OSError) and not isinstance(error, FileNotFoundError):
        steps.append(
            "or, if the disk fails only now and then, show grey squares in their place: "
            "loader.on_unreadable=fill run.name=NAME"
        )
    return LoaderError(f"{split.where(row)}: can't be read: {error}", *steps)


def note_filled(split: Split, row: int, error: Exception) -> None:
    """Say that a photo is shown as a grey square."""
    note(f"unreadable, shown as a grey square: {split.where(row)} ({error})")
