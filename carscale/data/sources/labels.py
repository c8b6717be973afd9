"""From a raw label to the name of a class: one way for folders, tables, sets and shards.

Names that look the same are the same: Unicode's composed form, one blank for any run of blanks,
no letters that take no room. Words that a spreadsheet or a script writes where it has no value name
no class.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

from carscale import config, contained, tables
from carscale.data.sources.hub_folder import FRONT, README_BYTES
from carscale.data.sources.rows import BadRowError
from carscale.data.sources.scan import Scan
from carscale.errors import CarscaleError

MAX_LETTERS = 200
"""Of a class name; longer labels are captions."""
MISSING = frozenset(
    (
        *("nan", "-nan", "<na>", "na", "n/a", "#na", "#n/a", "nat", "inf", "-inf", "undefined"),
        *("none", "null", "(null)", "#null!", "nil", "\\n", "(blank)", "-", "--", "?"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "#ref!", "#value!", "#name?", "#num!"),
        *("#div/0!", "#nv", "#bezug!", "#wert!"),
    )
)
"""What stands for no value, lower case: of pandas, databases and spreadsheets."""
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
_JOINERS = re.compile(r"(?<![^\s!-~])[\u200c\u200d]+|[\u200c\u200d]+(?![^\s!-~])")
"""Joiners beside Latin letters or a blank do nothing; inside other scripts and emoji they count."""
_WHOLE = re.compile(r"(-?\d+)(?:\.0+|,0)")
"""Whole numbers as tables with gaps store them, also German ones."""


def clean_name(text: str) -> str:
    """Return a name as it looks: composed, without invisible letters, with plain blanks.

    Example:
        >>> clean_name(" Audi\u00a0 A4\u200b"), clean_name("Citroe\u0308n") == "Citro\u00ebn"
        ('Audi A4', True)
    """
    composed = unicodedata.normalize("NFC", _JOINERS.sub("", _INVISIBLE.sub("", text)))
    return " ".join(composed.split())


def class_of(label: object) -> str:
    """Return the class a label names.

    Numbers become their digits; 3.0 is 3, as tables with gaps store whole numbers.

    Raises:
        BadRowError: There is none, it stands for none (-1, nan), or is no name.

    Example:
        >>> class_of(" Audi A4 "), class_of(3), class_of("3.0"), class_of("3,0")
        ('Audi A4', '3', '3', '3')
    """
    if label is None or label != label:  # NaN is the number that differs from itself
        raise BadRowError("no label")
    if not isinstance(label, str | int | float):
        raise BadRowError(f"label is a {type(label).__name__}, not one name")
    text = str(label).strip()
    if len(text) > MAX_LETTERS or "\n" in text:
        raise BadRowError(f"label is a text of {len(text)} letters, no class name")
    name = name_of(text)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise BadRowError("label is no valid Unicode") from error
    return name


def name_class(found: Scan, label: object) -> str:
    """Return the class a label names, and note in a scan how it was written.

    Raises:
        BadRowError: As ``class_of``.
    """
    name = class_of(label)
    _note(found, name, str(label).strip() if isinstance(label, str) else name)
    return name


def name_folders(found: Scan) -> None:
    """Give files the classes that the paths of their folders name; refuse those that name none."""
    names: dict[str, str | None] = {}
    kept = []
    for file in found.files:
        written = file.class_name
        if not written:  # at the top
            names[written] = ""
        if written not in names:
            try:
                parts = filter(None, map(clean_name, written.split("/")))
                names[written] = name_of("/".join(parts))
                _note(found, str(names[written]), written)
            except BadRowError:
                names[written] = None
        if (name := names[written]) is None:
            found.refused.append((file.relative, f"its folder {written} stands for no class"))
        else:
            kept.append(file if name == written else replace(file, class_name=name))
    found.files = kept


def name_of(text: str) -> str:
    """Return the class that a text names.

    Raises:
        BadRowError: It names none.
    """
    name = clean_name(text)
    if whole := _WHOLE.fullmatch(name):
        name = whole[1]
    if not name:
        raise BadRowError("no label")
    if name.casefold() in MISSING or re.fullmatch(r"-\d+", name):
        raise BadRowError(f"label {name} stands for no class")
    return name


def _note(found: Scan, name: str, written: str) -> None:
    """Note how a class is written."""
    found.spellings.setdefault(name, set()).add(written)


def named(label: object, names: list[str]) -> object:
    """Return the name of a numbered label; any other label as it is.

    Raises:
        BadRowError: No class has this number.

    Example:
        >>> named(1, ["Audi", "BMW"]), named(1.0, ["Audi", "BMW"]), named("BMW", ["Audi", "BMW"])
        ('BMW', 'BMW', 'BMW')
    """
    if not names or not isinstance(label, int | float) or not label >= 0:  # NaN is no class
        return label
    if label >= len(names) or label != int(label):
        raise BadRowError(f"label {label} is none of the {len(names)} classes")
    return names[int(label)]


def schema_names(path: Path, column: str) -> list[str]:
    """Return the names that ``datasets`` noted for the numbers of a Parquet column.

    They stand in the file's schema, or in the README of the set that the file was taken from: in
    its folder or the one above. Empty where nobody noted any.
    """
    try:
        note = json.loads(tables.schema_note(path, "huggingface") or b"{}")
        names = note["info"]["features"][column]["names"]
    except (ValueError, KeyError, TypeError):
        names = None
    for folder in (path.parent, path.parent.parent):
        names = names or _readme_names(folder / "README.md", column)
    return names if isinstance(names, list) and all(isinstance(n, str) for n in names) else []


def _readme_names(readme: Path, column: str) -> list[str]:
    """Return the names that a README lists for a column, if all its settings list the same."""
    try:
        text = contained.read_named(readme, max_bytes=README_BYTES).decode("utf-8", "replace")
        found = FRONT.match(text)
        tree: Any = config.parse_yaml(found[1] if found else "", readme) or {}
        infos = tree.get("dataset_info") or []
        every = infos if isinstance(infos, list) else [infos]
        features = [feature for info in every for feature in info["features"]]
        labels = [f["dtype"]["class_label"]["names"] for f in features if f.get("name") == column]
    except (OSError, CarscaleError, KeyError, TypeError, AttributeError):
        return []
    lists = [list(n.values()) if isinstance(n, dict) else n for n in labels]
    return lists[0] if lists and all(names == lists[0] for names in lists) else []
