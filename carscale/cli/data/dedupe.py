"""``carscale data dedupe ROOT``."""

from __future__ import annotations

import json
import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carscale.cli.terminal import shown

if TYPE_CHECKING:
    from carscale import curate

CONCERNS = {"leak": "leak", "label": "two classes", "duplicate": ""}


def dedupe_photos(
    root: Annotated[Path, typer.Argument(help="Frozen folder or pack; it stays as it is.")],
    near: Annotated[
        bool, typer.Option("--near", help="Near duplicates too: stored anew, resized, cut.")
    ] = False,
    run: Annotated[
        Path | None, typer.Option(help="Run folder: also what its model takes for the same photo.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a page with photos.")] = None,
    apply: Annotated[
        Path | None, typer.Option(help="New version to make, with one photo of each group.")
    ] = None,
    link: Annotated[str, typer.Option(help="copy, or hard to share bytes with ROOT.")] = "copy",
    force: Annotated[bool, typer.Option("--force", help="Replace a frozen folder there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """List photos that are there more than once: across splits, across classes, or just twice.

    Example: carscale data dedupe data/demo --near --out duplicates
    """
    from carscale import curate, data, progress, runs

    if apply is not None:
        data.check_out(root, apply, force)
    if out is not None:
        from carscale.report import check_gallery_folder

        check_gallery_folder(out)
    with progress.stages() as advance:
        found = curate.find_duplicates(
            root, near=near, run=None if run is None else runs.find_run(run), advance=advance
        )
        made = None
        if apply is not None:
            made = curate.drop_duplicates(found, apply, link=link, force=force, advance=advance)
    for line in found.notes:
        progress.note(f"note: {line}")
    if as_json:
        print(json.dumps(_as_dict(found, made), indent=1, ensure_ascii=False))
    else:
        _print_table(found)
    if out is not None:
        from carscale.report import write_gallery

        command = shlex.join(["carscale", *sys.argv[1:]])
        progress.note(f"wrote {write_gallery(out, found, command=command)}")
    if made is None:
        _next_steps(found)
        return
    for line in made.warnings:
        progress.note(f"note: {line}")
    progress.note(
        f"left out {len(made.drops.reasons)} photos, each in {apply}/{data.DEDUPE_LIST} with the "
        "reason"
    )
    if not as_json:
        print(made.root)


def _as_dict(found: curate.Found, made: curate.Deduped | None) -> dict[str, object]:
    """Return all that was found, as plain data."""
    from carscale import data

    told: dict[str, object] = {
        "root": str(found.root),
        "counts": found.counts(),
        "looked_for_near_duplicates": found.has_near,
        "embedding_rule": data.EMBEDDING_RULE if found.run else None,
        "groups": [group.as_dict() for group in found.every],
        "notes": found.notes,
    }
    if made is not None:
        paths = found.photos.paths_N
        told["applied"] = {
            "root": str(made.root),
            "left_out": [
                {"path": str(paths[row]), "reason": reason}
                for row, reason in sorted(made.drops.reasons.items())
            ],
            "for_review": [group.as_dict() for group in made.drops.for_review],
            "held_out": [group.as_dict() for group in made.drops.held_out],
            "notes": made.warnings,
        }
    return told


def _print_table(found: curate.Found) -> None:
    """Print a row a photo, groups apart, then a line of counts."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=max(100, Console().width))
    counts = found.counts()
    if counts["groups"]:
        table = Table(box=None, pad_edge=False)
        table.add_column("found")
        table.add_column("alike", justify="right")
        table.add_column("concern")
        table.add_column("photo", overflow="fold")
        for group in found.every:
            first = (group.kind, _alike_text(group), CONCERNS[group.concern])
            if group.is_leak and group.is_conflict:
                first = (*first[:2], "leak, two classes")
            for n, path in enumerate(group.paths):
                cells = first if n == 0 else ("", "", "")
                table.add_row(*(Text(shown(cell)) for cell in (*cells, path)))
            table.add_row()
        console.print(table)
    kinds = "exact and near duplicates" if found.has_near else "exact duplicates"
    kinds += ", and pairs by embedding" if found.run else ""
    console.print(
        f"{counts['photos']} photos, {kinds}: {counts['groups']} groups, {counts['leaks']} across "
        f"splits, {counts['conflicts']} in two classes",
        soft_wrap=True,
        highlight=False,
    )


def _alike_text(group: curate.DuplicateGroup) -> str:
    """Return the number that says how sure a group is: of the embedding, else the correlation."""
    if group.kind == "exact":
        return "1"
    number = group.correlation if group.kind == "near" else group.links[0].cosine
    return "" if math.isnan(number) else f"{number:.3f}"


def _next_steps(found: curate.Found) -> None:
    """Say what to type next."""
    from carscale import progress

    near = " --near" if found.has_near else ""
    if found.groups:
        progress.note(f"next: carscale data dedupe {found.root}{near} --apply NEW_FOLDER")
    elif not found.has_near:
        progress.note(f"next: carscale data dedupe {found.root} --near")
