"""Which base class is a source class? Four outcomes, decided by rules on parsed names.

A *match* must be right; whatever a name leaves open is *ambiguous*, for a person or a run to
choose. The rules, in order; the first that speaks decides:

1. the same name, or the same make, model, body and years written otherwise: match;
2. only a make: match where the base names no more, make-only where it has that make's models;
3. the same make and model: match where one class alone fits and at most one thing is not said (the
   year here, or the year or the body in the base); ambiguous where another year or body is said,
   where more classes fit, or where the body is not said;
4. a longer or shorter name of a model, one letter off, a name without its make: ambiguous;
5. a make alone in the base, and a model of it here: match;
6. else: new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from carscale.car_names.parse import CarName, parse_name
from carscale.car_names.words import MAKE_WORDS
from carscale.car_names.years import year_text
from carscale.curate.name_index import NameIndex
from carscale.curate.naming_style import NameStyle

Outcome = Literal["match", "new", "make", "ambiguous"]
OUTCOMES: tuple[Outcome, ...] = ("ambiguous", "match", "make", "new")
"""In the order a person looks at them."""

MAX_CANDIDATES = 8
MAX_RANGE_YEARS = 10
"""A longer range is more than one generation."""

SAME_NAME, SAME_WORDS, OTHER_WORDS = 1.0, 0.98, 0.95
ONE_OPEN = {"year": 0.85, "base year": 0.85, "range": 0.8, "base body": 0.8, "base model": 0.8}
"""Scores of a match with one thing not said."""

SEVERAL_FIT, ONE_LETTER, SAME_MODEL, LIKE_MODEL = 0.5, 0.6, 0.4, 0.3
"""Scores of what is ambiguous."""


@dataclass(frozen=True)
class Proposal:
    """What becomes of a source class.

    Attributes:
        source: The source class.
        outcome: ``match``, ``new``, ``make`` or ``ambiguous``.
        target: The base class, the new class's name, or the make; ``None`` when ambiguous.
        score: How much of the name speaks for it, in [0, 1]; 0 for a new class.
        reason: Why, in words.
        candidates: Base classes to choose from, the likeliest first; for a make, all its classes.
        fitting: Those of an ambiguous one's candidates that the name doesn't contradict. What a run
            sees may choose among these; it can't tell another year or model from a look-alike.
        note: What a run sees in the photos.
    """

    source: str
    outcome: Outcome
    target: str | None
    score: float
    reason: str
    candidates: tuple[str, ...] = ()
    fitting: tuple[str, ...] = ()
    note: str = ""


def propose_map(base_names: Sequence[str], source_names: Sequence[str]) -> list[Proposal]:
    """Propose what becomes of each source class, by its name alone.

    Args:
        base_names: The base's class names, each once.
        source_names: The source's, each once.

    Returns:
        A proposal a source class, in their order.

    Example:
        >>> base = ["Audi S4 Sedan 2007", "Audi S4 Sedan 2012", "Fiat 500 Abarth 2012"]
        >>> names = ["fiat_500_abarth", "AUDI S4 SALOON", "Audi", "Tata Nano"]
        >>> for one in propose_map(base, names):
        ...     print(one.outcome, one.target, one.reason)
        match Fiat 500 Abarth 2012 the only class of this make and model; no year given
        ambiguous None 2 classes fit: no year given
        make Audi only the make is named; the base has 2 classes of it
        new Tata Nano the base has no Tata
    """
    index = NameIndex(base_names)
    style = NameStyle(index)
    return [_propose(source, index, style) for source in source_names]


def _propose(source: str, index: NameIndex, style: NameStyle) -> Proposal:
    """Return the first proposal that a rule makes."""
    if source in index.cars:
        return Proposal(source, "match", source, SAME_NAME, "the same name")
    car = parse_name(source)
    for rule in (_same_car, _make_alone, _same_model, _like_model, _like_make, _general_class):
        if proposal := rule(source, car, index):
            return proposal
    own = index.by_make.get(car.make_key)
    text = f"the base has no {_spelled(car)}"
    if own:
        text = f"the base has {index.spelled(car.make_key)}, not this model"
    return Proposal(source, "new", style.restyled(source, car), 0.0, text)


def _same_car(source: str, car: CarName, index: NameIndex) -> Proposal | None:
    """Match a name that says the same by other letters or words."""
    found = index.by_identity.get(car.identity, [])
    if not found:
        return None
    if len(found) > 1:
        reason = f"{_count(found)} have this name"
        return _ambiguous(source, SEVERAL_FIT, found, reason, fitting=found)
    said = tuple(dict.fromkeys(car.said + index.cars[found[0]].said))
    if said:
        return Proposal(source, "match", found[0], OTHER_WORDS, f"the same car: {', '.join(said)}")
    return Proposal(source, "match", found[0], SAME_WORDS, "the same name, written otherwise")


def _make_alone(source: str, car: CarName, index: NameIndex) -> Proposal | None:
    """Take a name that says no model for its make."""
    own = index.by_make.get(car.make_key)
    if car.model or own is None:
        return None
    reason = f"only the make is named; the base has {_count(own)} of it"
    return Proposal(source, "make", index.spelled(car.make_key), SAME_WORDS, reason, tuple(own))


def _same_model(source: str, car: CarName, index: NameIndex) -> Proposal | None:
    """Decide between the classes of the same make and model."""
    own = index.by_model.get((car.make_key, car.model_key), []) if car.model else []
    if not own:
        return None
    fits = [(name, *_compare(car, index.cars[name])) for name in own]
    fits.sort(key=lambda fit: (len(fit[1]), len(fit[2])))
    fitting = [(name, gaps) for name, clashes, gaps in fits if not clashes]
    if not fitting:
        names = [name for name, _, _ in fits]
        reason = f"same model, {' and '.join(fits[0][1].values())}"
        return _ambiguous(source, SAME_MODEL, names, reason)
    name, gaps = fitting[0]
    text = " and ".join(gaps.values())
    if len(fitting) == 1 and len(gaps) == 1 and (score := ONE_OPEN.get(next(iter(gaps)))):
        what = "make, model and body" if car.body else "make and model"
        return Proposal(source, "match", name, score, f"the only class of this {what}; {text}")
    names = [name for name, _ in fitting]
    reason = f"{_count(names)} fit: {text}" if len(names) > 1 else f"same model, but {text}"
    longer = [] if car.body else [n for n in index.longer_or_shorter(car) if n not in own]
    return _ambiguous(source, SEVERAL_FIT, [*names, *longer], reason, fitting=names)


def _compare(car: CarName, base: CarName) -> tuple[dict[str, str], dict[str, str]]:
    """Return what contradicts, and what one name says and the other doesn't."""
    clashes: dict[str, str] = {}
    gaps: dict[str, str] = {}
    if car.body != base.body:
        if car.body is None:
            gaps["body"] = "no body given"
        elif base.body is None:
            gaps["base body"] = "the base names no body"
        else:
            clashes["body"] = f"other body: {car.body} vs {base.body}"
    if car.years == base.years:
        return clashes, gaps
    if car.years is None:
        gaps["year"] = "no year given"
    elif base.years is None:
        gaps["base year"] = "the base names no year"
    elif _is_within(car.years, base.years) or _is_within(base.years, car.years):
        gaps["range"] = f"{year_text(car.years)} and {year_text(base.years)} overlap"
    else:
        clashes["year"] = f"other year: {year_text(car.years)} vs {year_text(base.years)}"
    return clashes, gaps


