"""A new version of a frozen folder with more photos: what ``carscale data merge`` writes.

Chosen: photos of which only the make is known lie in ``partial/<make>``, a split of its own, where
no reader of train takes a make for a class. Rejected: a class for each make (a head that learns
makes and models).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from carscale.car_names import car_class
from carscale.data.frozen.layout import as_text, class_list_hash, json_bytes, read_card
from carscale.data.frozen.names import folded, safe_name, shortened, unique_folders
from carscale.data.frozen.reader import read_splits
from carscale.data.frozen.split_assignment import PARTIAL, SPLITS
from carscale.data.photos.sample import Sample, free_name, manifest_row
from carscale.data.versions.version import (
    Version,
    manifest_rows,
    ordered,
    place_rows,
    write_version,
)
from carscale.types import CarClass


@dataclass(frozen=True)
class NewPhoto:
    """A photo that joins a data set.

    Attributes:
        sample: The decoded photo; its bytes lie at ``sample.staged``.
        split: ``train``, a test's name, or ``partial``.
        class_name: Its class, for ``partial`` its make.
        origin: The source's name.
        licence: What is known of the photos' licence.
        group: Name that photos share which must not be parted.
    """

    sample: Sample
    split: str
    class_name: str
    origin: str
    licence: str = ""
    group: str = ""


@dataclass(frozen=True)
class Joined:
    """What a data set's class list becomes: classes in order, and folders by name."""

    classes: tuple[CarClass, ...]
    folders: dict[str, str]


def classes_with(classes: Sequence[CarClass], names: Sequence[str]) -> Joined:
    """Return a class list with more classes, ordered by folder as in every frozen folder.

    Args:
        classes: Of the data set; they keep their folders.
        names: Classes that may be new.

    Example:
        >>> audi = car_class("Audi A4 Sedan 2012", "Audi A4 Sedan 2012")
        >>> joined = classes_with([audi], ["Audi A4 Sedan 2012", "audi/a3"])
        >>> [car.folder for car in joined.classes]
        ['Audi A4 Sedan 2012', 'audi%2Fa3']
    """
    folders = {car.name: car.folder for car in classes}
    new = sorted({as_text(name) for name in names} - folders.keys())
    folders |= _free_folders(new, folders.values())
    added = [car_class(name, folders[name]) for name in new]
    return Joined(tuple(sorted([*classes, *added], key=lambda car: car.folder)), folders)


def add_photos(
    root: Path,
    folder: Path,
    new_photos: Sequence[NewPhoto],
    *,
    make_of: Callable[[str], str],
    entries: dict[str, Any],
    lists: dict[str, bytes],
    link: str,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Write a frozen folder's photos and more into a new folder.

    Val, test and all photos of the parent keep bytes, paths and keys; ids are numbered anew. A new
    class moves the numbers of those behind it.

    Args:
        root: The parent.
        folder: Where the version is made; no reader looks there yet.
        new_photos: What joins.
        make_of: The make in the name of a class or make, the same however it is written.
        entries: The card's entries on it.
        lists: The other files, by name.
        link: ``copy`` or ``hard``, as ``place_rows`` has it; what is staged stays, for a restart.
        advance: Called after each photo with the number of all.

    Returns:
        The card.
    """
    old, parent = manifest_rows(root), read_card(root)
    new_names = [one.class_name for one in new_photos if one.split != PARTIAL]
    joined = classes_with(read_splits(root).classes, new_names)
    makes = _makes(parent.get("makes") or [], new_photos, joined.classes, make_of)
    new_photos = [_with_make(one, makes, make_of) for one in new_photos]
    folders = {make["name"]: make["folder"] for make in makes}
    rows = [*old, *_new_rows(old, new_photos, joined.folders, folders)]
    extra = [name for name in parent.get("extra_splits") or () if name != PARTIAL]
    extra += sorted({one.split for one in new_photos} - {*SPLITS, *extra, PARTIAL})
    names = (*SPLITS, *extra, *((PARTIAL,) if makes else ()))
    rows = ordered(rows, names)
    place_rows(
        rows,
        folder,
        root=root,
        splits=names,
        link=link,
        advance=advance,
    )
    counts = {"classes": len(joined.classes)}
    if refused := lists.get("quarantine.jsonl"):
        counts["quarantined"] = refused.count(b"\n")
    entries = entries | {"makes": makes, "counts": counts}
    entries["hashes"] = {"classes": class_list_hash(joined.classes)}
    lists = lists | {
        "classes.json": json_bytes({"classes": [asdict(car) for car in joined.classes]})
    }
    version = Version(rows, entries, lists, extra_splits=names[len(SPLITS) :])
    return write_version(root, folder, parent, version)


def _new_rows(
    old: list[dict[str, Any]],
    new_photos: Sequence[NewPhoto],
    folders: dict[str, str],
    make_folders: dict[str, str],
) -> list[dict[str, Any]]:
    """Return the manifest's rows of what joins."""
    taken = {folded(row["path"]) for row in old}
    seen: Counter[str] = Counter(row["sha256"] for row in old)
    rows = []
    for one in new_photos:
        within = make_folders if one.split == PARTIAL else folders
        folder = f"{one.split}/{within[as_text(one.class_name)]}"
        sample = one.sample
        row = manifest_row(sample, key=f"{sample.sha256[:32]}-{seen[sample.sha256]}")
        row |= {
            "path": free_name(folder, sample, taken),
            "class": as_text(one.class_name),
            "split": one.split,
            "group": as_text(one.group),
            "origin": as_text(one.origin),
            "licence": as_text(one.licence or row.get("licence", "")),
            "staged": str(sample.staged),
        }
        seen[sample.sha256] += 1
        rows.append(row)
    return rows


def _makes(
    old: Sequence[dict[str, Any]],
    new_photos: Sequence[NewPhoto],
    classes: Sequence[CarClass],
    make_of: Callable[[str], str],
) -> list[dict[str, Any]]:
    """Return the makes of photos with no more than that: name, folder, the classes left open.

    A make keeps the name and the folder that it has; more classes may be open to it.
    """
    folders = {make["name"]: make["folder"] for make in old}
    known = {make_of(name) for name in folders}
    came = sorted({as_text(one.class_name) for one in new_photos if one.split == PARTIAL})
    new = {key: name for name in reversed(came) if (key := make_of(name)) not in known}
    folders |= _free_folders(new.values(), folders.values())
    open_to: dict[str, list[str]] = defaultdict(list)
    for car in classes:
        open_to[make_of(car.name)].append(car.folder)
    return [
        {"name": name, "folder": folder, "classes": open_to[make_of(name)]}
        for name, folder in sorted(folders.items())
    ]


def _with_make(
    one: NewPhoto, makes: Sequence[dict[str, Any]], make_of: Callable[[str], str]
) -> NewPhoto:
    """Return a photo of which only the make is known under the name that its make has."""
    if one.split != PARTIAL:
        return one
    key = make_of(as_text(one.class_name))
    return replace(
        one, class_name=next(make["name"] for make in makes if make_of(make["name"]) == key)
    )


def _free_folders(names: Iterable[str], used: Iterable[str]) -> dict[str, str]:
    """Return a folder for each new name; they differ from those in use, whatever the case."""
    taken = {folded(folder) for folder in used}
    folders = {}
    for name, wanted in unique_folders(names).items():
        folder, number = wanted, 1
        while folded(folder) in taken:
            number += 1
            folder = shortened(safe_name(f"{name}~{number}"))
        taken.add(folded(folder))
        folders[name] = folder
    return folders
