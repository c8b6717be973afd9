"""Classes whose names differ so little that they may be one: joined, kept apart, or asked about.

Names that look the same are one class before this (``labels``); here are those that a person sees a
difference in, though most mean none: case, accents, separators.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

from carscale.car_names.parse import plain_text, split_words
from carscale.data.frozen.layout import as_text
from carscale.data.sources.scan import Scan
from carscale.errors import QuestionError

NUM_NAMED = 3


def settle_alike(found: Scan, where: Path | str, alike: str) -> None:
    """Say which spellings are one class, and settle which names are.

    Args:
        found: Its files have their classes.
        where: The source, for errors.
        alike: ``join`` gives all the most frequent name, ``apart`` leaves them, ``ask`` raises.

    Raises:
        QuestionError: There are such names, and nothing says what they are.
    """
    joined = {name: written for name, written in found.spellings.items() if len(written) > 1}
    if joined:
        named = (
            f"{as_text(name)} ({_written(joined[name])})" for name in sorted(joined)[:NUM_NAMED]
        )
        found.notes.append(
            f"{len(joined)} classes have labels that look alike and differ in blanks or invisible "
            f"letters, each is one class: {'; '.join(named)}"
        )
    if alike == "apart":
        return
    counts = Counter(file.class_name for file in found.files)
    groups = alike_names(counts)
    if groups and alike == "ask":
        shown = "; ".join(_counted(group, counts) for group in groups[:NUM_NAMED])
        more = f"; and {len(groups) - NUM_NAMED} more" if len(groups) > NUM_NAMED else ""
        raise QuestionError(
            f"{where}: classes differ in case, accents or separators alone: {shown}{more}",
            answers={"each group is one class": "--alike join", "all are classes": "--alike apart"},
            notes=found.notes,
        )
    best = {name: group[0] for group in groups for name in group}
    found.files = [
        replace(file, class_name=best.get(file.class_name, file.class_name)) for file in found.files
    ]
    if groups:
        found.notes.append("joined: " + "; ".join(" = ".join(map(as_text, g)) for g in groups))


def alike_names(counts: Counter[str]) -> list[list[str]]:
    """Return groups of names that differ in case, accents or separators alone, frequent ones first.

    Example:
        >>> alike_names(Counter({"Audi A4": 3, "AUDI_A4": 9, "Audi A5": 1}))
        [['AUDI_A4', 'Audi A4']]
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        folded = "/".join(" ".join(split_words(plain_text(part))) for part in name.split("/"))
        groups[folded if folded.strip("/") else name].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _counted(names: list[str], counts: Counter[str]) -> str:
    """Return names with how many files each has."""
    return " and ".join(f"{as_text(name)} ({counts[name]} files)" for name in names)


def _written(spellings: set[str]) -> str:
    """Return the first spellings, what can't be seen escaped."""
    every = sorted(spellings)
    more = ", ..." if len(every) > NUM_NAMED else ""
    return ", ".join(ascii(text) for text in every[:NUM_NAMED]) + more
