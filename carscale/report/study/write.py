"""Put a study's page, tables and figures in place: a kill leaves a whole page, old or new.

Chosen: figures carry the results' hash in their names, and ``index.html`` is renamed into place
last. Rejected: renaming a whole folder, as a run's report does. Why: a study's page lies beside the
study's runs, which must not move, and four names can't be renamed at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

from carscale import files
from carscale.errors import ConfigError

STALE_S = 3600
OURS = re.compile(r"study-[a-z]+-([0-9a-f]{10})(?:-(?:light|dark)\.svg|\.png)")


def check_study_folder(folder: Path, *, replaces: bool) -> None:
    """Raise where a page of a comparison can't go.

    Args:
        folder: Where it would go; may be absent.
        replaces: Whether a page there may be replaced.

    Raises:
        ConfigError: ``folder`` is no folder, is a run, or holds a page that must stay.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder}: is no folder", "name another with: --out FOLDER")
    if (folder / "config.yaml").exists():
        raise ConfigError(
            f"{folder}: is a run folder; a comparison's page would mix with it",
            "name another with: --out FOLDER",
        )
    held = [name for name in ("index.html", "results.json") if (folder / name).exists()]
    if held and not replaces:
        raise ConfigError(f"{folder}: holds a page already ({held[0]})", "replace it with: --force")


def write_study(folder: Path, study: dict[str, Any]) -> Path:
    """Write ``index.html``, ``results.json``, tables and ``figures/``; return the page's path.

    Whatever else lies in the folder, such as the study's runs and logs, stays as it is.

    Args:
        folder: Made when absent.
        study: ``StudyResult.as_dict()``; beside it ``title``, ``intro`` (a sentence) and
            ``command`` (what made it), each of which may be missing or empty.
    """
    from carscale.report.study.page import build_study  # after the check of the command line

    study = {"title": "Study", "intro": "", "command": "", **study}
    text = json.dumps(study, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    mark = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:10]
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".page.{os.getpid()}.tmp"
    _sweep_builds(folder, staging)
    staging.mkdir()
    try:
        page, tables = build_study(study, staging, mark)
        _place(staging / "figures", folder / "figures")
        # the page last: it names figures by hash, so the old one stays whole until then
        for name, content in {"results.json": text, **tables, "index.html": page}.items():
            files.write_atomic(folder / name, content.encode("utf-8", "replace"))
        _sweep_figures(folder / "figures", mark)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
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


def _sweep_builds(folder: Path, staging: Path) -> None:
    """Remove what killed processes left, but not what another one may be writing now."""
    for left in folder.glob(".page.*.tmp"):
        if left == staging or time.time() - left.stat().st_mtime > STALE_S:
            shutil.rmtree(left, ignore_errors=True)
