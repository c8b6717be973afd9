"""What changed between two frozen folders, photo by photo.

Photos are joined by their key: content hash and occurrence, the same in every version of a data
set. Axes: N photos of a folder.

Chosen: a photo that moves and gets another label counts in both. Rejected: one cause a photo. Why:
the counts are then those of the two questions that are asked, whatever else happened.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import data
from carscale.data.frozen.split_assignment import split_names
from carscale.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


COLUMNS = ("key", "path", "class", "split", "origin")
KINDS = ("added", "removed", "relabelled", "moved")
MANY = 5
"""More names than this are not all named in a sentence."""


@dataclass(frozen=True)
class Change:
    """What happened to one photo.

    Attributes:
        key: What joins the photo.
        path: In B; in A where it was removed.
        class_a, class_b: Its class there; ``None`` where it is not.
        split_a, split_b: Its split there; ``None`` where it is not.
        origin: Its source, as B has it, or A where it was removed.
    """

    key: str
    path: str
    class_a: str | None
    class_b: str | None
    split_a: str | None
    split_b: str | None
    origin: str

    def kinds(self) -> tuple[str, ...]:
        """Return what happened: ``added``, ``removed``, or ``relabelled`` and ``moved``."""
        if self.class_a is None:
            return ("added",)
        if self.class_b is None:
            return ("removed",)
        flags = (self.class_a != self.class_b, self.split_a != self.split_b)
        return tuple(kind for kind, is_so in zip(KINDS[2:], flags, strict=True) if is_so)


@dataclass(frozen=True)
class Difference:
    """What changed from A to B.

    Attributes:
        a, b: What each is: ``root``, ``num_photos``, ``num_classes``.
        num_shared: Photos that both hold.
        lineage: ``B of A``, ``A of B``, ``siblings`` (of one parent), or empty.
        parent_of_b: What B's card calls its parent; empty without one.
        splits: A row a split: ``split``, photos in ``a`` and ``b`` (``None`` without that split),
            ``is_equal`` by their hashes.
        is_class_list_equal: By its hash: names and their order.
        new_classes, gone_classes: Names.
        merges: Where B merged classes of A: ``classes`` and what they became, ``to``.
        changes: The photos that differ, in the order of B, then those removed in the order of A.
    """

    a: dict[str, Any]
    b: dict[str, Any]
    num_shared: int
    lineage: str
    parent_of_b: str
    splits: tuple[dict[str, Any], ...]
    is_class_list_equal: bool
    new_classes: tuple[str, ...]
    gone_classes: tuple[str, ...]
    merges: tuple[dict[str, Any], ...]
    changes: tuple[Change, ...]

    def counts(self) -> dict[str, int]:
        """Return how many photos were added, removed, relabelled and moved."""
        found = Counter(kind for change in self.changes for kind in change.kinds())
        return {kind: found[kind] for kind in KINDS}

    def by_class(self) -> list[dict[str, Any]]:
        """Return a row a class that changed, the most changed first.

        A relabelled photo counts where it came to, as ``relabelled_in``, and where it left, as
        ``relabelled_out``.
        """
        return _counted(self.changes, _class_marks, "class", CLASS_KINDS)

    def by_source(self) -> list[dict[str, Any]]:
        """Return a row a source of changed photos, the most changed first."""
        return _counted(
            self.changes,
            lambda change: ((change.origin, kind) for kind in change.kinds()),
            "source",
            KINDS,
        )

    def sentences(self) -> list[str]:
        """Return what changed, in words."""
        return [
            *_lineage_words(self),
            *_photo_words(self),
            *_split_words(self),
            *_class_words(self),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "a": self.a,
            "b": self.b,
            "shared": self.num_shared,
            "lineage": self.lineage,
            "parent_of_b": self.parent_of_b,
            "counts": self.counts(),
            "splits": list(self.splits),
            "classes": {
                "is_equal": self.is_class_list_equal,
                "new": list(self.new_classes),
                "gone": list(self.gone_classes),
                "merges": list(self.merges),
            },
            "by_class": self.by_class(),
            "by_source": self.by_source(),
            "changes": [vars(one) | {"kinds": list(one.kinds())} for one in self.changes],
            "summary": self.sentences(),
        }


CLASS_KINDS = ("added", "removed", "relabelled_in", "relabelled_out", "moved")


def find_difference(root_a: Path, root_b: Path) -> Difference:
    """Tell what changed from one frozen folder or pack to another; photos are not read.

    Args:
        root_a: The older one.
        root_b: The newer one; may be another data set altogether.

    Raises:
        DataError: One is no frozen folder.
    """
    cards = [data.read_card(root) for root in (root_a, root_b)]
    class_lists = [
        [car.name for car in data.read_splits(root).classes] for root in (root_a, root_b)
    ]
    rows_a, rows_b = (_rows(root, card) for root, card in zip((root_a, root_b), cards, strict=True))
    shared = rows_a.keys() & rows_b.keys()
    names_a, names_b = (set(names) for names in class_lists)
    changes = tuple(_changes(rows_a, rows_b))
    about = [
        {"root": str(root), "num_photos": len(rows), "num_classes": len(names)}
        for root, rows, names in zip((root_a, root_b), (rows_a, rows_b), class_lists, strict=True)
    ]
    return Difference(
        a=about[0],
        b=about[1],
        num_shared=len(shared),
        lineage=_lineage(*cards),
        parent_of_b=str((cards[1].get("parent") or {}).get("name", "")),
        splits=tuple(_split_rows(*cards)),
        is_class_list_equal=cards[0]["hashes"]["classes"] == cards[1]["hashes"]["classes"],
        new_classes=tuple(name for name in class_lists[1] if name not in names_a),
        gone_classes=tuple(name for name in class_lists[0] if name not in names_b),
        merges=_merges(root_b, class_lists[0], changes),
        changes=changes,
    )


def _merges(
    root_b: Path, classes_a: Sequence[str], changes: Sequence[Change]
) -> tuple[dict[str, Any], ...]:
    """Return how a version merged those classes; nothing where it changed labels otherwise."""
    refined = data.read_card(root_b).get("refined")
    try:
        names = data.class_map(root_b, classes_a)
    except DataError:  # it is no refinement of those, or one that split some
        return ()
    kept = (one for one in changes if one.class_a is not None and one.class_b is not None)
    if not refined or any(names.get(str(one.class_a)) != one.class_b for one in kept):
        return ()
    return tuple(refined["merges"])


def _rows(root: Path, card: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the manifest's rows by key; a source that no row names is the card's."""
    columns = data.read_manifest(root, COLUMNS)
    lists: dict[str, NDArray[Any]] = {name: columns[name].tolist() for name in COLUMNS}
    rows = (dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True))
    source = str(card.get("source", ""))
    return {row["key"]: row | {"origin": row["origin"] or source} for row in rows}


