"""Does it make sense how a source is to be read; attributes of photos by their paths."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from carscale.data.sources.class_folders import pattern_of
from carscale.data.sources.labels import clean_name
from carscale.data.sources.rows import Reading
from carscale.data.sources.scan import Scan
from carscale.errors import ConfigError, DataError

MAX_MARGIN = 2.0
CHOICES = {
    "split_folders": ("ask", "together", "classes"),
    "alike": ("ask", "join", "apart"),
    "crop": ("ask", "boxes", "none"),
}


def check_reading(how: Reading) -> None:
    """Raise ``ConfigError`` where options make no sense, whatever the source is."""
    for name, words in CHOICES.items():
        if getattr(how, name) not in words:
            option = name.replace("_", "-")
            listed = f"{', '.join(words[:-1])} or {words[-1]}"
            raise ConfigError(f"--{option} {getattr(how, name)}: must be {listed}")
    if how.class_from:
        pattern_of(how.class_from)
    if how.class_depth is not None and (how.class_depth < 1 or how.class_from):
        why = "--class-from says it already" if how.class_from else "must be 1 or more"
        raise ConfigError(f"--class-depth {how.class_depth}: {why}")
    if not 0 <= how.box_margin <= MAX_MARGIN:  # false for NaN
        raise ConfigError(
            f"--box-margin {how.box_margin}: must be 0 to {MAX_MARGIN:g}",
            "for a tenth of the box on each side: --box-margin 0.1",
        )
    if how.box_margin and how.crop != "boxes":
        raise ConfigError("--box-margin: is of boxes that are cut out", "add: --crop boxes")
    _patterns(how)


def attributes_of(texts: list[str]) -> tuple[tuple[str, str], ...]:
    """Return attributes as ``Reading`` has them.

    Args:
        texts: ``NAME=REGEX`` each.

    Raises:
        ConfigError: One has no name or no expression.

    Example:
        >>> attributes_of(["colour=([^/]+)/[^/]+$"])
        (('colour', '([^/]+)/[^/]+$'),)
    """
    pairs = [text.partition("=") for text in texts]
    for text, (name, _, pattern) in zip(texts, pairs, strict=True):
        if not name.strip() or not pattern:
            raise ConfigError(
                f"--attribute {text!r}: must be NAME=REGEX",
                "for the last folder: --attribute 'colour=([^/]+)/[^/]+$'",
            )
    return tuple((name.strip(), pattern) for name, _, pattern in pairs)


def note_attributes(found: Scan, where: Path | str, how: Reading) -> None:
    """Give files the attributes that their paths say.

    Raises:
        DataError: An expression matches none of the paths.
    """
    if not how.attributes:
        return
    patterns = _patterns(how)
    values: list[list[tuple[str, str]]] = [[] for _ in found.files]
    for name, pattern in patterns.items():
        num_before = sum(map(len, values))
        for file, own in zip(found.files, values, strict=True):
            match = pattern.search(file.relative)
            text = clean_name((match[1] if pattern.groups else match[0]) or "") if match else ""
            if text:
                own.append((name, text))
        if sum(map(len, values)) == num_before:
            raise DataError(
                f"{where}: --attribute {name}={pattern.pattern} matches none of "
                f"{len(found.files)} paths; the first: {found.files[0].relative}"
            )
    found.files = [
        replace(file, attributes=tuple(own)) for file, own in zip(found.files, values, strict=True)
    ]


def _patterns(how: Reading) -> dict[str, re.Pattern[str]]:
    """Return the expression of each attribute."""
    found: dict[str, re.Pattern[str]] = {}
    for name, text in how.attributes:
        if name in found:
            raise ConfigError(f"--attribute {name}: is given twice")
        try:
            found[name] = re.compile(text)
        except re.error as error:
            raise ConfigError(
                f"--attribute {name}={text}: is no regular expression: {error}"
            ) from error
    return found
