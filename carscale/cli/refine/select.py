"""``carscale select RUN OUT.parquet``: train photos that resemble what goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import DataRoot, Force, RunFolderArg
from carscale.cli.output import say
from carscale.progress import note


def select(
    run: RunFolderArg,
    out: Annotated[Path, typer.Argument(metavar="OUT.parquet", help="Table to write.")],
    by: Annotated[
        str,
        typer.Option(
            help="hard, uncertain, forgotten, confused-pairs, low-recall, group:NAME of an error "
            "group, near:12,40 of val photos; random, to compare with."
        ),
    ],
    size: Annotated[int, typer.Option(help="How many photos, at most.")] = 500,
    data_root: DataRoot = None,
    force: Force = False,
) -> None:
    """Select train photos that resemble what goes wrong on val, diverse, to fine-tune on.

    Example: carscale select runs/effnet_focal hard.parquet --by confused-pairs --size 200
    """
    from carscale import workflows

    found = workflows.select(run, out, by=by, size=size, data_root=data_root, force=force)
    selection = found.selection
    if selection.num_suspects:
        note(f"{selection.num_suspects} more suit, but their label is probably wrong")
    if not selection.is_reviewed:
        note("labels of train were not reviewed, so wrong ones may be among these")
    few = f", {size} were wanted" if len(selection.rows_S) < size else ""
    say(f"{len(selection.rows_S)} photos{few}")
    say(found.path)
    say(found.page)