def _changes(
    rows_a: dict[str, dict[str, str]], rows_b: dict[str, dict[str, str]]
) -> Iterable[Change]:
    """Yield the photos that differ."""
    for key, row in rows_b.items():
        was = rows_a.get(key)
        change = Change(
            key,
            row["path"],
            was["class"] if was else None,
            row["class"],
            was["split"] if was else None,
            row["split"],
            row["origin"],
        )
        if change.kinds():
            yield change
    for key, was in rows_a.items():
        if key not in rows_b:
            yield Change(key, was["path"], was["class"], None, was["split"], None, was["origin"])


def _lineage(card_a: dict[str, Any], card_b: dict[str, Any]) -> str:
    """Return who was made of whom."""
    if _names(card_b, card_a):
        return "B of A"
    if _names(card_a, card_b):
        return "A of B"
    of_a, of_b = (card.get("parent") for card in (card_a, card_b))
    return "siblings" if of_a and of_a == of_b else ""


def _names(card: dict[str, Any], other: dict[str, Any]) -> bool:
    """Tell whether a card names another as its parent; a pack's does by hashes alone."""
    parent = card.get("parent") or {}
    if "card" in parent:
        return bool(parent["card"] == other["lock"]["card.json"])
    return "hashes" in parent and bool(parent["hashes"] == other["hashes"])


