"""From a source to a frozen folder: decode, measure, assign splits, write, publish.

The folder is not called ``freeze``: importing it would replace the function ``data.freeze``.
"""
