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
    from carscale import progress, runs
    from carscale.report import check_page_folder, write_overview, write_report

    folders = list(dict.fromkeys(runs.find_run(each) for each in run))
    beside = out or _common_parent(folders) / "report"
    if len(folders) > 1:
        check_page_folder(beside, "runs")
    found = []
    for folder in folders:
        with progress.bar(f"report {folder.name}", None) as advance:
            tell = partial(advance, 1)
            found.append(_analyses(folder, data_root, tell))
            page = write_report(folder, data_root=data_root, analyses=found[-1], advance=tell)
        print(page)
        _track(folder, page.parent)
    if len(folders) > 1:
        print(write_overview(folders, beside, analyses=found))


def _analyses(
    folder: Path, data_root: Path | None, advance: Callable[[str], None]
) -> dict[str, Analysis]:
    """Return what was found in a run, by split that was predicted."""
    from carscale.report import predicted_splits
    from carscale.workflows.errors import analyse_run

    return {
        split: analyse_run(folder, split, data_root=data_root, advance=advance)
        for split in predicted_splits(folder)
    }


def _track(folder: Path, page_folder: Path) -> None:
    """Hand the page's figures to the run's tracker, where it has one."""
    from carscale import config

    path = folder / "config.yaml"
    tracker = config.from_yaml(path).train.tracker if path.is_file() else "none"
    if tracker == "none":
        return
    from carscale import files, images, progress
    from carscale.world import track_pictures

    figures = sorted((page_folder / "figures").glob("*.png"))
    pictures = {f"report/{file.stem}": images.decode(file.read_bytes()) for file in figures}
    env = folder / "env.json"
    project = files.read_json(env).get("recipe", folder.name) if env.is_file() else folder.name
    if not track_pictures(tracker, folder, str(project), pictures):
        progress.note(f"train.tracker={tracker} takes no pictures; they are in {page_folder}")


def _common_parent(folders: list[Path]) -> Path:
    """Return the folder that all runs lie in."""
    return Path(os.path.commonpath([folder.absolute().parent for folder in folders]))
