"""A person's review of labels, and of pairs that look the same: a CSV file, read and checked.

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
from carscale.data.photos.duplicates import LEARNED
from carscale.errors import DataError

DECISION_COLUMNS = ("id", "path", "label", "decision", "new_label")
WORDS = ("right", "wrong", "unsure", "leave out")
PAIR_COLUMNS = ("other_id", "other_path", "other_label")
PAIR_WORDS = ("same", "different", "leave out")
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


@dataclass(frozen=True)
class Review:
    """What a person said of a data set.

    Attributes:
        labels: Of photos, by their ids.
        pairs: Of pairs of ids: ``same``, ``different`` or ``leave out``.
    """

    labels: dict[int, LabelDecision]
    pairs: dict[tuple[int, int], str]


def read_decisions(
    path: Path, rows: Sequence[dict[str, Any]], class_names: Sequence[str]
) -> Review:
    """Read a review of a data set's labels, every line checked.

    Args:
        path: CSV with the columns ``id,path,label,decision,new_label``; others are passed over.
            ``decision`` is ``right``, ``unsure``, ``wrong`` or ``leave out``; ``wrong`` without a
            new label leaves the photo out, and an empty decision is none. A line that has
            ``other_id,other_path,other_label`` too is of a pair: ``same``, with the class of both
            as the new label, ``different``, or ``leave out``, which those of train are.
        rows: Of the data set's manifest, by id: ``path`` and ``class``.
        class_names: That a photo may move to.

    Returns:
        Decisions by photo, answers by pair.

    Raises:
        DataError: The file can't be read, decides nothing, or is of another data set, other labels
            or other classes; names the lines.

    Example:
        >>> rows = [{"path": "train/a/1.jpg", "class": "a"}]
        >>> made = read_decisions(Path("decisions.csv"), rows, ["a", "b"])  # doctest: +SKIP
        >>> made.labels[0].new_class  # doctest: +SKIP
        'b'
    """
    review = Review({}, {})
    wrong: list[str] = []
    for line, cells in _read_lines(path):
        if any(cells.get(name, "").strip() for name in PAIR_COLUMNS):
            problem = _take_pair(review, cells, rows, class_names)
        else:
            made = _decision(cells, rows, class_names)
            problem = _taken(review, [made] if isinstance(made, LabelDecision) else [])
            problem = made if isinstance(made, str) else problem
        if problem:
            wrong.append(f"line {line}: {problem}")
    if wrong:
        more = len(wrong) - NUM_NAMED
        raise DataError(
            f"{path}: {len(wrong)} {'line' if len(wrong) == 1 else 'lines'} can't be used; "
            "nothing was changed",
            *wrong[:NUM_NAMED],
            *([f"and {more} more"] if more > 0 else []),
        )
    if not review.labels and not review.pairs:
        raise DataError(
            f"{path}: holds no decision",
            f"write {', '.join(WORDS[:3])} into the column decision, or save the review page's CSV",
        )
    return review


def _taken(review: Review, made: Sequence[LabelDecision]) -> str | None:
    """Add decisions to a review; return why they can't be: a photo has another one."""
    for one in made:
        if review.labels.get(one.photo_id, one) != one:
            return f"photo {one.photo_id} has another decision above: give it one"
    review.labels.update({one.photo_id: one for one in made})
    return None


def _take_pair(
    review: Review,
    cells: dict[str, str],
    rows: Sequence[dict[str, Any]],
    class_names: Sequence[str],
) -> str | None:
    """Add what a line says of a pair to a review; return why it can't be used."""
    other = {name: cells.get(f"other_{name}", "") for name in ("id", "path", "label")}
    sides = (cells | {"decision": ""}, other | {"decision": ""})
    problems = [_decision(side, rows, class_names) for side in sides]
    if any(problems):
        return str(problems[0] or problems[1])
    word = cells["decision"].strip().lower()
    if not word:
        return None
    if word not in PAIR_WORDS:
        return f"decision {cells['decision']!r} of a pair must be {', '.join(PAIR_WORDS)}"
    one, two = sorted((int(cells["id"]), int(cells["other_id"])))
    if one == two:
        return f"photo {one} is no pair with itself"
    if review.pairs.get((one, two), word) != word:
        return f"photos {one} and {two} have another answer above: give them one"
    made: list[LabelDecision] | str = []
    if word == "same":
        made = _of_one_class((one, two), cells["new_label"], rows, class_names)
    elif word == "leave out":
        learned = [row for row in (one, two) if rows[row]["split"] in LEARNED]
        made = [LabelDecision(row, word) for row in learned or (one, two)]
    if isinstance(made, str):
        return made
    review.pairs[one, two] = word
    return _taken(review, made)


def _of_one_class(
    pair: tuple[int, int],
    new_label: str,
    rows: Sequence[dict[str, Any]],
    class_names: Sequence[str],
) -> list[LabelDecision] | str:
    """Return what becomes of two photos that show one car: which labels are wrong."""
    if not new_label.strip():
        return f"photos {pair[0]} and {pair[1]} are the same: give their class as new_label"
    found = []
    for row in pair:
        moved = _moved(row, "", new_label, class_names)
        if isinstance(moved, str):
            return moved
        is_right = moved.new_class == rows[row]["class"]
        found.append(LabelDecision(row, "right") if is_right else moved)
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
