"""What a person said of pairs of photos that look the same: a list in the frozen folder.

It goes along into versions that name this one as their parent, so that nothing asks again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from carscale import contained, files
from carscale.errors import RunError
from carscale.shapes import problem

ANSWERS_LIST = "answers.jsonl"
"""A line for each pair: the keys of both photos, and whether they show the same photo."""


class Answer(NamedTuple):
    """What a person said of two photos, by their keys in the manifest."""

    one: str
    other: str
    is_same: bool


def read_answers(root: Path) -> list[Answer]:
    """Return the answers that a frozen folder or pack holds; none without the list.

    Raises:
        RunError: The list can't be read.
    """
    path = contained.inside(root, ANSWERS_LIST, "file")
    rows = files.read_lines(path)
    for number, row in enumerate(rows, start=1):
        if wrong := problem(row, {"one": str, "other": str, "is_same": bool}):
            raise RunError(f"{path}: line {number}: {wrong}", "it is part of the lock: data check")
    return [Answer(row["one"], row["other"], row["is_same"]) for row in rows]


def answers_bytes(answers: Iterable[Answer]) -> bytes:
    """Return answers as lines of ``answers.jsonl``; of two on one pair the last counts."""
    last = {frozenset((made.one, made.other)): made for made in answers}
    return "".join(json.dumps(made._asdict()) + "\n" for made in sorted(last.values())).encode()
