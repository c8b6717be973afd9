"""A new class's name in the base's own style."""

from __future__ import annotations

import re

from carscale.car_names.parse import CarName, plain_text, split_words
from carscale.car_names.words import BODY_WORDS, MAKE_WORDS
from carscale.car_names.years import split_years, year_text
from carscale.curate.name_index import NameIndex

_BODIES = {body.lower(): body for body in BODY_WORDS.values()}


class NameStyle:
    """How a base writes its names.

    Only the commonest style is imitated, ``Make Model Body 2012``; in a base of another style,
    names stay as the source has them.

    Args:
        index: The base's names.
    """

    def __init__(self, index: NameIndex) -> None:
        self.index = index
        num_plain = sum(_is_plain(name) for name in index.names)
        self.is_plain = num_plain * 2 > len(index.names)

    def restyled(self, source: str, car: CarName) -> str:
        """Return a source class's name as the base would write it; never the name of a class.

        Example:
            >>> style = NameStyle(NameIndex(["Honda Accord Coupe 2012", "Audi A4 Sedan 2012"]))
            >>> from carscale.car_names.parse import parse_name
            >>> for name in ("2014-honda-cr-v-suv", "Honda Ridgeline", "honda/jazz_'12"):
            ...     print(style.restyled(name, parse_name(name)))
            Honda CR V SUV 2014
            Honda Ridgeline
            Honda Jazz 2012
        """
        if not self.is_plain or _is_plain(source):
            return source
        text = re.sub(r"[_\s]+", " ", source.replace("\u2019", "'"))
        text, years = split_years(text)
        words = text.replace("/", " ").split()
        if len(words) == 1:
            words = text.replace("/", " ").replace("-", " ").split()
        is_one_case = not any(word != word.lower() and word != word.upper() for word in words)
        num_make = _num_make_words(words, car)
        own = self.index.by_make.get(car.make_key)
        make = self.index.spelled(car.make_key) if own else car.make
        is_known = bool(own) or car.make in MAKE_WORDS.values()
        head = [make] if is_known and num_make else words[:num_make]
        if is_one_case:
            head = head if is_known and num_make else [_cased(word) for word in head]
            words = words[:num_make] + [_cased(word) for word in words[num_make:]]
        name = " ".join([*head, *words[num_make:], *([year_text(years)] if years else [])])
        return source if not name or name in self.index.cars else name


def _is_plain(name: str) -> bool:
    """Tell whether a name has blanks, capitals and no year before the end."""
    has_marks = "_" in name or "/" in name or "'" in name
    starts_odd = not name[:1].isupper() or (name.isupper() and " " in name)
    return not has_marks and not starts_odd


def _num_make_words(words: list[str], car: CarName) -> int:
    """Return how many of the first words are the make."""
    for num_words in range(1, min(3, len(words)) + 1):
        if "".join(split_words(plain_text(" ".join(words[:num_words])))) == car.make_words:
            return num_words
    return 0


def _cased(word: str) -> str:
    """Return a word of a name written in one case with the capitals it likely has."""
    if word.lower() in _BODIES:
        return _BODIES[word.lower()]
    parts = [
        part.upper() if len(part) <= 2 or any(map(str.isdigit, part)) else part.capitalize()
        for part in word.split("-")
    ]
    return "-".join(parts)
