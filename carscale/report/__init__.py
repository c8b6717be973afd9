"""One page that shows what a run learnt, where it fails and how to run it again.

In: a run folder (settings, log, metrics, predictions) and, for pictures, the photos. Out:
``RUN/report/index.html`` beside its figures (SVG for light and dark), tables (CSV) and thumbnails;
it opens from disk and asks nothing of the network. With an ``Analysis`` of a split its findings
too: groups of mistakes with their photos, slices, labels to review, actions. Or several runs, and
out comes a page that sets them side by side. Or the verdicts of a study, and out comes a page with
``results.json`` and ``results.csv``. Or a data set's duplicates, and out comes a gallery. No number
is made up here: the headline is that of ``metrics.json``, and a stale one raises.
out comes a page that sets them side by side. Or the verdicts of a study, and out comes a page
with ``results.json`` and ``results.csv``. Or a frozen folder, and out comes a page of its classes,
sources, looks and duplicates, beside it. No number is made up here: the headline is that
of ``metrics.json``, and a stale one raises.

To add a figure: one function in ``plots.py`` or ``found_plots.py`` that returns a ``Figure``, one
table of numbers that it draws, one entry in a ``..._section.py``, one ``figure(...)`` line in
``templates/``. To add a section: ``build_x`` in such a module, its template, one line in
``split_section.py`` and in ``page.py``'s list.

Chosen: the error analysis stands open on val and folded on test. Rejected: test first. Why: whoever
reads mistakes changes the model after them, and test numbers are only worth something while nobody
tuned on them.

Chosen: each figure twice, for light and for dark. Rejected: one figure in mid grey. Why: mid grey
is poor in both.

Chosen: static SVG and a hover layer that knows where points lie. Rejected: drawing in the browser.
Why: the figure prints, can be pasted into a paper, is the same bytes each time, and needs no script
to be seen. The matrix alone is drawn on a canvas too: nobody can read 2,000 classes without zoom.

Chosen: data for the scripts in ``data/<split>.js``, which assigns to one global. Rejected: JSON by
``fetch`` (browsers refuse it to a page opened from disk), all of it in ``index.html`` (that would
wait for it before it shows anything).
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
