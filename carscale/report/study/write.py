"""Put a study's page, tables and figures in place: a kill leaves a whole page, old or new.

Chosen: figures carry the results' hash in their names, and ``index.html`` is renamed into place
last. Rejected: renaming a whole folder, as a run's report does. Why: a study's page lies beside the
study's runs, which must not move, and four names can't be renamed at once.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from carscale import disk, files

if TYPE_CHECKING:
    from carscale.verdicts.study_result import StudyResult

OURS = re.compile(r"study-[a-z]+-([0-9a-f]{10})(?:-(?:light|dark)\.svg|\.png)")


def write_study(
    folder: Path, study: StudyResult, *, title: str = "Study", intro: str = "", command: str = ""
) -> Path:
    """Write ``index.html``, ``results.json``, tables and ``figures/``; return the page's path.

    Whatever else lies in the folder, such as the study's runs and logs, stays as it is.

    Args:
        folder: Made when absent.
        study: What was found.
        title: Of the page.
        intro: A sentence below it.
        command: What made it.
    """
    from carscale.report.study.page import build_study  # after the check of the command line

    words = {"title": title, "intro": intro, "command": command}
    text = json.dumps(words | study.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:10]
    disk.make_folder(folder)
    with disk.writing(folder), files.scratch_folder(folder / "page", "tmp") as staging:
        page, tables = build_study(study, staging, mark, words)
        _place(staging / "figures", folder / "figures")
        # the page last: it names figures by hash, so the old one stays whole until then
        for name, content in {"results.json": text, **tables, "index.html": page}.items():
            files.write_atomic(folder / name, content.encode("utf-8", "replace"))
        _sweep_figures(folder / "figures", mark)
    return folder / "index.html"


def _place(built: Path, final: Path) -> None:
    """Move figures in; none of another page has the same name."""
    final.mkdir(exist_ok=True)
    for path in sorted(built.iterdir()):
        files.fsync_path(path)
        path.replace(final / path.name)
    files.fsync_path(final)


def _sweep_figures(folder: Path, mark: str) -> None:
    """Remove figures of pages that were replaced."""
    for path in folder.glob("study-*"):
        found = OURS.fullmatch(path.name)
        if found and found[1] != mark:
            path.unlink(missing_ok=True)
