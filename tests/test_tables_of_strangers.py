"""Tables of a stranger: small files that become large, and columns of other types."""

import io
import json
import os
from contextlib import suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_strangers import few_predictions
from hypothesis import given, settings
from hypothesis import strategies as st
from strangers import no_longer_than, no_more_memory_than, said_of

from carscale import data, tables
from carscale.errors import DataError
from carscale.tables.pages import read_pages

LIMIT_S = 30
EVIL = {
    "one text over and over": {"path": "x" * 200, "label": "a"},
    "one number over and over": {"path": 1, "label": 1},
}


def bomb(path, values, *, times, groups=1):
    """Write a table that holds one row over and over; the repeats take next to no bytes."""
    arrays = {
        name: pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), pa.array([value]))
        for name, value in values.items()
    }
    table = pa.table(arrays)
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
        for _ in range(groups):
            writer.write_table(table)
    return path


@pytest.mark.parametrize("kind", EVIL)
def test_a_table_that_multiplies_is_refused_or_stays_small(tmp_path, kind):
    path = bomb(tmp_path / "cars.parquet", EVIL[kind], times=1_000_000, groups=17)
    assert path.stat().st_size < 500_000
    for use in (
        lambda: tables.read_columns(path, ["path", "label"]),
        lambda: tables.read_lists(path, ["path", "label"]),
        lambda: data.freeze(path, tmp_path / "out"),
    ):
        with no_longer_than(LIMIT_S), no_more_memory_than():
            assert "as no table of photos does" in said_of(use)


def test_long_texts_are_held_once(tmp_path):
    values = {"path": "x" * 100_000, "label": "y" * 100_000}
    path = bomb(tmp_path / "cars.parquet", values, times=50_000)  # 10 GB in all
    assert path.stat().st_size < 100_000
    with no_longer_than(LIMIT_S), no_more_memory_than():
        lists = tables.read_lists(path, ["path", "label"])
        values = tables.read_columns(path, ["label"])
    assert len(lists["path"]) == len(values["label"]) == 50_000
    assert lists["path"][0] is lists["path"][-1]


def test_photos_that_multiply_are_refused(tmp_path):
    picture = pa.array([{"bytes": b"\0" * 50_000_000, "path": "a.jpg"}] * 8)
    path = tmp_path / "cars.parquet"
    pq.write_table(
        pa.table({"image": picture, "label": ["a"] * 8}),
        path,
        compression="zstd",
        use_dictionary=False,
    )
    del picture
    assert path.stat().st_size < 200_000
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.parquet").write_bytes(path.read_bytes())
    for source in (path, f"hf://{path}", f"hf://{folder}"):
        with no_longer_than(LIMIT_S), no_more_memory_than():
            assert "as no table of photos does" in said_of(
                lambda s=source: data.freeze(s, tmp_path / "o")
            )


def repeated(values, times):
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(times, np.int32)), values)


def test_one_photo_in_ten_thousand_rows_is_refused(tmp_path):
    photo = repeated(pa.array([np.random.default_rng(0).bytes(3_000_000)], pa.binary()), 10_000)
    table = pa.table({"image": photo, "label": ["a"] * 10_000})
    path = tmp_path / "cars.parquet"
    pq.write_table(table, path, store_schema=False)
    assert path.stat().st_size < 4_000_000
    for source in (path, f"hf://{path}"):
        with no_longer_than(LIMIT_S), no_more_memory_than():
            assert "as no table of photos does" in said_of(
                lambda s=source: data.freeze(s, tmp_path / "o")
            )