def _split_rows(card_a: dict[str, Any], card_b: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """Yield a row a split that one of them has."""
    hashes = [
        {name: card["hashes"][name] for name in split_names(card)} for card in (card_a, card_b)
    ]
    for name in dict.fromkeys([*hashes[0], *hashes[1]]):
        num_a, num_b = (
            card["counts"][name] if name in card_hashes else None
            for card, card_hashes in zip((card_a, card_b), hashes, strict=True)
        )
        is_equal = hashes[0].get(name) == hashes[1].get(name)
        yield {"split": name, "a": num_a, "b": num_b, "is_equal": is_equal}


def _class_marks(change: Change) -> Iterable[tuple[str, str]]:
    """Yield class and what happened there."""
    for kind in change.kinds():
        if kind == "relabelled":
            yield str(change.class_a), "relabelled_out"
            yield str(change.class_b), "relabelled_in"
        else:
            yield str(change.class_a if kind == "removed" else change.class_b), kind


def _counted(
    changes: Sequence[Change],
    marks: Callable[[Change], Iterable[tuple[str, str]]],
    what: str,
    kinds: Sequence[str],
) -> list[dict[str, Any]]:
    """Return a row a name with a count a kind, the most first."""
    counts = Counter(mark for change in changes for mark in marks(change))
    names = {name for name, _ in counts}
    rows = [{what: name, **{kind: counts[name, kind] for kind in kinds}} for name in names]
    return sorted(rows, key=lambda row: (-sum(row[kind] for kind in kinds), row[what]))


def _lineage_words(found: Difference) -> list[str]:
    """Say who was made of whom, and how much they share where that does not follow."""
    words = {
        "B of A": "B names A as its parent.",
        "A of B": "A names B as its parent: the order is the other way round.",
        "siblings": "A and B have one parent.",
    }
    num_a, num_b = found.a["num_photos"], found.b["num_photos"]
    if found.lineage:
        return [words[found.lineage]]
    if found.num_shared == num_a == num_b:
        return [f"Neither names the other as its parent, but both hold the same {num_a:,} photos."]
    named = f", B names '{found.parent_of_b}' as its parent, not A" if found.parent_of_b else ""
    shared = f"they share {found.num_shared:,} of A's {num_a:,} and B's {num_b:,} photos."
    if found.num_shared:
        return [f"Neither was made of the other{named}; {shared}"]
    return [f"A and B are different data sets{named}: {shared}"]


def _photo_words(found: Difference) -> list[str]:
    """Say how many photos changed, and from where they came."""
    counts = found.counts()
    if not any(counts.values()):
        return ["No photo was added, removed, relabelled or moved."]
    counted = ", ".join(f"{number:,} {kind}" for kind, number in counts.items() if number)
    sources = [(row["source"], row["added"]) for row in found.by_source() if row["added"]]
    from_where = ", ".join(f"{name or 'no named source'} {count:,}" for name, count in sources)
    where = f" New photos come from: {from_where}." if sources else ""
    return [f"Photos: {counted}; {found.num_shared:,} are in both.{where}"]


def _split_words(found: Difference) -> list[str]:
    """Say which results still compare."""
    equal = [row["split"] for row in found.splits if row["is_equal"]]
    other = [row["split"] for row in found.splits if not row["is_equal"]]
    counts = found.counts()
    if found.merges and not (counts["added"] or counts["removed"] or counts["moved"]):
        return ["All splits hold the same photos, some under merged classes."]
    if not equal:
        return ["No split holds the same photos: results on A and on B can't be compared."]
    if not other:
        return ["All splits hold the same photos under the same labels."]
    compared = [name for name in equal if name != "train"]
    sentence = f"{_listed(equal)}: the same photos and labels; {_listed(other)}: others."
    if not compared or not found.is_class_list_equal:
        return [sentence]
    return [f"{sentence} Runs on A and on B can be compared on {_listed(compared)}."]


def _class_words(found: Difference) -> list[str]:
    """Say how the class lists differ."""
    if found.is_class_list_equal:
        return []
    parts = [
        f"{len(names)} {word} ({_listed(names)})"
        for word, names in (("new", found.new_classes), ("gone", found.gone_classes))
        if names
    ]
    changes = ", ".join(parts) or "the same names in another order"
    words = [f"Classes: {changes}. A run on A can't be evaluated on B: its class list is another."]
    if found.merges:
        merged = "; ".join(f"{' + '.join(one['classes'])} -> {one['to']}" for one in found.merges)
        words.append(
            f"B merged classes of A: {merged}. carscale compare scores runs on A under B's classes."
        )
    return words


def _listed(names: Sequence[str]) -> str:
    """Return the first names and how many more there are."""
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + more
