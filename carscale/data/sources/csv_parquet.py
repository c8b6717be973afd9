"""Tables of path and label: CSV, TSV and Parquet."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from carscale import images, outgoing, tables
from carscale.data.frozen.layout import as_text
from carscale.data.sources import one_hot
from carscale.data.sources.boxes.box_rows import BoxRow, PhotoIndex, usable
from carscale.data.sources.boxes.columns import BoxColumns, box_columns
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
from carscale.data.sources.scan import Scan, SourceFile, check_train, walk
from carscale.data.sources.split_folders import leave_splits, split_paths, split_word
from carscale.errors import DataError
from carscale.tables import TextTable

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
MAX_TITLE_LINES = 20
"""Above the names of columns, where a title is looked for."""
PICTURES = ("binary", "large_binary", "struct<")
"""Types of Parquet columns that hold photos, not paths."""

ELSEWHERE = ("no such file", "names a drive", "an address, no file", "write / between folders")
"""How reasons end of paths that another machine or tool wrote."""

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
    text = None if path.suffix.lower() == ".parquet" else _text_table(path, how)
    kinds = {} if text else tables.column_types(path)
    header = text.columns if text else list(kinds)
    image = choose_column(path, header, IMAGE_NAMES, how.image_column, "image")
    if kinds.get(image, "string").startswith(PICTURES):
        from carscale.data.sources import hub

        return hub.scan_parquet(path, how)
    hot = _hot_columns(text, image, how)
    label = image if hot else choose_column(path, header, LABEL_NAMES, how.label_column, "label")
    split = _column(path, header, "split")
    source = _column(path, header, "source")
    columns = {"path": image, "label": label}
    columns |= {"split": split} if split else {}
    columns |= {"source": source} if source else {}
    boxes = box_columns(header)
    columns |= {name: name for name in (*boxes.sides, *boxes.photo_size)} if boxes else {}
    names = [] if text else schema_names(path, label)

    def scan(photos: PhotoIndex | None = None) -> Scan:
        rows = _rows_of(path, text, columns, hot)
        return _scan_rows(path.parent, rows, names, boxes, how, photos=photos)

    found = scan()
    steps = []
    if not found.files and any(reason.endswith(ELSEWHERE) for _, reason in found.refused):
        photos = PhotoIndex(walk(path.parent).files)
        steps = _hint(found, photos)
        found = _found_by_ends(found, scan(photos))
    found.notes += text.notes if text else ()
    found.notes += [f"its {len(hot)} columns of 0 and 1 are classes"] if hot else []
    check_any(found, path, "rows", *steps)
    if split and not how.keep_splits:
        given = {file.split for file in found.files}
        leave_splits(found, path, given, how.split_folders, f"its column {split}")
    in_paths = not split and split_paths(found, path, how.keep_splits, how.split_folders)
    if how.keep_splits and not split and not in_paths:
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
    boxes: BoxColumns | None,
    how: Reading,
    *,
    photos: PhotoIndex | None = None,
) -> Scan:
    """Return samples of rows, and refused rows in their order; paths mean photos of an index."""
    found, names = Scan(), FreeNames()
    first: dict[tuple[object, ...], int] = {}
    for number, row in rows:
        text = "" if isinstance(row, str) else _text(row["path"])
        try:
            if isinstance(row, str):
                raise BadRowError(row)
            path, relative = _found_in(photos, text) if photos else locate(folder, text)
            class_name = name_class(found, named(row["label"], class_names))
            split = _split(row, how.keep_splits)
            box = _box(row, boxes, how)
            earlier = first.setdefault((relative, class_name, box), number)
            if earlier != number:
                raise BadRowError(f"the same file and class as row {earlier}")
            check_file(path, None if how.follow_links else folder)
        except (BadRowError, images.BadBoxError) as error:
            found.refused.append((text or f"row {number}", f"row {number}: {error}"))
            continue
        origin = _text(row.get("source"))
        name = names.take(relative)
        sample = SourceFile(path, name, class_name, split, origin=origin, box=box, photo=relative)
        found.files.append(sample)
    return found


def _box(row: Row, boxes: BoxColumns | None, how: Reading) -> images.Box | None:
    """Return a row's box; none where its cells hold none and nothing is to be cut out."""
    try:
        return usable(boxes.box_of(row), how) if boxes else None
    except BadRowError:
        if how.crop == "boxes":
            raise
        return None


def _split(row: Row, keep_splits: bool) -> str:
    """Return a row's split; where splits aren't kept, any other word is none."""
    if "split" not in row:
        return ""
    return split_of(row["split"]) if keep_splits else split_word(_text(row["split"])) or ""


def _found_in(photos: PhotoIndex, text: str) -> tuple[Path, str]:
    """Return the photo that the end of a path means."""
    file = photos.find(BoxRow("", text))
    if file.path is None:
        raise BadRowError("no such file")
    return file.path, file.relative


def _found_by_ends(before: Scan, found: Scan) -> Scan:
    """Return what was found by the ends of paths, where that was anything."""
    if not found.files:
        return before
    written, first = before.refused[0][0], found.files[0]
    found.notes.append(
        f"no path of the table leads to a photo; {len(found.files)} were found by how paths end, "
        f"the first: {as_text(written)} is {as_text(first.photo)}"
    )
    return found


