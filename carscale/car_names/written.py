"""What a class name tells, spelled for people: from the one parser, with the name's own letters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from carscale.car_names.parse import CarName, parse_name, plain_text, split_words
from carscale.car_names.words import MAKE_WORDS
from carscale.car_names.years import OPEN_END
from carscale.types import CarClass

_TOKEN = re.compile(r"[^\s_/.-]+")


def car_class(name: str, folder: str, known: Mapping[str, str] | None = None) -> CarClass:
    """Return a class with the make, model, body and year that its name tells.

    Well-known makes and all bodies are spelled one way, models as in the name; of several years the
    last is taken.

    Args:
        name: As ``parse_name`` takes it.
        folder: Where it lies.
        known: What is known of ``make``, ``model``, ``body`` and ``year``, whatever the name tells.

    Example:
        >>> car = car_class("VW Golf GTI Estate 1991", "x")
        >>> car.make, car.model, car.body, car.year
        ('Volkswagen', 'Golf GTI', 'Wagon', 1991)
        >>> car_class("Ram C/V Cargo Van", "x").model, car_class("audi/a4", "x").make
        ('C/V Cargo', 'Audi')
        >>> car_class("Qux Two R", "x", {"make": "Qux Two", "model": "R"}).make
        'Qux Two'
    """
    told = _told(name, folder)
    if not known:
        return told
    make = known.get("make", "")
    spelled = MAKE_WORDS.get("".join(split_words(plain_text(make))), make)
    return CarClass(
        name,
        folder,
        spelled or told.make,
        known.get("model") or told.model,
        parse_name(f"x {known['body']}").body or known["body"] if "body" in known else told.body,
        int(known["year"][:4]) if known.get("year", "")[:4].isdecimal() else told.year,
    )


def _told(name: str, folder: str) -> CarClass:
    """Return a class with what its name tells."""
    car = parse_name(name)
    if not (car.model or car.body or car.years):
        return CarClass(name, folder)
    make = car.make if car.make in MAKE_WORDS.values() else written_make(name, car) or car.make
    first, last = car.years or (None, None)
    year = first if last == OPEN_END else last
    return CarClass(name, folder, make, _written_model(name, car) or None, car.body, year)


def written_make(name: str, car: CarName) -> str:
    """Return the make as a name writes it; empty where it is not written.

    Args:
        name: Of a class.
        car: What ``parse_name`` made of it.

    Example:
        >>> name = "FIAT 500 Abarth 2012"
        >>> written_make(name, parse_name(name))
        'FIAT'
    """
    return _joined(name, _make_tokens(name, car))


def _make_tokens(name: str, car: CarName) -> set[tuple[int, int]]:
    """Return where the make stands in a name."""
    words = _words_of(name)
    for start in range(len(words)):
        text = ""
        for end in range(start, len(words)):
            text += words[end][0]
            if text == car.make_words:
                return {token for _, token in words[start : end + 1]}
            if not car.make_words.startswith(text):
                break
    return set()


def _written_model(name: str, car: CarName) -> str:
    """Return the model as a name writes it."""
    words = _words_of(name)
    tokens = set()
    for model_word in reversed(car.model_words):  # makes come first and may be models too
        while words and words[-1][0] != model_word:
            words.pop()
        if not words:
            return " ".join(car.model_words)
        tokens.add(words.pop()[1])
    if tokens & _make_tokens(name, car):  # kia+ceed
        return " ".join(car.model_words)
    return _joined(name, tokens)


def _words_of(name: str) -> list[tuple[str, tuple[int, int]]]:
    """Return a name's plain words, and where each stands in the name."""
    return [
        (word, found.span())
        for found in _TOKEN.finditer(name)
        for word in split_words(plain_text(found[0]))
    ]


def _joined(name: str, tokens: Iterable[tuple[int, int]]) -> str:
    """Return parts of a name; ``-``, ``/`` and ``.`` stay between where the name has blanks too."""
    is_spaced = re.search(r"[\s_]", name) is not None
    text, last = "", 0
    for start, end in sorted(tokens):
        between = name[last:start]
        glue = between if is_spaced and between in ("-", "/", ".") else " "
        text += (glue if text else "") + name[start:end]
        last = end
    return text
