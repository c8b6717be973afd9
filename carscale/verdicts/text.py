"""How differences are written: in percentage points, with their sign."""

from __future__ import annotations


def points(share: float, *, digits: int = 1) -> str:
    """Return a difference in points, with its sign.

    Example:
        >>> points(0.0213), points(-0.004), points(-0.0001)
        ('+2.1', '-0.4', '0.0')
    """
    shown = f"{100 * share:+.{digits}f}"
    return shown[1:] if float(shown) == 0 else shown
