"""Folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carscale import runs
from carscale.errors import DataError

__all__ = ["made_beside"]


@contextmanager
def made_beside(out: Path, doing: str) -> Iterator[Path]:
    """Give an empty folder beside a place to fill, and move it there when the block is done.

    After an error nothing is left of it, and what was at the place stays.

    Args:
        out: The place; a link there is kept. A folder there is replaced.
        doing: A word for the folder's name while it is made.

    Raises:
        DataError: It can't be written.
    """
    place = out.resolve()
    beside = place.with_name(f".{place.name}.{os.getpid()}.{doing}")
    try:
        shutil.rmtree(beside, ignore_errors=True)  # of a killed one with our process number
        beside.mkdir(parents=True)
        yield beside
        runs.publish_folder(beside, place)
    except OSError as error:
        raise DataError(f"{out}: can't be written: {error}", "nothing was changed there") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
