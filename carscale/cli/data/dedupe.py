"""``carscale data dedupe ROOT``."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carscale import outgoing
from carscale.cli.options import Force, Json, Link, Near, Root
from carscale.cli.output import print_json, print_notes, print_table, say

if TYPE_CHECKING:
    from carscale import curate, data

CONCERNS = {"leak": "leak", "label": "two classes", "duplicate": ""}


def dedupe(
    root: Root,
    near: Near = True,
    run: Annotated[
        Path | None, typer.Option(help="Run folder: also what its model takes for the same photo.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a page with photos.")] = None,
    apply: Annotated[
        Path | None, typer.Option(help="New version to make, with one photo of each group.")
    ] = None,
    link: Link = "copy",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """List duplicate photos: leaks across splits, label conflicts, redundant copies.

    Example: carscale data dedupe data/demo --out duplicates
    """
    from carscale import data, progress, workflows

    if apply is not None:
        data.check_out(root, apply, force)
    if out is not None:
        from carscale.report import check_page_folder

        check_page_folder(out, "duplicates")
    found = workflows.find_duplicates(root, near=near, run=run)
    made = None
    if apply is not None:
        made = workflows.drop_duplicates(found, apply, link=link, force=force)
    print_notes(found.notes)
    if as_json:
        print_json(_as_dict(found, made))
    else:
        _print_table(found)
    if out is not None:
        from carscale.report import write_gallery

        command = shlex.join(["carscale", *sys.argv[1:]])
        progress.note(f"wrote {write_gallery(out, found, command=command)}")
    if made is None:
        _note_next_step(found, out)
        return
    print_notes(made.warnings)
    progress.note(
        f"left out {len(made.drops.reasons)} photos, each in {apply}/{data.DEDUPE_LIST} with the "
        "reason"
    )
    if not as_json:
        say(made.root)


def _as_dict(found: curate.Duplicates, made: curate.Deduped | None) -> dict[str, object]:
    """Return all that was found, as plain data."""
    from carscale import data

    summary: dict[str, object] = {
        "root": str(found.root),
        "counts": found.counts(),
        "looked_for_near_duplicates": found.has_near,
        "embedding_rule": data.EMBEDDING_RULE if found.run else None,
        "groups": [group.as_dict() for group in found.every()],
        "notes": found.notes,
    }
    if made is not None:
        paths = found.photos.paths_N
        summary["applied"] = {
            "root": str(made.root),
            "left_out": [
                {"path": str(paths[row]), "reason": reason}
                for row, reason in sorted(made.drops.reasons.items())
            ],
            "for_review": [group.as_dict() for group in made.drops.for_review],
            "held_out": [group.as_dict() for group in made.drops.held_out],
            "notes": made.warnings,
        }
    return summary


def _print_table(found: curate.Duplicates) -> None:
    """Print a row a photo, groups apart, then a line of counts."""
    counts = found.counts()
    print_table(("found", ">similarity", "concern", "photo"), _rows(found))
    kinds = "exact and near duplicates" if found.has_near else "exact duplicates"
    kinds += ", and pairs by embedding" if found.run else ""
    say(
        f"{counts['photos']} photos, {kinds}: {counts['groups']} groups, {counts['leaks']} across "
        f"splits, {counts['conflicts']} in two classes"
    )


def _rows(found: curate.Duplicates) -> Iterator[tuple[Any, ...]]:
    """Yield a row a photo, an empty one after each group."""
    for group in found.every():
        concern = CONCERNS[group.concern]
        if group.is_leak and group.is_conflict:
            concern = "leak, two classes"
        first = (group.kind, _similarity(group), concern)
        for n, path in enumerate(group.paths):
            yield (*(first if n == 0 else ("", "", "")), path)
        yield ("", "", "", "")


def _similarity(group: data.DuplicateGroup) -> str:
    """Return the number that says how sure a group is: of the embedding, else the agreement."""
    if group.kind == "exact":
        return "1"
    number = group.agreement if group.kind == "near" else group.links[0].cosine
    return "" if math.isnan(number) else f"{number:.3f}"


def _note_next_step(found: curate.Duplicates, out: Path | None) -> None:
    """Say what to type next."""
    from carscale import data, progress

    if found.groups and "shards" in data.read_card(found.root):
        progress.note(
            f"{outgoing.one_line(found.root)} is a pack: answer, and leave out, in the "
            "frozen folder it was made of"
        )
        return
    near = "" if found.has_near else " --no-near"
    again = f"carscale data dedupe {outgoing.command(found.root)}{near}"
    if out is None and found.counts()["conflicts"]:
        progress.note(f"see them, and say which labels are right: {again} --out FOLDER")
    if found.groups:
        progress.note(f"next: {again} --apply NEW_FOLDER")
