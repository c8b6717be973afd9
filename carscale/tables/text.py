"""Tables as text: CSV, TSV and what spreadsheets save under these names.

The one way in for each of them. Chosen: what separates columns and letters is read from the file
itself; a line ``sep=;`` or the names that the caller looks for decide, then which separator gives
each row the same number of cells; where two do, it is asked. Rejected: ``csv.Sniffer``, which
guesses letters and blanks; pandas and ``datasets``, which take a comma.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from carscale import contained, outgoing
from carscale.errors import DataError
from carscale.file_kinds import encoding_of, kind_of

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
MAX_BYTES = 2 << 30
NUM_PROBED = 50
"""Rows that tell what stands between columns."""
_SEP = re.compile(r"\s*\"?sep=(.)\"?[ ,;\t]*(\r\n?|\n|\Z)", re.IGNORECASE)
_WESTERN = re.compile(
    "[\x00-\x7f\u00a0-\u00ff\u20ac\u0160\u0161\u017d\u017e\u0152\u0153\u0178\u2019\u201c-\u201e\u2013\u2014\u2026"
    "\u2122]*"
)
"""Letters and signs of cp1252 that names hold; the others come of other code pages."""


@dataclass(frozen=True)
class TextTable:
    """A table in a text file.

    Attributes:
        path: The file.
        columns: Names in their order, without blanks around them; may be empty or occur twice.
        delimiter: What stands between cells.
        notes: What a person should know of how the file was read.
        text: From the line of names on.
        num_before: Lines above it.
        has_names: Whether the first line names the columns.
    """

    path: Path
    columns: list[str]
    delimiter: str
    notes: tuple[str, ...]
    text: str
    num_before: int = 0
    has_names: bool = True

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of a row's last line, and its cells as they are; no blank rows.

        Raises:
            DataError: A quote is not closed, or a cell is larger than any name.
        """
        lines = _rows(self.path, self.text, self.delimiter, self.num_before)
        yield from itertools.islice(lines, int(self.has_names), None)

    def by_position(self) -> TextTable:
        """Return the same table where the first line is a row; columns are ``1``, ``2``, ..."""
        names = [str(place) for place in range(1, len(self.columns) + 1)]
        return replace(self, columns=names, has_names=False)


def read_text_table(path: Path, wanted: Sequence[str] = ()) -> TextTable:
    r"""Read a CSV or TSV file of any spreadsheet.

    Args:
        path: UTF-8, UTF-16 or UTF-32 with a byte order mark, or Windows' western code page;
            commas, semicolons, tabs or bars between columns, or what a first line ``sep=;`` says.
        wanted: Lower-case names of columns to look for; they tell what stands between columns.

    Raises:
        DataError: It can't be read, is empty or no text, or more than one separator fits.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "cars.csv")
        >>> size = file.write_bytes("sep=;\npath;label\na.jpg;\xc4 1,5\n".encode("cp1252"))
        >>> table = read_text_table(file, wanted=("path", "label"))
        >>> table.columns, list(table.rows())
        (['path', 'label'], [(3, ['a.jpg', 'Ä 1,5'])])
    """
    try:
        data = contained.read_named(path, max_bytes=MAX_BYTES)
    except OSError as error:
        raise DataError(f"{path}: can't be read: {error.strerror}") from error
    text, note = _decoded(path, data)
    if not text.strip():
        raise DataError(f"{path}: is empty", "its first line names the columns, as path,label does")
    num_before = 0
    if sep := _SEP.match(text):
        text, num_before = text[sep.end() :], 1
    delimiter = sep[1] if sep else _delimiter(path, text, wanted)
    for _, cells in _rows(path, text, delimiter, num_before):
        names = [_name(cell) for cell in cells]
        return TextTable(path, names, delimiter, (note,) if note else (), text, num_before)
    raise DataError(f"{path}: is empty", "its first line names the columns, as path,label does")