def _hint(found: Scan, photos: PhotoIndex) -> list[str]:
    """Say where a photo is that is called like one whose path leads nowhere."""
    written = found.refused[0][0]
    try:
        file = photos.find(BoxRow("", re.split(r"[/\\]", written)[-1]))
    except BadRowError:
        return []
    return [
        f"paths start at the table's folder, and {as_text(file.relative)} is there: "
        "write it so, or move the table or the photos"
    ]


def _column(path: Path, header: list[str], wanted: str) -> str | None:
    """Return the column of a name whatever its case; ``None`` when there is none."""
    name = next((name for name in header if name.casefold() == wanted), None)
    return name and lone_column(path, header, name)


def _text_table(path: Path, how: Reading) -> TextTable:
    """Read CSV or TSV; columns go by their positions where the first line is no names but a row.

    Raises:
        DataError: It is, and columns are not given by their positions.
    """
    given = [name for name in (how.image_column, how.label_column) if name is not None]
    usual = () if given else (*IMAGE_NAMES, *LABEL_NAMES)
    table = tables.read_text_table(path, wanted=(*(name.casefold() for name in given), *usual))
    first = table.columns
    photos = [place for place, cell in enumerate(first, start=1) if images.is_photo_name(cell)]
    is_given = len(given) == 2 and all(name.isdecimal() for name in given)
    if is_given and (photos or not set(given) <= set(first)):
        return table.by_position()
    if not photos and (given or {name.casefold() for name in first} & {*usual}):
        return table
    if names := _line_of_names(table):
        raise DataError(
            f"{path}: its first line names no columns, but line {names} does: {' | '.join(first)}",
            f"take what is above away: {outgoing.command('sed', '-i', f'1,{names - 1}d', path)}",
        )
    if len(first) == 1:
        raise DataError(
            f"{path}: its first line is one column: {first[0]}",
            "say what stands between columns by a line above the first: sep=; "
            "or, for a blank, 'sep= '",
        )
    image = photos[0] if photos else 1
    options = outgoing.command(
        "--image-column", image, "--label-column", _likely_label(first, image)
    )
    if not photos:
        raise DataError(
            f"{path}: its first line names no known column: {' | '.join(first)}",
            "choose with: --image-column NAME --label-column NAME",
            f"if it is no names but a row, by positions: {options}",
        )
    raise DataError(
        f"{path}: its first line seems to be no names of columns but a row: {' | '.join(first)}",
        f"choose columns by their positions: {options}",
        "or put a line above it that names them: path,x1,y1,x2,y2,label",
    )


def _likely_label(cells: list[str], image: int) -> int:
    """Return the position of the first cell that may be a class's name, or of the last.

    Example:
        >>> _likely_label(["TRAIN", "1.jpg", "Audi A4", "0.1", ""], 2), _likely_label(["1", "2"], 1)
        (3, 2)
    """
    for place, cell in enumerate(cells, start=1):
        is_number = re.fullmatch(r"[-+.,\d]*", cell.strip()) is not None
        if place != image and not is_number and split_word(cell) is None:
            return place
    return len(cells) if image < len(cells) else 1


def _line_of_names(table: TextTable) -> int:
    """Return the number of the first line that names a column for the image and one for labels."""
    lines = table.text.splitlines()[:MAX_TITLE_LINES]
    for number, line in enumerate(lines, start=table.num_before + 1):
        cells = {cell.strip(' "').casefold() for cell in re.split(r"[,;|\t]", line)}
        if cells & {*IMAGE_NAMES} and cells & {*LABEL_NAMES}:
            return number
    return 0


def _hot_columns(text: TextTable | None, image: str, how: Reading) -> list[str]:
    """Return the columns that are classes, where no column says them."""
    if text is None or how.label_column or {c.casefold() for c in text.columns} & {*LABEL_NAMES}:
        return []
    return one_hot.class_columns(text, image)


def _rows_of(
    path: Path, text: TextTable | None, columns: dict[str, str], hot: list[str]
) -> Iterator[tuple[int, Row | str]]:
    """Yield a table's rows, however it is stored."""
    if text is None:
        return _parquet_rows(path, columns)
    return one_hot.hot_rows(text, columns["path"], hot) if hot else _csv_rows(text, columns)


def _text(value: object) -> str:
    """Return a cell as text, without blanks around it."""
    return "" if value is None else str(value).strip()


def _csv_rows(table: TextTable, columns: dict[str, str]) -> Iterator[tuple[int, Row | str]]:
    """Yield a row's number and what it says; the reason alone where cells are missing or too many.

    Blank cells behind the last column are what spreadsheets leave.
    """
    places = {what: table.columns.index(name) for what, name in columns.items()}
    count = len(table.columns)
    for number, cells in table.rows():
        if max(places.values()) >= len(cells):
            yield number, "has fewer columns than the first line"
        elif any(cell.strip() for cell in cells[count:]):
            yield (
                number,
                f"has {len(cells)} cells, the first line {count}: quote cells that hold "
                f"{tables.DELIMITERS.get(table.delimiter, table.delimiter)}",
            )
        else:
            yield number, {what: cells[place] for what, place in places.items()}


def _parquet_rows(path: Path, columns: dict[str, str]) -> Iterator[tuple[int, Row | str]]:
    """Yield a row's number and what it says."""
    lists = tables.read_lists(path, list(columns.values()))
    rows = zip(*(lists[name] for name in columns.values()), strict=True)
    for number, values in enumerate(rows, start=1):
        yield number, dict(zip(columns, values, strict=True))
