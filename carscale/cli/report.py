"""``carscale report RUN [RUN...]``: pages to open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import DataRoot
from carscale.cli.output import say


def report(
    run: Annotated[list[Path], typer.Argument(help="Run folders.")],
    data_root: DataRoot = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the page of several runs; report/ beside them otherwise."),
    ] = None,
) -> None:
    """Write a run's page (metrics, classes, confusions, causes, labels to check); print its path.

    Several runs get a page each and one that sets them side by side.

    Example: carscale report runs/effnet_focal
    """
    from carscale import workflows

    for page in workflows.write_reports(run, data_root=data_root, out=out):
        say(page)
