"""Manifests and predictions on disk: a round trip, the same bytes, errors that name the file."""

from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import tables
from carscale.errors import DataError
from carscale.types import Predictions


def predictions_of(num_samples: int, num_classes: int, *, keep_probs: bool = True) -> Predictions:
    rng = np.random.default_rng([num_samples, num_classes])
    probs = rng.dirichlet(np.ones(num_classes), num_samples).astype(np.float32)
    labels = rng.integers(0, num_classes, num_samples)
    top = np.argsort(-probs, axis=1)[:, :5]
    rows = np.arange(num_samples)
    of_label = probs[rows, labels]
    return Predictions(
        ids_N=rows * 3,
        keys_N=np.array([f"{n:032x}-0" for n in rows], dtype=object),
        paths_N=np.array([f"val/é {n}/a.jpg" for n in rows], dtype=object),
        labels_N=labels,
        prediction_N=top[:, 0],
        top5_NT=top,
        top5_prob_NT=np.take_along_axis(probs, top, axis=1),
        prob_label_N=of_label,
        prob_prediction_N=probs.max(axis=1, initial=0),
        loss_N=-np.log(of_label),
        margin_N=of_label - 0.5,
        probs_NK=probs if keep_probs else None,
        about={"split": "val", "é": [1, {"b": None}], "a": 2.5},
    )


def assert_same(found: Predictions, wanted: Predictions) -> None:
    assert found.about == wanted.about
    for field in fields(Predictions):
        mine, theirs = getattr(found, field.name), getattr(wanted, field.name)
        if field.name == "about" or theirs is None:
            assert (mine is None) == (theirs is None)
            continue
        assert len(mine) == len(theirs), field.name
        if len(theirs):
            assert mine.shape == theirs.shape, field.name
            assert (mine == theirs).all(), field.name
        if theirs.dtype != object:
            assert mine.dtype == theirs.dtype, field.name


@pytest.mark.parametrize("num_classes", [1, 2, 4, 5, 6, 30])
@pytest.mark.parametrize("num_samples", [0, 1, 7, 300])
@pytest.mark.parametrize("keep_probs", [True, False])
def test_predictions_survive_a_file(tmp_path, num_samples, num_classes, keep_probs):
    wanted = predictions_of(num_samples, num_classes, keep_probs=keep_probs)
    path = tmp_path / "val.parquet"
    path.write_bytes(tables.predictions_bytes(wanted))
    found = tables.read_predictions(path)
    assert_same(found, wanted)
    assert found.top5_NT.ndim == found.top5_prob_NT.ndim == 2
    assert len(found) == num_samples


def test_predictions_survive_when_there_are_several_row_groups(tmp_path):
    wanted = predictions_of((1 << 17) + 5, 3, keep_probs=False)
    path = tmp_path / "val.parquet"
    path.write_bytes(tables.predictions_bytes(wanted))
    assert pq.ParquetFile(path).num_row_groups == 2
    assert_same(tables.read_predictions(path), wanted)


def test_the_same_predictions_are_the_same_bytes():
    one, two = (tables.predictions_bytes(predictions_of(50, 6)) for _ in range(2))
    assert one == two
    mixed = replace(predictions_of(50, 6), about={"a": 2.5, "split": "val", "é": [1, {"b": None}]})
    assert tables.predictions_bytes(mixed) == one
    other = replace(predictions_of(50, 6), about={"split": "test"})
    assert tables.predictions_bytes(other) != one


MANIFEST_ROW = {
    "id": 0, "key": "k-0", "path": "train/a/1.jpg", "class": "a", "split": "train", "source": "a/1",
    "sha256": "0" * 64, "num_bytes": 5, "original_sha256": "1" * 64, "original_mode": "RGB",
    "original_orientation": 1, "normalised": "", "width": 10, "height": 20, "group": "",
    "origin": "cars", "original_class": "a", "licence": "", "box": "1,2,3,4", "box_margin": "0.1",
    "attributes": "{}", "synthetic_method": "", "synthetic": "",
}  # fmt: skip
TEXT = st.text(st.characters(codec="utf-8"), max_size=10)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, st.integers(0, 2**31 - 1)), max_size=20))
def test_a_manifest_survives_a_file(tmp_path_factory, drawn):
    rows = [
        MANIFEST_ROW | {"id": n, "class": c, "path": p, "width": w}
        for n, (c, p, w) in enumerate(drawn)
    ]
    names = tables.MANIFEST_SCHEMA.names
    columns = {name: [row[name] for row in rows] for name in names}
    data = tables.table_bytes(columns, tables.MANIFEST_SCHEMA)
    assert data == tables.table_bytes(columns, tables.MANIFEST_SCHEMA)
    path = tmp_path_factory.mktemp("m") / "manifest.parquet"
    path.write_bytes(data)
    found = tables.read_columns(path, names)
    assert list(found) == names
    assert {name: values.tolist() for name, values in found.items()} == columns
    some = tables.read_columns(path, ["width", "id"])
    assert list(some) == ["width", "id"]


def test_a_manifest_of_before_has_empty_columns(tmp_path):
    old = {name: [v] for name, v in MANIFEST_ROW.items() if name not in tables.ADDED_COLUMNS}
    (tmp_path / "m.parquet").write_bytes(tables.table_bytes(old))
    found = tables.read_manifest(tmp_path / "m.parquet")
    assert list(found) == tables.MANIFEST_SCHEMA.names
    assert [found[name].tolist() for name in tables.ADDED_COLUMNS] == [[""]] * 8
    assert found["class"].tolist() == ["a"]
    some = tables.read_manifest(tmp_path / "m.parquet", ["id", "licence"])
    assert {name: values.tolist() for name, values in some.items()} == {"id": [0], "licence": [""]}
    with pytest.raises(DataError, match="no such file"):
        tables.read_manifest(tmp_path / "none.parquet")


def test_a_manifest_with_a_column_too_few_is_no_manifest():
    columns = {name: [value] for name, value in MANIFEST_ROW.items() if name != "key"}
    with pytest.raises((KeyError, pa.ArrowException)):
        tables.table_bytes(columns, tables.MANIFEST_SCHEMA)


@pytest.mark.parametrize(
    "read", [tables.read_predictions, lambda p: tables.read_columns(p, ["id"])]
)
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", "can't be read"),
        (b"PAR1", "can't be read"),
        (b"hello" * 100, "can't be read"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, read, content, says):
    path = tmp_path / "a.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_half_a_table_is_refused(tmp_path, share):
    whole = tables.predictions_bytes(predictions_of(50, 6))
    path = tmp_path / "a.parquet"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match="can't be read"):
        tables.read_predictions(path)


def test_a_folder_is_no_table(tmp_path):
    for read in (tables.read_predictions, lambda path: tables.read_columns(path, ["id"])):
        with pytest.raises(DataError):
            read(tmp_path)


def test_a_table_of_other_columns_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(tables.table_bytes({"x": [1, 2]}))
    with pytest.raises(DataError, match=r"holds no predictions; its columns are \['x'\]"):
        tables.read_predictions(path)
    with pytest.raises(DataError, match=r"a.parquet: .*id"):
        tables.read_columns(path, ["id"])
    assert tables.read_columns(path, ["x"])["x"].tolist() == [1, 2]