def number_of(cell: str) -> float:
    """Return the number in a cell; a comma is a decimal point, as German spreadsheets write it.

    Raises:
        ValueError: It is none, or could be two: ``1.234,5`` and ``1,234.5`` have both.

    Example:
        >>> number_of("12,5"), number_of(" 12.5 "), number_of("-3")
        (12.5, 12.5, -3.0)
    """
    text = cell.strip()
    if not re.fullmatch(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?", text, re.ASCII):
        raise ValueError(f"{cell!r} is no number")
    return float(text.replace(",", "."))


def _name(cell: str) -> str:
    """Return a column's name without letters that take no room, with plain blanks."""
    return "".join(letter for letter in " ".join(cell.split()) if letter.isprintable())


def _decoded(path: Path, data: bytes) -> tuple[str, str]:
    """Return a file's text, and a note where its letters are not certain."""
    if kind := kind_of(data):
        raise DataError(f"{path}: is {kind.name}, no table", kind.remedy)
    encoding = encoding_of(data)
    try:
        return data.decode(encoding).removeprefix("\ufeff"), ""
    except UnicodeDecodeError as error:
        where, reason = data.count(b"\n", 0, error.start) + 1, error.reason
    text = data.decode("cp1252", errors="replace")
    odd = re.search(r"\w*[^\x00-\x7f]+\w*", text)
    is_other = re.search("[\x80-\uffff]{3}", text) or not _WESTERN.fullmatch(text)
    if encoding != "utf-8" or not odd or is_other:
        raise DataError(
            f"{path}: line {where} is no {encoding.upper()}: {reason}",
            "save it as: CSV UTF-8",
            f"or, with its code page for cp1251: {_converted(path)}",
        )
    return text, (
        f"{path.name} is no UTF-8 and was read as Windows' western code page (cp1252): line "
        f"{where} has {odd[0]}; if that is wrong, save it as CSV UTF-8"
    )


def _converted(path: Path) -> str:
    """Return the command that writes a file anew as UTF-8."""
    target = path.with_name(f"{path.stem}-utf8{path.suffix}")
    made = outgoing.command("iconv", "-f", "cp1251", "-t", "utf-8", path)
    return f"{made} > {outgoing.command(target)}"


def _delimiter(path: Path, text: str, wanted: Sequence[str]) -> str:
    """Return what stands between columns: by wanted names, or by rows of as many cells."""
    heads: dict[str, list[list[str]]] = {}
    for delimiter in DELIMITERS:
        rows = [cells for _, cells in itertools.islice(_probe(text, delimiter), NUM_PROBED)]
        if rows and len(rows[0]) > 1:
            heads[delimiter] = rows
    if path.suffix.lower() == ".tsv" and "\t" in heads:
        return "\t"
    named = {d: sum(_name(c).casefold() in wanted for c in rows[0]) for d, rows in heads.items()}
    most = max(named.values(), default=0)
    left = [d for d in heads if named[d] == most]
    if len(left) > 1:
        left = [d for d in left if all(len(row) == len(heads[d][0]) for row in heads[d])] or left
    if len(left) > 1:
        ways = [f"{DELIMITERS[d]}: {' | '.join(c.strip() for c in heads[d][0])}" for d in left]
        raise DataError(
            f"{path}: {' or '.join(DELIMITERS[d] for d in left)} may stand between its columns",
            *(way[:160] for way in ways),
            f"say which by a line above the first: sep={left[0]}",
        )
    return left[0] if left else ","


def _probe(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield rows up to one that can't be read."""
    try:
        yield from _rows(Path(), text, delimiter, 0)
    except DataError:
        return


def _rows(
    path: Path, text: str, delimiter: str, num_before: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield rows that are not blank, with the number of their last line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num + num_before, cells
    except csv.Error as error:
        line = reader.line_num + num_before
        raise DataError(
            f"{path}: line {line} can't be read: {error}",
            'a cell that begins with a quote ends with one; others in it are doubled: "a ""b"" c"',
        ) from error
