"""Folders as a stranger might send them: harmless payloads, and limits for who reads them."""

import hashlib
import json
import os
import resource
import signal
import struct
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from carscale.data.frozen.layout import card_hash, json_bytes
from carscale.errors import CarscaleError

MORE_BYTES = 1 << 30


@contextmanager
def no_longer_than(seconds: int, *, fifo: Path | None = None):
    """Raise where a block waits: for a FIFO that nobody writes to, an endless loop.

    Threads that wait for ``fifo`` are let go, or the block would wait for them.
    """

    def stop(*_: object) -> None:
        if fifo is not None:
            os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))
        raise AssertionError(f"still at it after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def no_more_memory_than(num_bytes: int = MORE_BYTES):
    """Let a block allocate so many bytes and no more: a bomb is a MemoryError, no dead machine."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def said_of(use: Callable[[], object]) -> str:
    """Return the first line of the error that a use ends in; empty without one."""
    try:
        use()
    except CarscaleError as error:
        return str(error).splitlines()[0]
    return ""


def relock(root: Path, **changes: object) -> dict:
    """Change a card's entries and make its lock match all files, as one who sends it would."""
    card = json.loads((root / "card.json").read_text()) | changes
    for name in card["lock"]:
        if name != "card.json" and (root / name).is_file():
            card["lock"][name] = hashlib.sha256((root / name).read_bytes()).hexdigest()
    card["lock"]["card.json"] = card_hash(card)
    (root / "card.json").write_bytes(json_bytes(card))
    return card


def png(width: int, height: int, *, colour: int = 2) -> bytes:
    """Return a black PNG; a huge one takes next to no bytes."""
    row = b"\0" + bytes(width * {0: 1, 2: 3}[colour])
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def icon(content: bytes) -> bytes:
    """Return an icon that holds a picture and states no size of its own."""
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(content), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + content
