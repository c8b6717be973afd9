"""Predictions and embeddings as Parquet.

Axes: N samples, K classes, T top classes, D embedding dimensions.
"""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.types import is_dictionary

from carscale.errors import DataError
from carscale.shapes import problem
from carscale.tables.columns import as_lists, read_table, values_of
from carscale.types import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

ABOUT = {"checkpoint?": str, "split?": str, "split_hash?": str, "class_hash?": str}


def predictions_bytes(predictions: Predictions) -> bytes:
    """Return a predictions table as the bytes of one Parquet file."""
    columns: dict[str, Any] = {
        "id": predictions.ids_N,
        "key": pa.array(predictions.keys_N, pa.string()),
        "path": pa.array(predictions.paths_N, pa.string()),
        "label": predictions.labels_N.astype(np.int32),
        "prediction": predictions.prediction_N.astype(np.int32),
        "top5": as_lists(predictions.top5_NT.astype(np.int32)),
        "top5_prob": as_lists(predictions.top5_prob_NT.astype(np.float32)),
        "prob_label": predictions.prob_label_N.astype(np.float32),
        "prob_prediction": predictions.prob_prediction_N.astype(np.float32),
        "loss": predictions.loss_N.astype(np.float32),
        "margin": predictions.margin_N.astype(np.float32),
    }
    if predictions.probs_NK is not None:
        columns["probs"] = as_lists(predictions.probs_NK.astype(np.float32))
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
    table = _read_own(path)
    if "prob_label" not in table.column_names:
        raise DataError(
            f"{path}: holds no predictions; its columns are {table.column_names}", _made_by(path)
        )
    try:
        found = _as_predictions(path, table)
    except (KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise DataError(f"{path}: holds no predictions: {error}", _made_by(path)) from error
    if found.fault:
        raise DataError(f"{path}: {found.fault}", _made_by(path))
    return found


def _read_own(path: Path) -> pa.Table:
    """Return a table of a run; where the file can't be read, its error says what makes it."""
    try:
        return read_table(path)
    except DataError as error:
        if path.is_file():
            raise DataError(*error.lines, _made_by(path)) from error
        raise


def _made_by(path: Path) -> str:
    """Return the command that makes a run's table anew."""
    run, split = shlex.quote(str(path.parents[1])), path.name.split(".")[0]
    if split == "folds":  # the folds that are there go on with their own options alone
        return f"make it anew by the command that made it: carscale folds {run} ..."
    more = " --embeddings" if path.name.endswith(".embeddings.parquet") else ""
    return f"make it anew with: carscale evaluate {run} --split {split}{more}"


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
    return values_of(column)


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
    table = pa.table({"id": predictions.ids_N, "embedding": as_lists(predictions.embeddings_ND)})
    about = json.dumps(predictions.about, sort_keys=True)
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"carscale": about}), sink, compression="zstd")
    return sink.getvalue()


def read_embeddings(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float16], dict[str, Any]]:
    """Read ids, embeddings ``[N, D]`` and what made them.

    Raises:
        DataError: The file is missing or holds no embeddings.
    """
    table = _read_own(path)
    if table.column_names != ["id", "embedding"]:
        raise DataError(
            f"{path}: holds no embeddings; its columns are {table.column_names}",
            _made_by(path),
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
            _made_by(path),
        )
    return ids_N, embeddings_ND, _about(path, table)
