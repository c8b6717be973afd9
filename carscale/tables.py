"""Manifests and predictions on disk: Parquet, the same bytes for the same content.

Axes: N samples, K classes, T top classes.
"""

from __future__ import annotations

import io
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.types import is_dictionary, is_integer, is_string

from carscale import contained
from carscale.errors import DataError
from carscale.shapes import problem
from carscale.types import Predictions

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
    ]
)
"""One row a photo. ``normalised`` says why the bytes are not the original's, where they are not,
``origin`` which source the photo is from, ``source`` its path there, ``original_class`` its class.
"""
ADDED_COLUMNS = ("origin", "original_class", "licence")
"""What manifests of before do not have."""
PACK_SCHEMA = MANIFEST_SCHEMA.append(pa.field("shard", pa.int32())).append(
    pa.field("offset", pa.int64())
)
"""A pack's manifest: the photo's bytes lie at ``offset`` in the card's shard of that number."""

MAX_ROWS = 20_000_000
"""Of a table: a million photos are the most that we have tried; ten versions of them fit."""
MAX_TABLE_RATIO = 50
MIN_TABLE_BYTES = 256 << 20
"""A table may take this much memory, or so many times its size; manifests take 4 times theirs."""
VALUE_BYTES = 8
"""What a value takes at least once it is read, however few bytes it is stored in."""
ABOUT = {"checkpoint?": str, "split?": str, "split_hash?": str, "class_hash?": str}


