"""``carscale data report ROOT``: a page of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report_data(
    root: Annotated[Path, typer.Argument(help="Frozen folder or pack; it stays as it is.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page; ROOT-report beside it otherwise.")
    ] = None,
) -> None:
    """Write a page of a data set: classes, sources, looks, odd photos, duplicates; print its path.

    Example: carscale data report data/cars
    """
    from carscale import data, progress
    from carscale.report import check_data_folder, write_data_report

    data.read_card(root)  # a wrong folder is a wrong input, said at once
    folder = out or root.parent / f"{root.name}-report"
    if out is None and root.name in ("", ".."):
        folder = root.resolve().with_name(f"{root.resolve().name}-report")
    check_data_folder(folder)
    with progress.stages(unit="") as advance:
        page = write_data_report(root, folder, advance=advance)
    print(page)
