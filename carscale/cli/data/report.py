"""``carscale data report ROOT``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Root
from carscale.cli.output import say


def report(
    root: Root,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page; ROOT-report beside it otherwise.")
    ] = None,
) -> None:
    """Write a page of a data set: classes, sources, quality, outliers, duplicates; print its path.

    Example: carscale data report data/cars
    """
    from carscale import workflows

    say(workflows.write_data_report(root, out))
