"""What this machine knows of a frozen folder; it may be deleted at any time."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import files
from carscale.errors import DiskError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cache_file(root: Path, kind: str) -> Path:
    """Return where this machine keeps what it saw of a folder.

    Args:
        root: The folder.
        kind: What is kept: ``stat``, ``photo_stats`` or ``near``.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(str(root.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return base / "carscale" / kind / f"{name[:32]}.npz"


def read_cache(root: Path, kind: str, version: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays that are kept of a folder, if they are of this version.

    Args:
        root: The folder.
        kind: As ``cache_file`` takes it.
        version: What they are of: other photos or other code, another version.
    """
    try:
        with cache_file(root, kind).open("rb") as file, np.load(file) as stored:
            if str(stored["version"]) != version:
                return None
            return {name: stored[name] for name in stored.files if name != "version"}
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def write_cache(root: Path, kind: str, version: str, **arrays: Any) -> None:  # noqa: ANN401
    """Keep arrays of a folder; a disk that can't take them costs time, nothing else."""
    path = cache_file(root, kind)
    with suppress(OSError, DiskError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_file(path) as file:
            np.savez(file, version=np.array(version), **arrays)
