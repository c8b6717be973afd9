"""Tables of path and label: columns, rows that can't be used, files listed twice."""

import csv
import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frozen_trees import refused_of, rows_of
from photos import draw_classes

from carscale import data
from carscale.data.sources.open_source import open_source
from carscale.errors import DataError


@pytest.fixture
def photos(tmp_path) -> Path:
    return draw_classes(tmp_path / "photos", [4, 3])


def write(path: Path, rows: list[tuple], header: tuple = ("path", "label")) -> Path:
    if path.suffix == ".parquet":
        columns = zip(*rows, strict=True)
        pq.write_table(pa.table(dict(zip(header, map(list, columns), strict=True))), path)
        return path
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows(
            [header, *rows]
        )
    return path


def samples_of(source: Path, **columns: str) -> list[tuple[str, str]]:
    with open_source(source, **columns) as found:
        return [(file.relative, file.class_name) for file in found.files]


A, B = "Make0 Model/000.jpg", "Make1 Model/000.jpg"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize(
    ("header", "columns"),
    [
        (("path", "label"), {}),
        (("file_name", "class"), {}),
        (("Image", "CLASS"), {}),
        (("filename", "Label"), {}),
        (("photo", "car"), {"image_column": "photo", "label_column": "car"}),
        (("path", "path2"), {"label_column": "path2"}),
        (("label", "path"), {"image_column": "label", "label_column": "path"}),
    ],
)
def test_columns_are_found_or_chosen(photos, suffix, header, columns):
    table = write(photos / f"cars{suffix}", [(A, "Audi A4"), (B, "BMW")], header)
    assert samples_of(table, **columns) == [(A, "Audi A4"), (B, "BMW")]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize(
    ("header", "columns", "says"),
    [
        (
            ("path", "car"),
            {},
            r"no column for the label: none is called label or class\n.*path, car\n.*--label",
        ),
        (
            ("photo", "label"),
            {},
            r"no column for the image: .*\n  there are: photo, label\n.*--image-column NAME",
        ),
        (
            ("path", "label"),
            {"label_column": "car"},
            r"--label-column car: no such column\n  there are: path, label",
        ),
        (("path", "label"), {"image_column": "Path"}, "--image-column Path: no such column"),
        (
            ("label", "class"),
            {"image_column": "label"},
            "label and class may both be the label column",
        ),
        (
            ("path", "filename"),
            {"label_column": "path"},
            r"may both be the image column\n.*--image-column path",
        ),
    ],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(
    photos, suffix, header, columns, says
):
    table = write(photos / f"cars{suffix}", [(A, "Audi"), (B, "BMW")], header)
    with pytest.raises(DataError, match=says):
        samples_of(table, **columns)
    with pytest.raises(DataError, match=says):
        data.freeze(table, photos.parent / "out", **columns)


def test_rows_that_can_not_be_used_are_counted_with_a_reason(photos):
    os.mkfifo(photos / "pipe.jpg")
    (photos / "locked.jpg").symlink_to("locked.jpg")
    (photos / "text.jpg").write_text("no image")
    (photos.parent / "secret.jpg").write_bytes(b"")
    rows = [(f"Make0 Model/{n:03d}.jpg", "Audi A4") for n in range(4)]
    rows += [(f"./Make1 Model/../Make1 Model/{n:03d}.jpg", "BMW/X5") for n in range(3)]
    bad = {
        "gone.jpg": "no such file",
        "Make0 Model": "no regular file",
        "pipe.jpg": "no regular file",
        "locked.jpg": "can't be read: Too many levels of symbolic links",
        "../secret.jpg": "leads out of the source; to take it all the same: --follow-links",
        "Make0 Model\\000.jpg": "backslash in its path: write / between folders",
        "C:/cars/1.jpg": "names a drive",
        "http://host/1.jpg": "an address, no file",
    }
    rows += [(path, "BMW") for path in bad]
    rows += [("", "BMW"), ("Make1 Model/000.jpg", ""), ("Make0 Model/001.jpg", "-1")]
    rows += [("Make0 Model/000.jpg", "Audi A4"), ("text.jpg", "BMW")]
    with write(photos / "cars.csv", rows).open("a") as file:
        file.write("lonely.jpg\n\n , \n")
    frozen = data.freeze(photos / "cars.csv", photos.parent / "out")
    refused = refused_of(frozen.root)
    numbered = {path: f"row {9 + n}: {reason}" for n, (path, reason) in enumerate(bad.items())}
    assert {path: refused[path] for path in bad} == numbered
    assert refused["row 17"] == "row 17: no path"
    assert refused["Make1 Model/000.jpg"] == "row 18: no label"
    assert refused["Make0 Model/001.jpg"] == "row 19: label -1 stands for no class"
    assert refused["Make0 Model/000.jpg"] == "row 20: the same file and class as row 2"
    assert refused["text.jpg"] == "no image"
    assert refused["row 22"] == "row 22: has fewer columns than the first line"
    assert len(refused) == frozen.card["counts"]["quarantined"] == 14
    kept = rows_of(frozen.root)
    assert len(kept) + len(refused) == len(rows) + 1
    assert {row["class"] for row in kept} == {"Audi A4", "BMW/X5"}


def test_a_file_of_two_classes_is_two_samples_and_said(photos):
    rows = [(f"Make0 Model/{n:03d}.jpg", "Audi") for n in range(4)] + [(A, "BMW"), (B, "BMW")]
    frozen = data.freeze(write(photos / "cars.csv", rows), photos.parent / "out")
    assert frozen.card["notes"]["label_conflicts"] == [
        ["Make0 Model/000.jpg", "Make0 Model/000~2.jpg"]
    ]
    assert "1 photos lie in two classes" in "\n".join(frozen.warnings)
    twins = [row for row in rows_of(frozen.root) if row["source"].startswith("Make0 Model/000")]
    assert {row["class"] for row in twins} == {"Audi", "BMW"}
    assert len({row["split"] for row in twins}) == 1


def test_paths_lead_out_of_the_tables_folder_on_demand(photos, tmp_path):
    shutil.copytree(photos, tmp_path / "else")
    inside = os.fspath((tmp_path / "else" / A).resolve())
    table = write(tmp_path / "else" / "t.csv", [(inside, "Audi"), (os.fspath(photos / B), "BMW")])
    (tmp_path / "else" / "link.jpg").symlink_to(photos / B)
    assert samples_of(table) == [(A, "Audi")]
    linked = write(tmp_path / "else" / "u.csv", [("link.jpg", "BMW"), (inside, "Audi")])
    assert samples_of(linked) == [(A, "Audi")]
    found = samples_of(table, follow_links=True)
    beside = write(photos / "b.csv", [("../photos/" + A, "Audi"), ("../else/u.csv", "BMW")])
    assert samples_of(beside) == [("photos/" + A, "Audi")]
    away = write(tmp_path / "else" / "v.csv", [("../photos/" + A, "Audi")])
    with pytest.raises(DataError, match=r"leads out of the source.*\n.*absolute.*--follow-links"):
        samples_of(away)
    assert samples_of(away, follow_links=True) == [("photos/" + A, "Audi")]
    assert found == sorted([(A, "Audi"), (os.fspath(photos / B)[1:], "BMW")])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", r"is empty\n.*path,label"),
        (b"\n\n", "is empty"),
        (b"path,label\n", "holds no rows"),
        (
            "path,label\nЛада.jpg,Лада\n".encode("cp1251"),
            r"line 2 is no UTF-8.*\n  save it as: CSV UTF-8\n.*iconv -f cp1251",
        ),
        (b'path,label\n"a.jpg,Audi\n', "can't be read: unexpected end of data"),
        (
            b"a/1.jpg,Audi\na/2.jpg,Audi\n",
            r"its first line seems to be no names.*: a/1.jpg \| Audi\n.*--image-column 1 --label",
        ),
        (
            b"path,label\nx.jpg,Audi\n",
            "none of 1 rows can be used; the first: x.jpg: row 2: no such file",
        ),
    ],
)
def test_a_table_that_is_none_is_one_clear_error(tmp_path, text, says):
    (tmp_path / "cars.csv").write_bytes(text)
    with pytest.raises(DataError, match=rf"cars.csv: (line \d+ )?{says}"):
        data.freeze(tmp_path / "cars.csv", tmp_path / "out")
    assert os.listdir(tmp_path) == ["cars.csv"]  # noqa: PTH208


