"""The template engine, and how numbers are written on pages."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from carscale.report.page.checks import finite, printable
from carscale.verdicts.text import p_text, points

TEMPLATES = Path(__file__).parent / "templates"


def environment() -> jinja2.Environment:
    """Return the template engine; it escapes every value and knows every name, or raises."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count_text,
        number=number_text,
        percent=percent_text,
        points=points,
        span=span_text,
        p_value=p_value_text,
        codes=code_html,
        finite=finite,
        printable=printable,
    )
    return environment


def code_html(text: object) -> Markup:
    """Return text as HTML, escaped, what stands between backticks as code.

    Example:
        >>> str(code_html("try `a=1` & <b>"))
        'try <code>a=1</code> &amp; &lt;b&gt;'
    """
    escaped = str(escape(str(text)))
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", escaped))


def percent_text(value: object, digits: int = 1) -> str:
    """Return a share as text; the sign stays with its number.

    Example:
        >>> percent_text(0.8125).split(), percent_text(None)
        (['81.2', '%'], '–')
    """
    number = finite(value)
    return "–" if number is None else f"{100 * number:.{digits}f}\N{NO-BREAK SPACE}%"


def number_text(value: object, digits: int = 3) -> str:
    """Return a number as text."""
    number = finite(value)
    return "–" if number is None else f"{number:.{digits}f}"


def p_value_text(value: object) -> str:
    """Return a p-value as text; a dash for none."""
    number = finite(value)
    return "–" if number is None else p_text(number).replace("< ", "<\N{NO-BREAK SPACE}")


def count_text(value: object) -> str:
    """Return a count as text, thousands apart."""
    number = finite(value)
    return "–" if number is None else f"{number:,.0f}"


def span_text(seconds: object) -> str:
    """Return seconds as people say them.

    Example:
        >>> span_text(8.24), span_text(75), span_text(7260), span_text(None)
        ('8.2 s', '1 min 15 s', '2 h 01 min', '–')
    """
    number = finite(seconds)
    if number is None:
        return "–"
    whole = round(number)
    if number < 59.95:
        return f"{number:.1f} s" if number < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