def _is_within(inner: tuple[int, int], outer: tuple[int, int]) -> bool:
    """Tell whether years lie in a range as short as a generation."""
    is_short = outer[1] - outer[0] <= MAX_RANGE_YEARS
    return is_short and outer[0] <= inner[0] and inner[1] <= outer[1]


def _like_model(source: str, car: CarName, index: NameIndex) -> Proposal | None:
    """Name the classes whose model is nearly the same; a person chooses."""
    if found := index.longer_or_shorter(car):
        found = _ranked(car, found, index)
        return _ambiguous(source, LIKE_MODEL, found, "another model name")
    score, reason = ONE_LETTER, "the model is one letter off"
    if not (found := index.near_models(car)):
        found = index.whole_model(car)
        score, reason = LIKE_MODEL, "no make given, or another one: the base has this model"
    if not found:
        return None
    found = _ranked(car, found, index)
    return _ambiguous(source, score, found, reason, fitting=_fitting(car, found, index))


def _like_make(source: str, car: CarName, index: NameIndex) -> Proposal | None:
    """Name the classes whose make is nearly the same, when the model is not unknown there."""
    if car.make in MAKE_WORDS.values() or car.make_key in index.by_make:
        return None
    makes = index.near_makes(car.make_key)
    if not car.model:
        found = [name for make in makes for name in index.by_make[make]]
        fitting = []
    else:
        found = [n for make in makes for n in index.by_model.get((make, car.model_key), [])]
        found = _ranked(car, found, index)
        fitting = _fitting(car, found, index)
    if not found:
        return None
    reason = f"the make is one letter off {index.spelled(index.cars[found[0]].make_key)}"
    return _ambiguous(source, ONE_LETTER, found, reason, fitting=fitting)


def _general_class(source: str, car: CarName, index: NameIndex) -> Proposal | None:
    """Match a model with the class of its make, when that is all the base tells apart."""
    own = index.by_make.get(car.make_key, [])
    if len(own) != 1 or index.cars[own[0]].identity[1:] != ("", None, None):
        return None
    if car.make not in MAKE_WORDS.values():
        return None
    return Proposal(
        source,
        "match",
        own[0],
        ONE_OPEN["base model"],
        "the base's only class of this make names no model",
    )


def _ranked(car: CarName, names: Sequence[str], index: NameIndex) -> list[str]:
    """Return names, those that contradict least first."""
    return sorted(names, key=lambda name: tuple(map(len, _compare(car, index.cars[name]))))


def _fitting(car: CarName, names: Sequence[str], index: NameIndex) -> list[str]:
    """Return names whose year and body a name doesn't contradict."""
    return [name for name in names if not _compare(car, index.cars[name])[0]]


def _ambiguous(
    source: str, score: float, names: Sequence[str], reason: str, *, fitting: Sequence[str] = ()
) -> Proposal:
    """Return a proposal to choose."""
    left = len(names) - MAX_CANDIDATES
    reason += f"; {left} more are not listed" if left > 0 else ""
    candidates = tuple(names[:MAX_CANDIDATES])
    return Proposal(source, "ambiguous", None, score, reason, candidates, tuple(fitting))


def _count(names: Sequence[str]) -> str:
    """Return ``1 class`` or ``3 classes``."""
    return f"{len(names)} class{'es' if len(names) != 1 else ''}"


def _spelled(car: CarName) -> str:
    """Return a make for a sentence."""
    return car.make if car.make in MAKE_WORDS.values() else car.make.title()
