"""The page of duplicate images: group by group, leaks first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import data, files, outgoing
from carscale.report.page.checks import finite, printable
from carscale.report.page.csv import write_csv
from carscale.report.page.pictures import SMALL_PX, make_pictures
from carscale.report.page.place import MARKS, check_page_folder, place_of
from carscale.report.page.templating import page_html

if TYPE_CHECKING:
    from carscale.curate import Duplicates
    from carscale.data import DuplicateGroup
    from carscale.report.page.pictures import Picture


MAX_GROUPS = 400
"""Groups of a section that the page shows; the table has all."""
MAX_PHOTOS = 24
"""Photos of one group that the page shows."""
MAX_QUESTIONS = 6
"""Pairs of one group that the page asks about at once."""
NEAR_RULE = (
    f"laid over each other, {data.MIN_AGREEMENT:.0%} or more of their details agree, wherever the "
    f"car stands; where rules put them into two groups, {data.MIN_OF_OTHER_GROUPS:.0%}"
)

SECTIONS = (
    (
        "leak",
        "leaks",
        "Across splits",
        "Train/test leakage: results are optimistically biased.",
    ),
    (
        "label",
        "labels",
        "In two classes",
        "They look the same, their labels differ. Say for each what is true; "
        "`carscale data relabel` takes the answers.",
    ),
    (
        "duplicate",
        "rest",
        "Redundant copies",
        "One split, one class. They only count more than once, in training or in a metric.",
    ),
)
"""Concern, anchor, title and what it means, in the page's order."""


def write_gallery(folder: Path, found: Duplicates, *, command: str = "") -> Path:
    """Write ``index.html``, thumbnails and a table; return the page's path.

    Args:
        folder: Where the page goes; one of before is replaced as a whole.
        found: What ``curate.find_duplicates`` found.
        command: What made it.

    Raises:
        ConfigError: The folder holds other files.
        DataError: It can't be written.
    """
    check_page_folder(folder, "duplicates")
    with files.staged_folder(folder, "gallery") as staging:
        context = _context(found, staging, folder.resolve(), command)
        text = page_html("duplicates.html.j2", found.root.resolve().parent, context)
        (staging / "index.html").write_bytes(text.encode("utf-8", "replace"))
    return folder / "index.html"


def _context(found: Duplicates, build: Path, final: Path, command: str) -> dict[str, Any]:
    """Return what the template shows; write thumbnails and the table."""
    counts: Counter[str] = Counter()
    shown: dict[str, list[DuplicateGroup]] = {concern: [] for concern, _, _, _ in SECTIONS}
    for group in found.every():
        counts[group.concern] += 1
        if counts[group.concern] <= MAX_GROUPS:
            shown[group.concern].append(group)
    sections: list[dict[str, Any]] = [
        {
            "anchor": anchor,
            "title": title,
            "meaning": meaning,
            "num": counts[concern],
        }
        for concern, anchor, title, meaning in SECTIONS
    ]
    rows = sorted({row for groups in shown.values() for one in groups for row in _rows(one)})
    paths = [str(found.photos.paths_N[row]) for row in rows]
    place = place_of(found.root.resolve(), build, final)
    pictures = dict(
        zip(
            rows,
            make_pictures(place, paths, [f"photo-{row}" for row in rows], max_px=2 * SMALL_PX),
            strict=True,
        )
    )
    for part, groups in zip(sections, shown.values(), strict=True):
        part["groups"] = [_group(one, found, pictures) for one in groups]
    return {
        "mark": MARKS["duplicates"],
        "root": printable(found.root),
        "dedupe": outgoing.command("carscale", "data", "dedupe", found.root),
        "command": printable(command),
        "counts": found.counts(),
        "has_near": found.has_near,
        "run": None if found.run is None else printable(found.run),
        "rule": data.EMBEDDING_RULE,
        "notes": [printable(line) for line in found.notes],
        "near_rule": NEAR_RULE,
        "relabel": outgoing.command(
            "carscale", "data", "relabel", found.root, "answers.csv", "NEW_FOLDER"
        ),
        "sections": sections,
        "num_questions": sum(len(one["questions"]) for part in sections for one in part["groups"]),
        "csv": _table(found.every(), build),
    }


def _rows(group: DuplicateGroup) -> Sequence[int]:
    """Return the photos of a group that are shown."""
    return group.rows[:MAX_PHOTOS]


def _group(
    group: DuplicateGroup, found: Duplicates, pictures: dict[int, Picture]
) -> dict[str, Any]:
    """Return what the page says of one group."""
    sizes_N2 = found.photos.sizes_N2
    pairs = _open_pairs(group, found)
    photos = [
        {
            "path": printable(path),
            "split": printable(split),
            "class": printable(name),
            "width": int(sizes_N2[row][0]),
            "height": int(sizes_N2[row][1]),
            "picture": pictures[row],
        }
        for row, path, split, name in zip(
            _rows(group), group.paths, group.splits, group.classes, strict=False
        )
    ]
    return {
        "photos": photos,
        "num": len(group.rows),
        "kind": group.kind,
        "agreement": finite(group.agreement),
        "cosine": finite(group.links[0].cosine),
        "is_leak": group.is_leak,
        "is_conflict": group.is_conflict,
        "splits": sorted(set(group.splits)),
        "classes": [printable(name) for name in dict.fromkeys(group.classes)],
        "questions": [_question(group, pair) for pair in pairs[:MAX_QUESTIONS]],
        "num_questions": len(pairs),
    }


def _open_pairs(group: DuplicateGroup, found: Duplicates) -> list[tuple[int, int]]:
    """Return the pairs of a group's photos that a person should say something of."""
    if not group.is_conflict:
        return []
    answered = {tuple(pair) for pair in found.settled_P2.tolist()}
    shown = set(_rows(group))
    pairs = data.cross_class_pairs(group)
    return [pair for pair in pairs if pair not in answered and shown.issuperset(pair)]


def _question(group: DuplicateGroup, pair: tuple[int, int]) -> dict[str, Any]:
    """Return what the page asks of a pair."""
    places = [group.rows.index(row) for row in pair]
    return {
        "places": [place + 1 for place in places],
        "classes": [printable(group.classes[place]) for place in places],
        "photos": [
            {"id": group.rows[place], "path": group.paths[place], "label": group.classes[place]}
            for place in places
        ],
    }


def _table(groups: Iterable[DuplicateGroup], build: Path) -> str:
    """Store all groups, a row a photo."""
    header = ["group", "kind", "leak", "two_classes", "agreement", "path", "split", "class"]
    rows = [
        [n, one.kind, int(one.is_leak), int(one.is_conflict), one.agreement, *photo]
        for n, one in enumerate(groups, 1)
        for photo in zip(one.paths, one.splits, one.classes, strict=True)
    ]
    return write_csv(build / "tables" / "duplicates.csv", header, rows)
