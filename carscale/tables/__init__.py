"""Manifests, predictions and embeddings on disk: Parquet, the same bytes for the same content.

In: arrays. Out: files, and arrays again. The door to pyarrow; and the reader of others' CSV.

- ``columns``: of any table, and of manifests, by their names.
- ``predictions``: and embeddings, checked as they are read.
- ``text``: CSV and TSV of any spreadsheet.
- ``sizes``, ``pages``: is a table far larger in memory than on disk?

Chosen: texts are read as dictionaries. Rejected: one object a row. Why: a text that a small file
repeats ten million times is one text.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
