"""Is a table far larger in memory than on disk? Told before it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from carscale.errors import DataError
from carscale.tables.pages import BY_DICTIONARY, BY_PREFIX, Page, read_pages

MAX_ROWS = 20_000_000
"""Of a table: a million photos are the most that we have tried; ten versions of them fit."""
MAX_TABLE_RATIO = 50
MIN_TABLE_BYTES = 256 << 20
"""A table may take this much memory, or so many times its size; manifests take 4 times theirs."""
VALUE_BYTES = 8
"""What a value takes at least once it is read, however few bytes it is stored in."""


def check_size(path: Path, opened: pq.ParquetFile, names: list[str], once: list[str]) -> set[str]:
    """Raise where columns become far larger than their file.

    Args:
        path: The file.
        opened: The same.
        names: The columns that are read.
        once: Those that are read as dictionaries, which hold equal values once.

    Returns:
        The columns that Arrow can't read as dictionaries: their values are stored as what they
        differ in from the one before.

    Raises:
        DataError: They do, or there are too many rows, or the file is damaged.
    """
    metadata = opened.metadata
    if metadata.num_rows > MAX_ROWS:
        raise DataError(f"{path}: has {metadata.num_rows} rows; at most {MAX_ROWS} are read")
    size = path.stat().st_size
    most = max(MIN_TABLE_BYTES, MAX_TABLE_RATIO * size)
    needed, largest, by_prefix, at_most = 0, 1, set(), Counter[str]()
    for name, pages in _chunks(path, metadata, names):
        needed += sum(VALUE_BYTES * page.num_values + page.num_bytes for page in pages)
        largest_here = max((page.num_bytes for page in pages), default=0)
        largest = max(largest, largest_here)
        if any(page.encoding == BY_PREFIX for page in pages):
            by_prefix.add(name)
        multiplying = (BY_PREFIX, *(() if name in once else BY_DICTIONARY))
        num_values = sum(page.num_values for page in pages if page.encoding in multiplying)
        at_most[name] += num_values * largest_here
    if needed <= most < needed + at_most.total():
        needed += _count_bytes(path, opened, sorted(+at_most), most, largest=largest)
    if needed > most:
        raise DataError(
            f"{path}: {size} bytes would become {needed} or more, {needed // max(1, size)} times "
            "as many, as no table of photos does"
        )
    return by_prefix


def _chunks(
    path: Path, metadata: pq.FileMetaData, names: list[str]
) -> Iterator[tuple[str, list[Page]]]:
    """Yield the column, and the pages, of each part of columns."""
    with path.open("rb") as file:
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                name = column.path_in_schema.split(".")[0]
                if name not in names:
                    continue
                offsets = (column.dictionary_page_offset, column.data_page_offset)
                start = min((offset for offset in offsets if offset), default=0)
                try:
                    pages = list(read_pages(file, start, start + column.total_compressed_size))
                except (OSError, ValueError) as error:
                    raise DataError(f"{path}: can't be read: {error}") from error
                yield name, pages


def _count_bytes(
    path: Path, opened: pq.ParquetFile, names: list[str], most: int, *, largest: int
) -> int:
    """Return how much memory columns take, read a little at a time; above ``most`` it stops.

    A value is at most ``largest`` bytes long.
    """
    total = 0
    try:
        for batch in opened.iter_batches(max(1, MIN_TABLE_BYTES // 8 // largest), columns=names):
            total += batch.nbytes
            if total > most:
                break
    except (OSError, pa.ArrowException, MemoryError) as error:
        raise DataError(f"{path}: can't be read: {error}") from error
    return total
