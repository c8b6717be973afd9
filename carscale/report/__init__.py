"""One page that shows what a run learnt, where it fails and how to run it again.

In: a run folder (settings, log, metrics, predictions) and, for pictures, the photos. Out:
``RUN/report/index.html`` beside its figures (SVG for light and dark), tables (CSV) and thumbnails;
it opens from disk and asks nothing of the network. Or the verdicts of a study, and out comes a page
with ``results.json`` and ``results.csv``. No number is made up here: the headline is that
of ``metrics.json``, and a stale one raises.

To add a figure: one function in ``plots.py`` that returns a ``Figure``, one table of
numbers in ``findings.py`` that it draws, one entry in ``page.py``, one ``figure(...)`` line in
``templates/``.

Chosen: the error analysis stands open on val and folded on test. Rejected: test first. Why: whoever
reads mistakes changes the model after them, and test numbers are only worth something while nobody
tuned on them.

Chosen: each figure twice, for light and for dark. Rejected: one figure in mid grey. Why: mid grey
is poor in both.

Chosen: static SVG and a hover layer that knows where points lie. Rejected: drawing in the browser.
Why: the figure prints, can be pasted into a paper, is the same bytes each time, and needs no script
to be seen.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carscale.report.gather import RunRecord, gather
    from carscale.report.panels import draw_panels
    from carscale.report.study_write import check_study_folder, write_study
    from carscale.report.write import write_report

__all__ = [
    "RunRecord",
    "check_study_folder",
    "draw_panels",
    "gather",
    "write_report",
    "write_study",
]

_HOMES = {
    "RunRecord": "gather",
    "check_study_folder": "study_write",
    "draw_panels": "panels",
    "gather": "gather",
    "write_report": "write",
    "write_study": "study_write",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Import a public name's module when the name is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
