"""Text that leaves: for a terminal, a page, a table of another program, a shell.

Names of photos, classes, runs and recipes are anyone's. A terminal obeys what it is sent, a
spreadsheet computes what begins with ``=``, a shell runs what is pasted: each gets text that is
only text.

Chosen: one function a way out, called where text goes out. Rejected: cleaning names when they are
read (a photo's path has to stay its path).
"""

from __future__ import annotations

import csv
import io
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TextIO

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What begins a formula in a spreadsheet; the wide forms too, which some take for the others."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_NO_PART_BEFORE = r"""(?<![^\s="'(\[,:;])"""
_ABSOLUTE = re.compile(_NO_PART_BEFORE + r"""/(?!/)[^\s"'<>|;,()\[\]]*""")
_SPACES = "\xa0\u2009\u200a\u202f\u3000\u200d\u200c"
"""Not printable to Python, and harmless: spaces, and joiners that names in some scripts need."""


def one_line(text: object) -> str:
    r"""Return text on one line without what a terminal would obey.

    Example:
        >>> one_line("a\nb\x1b[31m, Škoda")
        'a\\nb\\x1b[31m, Škoda'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def lines(text: object) -> str:
    r"""Return text for a terminal; its line breaks stay.

    Example:
        >>> print(lines("a.yaml: \u202egnp.exe\n  type this"))
        a.yaml: \u202egnp.exe
          type this
    """
    return "\n".join(one_line(line) for line in str(text).split("\n"))


def replace_letters(stream: TextIO | None) -> None:
    r"""Let a stream write escapes for letters that its encoding has not, rather than raise.

    A console of Windows may know 256 letters; names of cars and photos have any.

    Example:
        >>> stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
        >>> replace_letters(stream)
        >>> stream.write("Škoda") and stream.buffer.getvalue().decode()
        '\\u0160koda'
    """
    if isinstance(stream, io.TextIOWrapper):  # a notebook's is none, and takes any letter
        stream.reconfigure(errors="backslashreplace")


def page_text(text: object, *, keep: str = "") -> str:
    r"""Return text for a page: controls, and what turns the direction of writing, become U+FFFD.

    Args:
        text: Anything.
        keep: Controls that may stay: line breaks of a listing.

    Example:
        >>> page_text("Audi\x00 \u202eA4")
        'Audi\ufffd \ufffdA4'
    """
    return "".join(c if c.isprintable() or c in _SPACES + keep else "\ufffd" for c in str(text))


def csv_cell(value: object) -> object:
    """Return what goes into a cell: text that would be a formula gets an apostrophe before it.

    Reference:
        OWASP, CSV injection. Differs: numbers stay numbers.

    Example:
        >>> [csv_cell(value) for value in ("=1+1", "-0.5", -0.5, "@a", "Audi")]
        ["'=1+1", '-0.5', -0.5, "'@a", 'Audi']
    """
    if isinstance(value, str) and value.startswith(FORMULA) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    r"""Return rows as CSV, none of whose cells is a formula or begins a row of its own.

    Example:
        >>> csv_text([["a", "=b"], ["c", 1.5]])
        "a,'=b\nc,1.5\n"
    """
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\r\n")  # so that either in a cell is quoted
    written = []
    for row in rows:
        writer.writerow(map(csv_cell, row))
        written.append(sink.getvalue()[:-2])
        sink.seek(0)
        sink.truncate()
    return "".join(f"{line}\n" for line in written)


def command(*words: object) -> str:
    """Return a command as a shell takes it.

    Example:
        >>> command("carscale", "report", "runs/a; b")
        "carscale report 'runs/a; b'"
    """
    return shlex.join(str(word) for word in words)


def stored_command(stored: object) -> str | None:
    """Return a command that a file holds, as words or as text, so that a shell takes it as words.

    Example:
        >>> stored_command(["r.py", "run.name=a b"]), stored_command("r.py; rm x")
        ("r.py 'run.name=a b'", "'r.py;' rm x")
    """
    if stored is None:
        return None
    if isinstance(stored, list):
        return command(*stored)
    return command(*words_of(str(stored)))


def words_of(text: str) -> list[str]:
    """Return the words of a command; all of it as one where its quotes do not close."""
    try:
        return shlex.split(text)
    except ValueError:
        return [text]


def relative(text: str, base: Path) -> str:
    """Return text whose absolute paths of this machine start at a folder instead.

    Args:
        text: A path, or a sentence or a command with some.
        base: An absolute folder.

    Example:
        >>> relative("config=/etc/a/runs/x/config.yaml (/etc/b)", Path("/etc/a/runs"))
        'config=x/config.yaml (../../b)'
    """

    def start_at(found: re.Match[str]) -> str:
        is_here = _is_here(found[0].split("/")[1])
        return os.path.relpath(found[0], base) if is_here else found[0]

    if "/" not in text:
        return text
    below = re.compile(f"{_NO_PART_BEFORE}{re.escape(str(base))}/(-?)")  # it may hold spaces
    return _ABSOLUTE.sub(start_at, below.sub(lambda one: one[1] and "./-", text))


@cache
def _is_here(name: str) -> bool:
    """Tell whether the root of this machine holds a name; a class may be called ``/5``."""
    return bool(name) and os.path.lexists(f"/{name}")
