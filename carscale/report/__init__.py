"""Pages: of a run, of several runs, of a study, of a data set, of its duplicates.

In: a run folder with its analyses, a study's verdicts, or a frozen folder. Out: a folder with
``index.html``, figures (SVG for light and dark, PNG), tables (CSV) and thumbnails; it opens from
disk and needs no network. No number is computed here that is not in ``metrics.json``, an
``Analysis`` or a ``StudyResult``; a stale ``metrics.json`` raises.

To add a figure: one function in a ``..._plots.py`` that returns a ``Figure``, one
``figure_entry(...)`` with its CSV in a ``..._section.py``, one ``figure(...)`` line in
``page/templates/``. To add a section: ``build_x`` in such a module, its template, one line in
``split_section.py`` and in the navigation of ``page.py``.

Chosen: the error analysis is open on val and folded on test. Rejected: test first. Why: whoever
studies mistakes changes the model after them, and test numbers stay unbiased only while nobody
tunes on them.

Chosen: each figure twice, for light and for dark. Rejected: one figure in mid grey. Why: mid grey
is poor in both.

Chosen: static SVG and a hover layer that knows where points lie. Rejected: drawing in the browser.
Why: the figure prints, can be pasted into a paper, is the same bytes each time, and needs no
script. Only the matrix is drawn on a canvas too: nobody can read 2,000 classes without zoom.

Chosen: data for the scripts in ``data/<split>.js``, which assigns to one global. Rejected: JSON by
``fetch`` (browsers refuse it to a page opened from disk), all of it in ``index.html`` (that would
wait for it before it shows anything).
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
