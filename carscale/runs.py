"""The run folder: names, lock, and writes that a kill can't tear.

    runs/<name>/ config.yaml  env.json  classes.json  log.jsonl (deterministic)  timing.jsonl
                 checkpoints/  predictions/{val,test}.parquet  metrics.json  calibration.json
                 test_looks.jsonl  report/index.html

Chosen: write beside, fsync, rename, fsync the folder. Rejected: writing in place (a kill leaves
half a file), deleting the old before the new is whole (a kill leaves nothing).
"""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from carscale.errors import RunError

__all__ = [
    "JsonLines",
    "append_line",
    "find_run",
    "fsync_path",
    "hold_lock",
    "is_held",
    "num_cores",
    "publish_folder",
    "read_json",
    "read_lines",
    "recipe_of",
    "replace_folder",
    "update_json",
    "write_atomic",
    "write_json",
]


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, or a kill, sees the old one or the new one, whole."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    fsync_path(path.parent)


def fsync_path(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def num_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def publish_folder(beside: Path, final: Path) -> None:
    """Fsync a finished folder and rename it to its final name, replacing a folder there."""
    for path in [*beside.rglob("*"), beside]:
        if not path.is_symlink():
            fsync_path(path)
    replace_folder(beside, final)
    fsync_path(final.parent)


def replace_folder(beside: Path, final: Path) -> None:
    """Rename a finished folder to its final name; one there goes once the new one is in place."""
    if not final.exists():
        beside.rename(final)
        return
    old = final.with_name(f".{final.name}.{os.getpid()}.old")
    final.rename(old)
    try:
        beside.rename(final)
    except BaseException:
        old.rename(final)
        raise
    shutil.rmtree(old)


def write_json(path: Path, value: object) -> None:
    """Write JSON with sorted keys, atomically; NaN is refused."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_atomic(path, text + "\n")


def read_json(path: Path) -> Any:  # noqa: ANN401 - JSON holds anything
    """Read a JSON file.

    Raises:
        RunError: The file is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: can't be read: {error}") from error


def update_json(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace what a JSON file holds, ``{}`` when absent; other processes' updates wait.

    ``change`` makes the new from the old, and may read files beside that others write before they
    update.
    """
    with _updating(path.parent):
        write_json(path, change(read_json(path) if path.exists() else {}))


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Add one JSON line to a small file, atomically; other processes wait."""
    with _updating(path.parent):
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        write_atomic(path, before + json.dumps(record, ensure_ascii=False) + "\n")


@contextmanager
def _updating(folder: Path) -> Iterator[None]:
    """Keep others from reading and rewriting a folder's small files meanwhile."""
    with (folder / ".update.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a ``.jsonl`` file; an absent one is empty, and a torn last line is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]


class JsonLines:
    """A log that grows by lines and can be cut back to a known size.

    Args:
        path: The file; made when absent.
        size: Keep this many bytes, drop what follows: a resumed run goes on from its checkpoint.
    """

    def __init__(self, path: Path, *, size: int = 0) -> None:
        path.touch()
        os.truncate(path, min(size, path.stat().st_size))  # more would pad with zero bytes
        self._file: IO[str] = path.open("a", encoding="utf-8", buffering=1)  # readers see lines

    def write(self, **record: object) -> None:
        """Add one line."""
        self._file.write(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def sync(self) -> int:
        """Put all lines on disk and return the file's size in bytes."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Flush and close."""
        self._file.close()


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
    with (folder / ".lock").open("w") as file:
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
    if not (folder / ".lock").exists():
        return False
    with (folder / ".lock").open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def recipe_of(env: dict[str, Any]) -> str | None:
    """Return the recipe that a run was started by, as it was typed.

    Args:
        env: What ``env.json`` holds.

    Example:
        >>> recipe_of({"command": ["recipes/effnet_focal.py", "seed=3"]})
        'recipes/effnet_focal.py'
    """
    command = env.get("command") or []
    words = shlex.split(command) if isinstance(command, str) else map(str, command)
    return next((word for word in words if word.endswith(".py")), None)


def find_run(path: Path) -> Path:
    """Return a run folder, checked.

    Raises:
        RunError: There is no such folder, or it holds no run; says which runs lie in or beside it.
    """
    if (path / "config.yaml").is_file():
        return path
    folder, names = path, sorted(p.parent.name for p in path.glob("*/config.yaml"))
    if not names:
        folder = path.parent
        names = sorted(p.parent.name for p in folder.glob("*/config.yaml"))
    beside = f"runs in {folder}: {', '.join(names)}" if names else f"no run lies in {folder}"
    kind = "holds no run (no config.yaml)" if path.exists() else "no such run folder"
    raise RunError(f"{path}: {kind}", beside)