def test_texts_that_share_a_long_beginning_are_refused_when_they_are_too_much(tmp_path):
    path = tmp_path / "t.parquet"
    texts = pa.chunked_array([[f"{'x' * 300_000}{n}" for n in range(5)]] * 200)
    how = {"use_dictionary": False, "column_encoding": {"path": "DELTA_BYTE_ARRAY"}}
    pq.write_table(pa.table({"path": texts}), path, compression="zstd", **how)
    assert path.stat().st_size < 2_000_000
    with no_longer_than(LIMIT_S), no_more_memory_than():
        assert "as no table of photos does" in said_of(lambda: tables.read_lists(path, ["path"]))
    few = [f"cars/{n}.jpg" for n in range(500)]
    pq.write_table(pa.table({"path": few}), path, **how)
    assert tables.read_lists(path, ["path"]) == {"path": few}
    assert tables.read_columns(path, ["path"])["path"].tolist() == few


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"compression": "none"},
        {"data_page_version": "2.0", "compression": "gzip"},
        {"use_dictionary": False},
        {"write_page_index": True, "write_page_checksum": True, "data_page_size": 2000},
    ],
    ids=str,
)
def test_pages_of_real_files_are_found(tmp_path, how):
    rng = np.random.default_rng(0)
    photos = [{"bytes": rng.bytes(5000), "path": f"{n}.jpg"} for n in range(900)]
    labels = [None if n % 7 == 0 else f"class {n % 196}" for n in range(900)]
    table = pa.table({"image": photos, "label": labels, "top5": [[1, 2, 3]] * 900})
    path = tmp_path / "t.parquet"
    pq.write_table(table, path, row_group_size=300, **how)
    metadata = pq.ParquetFile(path).metadata
    with path.open("rb") as file:
        for group in map(metadata.row_group, range(3)):
            for column in map(group.column, range(4)):
                start = column.dictionary_page_offset or column.data_page_offset
                pages = list(read_pages(file, start, start + column.total_compressed_size))
                values = [page.num_values for page in pages if page.encoding is not None]
                assert sum(values) == column.num_values
                headers = column.total_uncompressed_size - sum(page.num_bytes for page in pages)
                assert abs(headers) < 300 * len(pages)  # their size is counted there, too
    tables.check_table(path)


def varint(value):
    """Return a whole number as Thrift writes it."""
    value, content = value << 1, b""
    while value > 127:
        value, content = value >> 7, content + bytes([value & 127 | 128])
    return content + bytes([value])


def test_a_footer_that_lies_about_sizes_is_not_believed(tmp_path):
    path = tmp_path / "t.parquet"
    zeros = pa.table({"n": [b"\0" * 50_000_000] * 8})
    pq.write_table(zeros, path, compression="zstd", use_dictionary=False, write_statistics=False)
    truth = pq.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size
    content = path.read_bytes()
    footer = content[-400:].replace(varint(truth), varint(1 << 27))
    path.write_bytes(content[:-400] + footer)
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).total_uncompressed_size == 1 << 27
    assert path.stat().st_size < 100_000
    with no_longer_than(LIMIT_S), no_more_memory_than():
        assert "as no table of photos does" in said_of(lambda: tables.read_columns(path, ["n"]))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_pages_of_noise_end_in_an_answer(noise):
    with suppress(ValueError):
        list(read_pages(io.BytesIO(noise), 0, len(noise)))


def struct_of(*fields):
    """Return fields as Thrift's compact protocol writes them: a small number, or bytes."""
    found, last = b"", 0
    for number, value in fields:
        kind = 12 if isinstance(value, bytes) else 5
        found += bytes([(number - last) << 4 | kind])
        found += value if isinstance(value, bytes) else bytes([2 * value])
        last = number
    return found + b"\0"