def arrow_table(columns: dict[str, Any], schema: pa.Schema | None = None) -> pa.Table:
    """Return columns as an Arrow table; a matrix becomes a column of lists."""
    flat = {name: _lists(v) if getattr(v, "ndim", 1) == 2 else v for name, v in columns.items()}
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
    table = _read(path, names)
    try:
        return {name: _typed(table, name) for name in names}
    except (ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: can't be read: {error}") from error


def _typed(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column, one of a manifest in the manifest's type, without gaps."""
    column = table.column(name)
    if name not in PACK_SCHEMA.names:
        return _values(column)
    kind, stored = PACK_SCHEMA.field(name).type, column.type
    is_right = is_integer(stored) if is_integer(kind) else is_dictionary(stored)
    if not is_right:
        raise ValueError(f"column {name} holds {stored}, wanted {kind}")
    if column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} rows have no {name}")
    return column.cast(kind).to_numpy() if is_integer(kind) else _values(column)


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
    table = _read(path, names)
    return {
        name: _values(column).tolist() if is_dictionary(column.type) else column.to_pylist()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }


def check_table(path: Path) -> None:
    """Raise where a Parquet file that another library is to open is far larger than it looks.

    Raises:
        DataError: It can't be read, or would take far more memory than its size.
    """
    file = _opened(path)
    _check_size(path, file.metadata, file.schema_arrow.names)


def _opened(path: Path) -> pq.ParquetFile:
    """Open a regular Parquet file; only its last bytes are read."""
    try:
        os.close(contained.open_named(path))  # a FIFO or a device would be waited for
        return pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: can't be read: {error}") from error


def _read(path: Path, names: list[str] | None = None) -> pa.Table:
    """Return columns of a Parquet file; text stays a dictionary, so that it can't multiply."""
    file = _opened(path)
    there = file.schema_arrow.names
    if missing := [name for name in names or () if name not in there]:
        raise DataError(f"{path}: lacks the columns {missing}; it has {there}")
    if twice := [name for name in names or () if there.count(name) > 1]:
        raise DataError(f"{path}: {there.count(twice[0])} columns are called {twice[0]}")
    _check_size(path, file.metadata, names or there)
    texts = [f.name for f in file.schema_arrow if is_string(f.type)]
    try:
        return pq.ParquetFile(path, read_dictionary=texts).read(columns=names)
    except (OSError, pa.ArrowException, MemoryError) as error:
        raise DataError(f"{path}: can't be read: {error}") from error


def _check_size(path: Path, metadata: pq.FileMetaData, names: list[str]) -> None:
    """Raise where a table's own account of its columns is far above its size on disk."""
    if metadata.num_rows > MAX_ROWS:
        raise DataError(f"{path}: has {metadata.num_rows} rows; at most {MAX_ROWS} are read")
    needed, wanted = 0, set(names)
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema.split(".")[0] in wanted:
                needed += VALUE_BYTES * column.num_values + max(0, column.total_uncompressed_size)
    size = path.stat().st_size
    if needed > max(MIN_TABLE_BYTES, MAX_TABLE_RATIO * size):
        raise DataError(
            f"{path}: {size} bytes would become {needed}, {needed // max(1, size)} times as many, "
            "as no table of photos does"
        )


def _values(column: pa.ChunkedArray) -> NDArray[Any]:
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


def predictions_bytes(predictions: Predictions) -> bytes:
    """Return a predictions table as the bytes of one Parquet file."""
    columns: dict[str, Any] = {
        "id": predictions.ids_N,
        "key": pa.array(predictions.keys_N, pa.string()),
        "path": pa.array(predictions.paths_N, pa.string()),
        "label": predictions.labels_N.astype(np.int32),
        "prediction": predictions.prediction_N.astype(np.int32),
        "top5": _lists(predictions.top5_NT.astype(np.int32)),
        "top5_prob": _lists(predictions.top5_prob_NT.astype(np.float32)),
        "prob_label": predictions.prob_label_N.astype(np.float32),
        "prob_prediction": predictions.prob_prediction_N.astype(np.float32),
        "loss": predictions.loss_N.astype(np.float32),
        "margin": predictions.margin_N.astype(np.float32),
    }
    if predictions.probs_NK is not None:
        columns["probs"] = _lists(predictions.probs_NK.astype(np.float32))
    table = pa.table(columns)
    about = json.dumps(predictions.about, sort_keys=True)
    table = table.replace_schema_metadata({"carscale": about})
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", row_group_size=1 << 17)
    return sink.getvalue()


def read_predictions(path: Path) -> Predictions:
    """Read a predictions table.

    Raises:
        DataError: The file is missing, holds no predictions, or numbers that can't be.
    """
    table = _read(path)
    if "prob_label" not in table.column_names:
        raise DataError(f"{path}: holds no predictions; its columns are {table.column_names}")
    try:
        found = _as_predictions(path, table)
    except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{path}: holds no predictions: {error}", _made_by(path)) from error
    if found.fault:
        raise DataError(f"{path}: {found.fault}", _made_by(path))
    return found


def _made_by(path: Path) -> str:
    """Return the command that makes a run's table anew."""
    run, split = shlex.quote(str(path.parents[1])), path.name.split(".")[0]
    command = f"folds {run}" if split == "folds" else f"evaluate {run} --split {split}"
    return f"make it anew with: carscale {command}"


def _as_predictions(path: Path, table: pa.Table) -> Predictions:
    """Return a table's columns, each of its type; nothing is cast that would change."""

    def column(name: str, dtype: pa.DataType) -> NDArray[Any]:
        return table.column(name).cast(dtype).to_numpy()

    nulls = [name for name in table.column_names if table.column(name).null_count]
    if nulls:
        raise ValueError(f"rows without a value in {', '.join(nulls)}")
    has_probs = "probs" in table.column_names
    return Predictions(
        ids_N=column("id", pa.int64()),
        keys_N=_texts(table.column("key")),
        paths_N=_texts(table.column("path")),
        labels_N=column("label", pa.int64()),
        prediction_N=column("prediction", pa.int64()),
        top5_NT=_matrix(table, "top5", pa.int64()),
        top5_prob_NT=_matrix(table, "top5_prob", pa.float32()),
        prob_label_N=column("prob_label", pa.float32()),
        prob_prediction_N=column("prob_prediction", pa.float32()),
        loss_N=column("loss", pa.float32()),
        margin_N=column("margin", pa.float32()),
        probs_NK=_matrix(table, "probs", pa.float32()) if has_probs else None,
        about=_about(path, table),
    )


def _texts(column: pa.ChunkedArray) -> NDArray[Any]:
    """Return a column of texts without gaps."""
    if not is_dictionary(column.type) or column.null_count:
        raise ValueError(f"texts without gaps were wanted, not {column.type}")
    return _values(column)


def _matrix(table: pa.Table, name: str, dtype: pa.DataType) -> NDArray[Any]:
    """Return a column of lists of equal length as a matrix."""
    lists = table.column(name).cast(pa.list_(dtype)).combine_chunks()
    flat = lists.flatten().to_numpy(zero_copy_only=False)
    sizes_N = lists.value_lengths().to_numpy(zero_copy_only=False)
    if len(sizes_N) and not (sizes_N == sizes_N[0]).all():
        raise ValueError(f"the lists of column {name} differ in length")
    return flat.reshape(len(table), -1) if len(table) else flat.reshape(0, 1)


def _about(path: Path, table: pa.Table) -> dict[str, Any]:
    """Return what a table says of itself."""
    stored = (table.schema.metadata or {}).get(b"carscale", b"{}")
    try:
        about: dict[str, Any] = json.loads(stored)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: what it says of itself is no JSON: {error}") from error
    if wrong := problem(about, ABOUT):
        raise DataError(f"{path}: what it says of itself: {wrong}")
    return about


def embeddings_bytes(predictions: Predictions) -> bytes:
    """Return ids and embeddings as the bytes of one Parquet file.

    Raises:
        ValueError: The predictions hold no embeddings.
    """
    if predictions.embeddings_ND is None:
        raise ValueError("predictions must hold embeddings_ND")
    table = pa.table({"id": predictions.ids_N, "embedding": _lists(predictions.embeddings_ND)})
    about = json.dumps(predictions.about, sort_keys=True)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"carscale": about}), sink, compression="zstd")
    return sink.getvalue()


def read_embeddings(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float16], dict[str, Any]]:
    """Read ids, embeddings ``[N, D]`` and what made them.

    Raises:
        DataError: The file is missing or holds no embeddings.
    """
    table = _read(path)
    if table.column_names != ["id", "embedding"]:
        raise DataError(
            f"{path}: holds no embeddings; its columns are {table.column_names}",
            f"{_made_by(path)} --embeddings",
        )
    try:
        embeddings_ND = _matrix(table, "embedding", pa.float16())
        ids_N = table.column("id").cast(pa.int64()).to_numpy()
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{path}: holds no embeddings: {error}") from error
    if num_bad := int((~np.isfinite(embeddings_ND)).sum()):
        raise DataError(
            f"{path}: {num_bad} of {embeddings_ND.size} numbers are NaN or infinite, of "
            f"{len(table)} photos",
            f"{_made_by(path)} --embeddings",
        )
    return ids_N, embeddings_ND, _about(path, table)


def _lists(rows: NDArray[Any]) -> pa.Array:
    """Return a matrix as a column of lists of equal length."""
    flat = pa.array(rows.ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1]).cast(pa.list_(flat.type))
