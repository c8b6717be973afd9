"""The map as a YAML file that people read and edit, and what it says once it is right."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carscale import config, outgoing
from carscale.car_names.parse import parse_name
from carscale.curate.mapping import OUTCOMES, Proposal
from carscale.curate.merge_rules import ClassTarget, Kind
from carscale.curate.name_index import NameIndex
from carscale.data.frozen.layout import class_list_hash
from carscale.errors import ConfigError
from carscale.types import CarClass

ANSWERS = ("to", "new", "make", "ambiguous", "skip")
MAX = "max"
TOLD = ("score", "photos", "reason", "note", "candidates")
MAX_MISTAKES = 40

HEADER = """\
# What becomes of each class of a source. Read it, edit it, then:
#   carscale data merge BASE SOURCE --map THIS_FILE OUT
#
# Each source class has one of these lines; change it to another where it is wrong:
#   to: NAME                  its photos are of this base class
#   new: NAME                 a new class of this name; two may share one
#   make: MAKE                only the make is known; photos count for a make's classes together
#   ambiguous: [NAME, ...]    undecided: replace this line by one of the others, merge waits for it
#   skip: true                leave its photos out
#
# max: NUMBER beside it takes no more photos than that of the class.
# score, photos, reason, note and candidates are for you; nothing reads them back. Names with
# odd characters are quoted.

