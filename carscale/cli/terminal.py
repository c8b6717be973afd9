"""Text of others on a terminal."""

from __future__ import annotations


def shown(text: object) -> str:
    r"""Return text on one line without what a terminal would obey; names of photos are anyone's.

    Example:
        >>> shown("a\nb\x1b[31m, Škoda")
        'a\\nb\\x1b[31m, Škoda'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
