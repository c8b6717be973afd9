"""Manifests and predictions on disk: Parquet, the same bytes for the same content.

Axes: N samples, K classes, T top classes.
"""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from carscale.errors import DataError
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
"""One row a photo.

``normalised`` says why the frozen bytes are not the original's (empty when they are), ``origin``
which source the photo came from, ``source`` its path there, ``original_class`` its class there.
"""
ADDED_COLUMNS = ("origin", "original_class", "licence")
"""What manifests of before do not have."""
PACK_SCHEMA = MANIFEST_SCHEMA.append(pa.field("shard", pa.int32())).append(
    pa.field("offset", pa.int64())
)
"""A pack's manifest: the photo's bytes lie at ``offset`` in the card's shard of that number."""


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
        DataError: The file is missing, broken, or lacks a column.
    """
    try:
        table = pq.read_table(path, columns=names, partitioning=None)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: can't be read: {error}") from error
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise DataError(f"{path}: lacks the columns {missing}; it has {table.column_names}")
    try:
        return {name: _typed(table, name) for name in names}
    except (ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: can't be read: {error}") from error


def _typed(table: pa.Table, name: str) -> NDArray[Any]:
    """Return a column, one of a manifest in the manifest's type; NaN and gaps are no integers."""
    column = table.column(name)
    if name not in PACK_SCHEMA.names:
        return column.to_numpy()
    kind = PACK_SCHEMA.field(name).type
    if pa.types.is_integer(kind) and column.null_count:
        raise ValueError(f"{column.null_count} of {len(column)} rows have no {name}")
    return column.cast(kind).to_numpy()


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
    try:
        schema = pq.read_schema(path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: can't be read: {error}") from error
    return {field.name: str(field.type) for field in schema}


def read_lists(path: Path, names: list[str]) -> dict[str, list[Any]]:
    """Read columns of a Parquet file as lists; ``None`` where a row has no value.

    Raises:
        DataError: The file can't be read.
    """
    try:
        table = pq.read_table(path, columns=names, partitioning=None)
        return {name: table.column(name).to_pylist() for name in names}
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise DataError(f"{path}: can't be read: {error}") from error


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
    try:
        table = pq.read_table(path, partitioning=None)
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file", "make it with: carscale evaluate RUN --split val"
        ) from error
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path}: can't be read: {error}") from error
    if "prob_label" not in table.column_names:
        raise DataError(f"{path}: holds no predictions; its columns are {table.column_names}")
    try:
        found = _as_predictions(table)
    except (KeyError, ValueError, pa.ArrowException) as error:
        raise DataError(f"{path}: holds no predictions: {error}", _made_by(path)) from error
    if found.fault:
        raise DataError(f"{path}: {found.fault}", _made_by(path))
    return found


def _made_by(path: Path) -> str:
    """Return the command that makes a run's table anew."""
    run, split = shlex.quote(str(path.parents[1])), path.name.split(".")[0]
    command = f"folds {run}" if split == "folds" else f"evaluate {run} --split {split}"
    return f"make it anew with: carscale {command}"


def _as_predictions(table: pa.Table) -> Predictions:
    """Return a table's columns, each of its type; nothing is cast that would change."""

    def column(name: str, dtype: pa.DataType) -> NDArray[Any]:
        return table.column(name).cast(dtype).to_numpy()

    def matrix(name: str, dtype: pa.DataType) -> NDArray[Any]:
        lists = table.column(name).cast(pa.list_(dtype)).combine_chunks()
        flat = lists.flatten().to_numpy(zero_copy_only=False)
        return flat.reshape(len(table), -1) if len(table) else flat.reshape(0, 1)

    nulls = [name for name in table.column_names if table.column(name).null_count]
    if nulls:
        raise ValueError(f"rows without a value in {', '.join(nulls)}")
    about = (table.schema.metadata or {}).get(b"carscale", b"{}")
    return Predictions(
        ids_N=column("id", pa.int64()),
        keys_N=column("key", pa.string()),
        paths_N=column("path", pa.string()),
        labels_N=column("label", pa.int64()),
        prediction_N=column("prediction", pa.int64()),
        top5_NT=matrix("top5", pa.int64()),
        top5_prob_NT=matrix("top5_prob", pa.float32()),
        prob_label_N=column("prob_label", pa.float32()),
        prob_prediction_N=column("prob_prediction", pa.float32()),
        loss_N=column("loss", pa.float32()),
        margin_N=column("margin", pa.float32()),
        probs_NK=matrix("probs", pa.float32()) if "probs" in table.column_names else None,
        about=json.loads(about),
    )


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
    try:
        table = pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path}: can't be read: {error}",
            "make it with: carscale evaluate RUN --split val --embeddings",
        ) from error
    if table.column_names != ["id", "embedding"]:
        raise DataError(f"{path}: holds no embeddings; its columns are {table.column_names}")
    about = json.loads((table.schema.metadata or {}).get(b"carscale", b"{}"))
    flat = table.column("embedding").combine_chunks().flatten().to_numpy()
    size = len(flat) // max(1, len(table))
    num_bad = int((~np.isfinite(flat)).sum())
    if num_bad or size * len(table) != len(flat):
        raise DataError(
            f"{path}: {num_bad} of {len(flat)} numbers are NaN or infinite, of {len(table)} photos",
            f"{_made_by(path)} --embeddings",
        )
    return table.column("id").to_numpy(), flat.reshape(len(table), size), about


def _lists(rows: NDArray[Any]) -> pa.Array:
    """Return a matrix as a column of lists of equal length."""
    flat = pa.array(rows.ravel())
    return pa.FixedSizeListArray.from_arrays(flat, rows.shape[1]).cast(pa.list_(flat.type))
