"""``carscale data refine ROOT OUT``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Force, Link, NewVersion, Root
from carscale.cli.output import print_notes, say


def refine(
    root: Root,
    out: NewVersion,
    merges: Annotated[
        list[str] | None,
        typer.Option("--merge", help="'A + B -> C', once or more: classes that become one."),
    ] = None,
    split: Annotated[
        Path | None,
        typer.Option(help="CSV of path (or key) and class: photos that become another class."),
    ] = None,
    actions: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Merge what the run's actions advise.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Take back the last refinement.")] = False,
    link: Link = "copy",
    force: Force = False,
) -> None:
    """Merge or split classes, in a new version of the same photos and splits.

    Example: carscale data refine data/cars data/cars-2 --merge 'Audi TT + Audi TTS -> Audi TT'
    """
    from carscale import progress, workflows

    made = workflows.refine(
        root,
        out,
        merges=merges or (),
        split=split,
        actions=actions,
        undo=undo,
        link=link,
        force=force,
    )
    print_notes(made.warnings)
    for merge in made.card.get("refined", {}).get("merges", ()):
        progress.note(f"merged: {' + '.join(merge['classes'])} -> {merge['to']}")
    progress.note(f"{made.num_changed} photos have another class; {made.num_classes} classes")
    if not undo:
        again = shlex.join(["carscale", "data", "refine", str(out), f"{out}-before", "--undo"])
        progress.note(f"to take it back: {again}")
    say(made.root)
