"""Class folders inside a zip or tar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from carscale import images
from carscale.data.frozen.names import is_clutter
from carscale.data.sources.boxes.scan_boxes import scan_boxes
from carscale.data.sources.class_folders import settle_folders
from carscale.data.sources.packed.zip_and_tar import Member, name_problem
from carscale.data.sources.rows import Reading
from carscale.data.sources.scan import Scan, SourceFile
from carscale.data.sources.split_folders import split_word


def scan_members(members: list[Member], where: Path, how: Reading) -> Scan:
    """Return what would be found in the unpacked archive.

    Where all lies below one top folder that is no class, that folder is left out of names.

    Raises:
        DataError: No file in class folders, or splits are kept and there is no train.
        QuestionError: It is split already, and nothing says what that means.
    """
    found = Scan()
    kept, refused = last_of_each(_with_slashes(members, found))
    top = _lone_top(kept, how.keep_splits)
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
    _sort_out(kept, found)
    if not scan_boxes(found, where, how):
        how.refuse_columns(where)
        settle_folders(found, where, how)
    found.put_in_order()
    return found


def _with_slashes(members: list[Member], found: Scan) -> list[Member]:
    """Return members by names with slashes where no name has one and some have backslashes.

    Some tools of Windows write zips so, against the standard.
    """
    names = [member.name for member in members]
    if any("/" in name for name in names) or not any("\\" in name for name in names):
        return members
    found.notes.append("names in the archive have \\ between folders, and were read with /")
    return [replace(member, name=member.name.replace("\\", "/")) for member in members]


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
        if not name or is_clutter(name):
            continue
        earlier = kept.get(name)
        if earlier and not earlier.kind == member.kind == "folder":
            refused.append((name, "the archive holds a later one of this name"))
        kept[name] = member
    return kept, refused


def _lone_top(kept: dict[str, Member], keep_splits: bool) -> str:
    """Return the one top folder that holds all, unless it is a class or a split itself."""
    tops = {name.split("/")[0] for name in kept}
    if len(tops) != 1:
        return ""
    top = tops.pop()
    if keep_splits:  # classes lie below splits, never at the top
        return "" if split_word(top) else top
    files = [PurePosixPath(name) for name, member in kept.items() if member.kind == "file"]
    depths = {len(path.parts) for path in files if images.is_photo_name(path.name)}
    return top if depths and min(depths) > 2 else ""


def _sort_out(kept: dict[str, Member], found: Scan) -> None:
    """Sort members by name into samples, refused and empty classes."""
    folders: set[str] = set()
    filled: set[str] = set()
    for name, member in kept.items():
        parts = name.split("/")
        above = {"/".join(parts[:n]) for n in range(1, len(parts))}
        folders |= above
        if member.kind == "folder":
            folders.add(name)
        elif member.kind != "file":
            found.refused.append((name, member.kind))
        else:
            class_name = "/".join(parts[:-1])
            found.files.append(SourceFile(None, name, class_name, read=member.read))
            filled |= above
    found.empty_classes += folders - filled