def test_a_page_is_what_its_kind_says_whatever_else_stands_in_its_header():
    multiplying = struct_of((1, 50), (2, 8), (3, 3), (4, 3))
    both = struct_of((1, 0), (2, 9), (3, 1), (5, multiplying), (7, b"\0"), (8, multiplying))
    (page,) = read_pages(io.BytesIO(both + b"x"), 0, len(both) + 1)
    assert (page.num_bytes, page.num_values, page.encoding) == (9, 50, 8)
    second = struct_of((1, 3), (2, 9), (3, 1), (8, multiplying))
    (page,) = read_pages(io.BytesIO(second + b"x"), 0, len(second) + 1)
    assert page.encoding == 3
    packed = struct_of((1, 0), (2, 1), (3, 9), (5, multiplying))  # it says that it unpacks to less
    (page,) = read_pages(io.BytesIO(packed + b"x" * 9), 0, len(packed) + 9)
    assert page.num_bytes == 9
    for odd in (
        struct_of((1, 0), (2, 9), (3, 1), (5, 7)),
        struct_of((1, 0), (2, 9), (3, 1)),
        struct_of((1, 9), (2, 9), (3, 1), (5, multiplying)),
    ):
        with pytest.raises(ValueError, match="a page of kind"):
            list(read_pages(io.BytesIO(odd + b"x"), 0, len(odd) + 1))


def test_a_table_of_too_many_rows_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("carscale.tables.sizes.MAX_ROWS", 100)
    path = bomb(tmp_path / "t.parquet", {"path": "a"}, times=101)
    with pytest.raises(DataError, match="has 101 rows; at most 100 are read"):
        tables.read_columns(path, ["path"])


@pytest.mark.parametrize("kind", ["fifo", "zero", "folder", "text", "cut", "empty"])
def test_what_is_no_table_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "t.parquet"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        whole = tables.predictions_bytes(few_predictions(["a"]))
        path.write_bytes({"text": b"PAR1" * 9, "cut": whole[:-9], "empty": b""}[kind])
    for use in (tables.read_predictions, tables.read_embeddings, tables.column_types):
        with no_longer_than(LIMIT_S), pytest.raises(DataError, match=r"t\.parquet"):
            use(path)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("label", ["a", "b"]),
        ("label", [None, 1]),
        ("label", [-1, 0]),
        ("label", [1.5, 2.5]),
        ("prediction", [[1], [2]]),
        ("id", [b"x", b"2"]),
        ("key", [1, 2]),
        ("path", [None, "a"]),
        ("path", [{"a": 1}, {"a": 2}]),
        ("top5", [1, 2]),
        ("top5", [[1], [1, 2]]),
        ("top5", [[-7, 1], [1, 2]]),
        ("top5_prob", [["a"], ["b"]]),
        ("probs", ["a", "b"]),
        ("prob_label", ["a", "b"]),
    ],
)
def test_odd_columns_of_predictions_are_an_error_in_words(tmp_path, name, values):
    path = tmp_path / "val.parquet"
    path.write_bytes(tables.predictions_bytes(few_predictions(["a", "b"])))
    table = pq.read_table(path)
    columns = {key: table.column(key) for key in table.column_names} | {name: pa.array(values)}
    pq.write_table(pa.table(columns), path)
    with pytest.raises(DataError, match=r"val\.parquet: (holds no pred|names class -)"):
        tables.read_predictions(path)


@pytest.mark.parametrize(
    "about", ["[" * 100_000, "3", "{", '{"split_hash": 3}', '{"checkpoint": []}']
)
def test_odd_words_about_predictions_are_an_error_in_words(tmp_path, about):
    path = tmp_path / "val.parquet"
    path.write_bytes(tables.predictions_bytes(few_predictions(["a"])))
    table = pq.read_table(path).replace_schema_metadata({"carscale": about})
    pq.write_table(table, path)
    with pytest.raises(DataError, match="what it says of itself") as caught:
        tables.read_predictions(path)
    assert len(str(caught.value)) < 1000


def test_texts_equal_what_arrow_reads(tmp_path):
    rng = np.random.default_rng(0)
    texts = [None if n % 7 == 0 else f"é{rng.integers(50)}" for n in range(5000)]
    path = tmp_path / "t.parquet"
    path.write_bytes(tables.table_bytes({"text": pa.array(texts), "n": list(range(5000))}))
    assert tables.read_lists(path, ["text", "n"]) == {"text": texts, "n": list(range(5000))}
    assert tables.read_columns(path, ["text"])["text"].tolist() == texts
    assert json.dumps(tables.column_types(path)) == '{"text": "string", "n": "int64"}'
