"""Where photos come from: folders, archives, tables, the hub, WebDataset, frozen folders.

In: a path or address. Out: a ``Scan``, the usable files with their classes and splits, and the
refused ones with reasons. Add a source: a module with a ``scan_...`` function, a line in
``open_source``.
"""
