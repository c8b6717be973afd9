"""What the pages of a Parquet file are once unpacked, told from their headers alone.

The footer of a file says how large its columns are, and may say anything. What a reader unpacks is
what stands before each page.

Chosen: the headers, a few bytes a page. Rejected: reading the file twice; a process with a limit
of memory (it would import all of a reader for each table).

Reference:
    Apache Parquet, ``parquet.thrift``; Thrift compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

MAX_HEADER_BYTES = 16 << 20
"""What Arrow reads at most; a header may hold the smallest and the largest value of its page."""
FIRST_HEADER_BYTES = 1 << 10
BY_DICTIONARY, BY_PREFIX = (2, 8), 7
"""Encodings that say a value in fewer bytes than it has."""

PAGE_KINDS = {0: (5, 2), 2: (7, 0), 3: (8, 4)}
"""Values, a dictionary, values of version 2: the field that says more, and its field of the
encoding."""

Header = dict[int, Any]


@dataclass(frozen=True)
class Page:
    """One page of a column.

    Attributes:
        num_bytes: Once unpacked.
        num_values: In it.
        encoding: Of the values, by Parquet's number; ``None`` of a dictionary.
    """

    num_bytes: int
    num_values: int
    encoding: int | None


def read_pages(file: BinaryIO, start: int, stop: int) -> Iterator[Page]:
    """Yield the pages of a column chunk; only their headers are read.

    Args:
        file: Of Parquet.
        start: Where the chunk begins.
        stop: Where it ends.

    Raises:
        ValueError: There is no header where one should be.
    """
    at = start
    while at < stop:
        header, size = _read_header(file, at, stop)
        packed = _count(header, 3)
        place, encoding_at = PAGE_KINDS.get(_count(header, 1), (0, 0))
        data = header.get(place)
        if not isinstance(data, dict):
            raise ValueError(f"a page of kind {header[1]} begins at byte {at}")
        yield Page(max(packed, _count(header, 2)), _count(data, 1), data.get(encoding_at))
        at += size + packed


def _read_header(file: BinaryIO, at: int, stop: int) -> tuple[Header, int]:
    """Return the header that begins at a place, and its size."""
    size = FIRST_HEADER_BYTES
    while True:
        file.seek(at)
        content = file.read(min(size, stop - at))
        try:
            return _struct(content, 0)
        except (IndexError, RecursionError) as error:
            if len(content) < size or size > MAX_HEADER_BYTES:
                raise ValueError(f"no page begins at byte {at}") from error
            size *= 16


def _count(fields: Header, number: int) -> int:
    """Return a field that counts something."""
    value = fields.get(number)
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"the header of a page says {value} in its field {number}")
    return value


def _struct(content: bytes, at: int) -> tuple[Header, int]:
    """Return a struct's fields by their numbers, and where it ends."""
    fields: Header = {}
    number = 0
    while content[at]:
        step, kind = content[at] >> 4, content[at] & 15
        at += 1
        if step:
            number += step
        else:
            number, at = _integer(content, at)
        fields[number], at = _value(content, at, kind)
    return fields, at + 1


def _value(content: bytes, at: int, kind: int) -> tuple[Any, int]:
    """Return a value of one of Thrift's kinds; of texts and lists, which nobody asks for, none."""
    if kind in (1, 2):
        return kind == 1, at
    if kind == 3:
        return content[at], at + 1
    if kind in (4, 5, 6):
        return _integer(content, at)
    if kind == 7:
        return None, at + 8
    if kind == 8:
        size, at = _varint(content, at)
        return None, at + size
    if kind in (9, 10):
        size, kind = content[at] >> 4, content[at] & 15
        at += 1
        if size == 15:
            size, at = _varint(content, at)
        for _ in range(size):
            _, at = (None, at + 1) if kind in (1, 2) else _value(content, at, kind)
            content[at - 1]
        return None, at
    if kind == 12:
        return _struct(content, at)
    raise ValueError(f"the header of a page holds a value of kind {kind}")


def _integer(content: bytes, at: int) -> tuple[int, int]:
    """Return a signed whole number."""
    value, at = _varint(content, at)
    return value >> 1 ^ -(value & 1), at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return a whole number of seven bits a byte, at most 64 of them."""
    value = shift = 0
    while content[at] & 128:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if shift > 63:
            raise ValueError("the header of a page holds a number of more than 64 bits")
    return value | content[at] << shift, at + 1
