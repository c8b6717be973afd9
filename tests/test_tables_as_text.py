"""Tables as text: what separates cells and letters is read from the file, or asked."""

import codecs

import pytest

from carscale.errors import DataError
from carscale.tables import number_of, read_text_table

WANTED = ("path", "label")


def table(tmp_path, content, name="cars.csv", wanted=WANTED):
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    read = read_text_table(file, wanted)
    return read.columns, list(read.rows())


@pytest.mark.parametrize(
    ("text", "columns", "cells"),
    [
        ("path,label\na,b\n", ["path", "label"], ["a", "b"]),
        ("path;label\na;b\n", ["path", "label"], ["a", "b"]),
        ("path\tlabel\na\tb\n", ["path", "label"], ["a", "b"]),
        ("path|label\na|b\n", ["path", "label"], ["a", "b"]),
        ("path;label;price, EUR\na;b;1,5\n", ["path", "label", "price, EUR"], ["a", "b", "1,5"]),
        ("path,label,a;b\na,b,c;d\n", ["path", "label", "a;b"], ["a", "b", "c;d"]),
        ("car;photo\na, b;c\nd;e\n", ["car", "photo"], ["a, b", "c"]),  # by cells of each row
        ('"path";"the, label"\n"a";"b"\n', ["path", "the, label"], ["a", "b"]),
        ("PATH ; Label\na;b\n", ["PATH", "Label"], ["a", "b"]),
        ("\u200bpath;the\u00a0label\u00a0\na;b\n", ["path", "the label"], ["a", "b"]),
        ("path,label\ra,b\r", ["path", "label"], ["a", "b"]),
        ('path,label\n"a\nb",c\n', ["path", "label"], ["a\nb", "c"]),
        ("\n;;\npath;label\na;b\n", ["path", "label"], ["a", "b"]),
    ],
)
def test_what_separates_cells_is_read_from_the_file(tmp_path, text, columns, cells):
    found, rows = table(tmp_path, text)
    assert found == columns
    assert rows[0][1] == cells


@pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "sep=;;", "\ufeffsep=;", "sep=;\r"])
def test_a_line_that_says_what_separates_cells_counts(tmp_path, first):
    columns, rows = table(tmp_path, f"{first}\npath;label,x\na;b\n")
    assert (columns, rows) == (["path", "label,x"], [(3, ["a", "b"])])
    assert table(tmp_path, "sep=#\npath#label\na#b\n")[0] == ["path", "label"]


def test_two_separators_that_fit_are_asked_about(tmp_path):
    with pytest.raises(DataError, match="commas or semicolons may stand between") as error:
        table(tmp_path, "a;b,c\n1;2,3\n")
    assert "commas: a;b | c" in str(error.value)
    assert "say which by a line above the first: sep=," in str(error.value)
    assert table(tmp_path, "sep=;\na;b,c\n1;2,3\n")[0] == ["a", "b,c"]
    assert table(tmp_path, "a,b\tc\n1,2\t3\n", name="cars.tsv")[0] == ["a,b", "c"]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (b"", "utf-16-le"),
        (b"", "utf-16-be"),
        (b"", "cp1252"),
    ],
)
def test_letters_are_read_from_the_file(tmp_path, mark, encoding):
    text = "path\tlabel\r\nSão/1.jpg\tCitroën Coupé – “2CV”\r\n"
    columns, rows = table(tmp_path, mark + text.encode(encoding))
    assert columns == ["path", "label"]
    assert rows == [(2, ["São/1.jpg", "Citroën Coupé – “2CV”"])]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("path,label\n1,Лада\n".encode("cp1251"), r"line 2 is no UTF-8.*\n.*CSV UTF-8\n.*iconv"),
        ("path,label\n1,比亚迪\n".encode("gb18030"), "line 2 is no UTF-8"),
        ("path,label\n1,三菱\n".encode("shift-jis"), "line 2 is no UTF-8"),
        (codecs.BOM_UTF16_LE + b"p\0a", "line 1 is no UTF-16"),
        (
            b"PK\3\4" + bytes(26) + b"[Content_Types].xml",
            r"is an office document, no table\n  save its sheet as CSV UTF-8",
        ),
        (b'path,label\n"a" b,c\n', r"line 2 can't be read.*\n.*doubled"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            r"is a git-lfs pointer.*\n.*git lfs pull",
        ),
        (b"<!DOCTYPE html><html>", r"is an HTML page, no table\n.*download"),
        (bytes(100), "is nothing but zeros"),
        (b"", "is empty"),
        (b"sep=;\n", "is empty"),
        (b" \n,\n", "is empty"),
    ],
)
def test_what_is_no_table_is_named(tmp_path, content, says):
    with pytest.raises(DataError, match=f"cars.csv: {says}"):
        table(tmp_path, content)


def test_rows_by_position_begin_at_the_first_line(tmp_path):
    (tmp_path / "cars.csv").write_text("sep=;\na.jpg;b\nc.jpg;d\n", encoding="utf-8")
    read = read_text_table(tmp_path / "cars.csv").by_position()
    assert read.columns == ["1", "2"]
    assert list(read.rows()) == [(2, ["a.jpg", "b"]), (3, ["c.jpg", "d"])]


@pytest.mark.parametrize("cell", ["", "a", "1.234,5", "1,234.5", "1 000", "٣", "nan", "1,,5"])
def test_what_is_no_number_is_none(cell):
    with pytest.raises(ValueError, match="is no number"):
        number_of(cell)
