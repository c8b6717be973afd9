"""``carscale report RUN [RUN...]``: pages to open."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from carscale.analysis import Analysis
    from carscale.runs import RunFolder


def report(
    run: Annotated[list[Path], typer.Argument(help="Run folders.")],
    data_root: Annotated[
        Path | None, typer.Option(help="Where the photos lie now; the run's data.root otherwise.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the page of several runs; report/ beside them otherwise."),
    ] = None,
) -> None:
    """Write a run's page (numbers, classes, confusions, causes, labels to check); print its path.

    Several runs get a page each and one that sets them side by side.

    Example: carscale report runs/effnet_focal
    """
    from carscale import progress
    from carscale.report import check_page_folder, write_overview, write_report
    from carscale.runs import RunFolder

    folders = list(dict.fromkeys(RunFolder.open(each) for each in run))
    beside = out or _common_parent(folders) / "report"
    if len(folders) > 1:
        check_page_folder(beside, "runs")
    found = []
    for folder in folders:
        with progress.bar(f"report {folder.name}", None) as advance:
            tell = partial(advance, 1)
            found.append(_analyses(folder, data_root, tell))
            page = write_report(folder.path, data_root=data_root, analyses=found[-1], advance=tell)
        print(page)
        _track(folder, page.parent)
    if len(folders) > 1:
        print(write_overview([each.path for each in folders], beside, analyses=found))


def _analyses(
    folder: RunFolder, data_root: Path | None, advance: Callable[[str], None]
) -> dict[str, Analysis]:
    """Return what was found in a run, by split that was predicted."""
    from carscale.workflows.errors import analyse_run

    return {
        split: analyse_run(folder, split, data_root=data_root, advance=advance)
        for split in folder.predicted_splits
    }


def _track(folder: RunFolder, page_folder: Path) -> None:
    """Hand the page's figures to the run's tracker, where it has one."""
    tracker = folder.settings().train.tracker
    if tracker == "none":
        return
    from carscale import images, progress
    from carscale.world import track_pictures

    figures = sorted((page_folder / "figures").glob("*.png"))
    pictures = {f"report/{file.stem}": images.decode(file.read_bytes()) for file in figures}
    project = folder.environment().get("recipe", folder.name)
    if not track_pictures(tracker, folder, str(project), pictures):
        progress.note(f"train.tracker={tracker} takes no pictures; they are in {page_folder}")


def _common_parent(folders: list[RunFolder]) -> Path:
    """Return the folder that all runs lie in."""
    return Path(os.path.commonpath([folder.path.absolute().parent for folder in folders]))