def test_a_broken_parquet_is_one_clear_error(tmp_path):
    (tmp_path / "cars.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(DataError, match=r"cars.parquet: can't be read: "):
        data.freeze(tmp_path / "cars.parquet", tmp_path / "out")


def test_spreadsheets_habits_are_read(photos):
    table = photos / "cars.csv"
    table.write_bytes(f"\ufeffpath;label;note\r\n{A};Audi;x\r\n\r\n{B};BMW, the;y\r\n".encode())
    assert samples_of(table) == [(A, "Audi"), (B, "BMW, the")]


def test_numbers_in_parquet_become_names(photos):
    path = photos / "cars.parquet"
    pq.write_table(pa.table({"path": [A, B, "x"], "label": pa.array([3.0, 12.0, None])}), path)
    with open_source(path) as found:
        assert [file.class_name for file in found.files] == ["3", "12"]
        assert found.refused == [("x", "row 3: no label")]
    words = pa.array(["Audi", "BMW", "Audi"]).dictionary_encode()
    pq.write_table(pa.table({"path": [A, B, A], "label": words}), path)
    assert samples_of(path) == [(A, "Audi"), (B, "BMW")]


def test_odd_class_names_survive(photos):
    names = [
        "audi/a4",
        "ford_test",
        "..",
        "/",
        "C:\\x",
        "日本 車",
        "a%2Fb",
        "x" * 200,
        "CON",
        "🚗\t",
    ]
    rows = [(f"Make0 Model/{n % 4:03d}.jpg", name) for n, name in enumerate(names)]
    frozen = data.freeze(write(photos / "cars.csv", rows), photos.parent / "out")
    assert {car.name for car in data.read_splits(frozen.root).classes} == {n.strip() for n in names}
    inside = {path.parent.parent.parent for path in frozen.root.rglob("*.jpg")}
    assert inside == {frozen.root}


def write_lines(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_columns_of_one_name_before_the_label_do_not_shift_it(photos):
    lines = ["path,box,box,label,maker", f"{A},0,1,Audi,X", f"{B},1,2,BMW,X"]
    assert samples_of(write_lines(photos / "cars.csv", *lines)) == [(A, "Audi"), (B, "BMW")]
    lines = ["path,,,Label,box,box,split", f"{A},0,1,Audi,X,,train", f"{B},1,2,BMW,X,,test"]
    table = write_lines(photos / "cars.csv", *lines)
    with open_source(table, keep_splits=True) as found:
        assert [(f.class_name, f.split) for f in found.files] == [
            ("Audi", "train"),
            ("BMW", "test"),
        ]


@pytest.mark.parametrize(
    ("header", "columns", "says"),
    [
        ("path,label,label", {}, r"columns 2 and 3 are both called label\n  rename"),
        ("path,path,label", {}, "columns 1 and 2 are both called path"),
        ("path,car,car", {"label_column": "car"}, "columns 2 and 3 are both called car"),
        ("path,label,source,x,source", {}, "columns 3 and 5 are both called source"),
        ("path,label,Split,Split", {}, "columns 3 and 4 are both called Split"),
    ],
)
def test_a_used_column_that_is_there_twice_is_refused(photos, header, columns, says):
    table = write_lines(photos / "cars.csv", header, f"{A},1,2,3,4", f"{B},1,2,3,4")
    with pytest.raises(DataError, match=f"cars.csv: {says}"):
        samples_of(table, **columns)


def test_a_used_column_that_parquet_has_twice_is_refused(photos):
    parts = [pa.array([A, B]), pa.array(["x", "y"]), pa.array(["Audi", "BMW"])]
    pq.write_table(pa.table(parts, ["path", "label", "label"]), photos / "cars.parquet")
    with pytest.raises(DataError, match="2 columns are called label"):
        samples_of(photos / "cars.parquet")
    pq.write_table(pa.table([*parts, parts[1]], ["path", "x", "label", "x"]), photos / "o.parquet")
    assert samples_of(photos / "o.parquet") == [(A, "Audi"), (B, "BMW")]


def test_rows_of_more_cells_than_columns_are_refused(photos):
    lines = ["path,label", f"{A},Ram 1500, Crew Cab", f'{A},"Ram 1500, Crew Cab"', f"{B},BMW,, "]
    with open_source(write_lines(photos / "cars.csv", *lines)) as found:
        assert [file.class_name for file in found.files] == ["Ram 1500, Crew Cab", "BMW"]
        ((_, reason),) = found.refused
    assert reason == "row 2: has 3 cells, the first line 2: quote cells that hold commas"


README = """---
dataset_info:
- config_name: default
  features:
  - name: label
    dtype:
      class_label:
        names: {'0': Audi A4, '1': BMW X5}
---
"""


@pytest.mark.parametrize("kind", ["int", "float", "README"])
@pytest.mark.parametrize("holds", ["paths", "photos"])
def test_names_of_numbers_come_from_the_schema(photos, holds, kind):
    """As ``datasets`` notes them, in the file or in the README of the set, for any numbers."""
    pictures = [{"path": None, "bytes": (photos / name).read_bytes()} for name in (A, B, A)]
    labels = pa.array([1, 0, 7] if kind == "int" else [1.0, 0.0, 7.0])
    table = pa.table({"image": [A, B, A] if holds == "paths" else pictures, "label": labels})
    feature = {"names": ["Audi A4", "BMW X5"], "_type": "ClassLabel"}
    note = json.dumps({"info": {"features": {"label": feature}}})
    if kind == "README":
        (photos / "README.md").write_text(README)
    else:
        table = table.replace_schema_metadata({"huggingface": note})
    pq.write_table(table, photos / "train-00000-of-00001.parquet")
    with open_source(photos / "train-00000-of-00001.parquet") as found:
        assert sorted(file.class_name for file in found.files) == ["Audi A4", "BMW X5"]
        ((_, reason),) = found.refused
    assert "is none of the 2 classes" in reason


ANNO = [f"{A},39,116,569,375,1", f"{B},30,20,9,5,2"]


def test_a_table_without_names_is_read_by_positions(photos):
    table = write_lines(photos / "anno.csv", *ANNO)
    with pytest.raises(DataError, match="seems to be no names") as error:
        samples_of(table)
    assert "--image-column 1 --label-column 6" in str(error.value)
    assert "or put a line above it that names them: path,x1,y1,x2,y2,label" in str(error.value)
    by_position = {"image_column": "1", "label_column": "6"}
    assert samples_of(table, **by_position) == [(A, "1"), (B, "2")]
    with pytest.raises(DataError, match="seems to be no names"):  # cells are no names
        samples_of(table, image_column=A, label_column="1")
    table = write_lines(photos / "last.csv", *(f"{line[-1]},{line[:-2]}" for line in ANNO))
    with pytest.raises(DataError, match="--image-column 2 --label-column 6"):
        samples_of(table)
    named = write_lines(photos / "anno.csv", "path,a,b,c,d,label", *ANNO)
    assert samples_of(named) == [(A, "1"), (B, "2")]
    numbered = write_lines(photos / "pandas.csv", "0,1", f"{A},Audi", f"{B},BMW")
    assert samples_of(numbered, image_column="0", label_column="1") == [(A, "Audi"), (B, "BMW")]
    (photos / "00").symlink_to(A)
    bare = write_lines(photos / "bare.txt", "00\tAudi", f"{B}\tBMW")
    with open_source(bare, image_column="1", label_column="2") as found:
        assert [(file.relative, file.class_name) for file in found.files] == [
            ("00", "Audi"),
            (B, "BMW"),
        ]


def test_a_code_page_is_read_and_said(photos):
    table = photos / "cars.csv"
    table.write_bytes(f"path;label\r\n{A};Citroën\r\n{B};Škoda\r\n".encode("cp1252"))
    with open_source(table) as found:
        assert [file.class_name for file in found.files] == ["Citroën", "Škoda"]
        assert [note for note in found.notes if "cp1252" in note and "Citroën" in note]


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["Autos 2024", "", "path;label"], r"line 3 does: Autos 2024\n.*: sed -i 1,2d .*cars.csv"),
        (
            ["# made, by x", "path,label"],
            r"line 2 does: # made \| by x\n.*: sed -i 1,1d .*cars.csv",
        ),
        (["path label"], r"is one column: path label\n.*sep="),
        (
            ["00,Audi"],
            r"no known column: 00 \| Audi\n.*NAME\n.*a row, .*: --image-column 1 --label-column 2",
        ),
    ],
)
def test_a_first_line_that_names_no_columns_is_shown_with_what_to_do(photos, lines, says):
    table = write_lines(photos / "cars.csv", *lines, f"{A};Audi")
    with pytest.raises(DataError, match=f"cars.csv: its first line.*{says}"):
        samples_of(table)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".zip", ".tar", ".tar.gz", ".xlsx"])
def test_a_file_that_is_something_else_is_named(tmp_path, suffix):
    for content, says in (
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d",
            r"a git-lfs pointer.*\n.*pull",
        ),
        (b"<!DOCTYPE html><html>Sign in</html>", r"an HTML page\n  download the file again"),
        (bytes(2000), "nothing but zeros"),
    ):
        (tmp_path / f"cars{suffix}").write_bytes(content)
        with pytest.raises(DataError, match=f"cars{suffix}: is {says}"):
            samples_of(tmp_path / f"cars{suffix}")
