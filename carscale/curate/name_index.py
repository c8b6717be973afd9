"""Find a base's classes by parts of their names, without comparing all with all."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from carscale.car_names import written_make
from carscale.car_names.parse import CarName, joined, parse_name, plain_text, split_words

MIN_TYPO_LETTERS = 4
"""Shorter names with one letter changed are other names (Rio, Ria)."""


class NameIndex:
    """The parsed names of a base, by make, model and parts of these.

    Args:
        names: Class names, each once.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.cars = {name: parse_name(name) for name in self.names}
        self._spelled: dict[str, str] = {}
        self.by_identity: dict[object, list[str]] = defaultdict(list)
        self.by_model: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.by_make: dict[str, list[str]] = defaultdict(list)
        self._by_words: dict[str, list[str]] = defaultdict(list)
        for name, car in self.cars.items():
            self.by_identity[car.identity].append(name)
            self.by_make[car.make_key].append(name)
            self.by_model[car.make_key, car.model_key].append(name)
            if car.model:
                for words in {car.model_key, joined((car.make_key, *car.model))}:
                    self._by_words[words].append(name)
        self._models = {
            (car.make_key, car.model_key): frozenset(car.model) for car in self.cars.values()
        }
        self._holding: dict[tuple[str, str], set[str]] = defaultdict(set)
        for (make, model), parts in self._models.items():
            for part in parts:
                self._holding[make, part].add(model)
        self._by_rarest: dict[tuple[str, str], set[str]] = defaultdict(set)
        for (make, model), parts in self._models.items():
            if parts:
                rarest = min(parts, key=lambda part: (len(self._holding[make, part]), part))
                self._by_rarest[make, rarest].add(model)
        self._makes_near = _near_table((make, make) for make in self.by_make)
        self._models_near = _near_table((f"{make}\n{model}", model) for make, model in self._models)

    def spelled(self, make_key: str) -> str:
        """Return a make as most of its classes write it.

        Example:
            >>> NameIndex(["FIAT 500 Abarth 2012", "FIAT 500 Convertible 2012"]).spelled("fiat")
            'FIAT'
        """
        if make_key not in self._spelled:
            written = Counter(
                make
                for name in self.by_make[make_key]
                if (make := written_make(name, self.cars[name]))
                and "".join(split_words(plain_text(make))) == make_key
            )
            most = written.most_common(1)
            first = self.cars[self.by_make[make_key][0]].make
            self._spelled[make_key] = most[0][0] if most else first
        return self._spelled[make_key]

    def whole_model(self, car: CarName) -> list[str]:
        """Return classes whose model is all of a name's words: ``Camry``, ``Ram 1500``."""
        words = joined((car.make_words or car.make_key, *car.model))
        return list(self._by_words.get(words, ()))

    def longer_or_shorter(self, car: CarName) -> list[str]:
        """Return classes of the make whose model has all of a model's words, or the reverse."""
        parts = frozenset(car.model)
        if not parts:
            return []
        models = sorted((self._holding.get((car.make_key, part), set()) for part in parts), key=len)
        longer = set.intersection(*models)
        shorter = {
            model
            for part in parts
            for model in self._by_rarest.get((car.make_key, part), ())
            if self._models[car.make_key, model] <= parts
        }
        return self._classes(car.make_key, longer | shorter)

    def near_models(self, car: CarName) -> list[str]:
        """Return classes of the make whose model differs by one letter."""
        key = f"{car.make_key}\n{car.model_key}"
        models = {
            model
            for word in shortened_words(key)
            for model in self._models_near.get(word, ())
            if is_near(car.model_key, model)
        }
        return self._classes(car.make_key, models)

    def near_makes(self, make_key: str) -> list[str]:
        """Return the keys of makes that differ by one letter."""
        found = {
            make
            for word in shortened_words(make_key)
            for make in self._makes_near.get(word, ())
            if is_near(make_key, make)
        }
        return sorted(found)

    def _classes(self, make_key: str, models: Iterable[str]) -> list[str]:
        """Return the classes of some models of a make."""
        return [name for model in sorted(models) for name in self.by_model[make_key, model]]


def is_near(one: str, other: str) -> bool:
    """Tell whether words differ by one letter: wrong, missing, too many, or two swapped.

    Digits are never a typing error: a 320 is no 330.

    Example:
        >>> is_near("chevrolte", "chevrolet"), is_near("camri", "camry"), is_near("f150", "f250")
        (True, True, False)
        >>> is_near("rio", "ria"), is_near("camry", "camry")
        (False, False)
    """
    short, long = sorted((one, other), key=len)
    if one == other or len(short) < MIN_TYPO_LETTERS:
        return False
    if len(short) != len(long):
        return short in shortened_words(long)
    odd = [place for place in range(len(one)) if one[place] != other[place]]
    if any(one[place].isdigit() or other[place].isdigit() for place in odd):
        return False
    first, last = odd[0], odd[-1]
    is_swapped = last == first + 1 and one[first : last + 1] == other[last] + other[first]
    return first == last or is_swapped


def shortened_words(word: str) -> set[str]:
    """Return a word and all that is left of it without one letter.

    Two words that differ by one letter, or by two swapped, have one of these in common
    (the SymSpell way).

    Example:
        >>> sorted(shortened_words("ab1"))
        ['a1', 'ab1', 'b1']
    """
    return {word} | {
        word[:place] + word[place + 1 :]
        for place, letter in enumerate(word)
        if not letter.isdigit() and letter != "\n"
    }


def _near_table(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return values by each shortened form of their keys."""
    table: dict[str, list[str]] = defaultdict(list)
    for key, value in pairs:
        for word in shortened_words(key):
            table[word].append(value)
    return dict(table)
