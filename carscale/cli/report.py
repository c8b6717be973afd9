"""``carscale report RUN``: a page to open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    data_root: Annotated[
        Path | None, typer.Option(help="Where the photos lie now; the run's data.root otherwise.")
    ] = None,
) -> None:
    """Write the run's page (numbers, curves, short classes, confusions, mistakes); print its path.

    Example: carscale report runs/effnet_focal
    """
    from carscale import progress, runs
    from carscale.report import write_report

    folder = runs.find_run(run)
    with progress.bar("report", None) as advance:
        page = write_report(folder, data_root=data_root, advance=lambda step: advance(1, step))
    print(page)
