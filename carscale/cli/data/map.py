"""``carscale data map BASE SOURCE``: which base class is each source class?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import (
    BoxMargin,
    ClassDepth,
    ClassFrom,
    Crop,
    FollowLinks,
    Force,
    ImageColumn,
    Json,
    LabelColumn,
    OtherSet,
    Root,
    answers_as_commands,
    typed_options,
)
from carscale.cli.output import print_json, print_notes, print_table

READING = (
    *("image_column", "label_column", "class_depth", "class_from", "crop", "box_margin"),
    "follow_links",
)
"""Options that say how the source is read, which a merge needs too."""


def map_classes(
    ctx: typer.Context,
    base: Root,
    source: OtherSet,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="YAML to write and edit.")] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder: also ask what its model sees in the photos.")
    ] = None,
    num_photos: Annotated[
        int, typer.Option(min=1, help="Most photos of a source class that the run predicts.")
    ] = 40,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    class_depth: ClassDepth = None,
    class_from: ClassFrom = None,
    crop: Crop = "ask",
    box_margin: BoxMargin = 0.0,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    force: Force = False,
) -> None:
    """Propose which base class each source class is, as a file to read, edit and merge by.

    Example: carscale data map data/cars more-photos -o map.yaml
    """
    from carscale import curate, progress, workflows

    with answers_as_commands(ctx):
        found = workflows.map_classes(
            base,
            source,
            out,
            run=run,
            num_photos=num_photos,
            image_column=image_column,
            label_column=label_column,
            class_depth=class_depth,
            class_from=class_from,
            crop=crop,
            box_margin=box_margin,
            follow_links=follow_links,
            force=force,
        )
    print_notes(found.notes)
    if as_json:
        print_json(found.to_dict())
    else:
        order = {outcome: place for place, outcome in enumerate(curate.OUTCOMES)}
        rows = sorted(found.proposals, key=lambda one: (order[one.outcome], one.score, one.source))
        print_table(
            ("source class", "outcome", "becomes", ">score", "reason"),
            (
                (
                    one.source,
                    (one.outcome, "yellow" if one.outcome == "ambiguous" else ""),
                    " or ".join(one.candidates) if one.outcome == "ambiguous" else one.target,
                    "" if one.outcome == "new" else f"{one.score:.2f}",
                    "; ".join(part for part in (one.reason, one.note) if part),
                )
                for one in rows
            ),
        )
    counts = ", ".join(f"{found.outcomes[outcome]} {outcome}" for outcome in curate.OUTCOMES)
    progress.note(f"{len(found.proposals)} source classes: {counts}")
    if out is None:
        progress.note("note: nothing was written; write the map: --out map.yaml")
        return
    if found.outcomes["ambiguous"]:
        progress.note(f"choose in {out} for each 'ambiguous', then:")
    read = typed_options(ctx, *READING)
    words = ["carscale", "data", "merge", str(base), str(source), "--map", str(out), *read, "OUT"]
    progress.note(f"next: {shlex.join(words)}")
