"""Files and folders that a kill can't tear: atomic writes, JSON lines, locks, staging.

Chosen: write to a staging place, fsync, rename, fsync the folder. Rejected: writing in place (a
kill leaves half a file), deleting the old before the new is whole (a kill leaves nothing).
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from carscale import contained, disk
from carscale.errors import (
    CarscaleError,
    DiskError,
    ModelError,
    OutOfMemoryError,
    RunError,
    UnsafePathError,
)
from carscale.locks import hold_lock, open_lock
from carscale.threads import in_order

STALE_S = 3600
NUM_FSYNCS = 8
MAX_JSON_BYTES = 64 << 20
"""Of a JSON file: metrics of 10,000 classes on four splits are 20 MB; parsed, JSON takes 20 times
its size."""
MAX_LINES_BYTES = 512 << 20
MAX_LINES = 5_000_000
"""Of a JSON-lines file: a line for each of a million photos that were left out is 200 MB."""


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader, or a kill, sees the old one or the new one, whole.

    Raises:
        DiskError: The disk is full, read-only or failing; the old file stays.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with atomic_file(path, num_bytes=len(data)) as file:
        file.write(data)


@contextmanager
def atomic_file(path: Path, *, num_bytes: int | None = None) -> Iterator[BinaryIO]:
    """Give an open file that takes a path's place, whole, when the block is done.

    Args:
        path: The place.
        num_bytes: What will be written, for the error of a full disk.

    Raises:
        DiskError: The disk is full, read-only or failing; the old file stays.
    """
    staging = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    _sweep(path, "tmp")
    with disk.writing(path, num_bytes):
        try:
            staging.unlink(missing_ok=True)  # a link there would be written through
            with staging.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            staging.replace(path)
        except OSError:
            with suppress(OSError):
                staging.unlink(missing_ok=True)
            raise
        fsync_path(path.parent)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; copy it where the disk has no hard links, or no more."""
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


def fsync_path(path: Path) -> None:
    """Make a file's bytes, or a folder's names, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish_folder(staging: Path, final: Path, *, replaces: bool = True) -> None:
    """Fsync a finished folder and rename it to its final name.

    Args:
        staging: The folder; on the same disk.
        final: Its place. A folder there goes once the new one is in place.
        replaces: Whether it may; an empty one always may.

    Raises:
        OSError: The disk fails, or something lies at ``final`` that may not be replaced.
    """
    with ThreadPoolExecutor(NUM_FSYNCS, "carscale-fsync") as pool:  # the disk joins them: 20 times
        for _ in in_order(pool, fsync_path, _paths_of(staging), ahead=4 * NUM_FSYNCS):
            pass
    if replaces and final.exists():
        _sweep(final, "old")
        old = final.with_name(f".{final.name}.{os.getpid()}.old")
        final.rename(old)
        try:
            staging.rename(final)
        except BaseException:
            old.rename(final)
            raise
        shutil.rmtree(old)
    else:
        staging.rename(final)
    fsync_path(final.parent)


def _paths_of(folder: Path) -> Iterator[Path]:
    """Yield a folder and all that lies below it but links."""
    for root, _, names in os.walk(folder):
        yield Path(root)
        for name in names:
            path = Path(root, name)
            if not path.is_symlink():
                yield path


@contextmanager
def staged_folder(
    out: Path, doing: str, *, replaces: bool = True, num_bytes: int | None = None
) -> Iterator[Path]:
    """Give an empty folder to fill, which takes a path's place when the block is done.

    After an error nothing is left of it, and what was at the path stays.

    Args:
        out: The path; a link there is kept.
        doing: A word for the staging folder's name.
        replaces: Whether a folder at the path may be replaced.
        num_bytes: How much it will hold; else what it, or the older one, held.

    Raises:
        DataError: It can't be written.
        DiskError: The disk is full, read-only or failing.
    """
    place = out.resolve()
    held = num_bytes
    try:
        with scratch_folder(place, doing) as staging:
            try:
                yield staging
                publish_folder(staging, place, replaces=replaces)
            except (OSError, DiskError):
                held = num_bytes or disk.bytes_in(staging)
                raise
    except (OSError, DiskError) as error:  # the staging folder is gone: what is free, is free
        raise disk.folder_error(error, out, held, "nothing was changed there") from error


@contextmanager
def resumable_folder(out: Path, doing: str, *, num_bytes: int | None = None) -> Iterator[Path]:
    """Give an empty folder to fill, as ``staged_folder`` does, for work that goes on after a kill.

    The folder's parent is hidden, locked, and holds what was done before. After a kill, an
    interrupt or a failing disk it stays for the next try; after an error of ours, which the same
    command would meet again, nothing is left.

    Args:
        out: The path; a link there is kept. A folder there is replaced.
        doing: What is done, for the parent's name and messages.
        num_bytes: About how much it will hold; less has to be free where it was begun.

    Raises:
        DataError: It can't be written.
        DiskError: The disk is full, read-only or failing.
        RunError: Another process is at it.
    """
    place = out.resolve()
    scratch = place.with_name(f".{place.name}.{doing}")
    folder = scratch / "new"
    try:
        disk.check_room(place, (num_bytes or 0) - disk.bytes_in(scratch), doing)
        scratch.mkdir(parents=True, exist_ok=True)
        contained.inside(place.parent, scratch.name, "folder")
        with hold_lock(scratch, doing=f"{doing} in this folder", next_step="wait for it or end it"):
            try:
                shutil.rmtree(folder, ignore_errors=True)  # of a killed process
                folder.mkdir()
                yield folder
            except (DiskError, OutOfMemoryError, ModelError):  # what may be mended
                if disk.bytes_in(scratch) == 0:  # nothing to go on with
                    shutil.rmtree(scratch, ignore_errors=True)
                raise
            except CarscaleError:
                shutil.rmtree(scratch, ignore_errors=True)
                raise
            publish_folder(folder, place)
            shutil.rmtree(scratch)
    except (OSError, DiskError) as error:
        held, steps = disk.bytes_in(scratch), ["nothing was changed there"]
        if held:
            steps[0] += "; the same command goes on from here,"
            steps.append(f"or free what it holds: rm -r {shlex.quote(str(scratch))}")
        raise disk.folder_error(error, out, num_bytes or held, *steps) from error


@contextmanager
def scratch_folder(place: Path, doing: str) -> Iterator[Path]:
    """Give an empty hidden folder in a path's folder, and remove it in the end.

    Args:
        place: The path; its name is part of the folder's.
        doing: Another word of it.
    """
    folder = place.with_name(f".{place.name}.{os.getpid()}.{doing}")
    _sweep(place, doing)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(place: Path, doing: str) -> None:
    """Remove what killed processes left next to a path: theirs no longer live, or had our number.

    Another machine may write to the same disk, so what changed within the hour stays.
    """
    for left in place.parent.glob(f".{glob.escape(place.name)}.*.{doing}"):
        number = left.name.split(".")[-2]
        is_old = time.time() - left.lstat().st_mtime > STALE_S
        if number == str(os.getpid()) or (number.isdigit() and is_old and not _lives(int(number))):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _lives(process: int) -> bool:
    """Tell whether a process of this machine lives."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


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
        content = contained.read_file(path, max_bytes=MAX_JSON_BYTES)
        return json.loads(content, parse_constant=_no_number)
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such file") from error
    except UnsafePathError as error:
        raise RunError(*error.lines) from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: can't be read: {error}") from error


