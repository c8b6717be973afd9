"""Members of zip and tar archives, read one by one; nothing is unpacked to a name of theirs.

Photos do not shrink: an archive that unpacks to much more than its size is no set of photos.

Chosen: a compressed tar is unpacked once, into one nameless scratch file, since it can only be read
from its start and photos are wanted in another order. Rejected: a folder of files (a kill leaves
it, and names would be the archive's), memory (a million photos).
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import IO, Any, cast

from carscale import disk
from carscale.data.sources.packed.zip_names import zip_name
from carscale.errors import CarscaleError, DataError

MAX_MEMBER_BYTES = 200_000_000
MAX_RATIO = 200
"""Of a member's bytes to those in the zip; small members may shrink more (a white BMP does)."""
SMALL_BYTES = 16_000_000
MAX_TOTAL_RATIO = 100
MIN_TOTAL_BYTES = 1_000_000_000
"""All of an archive may unpack to this, or to so many times its size."""
CHUNK_BYTES = 1 << 20

OPENERS: dict[str, Callable[..., Any]] = {
    ".tar": open,
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.xz": lzma.open,
    ".txz": lzma.open,
    ".tar.bz2": bz2.open,
    ".tbz2": bz2.open,
}
TAR_SUFFIXES = tuple(OPENERS)
ARCHIVE_SUFFIXES = (".zip", *TAR_SUFFIXES)
BROKEN = (
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, ValueError, OverflowError, NotImplementedError, RuntimeError),
)
"""What damaged or hostile archives raise."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive.

    Attributes:
        name: As the archive has it.
        kind: ``file``, ``folder``, or why it is refused.
        read: Returns a file's bytes, or raises ``OSError``; thread-safe.
        is_guess: Whether the letters of its name had to be guessed.
    """

    name: str
    kind: str
    read: Callable[[], bytes]
    is_guess: bool = False


class Spool:
    """One nameless scratch file for what can't be read in any order; gone when closed or killed.

    Args:
        folder: Where there is room.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: IO[bytes] | None = None

    def add(self, stream: IO[bytes], num_bytes: int) -> Callable[[], bytes]:
        """Copy bytes from a stream; return what reads them again.

        Raises:
            EOFError: The stream ends early.
            DataError: There is no room.
        """
        try:
            self._file = self._file or tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            start = self._file.tell()
        except OSError as error:
            raise self._full(error) from error
        left = num_bytes
        while left:
            chunk = stream.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise EOFError("unexpected end of data")
            try:
                self._file.write(chunk)
            except OSError as error:
                raise self._full(error) from error
            left -= len(chunk)
        return partial(self._read, start, num_bytes)

    def flush(self) -> None:
        """Make all that was added readable."""
        try:
            if self._file is not None:
                self._file.flush()
        except OSError as error:
            raise self._full(error) from error

    def close(self) -> None:
        """Give the room back."""
        if self._file is not None:
            self._file.close()

    def _read(self, start: int, num_bytes: int) -> bytes:
        assert self._file is not None  # something was added
        return _span(self._file.fileno(), start, num_bytes)

    def _full(self, error: OSError) -> CarscaleError:
        what = f"{self._folder}: a compressed archive that is unpacked there"
        return disk.folder_error(error, what, None, "or unpack it yourself and give the folder")


class _Careful:
    """A file that refuses to read more at once than a member may hold; keeps the last header."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.last_header = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_MEMBER_BYTES + tarfile.BLOCKSIZE:
            raise ValueError(f"a header declares {size} bytes")
        data = self._file.read(size)
        if size == tarfile.BLOCKSIZE:
            self.last_header = data
        return data

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


def name_problem(name: str) -> str | None:
    """Return why a member of this name is refused, if it is.

    Example:
        >>> name_problem("audi/1.jpg"), name_problem("../1.jpg")
        (None, 'leads out of the archive')
    """
    if name.startswith("/"):
        return "absolute path"
    if "\\" in name:
        return "backslash in its path"
    if re.match(r"[A-Za-z]:", name):
        return "names a drive"
    if ".." in name.split("/"):
        return "leads out of the archive"
    return None


@contextmanager
def open_members(path: Path, spool: Spool) -> Iterator[list[Member]]:
    """Open a zip or tar and list its members; they can be read while it is open.

    Args:
        path: The archive; its suffix tells its kind.
        spool: Takes what a compressed tar holds.

    Raises:
        DataError: It is no such archive, cut short, damaged, or would unpack to far more than
            photos do.
    """
    if path.name.lower().endswith(".zip"):
        with _opened_zip(path) as members:
            yield members
        return
    try:
        members = _tar_members(path, spool)
    except BROKEN as error:
        raise _broken(path, error) from error
    yield members


