"""A new version of frozen data, with the labels that a person's review corrects.

Chosen: a new folder that names its parent, with val and test as they are. Rejected: changing labels
in place: runs of before would no longer tell what they were trained on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from carscale.data.frozen.answers import ANSWERS_LIST, Answer, answers_bytes, read_answers
from carscale.data.frozen.layout import Frozen, free_path
from carscale.data.frozen.names import folded
from carscale.data.frozen.reader import read_splits
from carscale.data.frozen.split_assignment import PARTIAL, SPLITS, split_names
from carscale.data.photos.duplicates import same_bytes
from carscale.data.versions.decisions import LabelDecision, read_decisions
from carscale.data.versions.version import (
    PhotosBy,
    Version,
    children,
    manifest_rows,
    open_parent,
    ordered,
    publish_version,
)
from carscale.errors import DataError


@dataclass
class Relabelled(Frozen):
    """What a relabelling did.

    Attributes:
        num_relabelled: Photos that moved to another class.
        num_left_out: Photos that are not in the new version.
        num_unchanged: Photos with a decision that changes nothing.
        num_answers: Pairs that nothing will ask of again.
    """

    num_relabelled: int = 0
    num_left_out: int = 0
    num_unchanged: int = 0
    num_answers: int = 0


def relabel(
    root: Path,
    decisions: Path,
    out: Path,
    *,
    any_split: bool = False,
    link: str = "copy",
    force: bool = False,
    advance: Callable[[int], None] = lambda total: None,
) -> Relabelled:
    """Make a new version of a frozen folder from a review of its labels.

    Synthetic photos follow the photo that shows their car. Classes and their numbers, keys and the
    quarantine list stay; ids are numbered anew. The folder
    appears whole or not at all; the same folder and review give the same bytes.

    Args:
        root: A frozen folder that matches its lock.
        decisions: CSV, as ``read_decisions`` takes it.
        out: The frozen folder to make.
        any_split: Take decisions on photos of val and test too, which changes what these are.
        link: ``copy``, or ``hard`` to share bytes with ``root``.
        force: Replace a frozen folder at ``out``.
        advance: Called after each photo with the number of all.

    Returns:
        The card, lines a person should read, and what was changed.

    Raises:
        ConfigError: ``link`` is another word.
        DataError: ``root`` is a pack or does not match its lock, the review is not of it, a photo
            of val or test is to change, or ``out`` is there already or can't be written.

    Example:
        >>> relabel(Path("data/cars"), Path("decisions.csv"), Path("data/cars-2"))  # doctest: +SKIP
    """
    how = PhotosBy(link, force, advance)
    parent = open_parent(root, out, how, doing="relabel", what_for="labels are corrected")
    rows = manifest_rows(root)
    review = read_decisions(decisions, rows, [car.name for car in read_splits(root).classes])
    made = review.labels
    changes = {n: one for n, one in made.items() if one.new_class or one.is_left_out}
    changes = _with_children(rows, changes, set(made))
    answers = [
        Answer(rows[one]["key"], rows[other]["key"], word == "same")
        for (one, other), word in review.pairs.items()
        if word != "leave out"
    ]
    if not any_split:
        _check_train_only(decisions, rows, changes)
    names = split_names(parent)
    changed = ordered(_changed_rows(root, rows, changes), names)
    entry = {"relabelled": _review_entry(root, decisions, rows, changes)}
    lists = {ANSWERS_LIST: answers_bytes(read_answers(root) + answers)} if answers else {}
    version = Version(changed, entry, lists, extra_splits=names[len(SPLITS) :])
    card = publish_version(root, out, parent, version, how, doing="relabelling")
    num_left_out = sum(one.is_left_out for one in changes.values())
    return Relabelled(
        root=out,
        card=card,
        warnings=_warnings(parent, card, rows, changed),
        num_relabelled=len(changes) - num_left_out,
        num_left_out=num_left_out,
        num_unchanged=len(made) - len(changes),
        num_answers=len(answers),
    )


def _with_children(
    rows: list[dict[str, Any]], changes: dict[int, LabelDecision], decided: set[int]
) -> dict[int, LabelDecision]:
    """Return changes with those of synthetic photos that nobody decided on.

    One that shows a car moves with it; one that was made of a photo that goes, goes.
    """
    made, found, todo = children(rows), dict(changes), list(changes)
    while todo:
        parent = todo.pop()
        for child, shows_car in made.get(parent, ()):
            if child in found or child in decided:
                continue
            if found[parent].is_left_out or shows_car:
                found[child] = replace(found[parent], photo_id=child)
                todo.append(child)
    return found


def _check_train_only(
    decisions: Path, rows: list[dict[str, Any]], changes: dict[int, LabelDecision]
) -> None:
    """Raise when a photo that results are measured on is to change."""
    measured = [rows[n]["path"] for n in changes if rows[n]["split"] not in ("train", PARTIAL)]
    if measured:
        raise DataError(
            f"{decisions}: changes {len(measured)} photos of val or test (first: {measured[0]}); "
            "results before and after could not be compared",
            "take their lines out, or change these splits too, knowingly: --any-split",
        )


def _changed_rows(
    root: Path, rows: list[dict[str, Any]], changes: dict[int, LabelDecision]
) -> list[dict[str, Any]]:
    """Return the new manifest's rows; ``old_path`` is extra."""
    folders = {car.name: car.folder for car in read_splits(root).classes}
    stay = {folded(row["path"]) for n, row in enumerate(rows) if n not in changes}
    changed = []
    for n, row in enumerate(rows):
        decision = changes.get(n)
        if decision is not None and decision.is_left_out:
            continue
        new = row | {"old_path": row["path"]}
        if decision is not None and decision.new_class:
            name = PurePosixPath(row["path"]).name
            stem, _, suffix = name.rpartition(".")
            split = "train" if row["split"] == PARTIAL else row["split"]  # its class is known now
            folder = f"{split}/{folders[decision.new_class]}"
            new |= {
                "split": split,
                "class": decision.new_class,
                "path": free_path(folder, stem, suffix, stay),
            }
        changed.append(new)
    return changed


def _review_entry(
    root: Path, decisions: Path, rows: list[dict[str, Any]], changes: dict[int, LabelDecision]
) -> dict[str, Any]:
    """Return what the new card says of the review."""
    return {
        "decisions_sha256": hashlib.sha256(decisions.read_bytes()).hexdigest(),
        "changes": [
            {
                "key": rows[n]["key"],
                "path": rows[n]["path"],
                "from": rows[n]["class"],
                "to": changes[n].new_class,
            }
            for n in sorted(changes)
        ],
    }


def _warnings(
    parent: dict[str, Any],
    card: dict[str, Any],
    rows: list[dict[str, Any]],
    changed: list[dict[str, Any]],
) -> list[str]:
    """Return what a person may not have meant."""
    lines = [
        f"{name} is another now (hash {parent['hashes'][name][:12]} -> "
        f"{card['hashes'][name][:12]}): results on it before and after can't be compared"
        for name in ("val", "test")
        if parent["hashes"][name] != card["hashes"][name]
    ]
    before, after = (
        {row["class"] for row in table if row["split"] == "train"} for table in (rows, changed)
    )
    if lost := sorted(before - after):
        lines.append(f"classes without a photo in train now: {'; '.join(lost)}")
    conflicts = card["notes"]["label_conflicts"]
    if len(conflicts) > len(parent["notes"]["label_conflicts"]):
        lines.append(
            "identical photos lie in two classes now, one must be wrong: "
            + "; ".join(map(same_bytes, conflicts))
        )
    return lines
