"""Build the report beside the old one, then rename: a kill leaves a whole report."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from carscale import files
from carscale.report.run.gather import gather
from carscale.report.run.page import build_page

if TYPE_CHECKING:
    from carscale.analysis.result import Analysis


STALE_S = 3600


def write_report(
    run_dir: Path,
    *,
    data_root: Path | None = None,
    analyses: Mapping[str, Analysis] | None = None,
    advance: Callable[[str], None] | None = None,
) -> Path:
    """Write ``RUN/report/`` and return the path of its ``index.html``.

    Args:
        run_dir: The run folder.
        data_root: Folder that the photos' paths start from; ``None`` takes ``data.root`` of the
            run's settings.
        analyses: What was found on val and test, by split; a split left out gets plain sections.
        advance: Told what comes next, in a few words, for a progress bar.

    Raises:
        RunError: There is no such run folder, or nothing in it to report.
        DataError: Predictions, metrics and class list do not belong together.
    """
    tell = advance or (lambda _: None)
    tell("reading the run")
    record = gather(run_dir, data_root=data_root)
    final = record.folder / "report"
    staging = record.folder / f".report.{os.getpid()}.tmp"
    _sweep(record.folder, staging)
    staging.mkdir()
    try:
        build_page(record, build_folder=staging, page_folder=final, analyses=analyses, advance=tell)
        tell("putting it in place")
        files.publish_folder(staging, final)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return final / "index.html"


def _sweep(folder: Path, staging: Path) -> None:
    """Remove what killed processes left, but not what another one may be writing now."""
    for left in folder.glob(".report.*"):
        if left == staging or time.time() - left.stat().st_mtime > STALE_S:
            shutil.rmtree(left, ignore_errors=True)
