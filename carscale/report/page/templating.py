"""The template engine, and how numbers are written on pages."""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from carscale import outgoing
from carscale.report.page.checks import finite, printable
from carscale.verdicts.text import metric_text, p_text, points

TEMPLATES = Path(__file__).parent / "templates"


def page_html(template: str, base: Path, context: dict[str, Any]) -> str:
    """Return a page; what names and settings hold is text on it, and no script but ours runs.

    Paths of this machine start at ``base``, so that a page that is shared tells no other.

    The page's policy lets scripts run that carry its nonce. That is a hash of the page, so that
    equal pages are equal files; nobody can put the hash of a page into that page beforehand.

    Args:
        template: File name.
        base: The folder that holds the run, or the data set, or what else the page is about.
        context: What the template names.
    """
    mark = secrets.token_hex(16)
    text = _environment(base.absolute()).get_template(template).render(context, nonce=mark)
    return text.replace(mark, hashlib.sha256(text.replace(mark, "").encode()).hexdigest()[:32])


def _environment(base: Path) -> jinja2.Environment:
    """Return the template engine; it escapes every value and knows every name, or raises."""

    def outgoing_text(value: object) -> object:
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        return outgoing.page_text(outgoing.relative(value, base), keep="\n\t")

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=outgoing_text,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=count_text,
        number=number_text,
        percent=percent_text,
        metric=metric_text,
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
