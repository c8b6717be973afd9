"""Class folders inside a zip or tar."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from carscale import images
from carscale.data.sources.scan import (
    GIVEN_SPLITS,
    IGNORED,
    Scan,
    SourceFile,
    check_classes,
    check_train,
)
from carscale.data.sources.zip_and_tar import Member, name_problem


def scan_members(members: list[Member], where: Path, *, keep_splits: bool) -> Scan:
    """Return what ``scan`` would find in the unpacked archive, or ``scan_splits``.

    Where all lies below one top folder that is no class, that folder is left out of names.

    Raises:
        DataError: No file in class folders, or it is split already and splits are not kept, or
            kept and there is no train.
    """
    found = Scan()
    kept, refused = last_of_each(members)
    top = _lone_top(kept, keep_splits)
    if top:
        kept = {name.removeprefix(f"{top}/"): member for name, member in kept.items()}
        kept.pop(top, None)
        found.notes.append(f"all photos lie below {top}/, which is no class; classes start there")
    found.refused += refused
    if guessed := [member.name for member in members if member.is_guess]:
        found.notes.append(
            f"{len(guessed)} names in the zip are no UTF-8 and were read as cp437, the standard of "
            f"zips; the first: {guessed[0]}"
        )
    if keep_splits:
        kept = _in_splits(kept, found)
    _sort_out(kept, found, depth=int(keep_splits))
    found.put_in_order()
    if keep_splits:
        check_train(found, where, "a folder train that holds photos in class folders")
    else:
        check_classes(found, where)
    return found


def last_of_each(members: Iterable[Member]) -> tuple[dict[str, Member], list[tuple[str, str]]]:
    """Return members by clean names, and the refused with reasons.

    Hidden ones are passed over. Of members with the same name the last counts, as when unpacked.
    """
    kept: dict[str, Member] = {}
    refused = []
    for member in members:
        if problem := name_problem(member.name):
            refused.append((member.name, problem))
            continue
        name = "/".join(part for part in member.name.split("/") if part not in ("", "."))
        if not name or is_hidden(name):
            continue
        earlier = kept.get(name)
        if earlier and not earlier.kind == member.kind == "folder":
            refused.append((name, "the archive holds a later one of this name"))
        kept[name] = member
    return kept, refused


def is_hidden(name: str) -> bool:
    """Tell whether a member is what ``scan`` passes over, or a Mac's notes about files."""
    parts = name.split("/")
    return parts[0] == "__MACOSX" or any(p.startswith(".") or p in IGNORED for p in parts)


def _lone_top(kept: dict[str, Member], keep_splits: bool) -> str:
    """Return the one top folder that holds all, unless it is a class or a split itself."""
    tops = {name.split("/")[0] for name in kept}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    if keep_splits:  # classes lie below splits, never at the top
        return "" if top.lower() in GIVEN_SPLITS else top
    files = [PurePosixPath(name) for name, member in kept.items() if member.kind == "file"]
    depths = {len(path.parts) for path in files if images.is_photo_name(path.name)}
    return top if depths and min(depths) > 2 else ""


def _in_splits(kept: dict[str, Member], found: Scan) -> dict[str, Member]:
    """Return what lies in split folders; refuse the other top folders and files."""
    inside, outside = {}, set()
    for name, member in kept.items():
        top, slash, _ = name.partition("/")
        is_folder = bool(slash) or member.kind == "folder"
        if top.lower() in GIVEN_SPLITS and is_folder:
            inside[name] = member
        else:
            outside.add(top)
    found.refused += [(top, "lies in no split folder") for top in outside]
    return inside


def _sort_out(kept: dict[str, Member], found: Scan, depth: int) -> None:
    """Sort members into samples, refused and empty classes.

    Args:
        kept: By name.
        found: Gets them.
        depth: How many folders above classes are splits: 0 or 1.
    """
    folders: set[str] = set()
    filled: set[str] = set()
    for name, member in kept.items():
        parts = name.split("/")
        above = {"/".join(parts[:n]) for n in range(depth + 1, len(parts))}
        folders |= above
        if member.kind == "folder":
            folders |= {name} if len(parts) > depth else set()
        elif member.kind != "file":
            found.refused.append((name, member.kind))
        elif len(parts) < depth + 2:
            found.refused.append((name, "lies in no class folder"))
        else:
            class_name = "/".join(parts[depth:-1])
            split = GIVEN_SPLITS[parts[0].lower()] if depth else ""
            found.files.append(SourceFile(None, name, class_name, split, member.read))
            filled |= above
    found.empty_classes += folders - filled
