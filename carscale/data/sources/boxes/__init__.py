"""Sources that say where in a photo the car is: one module a format, and what all share.

A format's ``read`` takes the files of a source and yields a ``BoxRow`` for each box, or returns
``None`` where the source is of another format. To add one: a module, and a line in ``FORMATS`` of
``scan_boxes``.
"""
