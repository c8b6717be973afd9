"""Columns of Parquet files; manifests."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.types import is_dictionary, is_integer, is_string

from carscale import contained
from carscale.errors import DataError
from carscale.tables.sizes import check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANIFEST_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("key", pa.string()),
        ("path", pa.string()),
        ("class", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("sha256", pa.string()),
        ("num_bytes", pa.int64()),
        ("original_sha256", pa.string()),
        ("original_mode", pa.string()),
        ("original_orientation", pa.int8()),
        ("normalised", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("group", pa.string()),
        ("origin", pa.string()),
        ("original_class", pa.string()),
        ("licence", pa.string()),
        ("box", pa.string()),
        ("box_margin", pa.string()),
        ("attributes", pa.string()),
        ("synthetic_method", pa.string()),
        ("synthetic", pa.string()),
    ]
)
"""One row a photo. ``normalised`` says why the bytes are not the original's, where they are not,
``origin`` which source the photo is from, ``source`` its path there, ``original_class`` its class.
Where the photo was cut out of another, ``original_sha256`` is that one's, ``box`` the sides that
its annotation gave, ``left,top,right,bottom``, and ``box_margin`` what was kept around them.
``attributes`` is a JSON mapping of texts, or empty. ``synthetic_method`` says how a photo was made
that no camera took, empty for all others, and ``synthetic`` of what, as JSON: keys of its
``parents``, that of its car first; ``parameters``, ``seed``, ``prompt`` and hash of ``weights``.
"""
ADDED_COLUMNS = (
    *("origin", "original_class", "licence", "box", "box_margin", "attributes"),
    *("synthetic_method", "synthetic"),
)
"""What manifests of before do not have."""
PACK_SCHEMA = MANIFEST_SCHEMA.append(pa.field("shard", pa.int32())).append(
    pa.field("offset", pa.int64())
)
"""A pack's manifest: the photo's bytes lie at ``offset`` in the card's shard of that number."""


def arrow_table(columns: dict[str, Any], schema: pa.Schema | None = None) -> pa.Table:
    """Return columns as an Arrow table; a matrix becomes a column of lists."""
    flat = {name: as_lists(v) if getattr(v, "ndim", 1) == 2 else v for name, v in columns.items()}
    return pa.table(flat, schema=schema)


def table_bytes(columns: dict[str, Any], schema: pa.Schema | None = None) -> bytes:
    """Return columns as the bytes of one Parquet file."""
    sink = io.BytesIO()
    pq.write_table(arrow_table(columns, schema), sink, compression="zstd", row_group_size=1 << 17)
    return sink.getvalue()


