"""``carscale data relabel ROOT DECISIONS OUT``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Force, Link, NewVersion, Root
from carscale.cli.output import print_notes, say


def relabel(
    root: Root,
    decisions: Annotated[
        Path,
        typer.Argument(
            help="CSV with id,path,label,decision,new_label, of a pair also other_id,other_path,"
            "other_label: what a review page, or the page of dedupe, saves. A decision is right, "
            "wrong (with a new label, or left out), unsure or leave out; of a pair same (with the "
            "class of both as new label), different or leave out."
        ),
    ],
    out: NewVersion,
    any_split: Annotated[
        bool,
        typer.Option("--any-split", help="Change val and test too; old results no longer compare."),
    ] = False,
    link: Link = "copy",
    force: Force = False,
) -> None:
    """Correct labels by a person's review, in a new version that names its parent.

    Example: carscale data relabel data/cars decisions.csv data/cars-2
    """
    from carscale import progress, workflows

    made = workflows.relabel(root, decisions, out, any_split=any_split, link=link, force=force)
    print_notes(made.warnings)
    progress.note(
        f"{made.num_relabelled} relabelled, {made.num_left_out} left out, "
        f"{made.num_unchanged} unchanged"
        + (f"; {made.num_answers} pairs answered for good" if made.num_answers else "")
    )
    say(made.root)
