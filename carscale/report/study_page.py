"""A study's page: what its figures, tables and words are. A arms, K classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from carscale.report.study_rows import RESULT_COLUMNS, csv_text, result_rows
from carscale.report.templating import environment

__all__ = ["build_study"]


def build_study(study: dict[str, Any], folder: Path, mark: str) -> tuple[str, dict[str, str]]:
    """Draw figures into ``folder/figures``; return the page and its tables by file name.

    Args:
        study: As ``write_study`` takes it, whole.
        folder: Where the page is built.
        mark: Goes into the figures' names.
    """
    rows = result_rows(study)
    page = environment().get_template("study.html.j2").render(study=study, rows=rows)
    (folder / "figures").mkdir()
    return page, {"results.csv": csv_text(rows, RESULT_COLUMNS)}
