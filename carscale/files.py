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

from carscale import disk
from carscale.errors import CarscaleError, DiskError, RunError
from carscale.threads import in_order

STALE_S = 3600
NUM_FSYNCS = 8


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
            with staging.open("wb") as file:
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
        with hold_lock(scratch, doing=f"{doing} in this folder", next_step="wait for it or end it"):
            try:
                shutil.rmtree(folder, ignore_errors=True)  # of a killed process
                folder.mkdir()
                yield folder
            except DiskError:
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
        is_old = time.time() - left.stat().st_mtime > STALE_S
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
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except FileNotFoundError as error:
        raise RunError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:
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
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        write_atomic(path, before + json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def _updating(folder: Path) -> Iterator[None]:
    """Keep others from reading and rewriting a folder's small files meanwhile."""
    with _open_lock(folder / ".update.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _open_lock(path: Path) -> IO[str]:
    """Open a lock file, made when absent."""
    with disk.writing(path):
        return path.open("w")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read a ``.jsonl`` file; empty if absent. A last line that a kill cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    return [json.loads(line, parse_constant=_no_number) for line in lines[:-1] if line]


def _no_number(name: str) -> None:
    """Refuse what Python reads as JSON and nobody else does."""
    raise ValueError(f"{name} is no number in JSON")


def read_tail(path: Path, num_bytes: int) -> str:
    """Return the last bytes of a file as text; its first character may be cut."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - num_bytes))
        return file.read().decode("utf-8", errors="replace")


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
            path.touch()
            os.truncate(path, min(size, path.stat().st_size))  # more would pad with zero bytes
            self._file: IO[str] = path.open("a", encoding="utf-8", buffering=1)  # line by line

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
    with _open_lock(folder / ".lock") as file:
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
