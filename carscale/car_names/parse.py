"""What a class name tells, however it is written: make, model, body, years.

Two names are the same car when their ``identity`` is the same. What differs only in case, accents,
separators (``CRV``, ``CR-V``, ``CR V``), order of make and year, or well-known words (VW, estate)
is the same; digits are never glued or guessed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

from carscale.car_names.words import BODY_WORDS, CABS, MAKE_BODIES, MAKE_WORDS, YEAR_LIKE_MODELS
from carscale.car_names.years import Years, split_years

_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i"})
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_APOSTROPHES = re.compile("[\u2018\u2019\u00b4`\u02bc]")
_LETTER_PAIR = re.compile(r"(?<= )([a-z\d])/([a-z\d])(?![^ ])")
"""``Cargo C/V``: no folders."""
_TOP_FOLDERS = frozenset({"car", "cars", "vehicles", "photos", "pictures", "images", "dataset"})
_NUMERALS = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii", "xiii")
_ROMANS = {word: str(number) for number, word in enumerate(_NUMERALS, start=1)}
_BEFORE_ROMAN = frozenset({"mark", "gen", "generation", "evo", "evolution", "phase"})
_MARK = re.compile(r"mk(\d+|i{1,3}|iv|v|vi{1,3})?$")
_OTHER_WORDS = {"klasse": "class", "classe": "class", "serie": "series", "reihe": "series"}
_LONGEST_BODY = max(map(len, BODY_WORDS))


@dataclass(frozen=True)
class CarName:
    """A parsed class name.

    Attributes:
        make: As most people write it, or the first word in lower case; never empty.
        model: Letters and digits in turns, lower case: ``("cr", "v")``; empty when the name tells
            none.
        body: One word of ``car_words.BODY_WORDS``'s values.
        years: First and last.
        said: What was read as something else: ``vw is Volkswagen``.
        make_words: The make as it was written, words without separators.
        model_words: The model as it was written, plain words.
    """

    make: str
    model: tuple[str, ...] = ()
    body: str | None = None
    years: Years | None = None
    said: tuple[str, ...] = field(default=(), compare=False)
    make_words: str = field(default="", compare=False)
    model_words: tuple[str, ...] = field(default=(), compare=False)

    @property
    def make_key(self) -> str:
        """Return the make without case and separators."""
        return "".join(split_words(plain_text(self.make))) or self.make

    @property
    def model_key(self) -> str:
        """Return the model without separators, digits kept apart from digits."""
        return joined(self.model)

    @property
    def identity(self) -> tuple[str, str, str | None, Years | None]:
        """Return what two names of one car share."""
        return self.make_key, self.model_key, self.body, self.years


def parse_name(name: str) -> CarName:
    """Return what a class name tells.

    Args:
        name: ``Audi A4 Sedan 2012``, ``2012-audi-a4-saloon``, ``audi/a4_'12``; any text.

    Example:
        >>> car = parse_name("vw_golf_mk2_estate_'91")
        >>> car.make, car.model_key, car.body, car.years
        ('Volkswagen', 'golfmark2', 'Wagon', (1991, 1991))
        >>> parse_name("Honda CRV").identity == parse_name("honda/cr-v").identity
        True
    """
    text = plain_text(name)
    rest, years = split_years(text)
    car = _parse_rest(rest, years)
    if years is None or (car is not None and car.model):
        return car or CarName(make=name)
    whole = _parse_rest(text, None)  # Peugeot 2008: the year is the model
    if whole and whole.model and (whole.make, whole.model[0]) in YEAR_LIKE_MODELS:
        return whole
    return car or CarName(make=name)


def plain_text(name: str) -> str:
    """Return a name in lower case without Latin accents, ``_`` as blanks, plain dashes.

    Marks of other scripts stay: there they make other letters.

    Example:
        >>> plain_text("Škoda_Coupé"), plain_text("Citroën C3’12")
        ('skoda coupe', "citroen c3'12")
    """
    text = re.sub(r"([A-Za-z])[\u0300-\u036f]+", r"\1", unicodedata.normalize("NFKD", name))
    text = unicodedata.normalize("NFC", text).casefold().translate(_LETTERS)
    text = _APOSTROPHES.sub("'", _DASHES.sub("-", text))
    return " ".join(text.replace("_", " ").replace("&", " and ").split())


def split_words(text: str) -> list[str]:
    """Return a plain text's words: letters, digits and pictures, parted by all else.

    Example:
        >>> split_words("kia cee'd 1.6-t/gt")
        ['kia', 'ceed', '1', '6', 't', 'gt']
    """
    text = re.sub(r"(?<=\w)'(?=\w)", "", text).replace("+", " plus ")
    return "".join(letter if _is_of_word(letter) else " " for letter in text).split()


def joined(parts: tuple[str, ...] | list[str]) -> str:
    """Return parts without separators; a dot keeps numbers apart.

    Example:
        >>> joined(("lp", "570", "4"))
        'lp570.4'
    """
    return re.sub(r"(?<=\d) (?=\d)", ".", " ".join(parts)).replace(" ", "")


def _parse_rest(text: str, years: Years | None) -> CarName | None:
    """Read make, model and body; ``None`` when there is no word."""
    said: list[str] = []
    whole = _LETTER_PAIR.sub(r"\1-\2", text)
    parts = [words for part in whole.split("/") if (words := split_words(part))]
    while len(parts) > 1 and joined(parts[0]) in _TOP_FOLDERS:
        parts.pop(0)
    if not parts:
        return None
    make, num_words = _find_make(parts)
    words = [word for part in parts for word in part]
    make_words = "".join(words[:num_words])
    rest = words[num_words:]
    if len(parts) > 1:  # audi/audi_a4
        again, num_again = _find_make([rest]) if rest else ("", 0)
        rest = rest[num_again:] if again == make else rest
    if make_words and make_words != "".join(split_words(plain_text(make))):
        said.append(f"{' '.join(words[:num_words])} is {make}")
    body, rest = _take_body(make, rest, said)
    model = _model_parts(make, rest, said)
    return CarName(make, model, body, years, tuple(said), make_words, tuple(rest))


def _find_make(parts: list[list[str]]) -> tuple[str, int]:
    """Return the make and how many of the first words say it."""
    words = parts[0] if len(parts) > 1 else [word for part in parts for word in part]
    if "".join(words[:2]) == "rangerover" or words[0] == "rangerover":
        return "Land Rover", 0
    for num_words in (3, 2, 1):
        known = MAKE_WORDS.get("".join(words[:num_words]))
        if known and len(words) >= num_words:
            return known, num_words
    num_words = len(words) if len(parts) > 1 else 1
    return " ".join(words[:num_words]), num_words


def _take_body(make: str, words: list[str], said: list[str]) -> tuple[str | None, list[str]]:
    """Return the last body among words, and the words without it and what repeats it."""
    own = {(word,): body for word, body in MAKE_BODIES.get(make, {}).items()}
    known = BODY_WORDS | own
    found = _last_body(words, known)
    if found is None:
        return None, words
    start, end = found
    body, written = known[tuple(words[start:end])], " ".join(words[start:end])
    if written.replace(" ", "") != body.lower().replace(" ", ""):
        said.append(f"{written} is {body}")
    rest = words[:start] + words[end:]
    repeats = {phrase for phrase, name in known.items() if name == body}
    if body in CABS:
        repeats |= {phrase for phrase, name in known.items() if name == "Pickup"}
    while again := _last_body(rest, repeats):
        shorter = rest[: again[0]] + rest[again[1] :]
        if not shorter:
            break
        rest = shorter
    return body, rest


def _last_body(
    words: list[str], known: dict[tuple[str, ...], str] | set[tuple[str, ...]]
) -> tuple[int, int] | None:
    """Return where the last body stands, the longest of its names."""
    for end in range(len(words), 0, -1):
        for length in range(min(_LONGEST_BODY, end), 0, -1):
            if tuple(words[end - length : end]) in known:
                return end - length, end
    return None


def _model_parts(make: str, words: list[str], said: list[str]) -> tuple[str, ...]:
    """Return a model's letters and digits, numerals and series written one way."""
    tidy: list[str] = []
    for place, word in enumerate(words):
        new = _OTHER_WORDS.get(word, word)
        if mark := _MARK.match(word):
            number = mark[1] or ""
            new = f"mark {_ROMANS.get(number, number)}".strip()
        elif word in _ROMANS and place:
            is_sure = len(word) > 1 or tidy[-1].split(" ")[-1] in _BEFORE_ROMAN
            new = _ROMANS[word] if is_sure else word
        elif make == "BMW" and re.fullmatch(r"\der", word):
            new = f"{word[0]} series"
        if new != word:
            said.append(f"{word} is {new}")
        tidy.append(new)
    parts = [part for word in tidy for part in re.findall(r"\d+|[^\d ]+", word)]
    if len(parts) > 1 and parts[0] in ("series", "class"):  # Series 3
        parts[:2] = [parts[1], parts[0]]
    return tuple(parts)


def _is_of_word(letter: str) -> bool:
    """Tell whether a character is part of a word."""
    kind = unicodedata.category(letter)
    return kind[0] in "LMN" or kind in ("So", "Cs", "Co", "Cn")