def update_json(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replace what a JSON file holds, ``{}`` when absent; other processes' updates wait.

    ``change`` makes the new from the old, and may read other files, which others write before they
    update.
    """
    with _updating(path.parent):
        write_json(path, change(read_json(path) if path.exists() else {}))


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Add one JSON line to a small file, atomically; other processes wait; NaN is refused."""
    with _updating(path.parent):
        before = contained.read_file(path, max_bytes=MAX_LINES_BYTES) if path.exists() else b""
        line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomic(path, before + line.encode())


@contextmanager
def _updating(folder: Path) -> Iterator[None]:
    """Keep others from reading and rewriting a folder's small files meanwhile."""
    with open_lock(folder / ".update.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a ``.jsonl`` file; empty if absent. A last line that a kill cut short is left out.

    Raises:
        RunError: A line is no JSON mapping, there are too many, or the file can't be read.
    """
    try:
        content = contained.read_file(path, max_bytes=MAX_LINES_BYTES)
    except FileNotFoundError:
        return []
    except UnsafePathError as error:
        raise RunError(*error.lines) from error
    except OSError as error:
        raise RunError(f"{path}: can't be read: {error.strerror}") from error
    lines = content.decode("utf-8", errors="replace").split("\n", MAX_LINES)
    if len(lines) > MAX_LINES:
        raise RunError(f"{path}: holds more than {MAX_LINES} lines; no more are read")
    rows = []
    for number, line in enumerate(lines[:-1], start=1):
        if not line:
            continue
        try:
            row = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            raise RunError(f"{path}: line {number} is not JSON: {error}") from error
        if not isinstance(row, dict):
            raise RunError(f"{path}: line {number} holds a {type(row).__name__}, wanted a mapping")
        rows.append(row)
    return rows


def _no_number(name: str) -> None:
    """Refuse what Python reads as JSON and nobody else does."""
    raise ValueError(f"{name} is no number in JSON")


def read_tail(path: Path, num_bytes: int) -> str:
    """Return the last bytes of a file as text; its first character may be cut."""
    with os.fdopen(contained.open_file(path), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - num_bytes))
        return file.read(num_bytes).decode("utf-8", errors="replace")


class JsonLines:
    """A log that grows by lines and can be cut back to a known size.

    Each call raises ``DiskError`` where the disk is full, read-only or failing.

    Args:
        path: The file; made when absent.
        size: Keep this many bytes, drop what follows: a resumed run goes on from its checkpoint.
    """

    def __init__(self, path: Path, *, size: int = 0) -> None:
        self._path = path
        with disk.writing(path):
            descriptor = contained.open_file(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            found = os.fstat(descriptor).st_size
            os.ftruncate(descriptor, min(size, found))  # more would pad with zero bytes
            self._file: IO[str] = os.fdopen(descriptor, "a", encoding="utf-8", buffering=1)

    def write(self, **record: object) -> None:
        """Add one line."""
        line = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
        with disk.writing(self._path, len(line)):
            self._file.write(line)

    def sync(self) -> int:
        """Put all lines on disk and return the file's size in bytes."""
        with disk.writing(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Flush and close."""
        with disk.writing(self._path):
            self._file.close()