"""
HEADINGS = {
    "ambiguous": "to choose",
    "match": "matched; the least sure first",
    "make": "of which only the make is known",
    "new": "that the base does not have",
}


@dataclass(frozen=True)
class ClassMap:
    """What a map says, checked against the base and the source.

    Attributes:
        to: Base class by source class.
        new: New class by source class.
        make: Make by source class, as the base writes it.
        make_classes: The base's classes by each such make.
        skipped: Source classes to leave out.
        ambiguous: Candidates by source class that is undecided; empty unless allowed.
        max_photos: Most photos to take of a source class, where the map says.
        notes: What is fine and worth knowing, in sentences.
    """

    to: dict[str, str] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    make: dict[str, str] = field(default_factory=dict)
    make_classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    ambiguous: dict[str, tuple[str, ...]] = field(default_factory=dict)
    max_photos: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def targets(self) -> dict[str, ClassTarget]:
        """Return where each source class goes; undecided ones are not in it."""
        found = {name: ClassTarget("skip") for name in self.skipped}
        answered: dict[Kind, dict[str, str]] = {"match": self.to, "new": self.new}
        for kind, answers in (answered | {"make": self.make}).items():
            found |= {
                name: ClassTarget(kind, to, self.max_photos.get(name))
                for name, to in answers.items()
            }
        return found


def map_text(
    proposals: Sequence[Proposal],
    base_names: Sequence[str],
    num_photos: Mapping[str, int],
    *,
    base: str,
    source: str,
) -> str:
    """Return a map file: what is to choose first, the least sure before the sure.

    Args:
        proposals: One a source class.
        base_names: The base's class names in order; their hash ties the map to the base.
        num_photos: By source class.
        base: Where the base lies, for the reader.
        source: Where the source lies.
    """
    about = {"base": base, "source": source, "base_classes": _hash_of(base_names)}
    blocks = [HEADER, config.to_plain_yaml(about), "classes:\n" if proposals else "classes: {}\n"]
    for outcome in OUTCOMES:
        group = [one for one in proposals if one.outcome == outcome]
        if not group:
            continue
        group.sort(key=lambda one: (one.score, one.source))
        entries = {one.source: _entry(one, num_photos.get(one.source, 0)) for one in group}
        text = config.to_plain_yaml({"classes": entries})
        blocks.append(f"  # {len(group)} {HEADINGS[outcome]}\n{text.partition(chr(10))[2]}")
    return "".join(blocks)


def read_map(
    path: Path,
    base_names: Sequence[str],
    source_names: Sequence[str],
    *,
    allow_ambiguous: bool = False,
) -> ClassMap:
    """Read a map and check it.

    Args:
        path: The YAML file.
        base_names: The base's class names in order.
        source_names: The source's.
        allow_ambiguous: Take undecided classes, instead of naming them as mistakes.

    Raises:
        ConfigError: One error with every mistake: made for another base, a class that the base or
            the source does not have, a source class without an answer or with two, an undecided
            one.
    """
    make_one = f"make one: carscale data map BASE SOURCE --out {outgoing.command(path)}"
    if not path.exists():
        raise ConfigError(f"{path}: no such file", make_one)
    tree = config.read_plain_yaml(path)
    entries = tree.get("classes") if isinstance(tree, dict) else None
    if not isinstance(entries, dict):
        raise ConfigError(
            f"{path}: holds no map (no mapping 'classes')",
            make_one,
        )
    reader = _Reader(base_names, allow_ambiguous)
    reader.check_top(tree, source_names)
    for source, entry in entries.items():
        if source in reader.sources:
            reader.take(source, entry)
    if reader.mistakes:
        shown = reader.mistakes[:MAX_MISTAKES]
        left = len(reader.mistakes) - len(shown)
        more = [f"and {left} more"] if left else []
        raise ConfigError(f"{path}: {_num(reader.mistakes, 'mistake')}", *shown, *more)
    return reader.answer()


class _Reader:
    """Collects a map's answers and mistakes."""

    def __init__(self, base_names: Sequence[str], allow_ambiguous: bool) -> None:
        self.base_names = tuple(base_names)
        self.index = NameIndex(base_names)
        self.allow_ambiguous = allow_ambiguous
        self.sources: frozenset[str] = frozenset()
        self.mistakes: list[str] = []
        self.found: dict[str, dict[str, Any]] = defaultdict(dict)
        self.max_photos: dict[str, int] = {}

    def check_top(self, tree: dict[str, Any], source_names: Sequence[str]) -> None:
        """Compare the map with the base and the source it is used for."""
        self.sources = frozenset(source_names)
        stored = tree.get("base_classes")
        if stored is not None and stored != _hash_of(self.base_names):
            self.mistakes.append(
                f"base_classes: made for another base than these {len(self.base_names)} classes; "
                "make a new map, or take the line out if you checked every 'to'"
            )
        entries = tree["classes"]
        if entries and source_names and not self.sources.intersection(entries):
            self.mistakes.append(
                f"classes: none of the {len(entries)} is a class of this source; the map was made "
                f"of {tree.get('source', 'another one')}; "
                "make one for it: carscale data map BASE SOURCE --out map.yaml"
            )
            return
        missing = [name for name in source_names if name not in entries]
        self.mistakes += [f"{_quoted(name)}: stands not in the map" for name in missing]
        unknown = [name for name in entries if name not in self.sources]
        self.mistakes += [
            f"{_quoted(name)}: is no class of the source{_meant(name, missing)}" for name in unknown
        ]

    def take(self, source: str, entry: object) -> None:
        """Take the answer for a source class, or say what is wrong with it."""
        given = entry if isinstance(entry, dict) else {}
        answers = [key for key in ANSWERS if key in given]
        where = _quoted(source)
        unknown = [str(key) for key in given if key not in (*ANSWERS, *TOLD, MAX)]
        for key in unknown:
            self.mistakes.append(f"{where}: unknown key {key!r}{_meant(key, ANSWERS)}")
        if len(answers) != 1:
            came = " and ".join(answers) or "none of them"
            if answers or not unknown:
                text = f"wanted one of {', '.join(ANSWERS)}; came {came}"
                self.mistakes.append(f"{where}: {text}")
            return
        self._take_max(source, given)
        key, value = answers[0], given[answers[0]]
        if key == "ambiguous":
            self._take_ambiguous(source, value)
        elif not isinstance(value, str) or not value:
            self.mistakes.append(f"{where}: {key}: wanted text, came {value!r}")
        elif problem := getattr(self, f"_wrong_{key}")(value):
            self.mistakes.append(f"{where}: {key}: {problem}")
        else:
            self.found[key][source] = value

    def answer(self) -> ClassMap:
        """Return the checked map."""
        makes = {name: self._make_of(name) for name in set(self.found["make"].values())}
        return ClassMap(
            to=self.found["to"],
            new=self.found["new"],
            make={source: makes[name][0] for source, name in self.found["make"].items()},
            make_classes=dict(makes.values()),
            skipped=tuple(self.found["skip"]),
            ambiguous=self.found["ambiguous"],
            max_photos=self.max_photos,
            notes=tuple(self._notes()),
        )

    def _take_max(self, source: str, given: dict[str, Any]) -> None:
        """Keep how many photos to take at most."""
        if MAX not in given:
            return
        value = str(given[MAX])
        if value.isdecimal() and int(value) > 0:
            self.max_photos[source] = int(value)
        else:
            self.mistakes.append(f"{_quoted(source)}: max: wanted a number above 0, came {value}")

    def _take_ambiguous(self, source: str, value: object) -> None:
        """Keep an undecided class, or name it."""
        candidates = tuple(map(str, value)) if isinstance(value, list) else (str(value),)
        self.found["ambiguous"][source] = candidates
        if not self.allow_ambiguous:
            shown = ", ".join(map(_quoted, candidates[:3]))
            self.mistakes.append(
                f"{_quoted(source)}: is ambiguous; choose, e.g. to: one of {shown}, or new: NAME"
            )

    def _wrong_to(self, name: str) -> str | None:
        """Say why a name is no base class."""
        if name in self.index.cars:
            return None
        return f"{_quoted(name)} is no class of the base{_meant(name, self.base_names)}"

    def _wrong_new(self, name: str) -> str | None:
        """Say why a name is not new."""
        if name not in self.index.cars:
            return None
        return f"{_quoted(name)} is a class of the base already; write to: {_quoted(name)}"

    def _wrong_make(self, name: str) -> str | None:
        """Say why a name is no make of the base."""
        if parse_name(name).make_key in self.index.by_make:
            return None
        makes = {self.index.spelled(key) for key in self.index.by_make}
        return f"the base has no make {_quoted(name)}{_meant(name, sorted(makes))}"

    def _wrong_skip(self, value: str) -> str | None:
        """Say why a word is not true."""
        return None if value.lower() in ("true", "yes") else f"wanted true, came {value!r}"

    def _make_of(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Return a make as the base writes it, and its classes."""
        key = parse_name(name).make_key
        return self.index.spelled(key), tuple(self.index.by_make[key])

    def _notes(self) -> list[str]:
        """Say which source classes become one, and which new names read like a base class's."""
        notes = []
        for key, kind in (("to", "base class"), ("new", "new class")):
            sources = defaultdict(list)
            for source, name in self.found[key].items():
                sources[name].append(source)
            notes += [
                f"{len(several)} source classes become the {kind} {_quoted(name)}: "
                f"{', '.join(map(_quoted, several[:5]))}"
                for name, several in sources.items()
                if len(several) > 1
            ]
        for name in dict.fromkeys(self.found["new"].values()):
            if same := self.index.by_identity.get(parse_name(name).identity):
                notes.append(f"new class {_quoted(name)} reads like the base's {_quoted(same[0])}")
        return notes


def _entry(proposal: Proposal, num_photos: int) -> dict[str, Any]:
    """Return what stands under a source class."""
    answer: dict[str, Any] = {"ambiguous": list(proposal.candidates)}
    if proposal.outcome != "ambiguous":
        answer = {"to" if proposal.outcome == "match" else proposal.outcome: proposal.target}
    if proposal.outcome != "new":
        answer["score"] = round(proposal.score, 2)
    answer |= {"photos": num_photos, "reason": proposal.reason}
    return answer | ({"note": proposal.note} if proposal.note else {})


def _hash_of(names: Sequence[str]) -> str:
    """Return the hash of a class list, as a card has it."""
    return class_list_hash(CarClass(name, name) for name in names)


def _meant(name: str, names: Sequence[str]) -> str:
    """Return a question for the nearest name, or nothing."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"; did you mean {_quoted(near[0])}?" if near else ""


def _quoted(name: str) -> str:
    """Return a name for a message: on one line, printable."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)
    return f"'{text}'"


def _num(things: Sequence[object], what: str) -> str:
    """Return ``1 mistake`` or ``3 mistakes``."""
    return f"{len(things)} {what}{'s' if len(things) != 1 else ''}"