def read_columns(path: Path, names: list[str]) -> dict[str, NDArray[Any]]:
    """Read columns of a Parquet file as arrays.

    Raises:
        DataError: The file is missing, broken, far too large, or lacks a column.
    """
    table = read_table(path, names)
    try:
        return {name: _typed(table, name) for name in names}
    except (ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: can't be read: {error}") from error


def _typed(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column, one of a manifest in the manifest's type, without gaps."""
    column = table.column(name)
    if name not in PACK_SCHEMA.names:
        return values_of(column)
    kind, stored = PACK_SCHEMA.field(name).type, column.type
    is_right = is_integer(stored) if is_integer(kind) else is_dictionary(stored)
    if not is_right:
        raise ValueError(f"column {name} holds {stored}, wanted {kind}")
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} rows have no {name}")
    return column.cast(kind).to_numpy() if is_integer(kind) else values_of(column)


def read_manifest(path: Path, names: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """Read columns of a manifest; those that older manifests lack are empty text.

    Args:
        path: The file.
        names: Of the columns; all by default.

    Raises:
        DataError: The file is missing, broken, or lacks another column.
    """
    wanted = list(names or MANIFEST_SCHEMA.names)
    missing = [name for name in wanted if name in ADDED_COLUMNS]
    if missing:
        missing = sorted(set(missing) - column_types(path).keys())
    columns = read_columns(path, [name for name in wanted if name not in missing])
    num_rows = len(next(iter(columns.values()), ()))
    columns |= {name: np.full(num_rows, "", dtype=object) for name in missing}
    return {name: columns[name] for name in wanted}


def numbered(texts_N: Sequence[str] | NDArray[Any]) -> NDArray[np.int64]:
    """Return a number for each text, the same for equal ones, by where they come first.

    Example:
        >>> numbered(np.array(["b", "a", "b"], dtype=object)).tolist()
        [0, 1, 0]
    """
    encoded = pa.array(texts_N, pa.string()).dictionary_encode()
    numbers_N: NDArray[np.int64] = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers_N


def column_types(path: Path) -> dict[str, str]:
    """Return the columns of a Parquet file and what Arrow calls their types.

    Raises:
        DataError: The file is missing or no Parquet.
    """
    return {field.name: str(field.type) for field in _opened(path).schema_arrow}


def schema_note(path: Path, key: str) -> bytes:
    """Return what a library noted in a Parquet file's schema under its name; may be empty."""
    return (_opened(path).schema_arrow.metadata or {}).get(key.encode(), b"")


def read_lists(path: Path, names: list[str]) -> dict[str, list[Any]]:
    """Read columns of a Parquet file as lists; ``None`` where a row has no value.

    Raises:
        DataError: The file can't be read.
    """
    table = read_table(path, names)
    return {
        name: values_of(column).tolist() if is_dictionary(column.type) else column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def check_table(path: Path) -> None:
    """Raise where a Parquet file that another library is to open is far larger than it looks.

    Raises:
        DataError: It can't be read, or would take far more memory than its size.
    """
    file = _opened(path)
    check_size(path, file, file.schema_arrow.names, once=[])


def _opened(path: Path) -> pq.ParquetFile:
    """Open a regular Parquet file; only its last bytes are read."""
    try:
        os.close(contained.open_named(path))  # a FIFO or a device would be waited for
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: can't be read: {error}") from error


def read_table(path: Path, names: list[str] | None = None) -> pa.Table:
    """Return columns of a Parquet file; text stays a dictionary, so that it can't multiply."""
    file = _opened(path)
    there = file.schema_arrow.names
    if missing := [name for name in names or () if name not in there]:
        raise DataError(f"{path}: lacks the columns {missing}; it has {there}")
    if twice := [name for name in names or () if there.count(name) > 1]:
        raise DataError(f"{path}: {there.count(twice[0])} columns are called {twice[0]}")
    texts = [f.name for f in file.schema_arrow if is_string(f.type)]
    by_prefix = check_size(path, file, names or there, once=texts)
    once = [name for name in texts if name not in by_prefix]
    try:
        table = pq.ParquetFile(path, read_dictionary=once).read(columns=names)
        for name in by_prefix.intersection(texts):
            place = table.column_names.index(name)
            table = table.set_column(place, name, table.column(place).dictionary_encode())
        return table
    except (OSError, pa.ArrowException, MemoryError) as error:
        raise DataError(f"{path}: can't be read: {error}") from error


def values_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """Return a column as an array; equal texts are one object."""
    if not is_dictionary(column.type):
        return column.to_numpy()
    parts = [np.empty(0, dtype=object)]
    for chunk in column.chunks:
        try:
            words = np.array([*chunk.dictionary.to_pylist(), None], dtype=object)
        except UnicodeDecodeError as error:
            raise DataError(f"a column holds text that is no UTF-8: {error.reason}") from error
        parts.append(words[chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False)])
    return np.concatenate(parts)


def byte_spans(path: Path, column: str, part: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return where the rows of an Arrow stream file hold their bytes.

    Args:
        path: The file, not compressed.
        column: A struct column.
        part: Its binary field.

    Returns:
        Offsets from the start of the file and sizes, int64 ``[N]``.
    """
    offsets, sizes = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    with pa.memory_map(str(path)) as file:
        start = file.read_buffer().address
        file.seek(0)
        for batch in pa.ipc.open_stream(file):
            values = batch.column(column).field(part)
            _, bounds, content = values.buffers()
            edges = np.frombuffer(bounds, np.int32, len(values) + 1).astype(np.int64)
            offsets.append(content.address - start + edges[:-1])
            sizes.append(np.diff(edges))
    return np.concatenate(offsets), np.concatenate(sizes)


def as_lists(rows: NDArray[Any]) -> pa.Array:
    """Return a matrix as a column of lists of equal length."""
    flat = pa.array(rows.ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1]).cast(pa.list_(flat.type))
