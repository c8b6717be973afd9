"""A person's label review: a CSV file, read and checked against the data set it is of.

A cell may have come through a spreadsheet: an apostrophe before what would be a formula is no part
of it.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carscale import outgoing, tables
from carscale.errors import DataError

DECISION_COLUMNS = ("id", "path", "label", "decision", "new_label")
WORDS = ("right", "wrong", "unsure", "leave out")
NUM_NAMED = 4


@dataclass(frozen=True)
class LabelDecision:
    """What a person said of one photo.

    Attributes:
        photo_id: Its row in the manifest.
        word: ``right``, ``wrong``, ``unsure`` or ``leave out``.
        new_class: Where it belongs; ``None`` unless it is to move.
    """

    photo_id: int
    word: str
    new_class: str | None = None

    @property
    def is_left_out(self) -> bool:
        """Tell whether the photo goes."""
        return self.word == "leave out"


def read_decisions(
    path: Path, rows: Sequence[dict[str, Any]], class_names: Sequence[str]
) -> dict[int, LabelDecision]:
    """Read a review of a data set's labels, every line checked.

    Args:
        path: CSV with the columns ``id,path,label,decision,new_label``; others are passed over.
            ``decision`` is ``right``, ``unsure``, ``wrong`` or ``leave out``; ``wrong`` without a
            new label leaves the photo out, and an empty decision is none.
        rows: Of the data set's manifest, by id: ``path`` and ``class``.
        class_names: That a photo may move to.

    Returns:
        Decisions by photo id.

    Raises:
        DataError: The file can't be read, decides nothing, or is of another data set, other labels
            or other classes; names the lines.

    Example:
        >>> rows = [{"path": "train/a/1.jpg", "class": "a"}]
        >>> made = read_decisions(Path("decisions.csv"), rows, ["a", "b"])  # doctest: +SKIP
        >>> made[0].new_class  # doctest: +SKIP
        'b'
    """
    found: dict[int, LabelDecision] = {}
    wrong: list[str] = []
    for line, cells in _read_lines(path):
        made = _decision(cells, rows, class_names)
        if made is None:
            continue
        if isinstance(made, LabelDecision) and found.get(made.photo_id, made) != made:
            made = f"photo {made.photo_id} has another decision above: give it one"
        if isinstance(made, str):
            wrong.append(f"line {line}: {made}")
            continue
        found[made.photo_id] = made
    if wrong:
        more = len(wrong) - NUM_NAMED
        raise DataError(
            f"{path}: {len(wrong)} {'line' if len(wrong) == 1 else 'lines'} can't be used; "
            "nothing was changed",
            *wrong[:NUM_NAMED],
            *([f"and {more} more"] if more > 0 else []),
        )
    if not found:
        raise DataError(
            f"{path}: holds no decision",
            f"write {', '.join(WORDS[:3])} into the column decision, or save the review page's CSV",
        )
    return found


def _read_lines(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return a CSV file's lines that are not blank: number, and cells by column."""
    table = tables.read_text_table(path, wanted=DECISION_COLUMNS)
    header = table.columns
    missing = [name for name in DECISION_COLUMNS if name not in header]
    if missing:
        raise DataError(
            f"{path}: lacks the columns {', '.join(missing)}; its first line is "
            f"{','.join(header)[:160]!r}",
            f"wanted: {','.join(DECISION_COLUMNS)}",
        )
    lines = []
    for number, cells in table.rows():
        padded = [*cells, *[""] * (len(header) - len(cells))]
        lines.append((number, dict(zip(header, padded, strict=False))))
    return lines


def _decision(
    cells: dict[str, str], rows: Sequence[dict[str, Any]], class_names: Sequence[str]
) -> LabelDecision | str | None:
    """Return what a line decides, why it can't be used, or ``None`` where it decides nothing."""
    word = cells["decision"].strip().lower()
    try:
        photo_id = int(cells["id"])
    except ValueError:
        return f"id {cells['id']!r} is no number"
    if not 0 <= photo_id < len(rows):
        return f"no photo has id {photo_id}: is this of another data set, or an older version?"
    row = rows[photo_id]
    if not _is_cell_of(cells["path"], row["path"]):
        return (
            f"photo {photo_id} is {row['path']}, not {cells['path']}: is this of another data set, "
            "or an older version?"
        )
    if not _is_cell_of(cells["label"], row["class"]):
        return f"{row['path']} is labelled {row['class']!r} now, not {cells['label']!r}"
    if not word:
        return None
    if word not in WORDS:
        return f"decision {cells['decision']!r} must be {', '.join(WORDS[:3])} or {WORDS[3]}"
    if word != "wrong":
        return LabelDecision(photo_id, word)
    return _moved(photo_id, row["class"], cells["new_label"], class_names)


def _moved(
    photo_id: int, label: str, new_label: str, class_names: Sequence[str]
) -> LabelDecision | str:
    """Return where a photo with a wrong label goes; out where no new one is given."""
    if not new_label.strip():
        return LabelDecision(photo_id, "leave out")
    exact = [name for name in class_names if name == new_label]
    named = exact or [name for name in class_names if _is_cell_of(new_label, name)]
    if not named:
        close = difflib.get_close_matches(new_label.strip(), class_names, n=1, cutoff=0.0)
        return f"no class is called {new_label!r}; did you mean {close[0]!r}?"
    if named[0] == label:
        return f"photo {photo_id} is wrong, and its new label is the one it has: {label!r}"
    return LabelDecision(photo_id, "wrong", named[0])


def _is_cell_of(cell: str, text: str) -> bool:
    """Tell whether a cell holds a text, perhaps trimmed or guarded against being a formula."""
    if cell == text or cell.strip() == text.strip():
        return True
    return cell[:1] == "'" and cell[1:] == text and text.startswith(outgoing.FORMULA)
