"""The page of duplicate images: group by group, leaks first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
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
    from carscale.data import DuplicateGroup, PhotoRows
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
        "`carscale data relabel` takes the answers. They go along into later versions, so that "
        "nothing asks again.",
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
    rows = sorted(
        {one.rows[n] for groups in shown.values() for one in groups for n in _places(one)}
    )
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
    questions = [asked for part in sections for one in part["groups"] for asked in one["questions"]]
    changes_held_out = any(asked["num_learned"] < 2 for asked in questions)
    return {
        "mark": MARKS["duplicates"],
        "root": printable(found.root),
        "version": data.read_card(found.root)["lock"]["card.json"],
        "dedupe": outgoing.command("carscale", "data", "dedupe", found.root),
        "command": printable(command),
        "counts": found.counts(),
        "has_near": found.has_near,
        "run": None if found.run is None else printable(found.run),
        "rule": data.EMBEDDING_RULE,
        "notes": [printable(line) for line in found.notes],
        "near_rule": NEAR_RULE,
        "relabel": outgoing.command(
            *("carscale", "data", "relabel", found.root, "answers.csv", "NEW_FOLDER"),
            *(["--any-split"] if changes_held_out else []),
        ),
        "sections": sections,
        "num_questions": len(questions),
        "csv": _table(found.every(), build),
    }


def _places(group: DuplicateGroup) -> list[int]:
    """Return which photos of a group are shown: one of each class at least, if there is room."""
    first = {name: place for place, name in reversed(list(enumerate(group.classes)))}
    places = dict.fromkeys([*sorted(first.values()), *range(len(group.rows))])
    return sorted(list(places)[:MAX_PHOTOS])


def _group(
    group: DuplicateGroup, found: Duplicates, pictures: dict[int, Picture]
) -> dict[str, Any]:
    """Return what the page says of one group."""
    sizes_N2 = found.photos.sizes_N2
    places = _places(group)
    shown = [group.rows[place] for place in places]
    open_pairs = data.open_pairs(found.photos, shown, found.settled_P2)
    pairs = list(open_pairs) if group.is_conflict else []
    photos = [
        {
            "path": printable(group.paths[place]),
            "split": printable(group.splits[place]),
            "class": printable(group.classes[place]),
            "width": int(sizes_N2[row][0]),
            "height": int(sizes_N2[row][1]),
            "picture": pictures[row],
        }
        for row, place in zip(shown, places, strict=True)
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
        "questions": [_question(found.photos, shown, pair) for pair in pairs[:MAX_QUESTIONS]],
        "num_questions": len(pairs),
    }


def _question(photos: PhotoRows, shown: list[int], pair: tuple[int, int]) -> dict[str, Any]:
    """Return what the page asks of a pair."""
    asked = [
        {"id": row, "path": str(photos.paths_N[row]), "label": str(photos.classes_N[row])}
        for row in pair
    ]
    return {
        "places": [shown.index(row) + 1 for row in pair],
        "classes": [printable(photo["label"]) for photo in asked],
        "photos": asked,
        "num_learned": sum(photos.splits_N[row] in data.LEARNED for row in pair),
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
