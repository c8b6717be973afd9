"""Years in class names: ``2012``, ``'12``, ``MY12``, ``2010-2013``. Pure functions of text."""

from __future__ import annotations

import re

from carscale.car_names.words import YEAR

Years = tuple[int, int]
"""First and last year, the same for one year."""

OPEN_END = 9999
"""Last year of ``2015-present``."""

_YEAR = YEAR.pattern.replace(r"\b", "")
_MODEL_YEAR = re.compile(
    rf"(?<!\w)(?:(?:my|model year)[ -]?'?({_YEAR}|\d\d)|({_YEAR}|\d\d)[ -]?my)(?!\w)", re.IGNORECASE
)
_SHORT = re.compile(r"(?<!\w)'(\d\d)(?!\w)")
_RANGE = re.compile(
    rf"(?<!\w)({_YEAR})(?: ?(?:-|/|to) ?({_YEAR}|\d\d)|[ -]*(?:to )?(present|now|\+))(?!\w)",
    re.IGNORECASE,
)
_PLAIN = re.compile(rf"(?<!\w)({_YEAR})(?!\w)")
_EDGE = " -/_()[],.'"


def split_years(text: str) -> tuple[str, Years | None]:
    """Return a name without its year, and the year or range.

    The year at the end counts before one inside; where years stand at both ends, the first is the
    year and the last a part of the model (``2012 Peugeot 2008``).

    Args:
        text: Separators are blanks, ``-`` or ``/``; apostrophes are ``'``.

    Example:
        >>> split_years("2012-audi-a4"), split_years("Audi A4 '12"), split_years("A4 2010-13")
        (('audi-a4', (2012, 2012)), ('Audi A4', (2012, 2012)), ('A4', (2010, 2013)))
        >>> split_years("2012 Peugeot 2008")
        ('Peugeot 2008', (2012, 2012))
    """
    for pattern in (_MODEL_YEAR, _SHORT):
        if found := pattern.search(text):
            year = _full(next(group for group in found.groups() if group))
            return _cut(text, found), (year, year)
    if ranges := [(found, years) for found in _RANGE.finditer(text) if (years := _span(found))]:
        found, years = ranges[-1]
        return _cut(text, found), years
    plain = list(_PLAIN.finditer(text))
    if not plain:
        return text.strip(_EDGE), None
    has_both = len(plain) > 1 and not text[: plain[0].start()].strip(_EDGE)
    found = plain[0] if has_both else plain[-1]
    year = int(found[1])
    return _cut(text, found), (year, year)


def year_text(years: Years) -> str:
    """Return years as people write them.

    Example:
        >>> year_text((2012, 2012)), year_text((2010, 2013)), year_text((2015, OPEN_END))
        ('2012', '2010-2013', '2015-present')
    """
    first, last = years
    if first == last:
        return str(first)
    return f"{first}-{'present' if last == OPEN_END else last}"


def _span(found: re.Match[str]) -> Years | None:
    """Return a range that makes sense: upwards, and two digits within fifteen years."""
    first = int(found[1])
    if found[3]:
        return first, OPEN_END
    last = int(found[2]) if len(found[2]) == 4 else first // 100 * 100 + int(found[2])
    if len(found[2]) == 2 and last - first > 15:
        return None
    return (first, last) if last > first else None


def _full(digits: str) -> int:
    """Return a year of two or four digits; two mean 1950 to 2049."""
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if year < 50 else 1900)


def _cut(text: str, found: re.Match[str]) -> str:
    """Return a text without a match, tidy where it was."""
    head, tail = text[: found.start()].rstrip(_EDGE), text[found.end() :].lstrip(_EDGE)
    glue = text[found.end() : found.end() + 1] if head and tail else ""
    return f"{head}{glue if glue in ('/', '-') else ' '}{tail}".strip(_EDGE)
