"""Tables of path and label: CSV, TSV and Parquet."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from carscale import tables
from carscale.data.sources.labels import name_class, named, schema_names
from carscale.data.sources.rows import (
    IMAGE_NAMES,
    LABEL_NAMES,
    BadRowError,
    FreeNames,
    Reading,
    check_any,
    check_file,
    choose_column,
    locate,
    lone_column,
    split_of,
)
from carscale.data.sources.scan import Scan, SourceFile, check_train
from carscale.data.sources.split_folders import split_paths
from carscale.errors import DataError

TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")
PICTURES = ("binary", "large_binary", "struct<")
"""Types of Parquet columns that hold photos, not paths."""

Row = dict[str, object]
"""What a row says by ``path``, ``label`` and, where it has them, ``split`` and ``source``."""


def scan_table(path: Path, how: Reading) -> Scan:
    """Read a table's rows.

    Relative paths start at the table's folder. A file listed twice under one class is one sample;
    under two classes it is two.

    Args:
        path: The table; the first line of CSV and TSV names the columns.
        how: Columns, and whether splits are those of the column ``split``.

    Raises:
        DataError: The table can't be read, lacks a column, or has no row that can be used.
    """
    how.refuse_paths(path)
    is_parquet = path.suffix.lower() == ".parquet"
    kinds = tables.column_types(path) if is_parquet else {}
    header = list(kinds) if is_parquet else _csv_header(path)
    image = choose_column(path, header, IMAGE_NAMES, how.image_column, "image")
    if kinds.get(image, "string").startswith(PICTURES):
        from carscale.data.sources import hub

        return hub.scan_parquet(path, how)
    label = choose_column(path, header, LABEL_NAMES, how.label_column, "label")
    split = _column(path, header, "split")
    source = _column(path, header, "source")
    columns = {"path": image, "label": label}
    columns |= {"split": split} if split and how.keep_splits else {}
    columns |= {"source": source} if source else {}
    rows = _parquet_rows(path, columns) if is_parquet else _csv_rows(path, header, columns)
    names = schema_names(path, label) if is_parquet else []
    found = _scan_rows(path.parent, rows, names, follow_links=how.follow_links)
    check_any(found, path, "rows")
    if split and not how.keep_splits:
        found.notes.append("splits are drawn anew; keep those of the column split: --keep-splits")
    if not split and not split_paths(found, keep_splits=how.keep_splits) and how.keep_splits:
        raise DataError(
            f"{path}: --keep-splits wants a column split, or paths with folders train and test",
            f"there are: {', '.join(header)}",
        )
    if how.keep_splits:
        check_train(found, path, "rows whose split is train")
    return found


def _scan_rows(
    folder: Path,
    rows: Iterator[tuple[int, Row | str]],
    class_names: list[str],
    *,
    follow_links: bool,
) -> Scan:
    """Return samples of rows, and refused rows in their order."""
    found, names = Scan(), FreeNames()
    first: dict[tuple[str, str], int] = {}
    for number, row in rows:
        text = "" if isinstance(row, str) else _text(row["path"])
        try:
            if isinstance(row, str):
                raise BadRowError(row)
            path, relative = locate(folder, text)
            class_name = name_class(found, named(row["label"], class_names))
            split = split_of(row["split"]) if "split" in row else ""
            earlier = first.setdefault((relative, class_name), number)
            if earlier != number:
                raise BadRowError(f"the same file and class as row {earlier}")
            check_file(path, None if follow_links else folder)
        except BadRowError as error:
            found.refused.append((text or f"row {number}", f"row {number}: {error}"))
            continue
        origin = _text(row.get("source"))
        found.files.append(SourceFile(path, names.take(relative), class_name, split, origin=origin))
    return found


def _column(path: Path, header: list[str], wanted: str) -> str | None:
    """Return the column of a name whatever its case; ``None`` when there is none."""
    name = next((name for name in header if name.casefold() == wanted), None)
    return name and lone_column(path, header, name)


def _csv_header(path: Path) -> list[str]:
    """Return the columns that the first line names."""
    for _, cells in _csv_lines(path):
        return [cell.strip() for cell in cells]
    raise DataError(f"{path}: is empty", "its first line must name the columns: path,label")


def _text(value: object) -> str:
    """Return a cell as text, without blanks around it."""
    return "" if value is None else str(value).strip()


def _csv_rows(
    path: Path, header: list[str], columns: dict[str, str]
) -> Iterator[tuple[int, Row | str]]:
    """Yield a row's number and what it says; the reason alone where cells are missing or too many.

    Blank cells behind the last column are what spreadsheets leave.
    """
    places = {what: header.index(name) for what, name in columns.items()}
    lines = _csv_lines(path)
    next(lines)
    for number, cells in lines:
        if max(places.values()) >= len(cells):
            yield number, "has fewer columns than the first line"
        elif any(cell.strip() for cell in cells[len(header) :]):
            yield (
                number,
                f"has {len(cells)} cells, the first line {len(header)}: quote text with commas",
            )
        else:
            yield number, {what: cells[place] for what, place in places.items()}


def _csv_lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield a CSV file's rows that are not blank, with the number of their line."""
    number = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=_delimiter(path, head), strict=True)
            for cells in reader:
                number = reader.line_num
                if any(cell.strip() for cell in cells):
                    yield number, cells
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: is no UTF-8 after line {number}: {error.reason}", "save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path}: line {number + 1} can't be read: {error}") from error
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from error


def _delimiter(path: Path, head: str) -> str:
    """Return what stands between columns; some spreadsheets write CSV with semicolons."""
    if path.suffix.lower() == ".tsv":
        return "\t"
    return ";" if ";" in head and "," not in head else ","


def _parquet_rows(path: Path, columns: dict[str, str]) -> Iterator[tuple[int, Row | str]]:
    """Yield a row's number and what it says."""
    lists = tables.read_lists(path, list(columns.values()))
    rows = zip(*(lists[name] for name in columns.values()), strict=True)
    for number, values in enumerate(rows, start=1):
        yield number, dict(zip(columns, values, strict=True))