@contextmanager
def _opened_zip(path: Path) -> Iterator[list[Member]]:
    """Open a zip and list its members."""
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN as error:
        raise _broken(path, error) from error
    with archive:
        lock = Lock()
        infos = archive.infolist()
        _check_total(path, sum(info.file_size for info in infos))
        members = []
        for info in infos:
            name, is_guess = zip_name(info)
            read = partial(_read_zip, archive, lock, info)
            members.append(Member(name, _zip_kind(info), read, is_guess))
        yield members


def _zip_kind(info: zipfile.ZipInfo) -> str:
    """Return ``file``, ``folder``, or why it is neither."""
    mode = stat.S_IFMT(info.external_attr >> 16)
    if mode == stat.S_IFLNK:
        return "a link"
    if mode not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "no regular file"
    if info.filename.endswith("/"):  # is_dir() of Python 3.11 fails for an empty name
        return "folder"
    if info.flag_bits & 1:
        return "encrypted"
    if info.file_size > max(SMALL_BYTES, MAX_RATIO * info.compress_size):
        return f"unpacks to {info.file_size / max(1, info.compress_size):.0f} times its size"
    return _size_kind(info.file_size)


def _read_zip(archive: zipfile.ZipFile, lock: Lock, info: zipfile.ZipInfo) -> bytes:
    """Read a member; opening and closing change the archive's own count, so they take turns."""
    try:
        with lock:
            handle = archive.open(info)
        try:
            data = handle.read(info.file_size + 1)
        finally:
            with lock:
                handle.close()
    except BROKEN as error:
        raise OSError(str(error) or type(error).__name__) from error
    if len(data) != info.file_size:
        raise OSError(f"{len(data)} bytes where {info.file_size} were declared")
    return data


def _tar_members(path: Path, spool: Spool) -> list[Member]:
    """List a tar's members; those of a compressed one are spooled."""
    suffix = next(end for end in TAR_SUFFIXES if path.name.lower().endswith(end))
    members, total = [], 0
    with OPENERS[suffix](path, "rb") as file:
        careful = _Careful(file)
        with tarfile.open(fileobj=cast("IO[bytes]", careful), mode="r:") as archive:
            while (info := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # a million would take a gigabyte
                total += info.size
                if info.size < 0:
                    raise ValueError(f"{info.name} declares {info.size} bytes")
                _check_total(path, total)
                kind = _tar_kind(info)
                read: Callable[[], bytes] = partial(_read_tar, path, info.offset_data, info.size)
                if suffix != ".tar" and kind == "file":
                    read = spool.add(file, info.size)
                members.append(Member(info.name, kind, read))
        if not careful.last_header or careful.last_header.strip(b"\0"):
            raise ValueError(f"neither a header nor the end mark follows member {len(members)}")
    spool.flush()
    return members


def _tar_kind(info: tarfile.TarInfo) -> str:
    """Return ``file``, ``folder``, or why it is neither."""
    if info.issym() or info.islnk():
        return "a link"
    if info.isdir():
        return "folder"
    if not info.isfile() or info.issparse():
        return "no regular file"
    return _size_kind(info.size)


def _read_tar(path: Path, start: int, num_bytes: int) -> bytes:
    """Read a part of a tar that is not compressed."""
    with path.open("rb") as file:
        return _span(file.fileno(), start, num_bytes)


def _span(descriptor: int, start: int, num_bytes: int) -> bytes:
    """Read a part of an open file, whoever else reads it."""
    data = os.pread(descriptor, num_bytes, start)
    if len(data) != num_bytes:
        raise OSError("cut short")
    return data


def _size_kind(num_bytes: int) -> str:
    """Return ``file``, or that it is too large for a photo."""
    if num_bytes > MAX_MEMBER_BYTES:
        return f"{num_bytes / 1e6:.0f} MB, more than the {MAX_MEMBER_BYTES / 1e6:.0f} of a photo"
    return "file"


def _check_total(path: Path, num_bytes: int) -> None:
    """Raise when an archive would unpack to far more than photos do."""
    size = max(1, path.stat().st_size)
    if num_bytes > max(MIN_TOTAL_BYTES, MAX_TOTAL_RATIO * size):
        raise DataError(
            f"{path}: unpacks to {num_bytes / 1e9:.1f} GB or more, {num_bytes / size:.0f} times "
            "its size, as no photos do",
            "unpack it yourself if you trust it, and give the folder",
        )


def _broken(path: Path, error: Exception) -> DataError:
    """Say that an archive can't be read."""
    if isinstance(error, OSError) and error.strerror:
        return DataError(f"{path}: can't be read: {error.strerror}")
    reason = str(error) or type(error).__name__
    return DataError(f"{path}: is damaged, cut short or no such archive: {reason}")
