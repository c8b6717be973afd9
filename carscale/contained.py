"""Files of a folder that someone else may have made: nothing read or written there leads out of it.

The folder itself may be a link, as that of runs on a scratch disk is. Below it every part of a path
is a real folder and the last one a regular file of a size that what reads it can hold.

Chosen: each part is opened from the one above it, without following links and without waiting, and
what was opened is asked what it is. Rejected: resolving a path and comparing (a stat a part, a name
that changes in between, and a FIFO still hangs); ``openat2`` (Python has none).
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Literal

from carscale.errors import UnsafePathError

MAX_PHOTO_BYTES = 512 << 20
"""Of an encoded photo: 50 megapixels of four 16-bit channels, not compressed, are 400 MB."""

_WITHOUT_WAITING = os.O_CLOEXEC | os.O_NONBLOCK
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def is_plain(path: object) -> bool:
    """Tell whether a stored path is a relative one that stays below where it starts.

    Example:
        >>> [is_plain(path) for path in ("train/a/1.jpg", "../a", "/a", "a//b", "", 3)]
        [True, False, False, False, False, False]
    """
    if not isinstance(path, str) or "\0" in path:
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))


def inside(root: Path, relative: str, kind: Literal["file", "folder"]) -> Path:
    """Return a path below a folder, to be read or written; it may be absent.

    Args:
        root: The folder; may be a link.
        relative: Its parts, ``/`` between them.
        kind: What the path is where it is there.

    Raises:
        UnsafePathError: It leads out, or is or lies below a link, or is of another kind.
    """
    _check_plain(root, relative)
    path, parts = Path(root), relative.split("/")
    for number, part in enumerate(parts, start=1):
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            break
        is_right = stat.S_ISREG if number == len(parts) and kind == "file" else stat.S_ISDIR
        if not is_right(mode):
            raise _refused(path, mode, kind)
    return Path(root, *parts)


def open_inside(root: Path, relative: str) -> int:
    """Open a regular file below a folder for reading; return its descriptor.

    Raises:
        UnsafePathError: The path leads out, through a link, or to what is no regular file.
        OSError: It is not there or can't be read.
    """
    _check_plain(root, relative)
    *folders, name = relative.split("/")
    above = os.open(root, _FOLDER)
    try:
        for number, part in enumerate(folders, start=1):
            try:
                below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
            except OSError as error:
                whole = Path(root, relative)
                raise _explained(Path(root, *folders[:number]), whole, error) from error
            os.close(above)
            above = below
        flags = os.O_RDONLY | _WITHOUT_WAITING | os.O_NOFOLLOW
        return _opened(Path(root, relative), name, flags, above)
    finally:
        os.close(above)


def open_file(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file by its path; return its descriptor. Only the last part may be no link.

    Args:
        path: The folder above it is the caller's own, or was checked.
        flags: As ``os.open`` takes them; a file that is made can be read and written by all that
            the umask allows.

    Raises:
        UnsafePathError: It is a link or no regular file.
        OSError: It can't be opened.
    """
    return _opened(path, path, flags | _WITHOUT_WAITING | os.O_NOFOLLOW, None)


def read_inside(root: Path, relative: str, *, max_bytes: int = MAX_PHOTO_BYTES) -> bytes:
    """Return what a regular file below a folder holds; from many threads at once.

    Raises:
        UnsafePathError: As ``open_inside``, or the file is larger.
        OSError: It is not there or can't be read.
    """
    return _read(open_inside(root, relative), Path(root, relative), max_bytes)


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """Return what a regular file holds.

    Raises:
        UnsafePathError: It is a link, no regular file, or larger.
        OSError: It is not there or can't be read.
    """
    return _read(open_file(path), path, max_bytes)


def read_named(path: Path, *, max_bytes: int) -> bytes:
    """Return what a file holds that a person named, or that was found fit; links are followed.

    Raises:
        UnsafePathError: It is no regular file, or larger.
        OSError: It is not there or can't be read.
    """
    return _read(open_named(path), path, max_bytes)


def open_named(path: Path) -> int:
    """Open a regular file that a person named for reading; return its descriptor.

    Raises:
        UnsafePathError: It is no regular file.
        OSError: It is not there or can't be read.
    """
    return _opened(path, path, os.O_RDONLY | _WITHOUT_WAITING, None)


def leads_out(path: str, root: str) -> bool:
    """Tell whether a path leads out of a folder, through links or by its words.

    Args:
        path: Of what is there.
        root: The folder, as ``os.path.realpath`` returns it.
    """
    real = os.path.realpath(path)
    return real != root and not real.startswith(root.rstrip("/") + "/")


def _read(descriptor: int, path: Path, max_bytes: int) -> bytes:
    """Read an open file to its end and close it."""
    with open(descriptor, "rb", buffering=0) as file:
        size = os.fstat(descriptor).st_size
        if size > max_bytes:
            raise UnsafePathError(f"{path}: holds {size} bytes; at most {max_bytes} are read")
        return file.readall()


def _opened(path: Path, name: str | Path, flags: int, above: int | None) -> int:
    """Open the last part of a path and ask what it is."""
    try:
        descriptor = os.open(name, flags, 0o666, dir_fd=above)
    except OSError as error:
        raise _explained(path, path, error) from error
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    raise _refused(path, mode, "file")


def _check_plain(root: Path, relative: str) -> None:
    """Raise for a path that leads out before anything is opened."""
    if not is_plain(relative):
        raise UnsafePathError(
            f"{root}: a path in it is {str(relative)[:160]!r}, which may lead out of it",
            "paths are relative, without . or .. or empty parts",
        )


def _explained(part: Path, whole: Path, error: OSError) -> OSError:
    """Return an error that says what is in the way where it is no file or folder."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
        try:
            mode = part.lstat().st_mode
        except OSError:
            return error
        if not stat.S_ISREG(mode):
            return _refused(part, mode, "file")
    return OSError(error.errno, error.strerror, str(whole))  # the subclass of its number


def _refused(path: Path, mode: int, kind: str) -> UnsafePathError:
    """Return the error for a path of another kind."""
    found = _KINDS.get(stat.S_IFMT(mode), "a file")
    wanted = "regular file" if kind == "file" else "folder"
    if stat.S_ISLNK(mode):
        return UnsafePathError(
            f"{path}: is a link; files and folders in run folders and frozen folders are no links",
            "if you trust it, put what it names in its place",
        )
    return UnsafePathError(f"{path}: is {found}, wanted a {wanted}")
