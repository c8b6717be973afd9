"""The page of a data set: classes, sources, photo statistics, quality, duplicates, history.

Chosen: a folder beside the data set. Rejected: a folder in it. Why: the frozen folder is locked,
and a page in it would be an added file. Chosen: examples of a class as one strip. Rejected: a file
a photo. Why: 2,000 classes would be 8,000 files.
"""

from __future__ import annotations

import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import files
from carscale.report.data import sections
from carscale.report.data.gather import DataRecord, gather_data
from carscale.report.data.synthetic import build_synthetic
from carscale.report.page.checks import printable
from carscale.report.page.place import MARKS, Place, check_page_folder, place_of
from carscale.report.page.script_data import as_script
from carscale.report.page.templating import TEMPLATES, count_text, page_html

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


MAX_LISTED = 100
MAX_ROWS = 12
SCRIPT = "data_page.js"

Row = dict[str, Any]


def write_data_report(
    root: Path,
    folder: Path,
    *,
    more_flags: Mapping[str, tuple[NDArray[np.bool_], str]] | None = None,
    advance: Callable[[str, int], None] = lambda what, total: None,
) -> Path:
    """Write the page of a frozen folder or pack; return the path of its ``index.html``.

    A page there is replaced as a whole, once the new one is whole.

    Args:
        root: The data set.
        folder: Where the page goes.
        more_flags: Further quality rules by name: a mask by manifest id, and the rule in words.
        advance: Told what is done and how much of it there is.

    Raises:
        ConfigError: ``folder`` holds other files.
        DataError: No frozen folder, or the page can't be written.
    """
    check_page_folder(folder, "data")
    record = gather_data(root, more_flags=more_flags, advance=advance)
    with files.staged_folder(folder, "report") as staging:
        _build(record, place_of(root.resolve(), staging, folder.resolve()), advance)
    return folder / "index.html"


def _build(record: DataRecord, place: Place, advance: Callable[[str, int], None]) -> None:
    """Write the page and all it shows."""
    folder = place.build_folder
    advance("draw", 3)
    classes = sections.build_classes(record, place)
    advance("draw", 3)
    statistics = sections.build_statistics(record, folder)
    flags = sections.build_flags(record, place)
    pairs = sections.build_pairs(record, place)
    advance("draw", 3)
    context = {
        "mark": MARKS["data"],
        "name": printable(record.name),
        "num": len(record),
        "splits": sections.build_splits(record),
        "sources": sections.build_sources(record),
        "classes": classes,
        "statistics": statistics,
        "flags": flags,
        "synthetic": build_synthetic(record, place),
        "num_flagged": int(sections.any_flag(record).sum()),
        "pairs": pairs,
        "refused": record.refused[:MAX_LISTED],
        "left_out": record.left_out[:MAX_LISTED],
        "num_refused": len(record.refused),
        "num_left_out": len(record.left_out),
        "causes": _causes(record.refused),
        "tile": sections.TILE_PX,
        "num_first": MAX_ROWS,
        "script": SCRIPT,
        **_provenance(record),
    }
    context["firsts"] = _firsts(context)
    text = page_html("data.html.j2", record.root.parent, context | {"nav": _nav(context)})
    (folder / "scripts").mkdir()
    shutil.copyfile(TEMPLATES / SCRIPT, folder / "scripts" / SCRIPT)
    (folder / "data").mkdir()
    content = {"splits": classes["splits"], "tile": sections.TILE_PX, "classes": classes["rows"]}
    (folder / "data" / "classes.js").write_text(as_script("classes", content), encoding="ascii")
    (folder / "index.html").write_bytes(text.encode("utf-8", "replace"))


def _nav(context: Row) -> list[tuple[str, str]]:
    """Return the anchors and titles of the sections that are there."""
    sections = [
        ("overview", "Overview", True),
        ("splits", "Splits", True),
        ("classes", "Classes", True),
        ("examples", "Examples", True),
        ("sources", "Sources", True),
        ("synthetic", "Synthetic photos", context["synthetic"]),
        ("statistics", "Photo statistics", context["statistics"]),
        ("quality", "Quality", True),
        ("duplicates", "Duplicates", True),
        ("refused", "Quarantine", context["num_refused"] or context["num_left_out"]),
        ("history", "History", True),
    ]
    return [(anchor, title) for anchor, title, is_there in sections if is_there]


def _firsts(context: Row) -> list[tuple[str, str]]:
    """Return what to check first: a sentence and the anchor of its section."""
    classes, pairs = context["classes"], context["pairs"]
    found = []
    if pairs["leaks"]:
        found.append(
            (
                f"{_some(pairs['leaks'], 'pair')} of duplicates lie in two splits: leakage "
                "that biases results",
                "duplicates",
            )
        )
    if pairs["conflicts"]:
        found.append(
            (
                f"{_some(pairs['conflicts'], 'pair')} of duplicates have two classes: a wrong "
                "label, or two cars",
                "duplicates",
            )
        )
    for row in context["sources"]:
        if row["channels"]:
            found.append((f"Red and blue seem swapped in {row['name']}", "sources"))
    if classes["unlearned"]:
        found.append(
            (
                f"{_some(len(classes['unlearned']), 'class', 'classes')} without a photo in train",
                "classes",
            )
        )
    if classes["tail"]:
        found.append(
            (
                f"{_some(len(classes['tail']), 'class', 'classes')} with fewer than "
                f"{classes['few']} train photos",
                "classes",
            )
        )
    worst = max(context["flags"], key=lambda row: row["num"], default=None)
    if worst and worst["num"]:
        found.append(
            (
                f"{_some(context['num_flagged'], 'photo')} of low quality or outliers, most of "
                f"them {worst['name']} ({worst['num']:,})",
                "quality",
            )
        )
    if context["num_refused"]:
        found.append((f"{_some(context['num_refused'], 'file')} could not be frozen", "refused"))
    return found


def _some(number: int, one: str, many: str = "") -> str:
    """Return a count in words."""
    return f"{count_text(number)} {one if number == 1 else many or one + 's'}"


def _causes(refused: tuple[tuple[str, str], ...]) -> list[tuple[str, int]]:
    """Return reasons without what is of one file only, the most frequent first."""
    return Counter(reason.split("(")[0].strip() for _, reason in refused).most_common(8)


def _provenance(record: DataRecord) -> Row:
    """Return where the data set came from and how to ask more of it."""
    card, root = record.card, shlex.quote(printable(record.root))
    rule = card.get("rule") if isinstance(card.get("rule"), dict) else {}
    parent = card.get("parent") or {}
    facts = [
        ("Folder", record.root.resolve()),
        ("Frozen from", card.get("source")),
        ("Seed", card.get("seed")),
        *((f"Rule: {name.replace('_', ' ')}", value) for name, value in (rule or {}).items()),
        ("Converted", card["counts"]["converted"]),
        ("Parent", parent.get("name")),
        ("Parent's card", parent.get("card")),
        ("This card", card["lock"].get("card.json")),
        ("Class list", card["hashes"].get("classes")),
    ]
    merged = card.get("merged")
    again = [f"carscale data check {root}", f"carscale data report {root}"]
    if parent.get("name"):
        parent_root = shlex.quote(printable(record.root.parent / str(parent["name"])))
        again.insert(1, f"carscale data diff {parent_root} {root}")
    return {
        "facts": [(term, printable(value)) for term, value in facts if value not in (None, "")],
        "merged": _merged(merged) if isinstance(merged, dict) else None,
        "relabelled": _relabelled(card.get("relabelled")),
        "again": again,
        "root": root,
        "card_notes": card.get("notes") or {},
    }


def _merged(merged: Row) -> Row:
    """Return what the card says of the merge that made this version."""
    kinds = Counter(entry.get("kind") for entry in merged.get("classes", {}).values())
    return {
        "source": printable(merged.get("source", "")),
        "licence": printable(merged.get("licence", "")),
        "joined": list(merged.get("joined", {}).items()),
        "left_out": list(merged.get("left_out", {}).items()),
        "kinds": [(printable(kind), count) for kind, count in kinds.most_common()],
        "rule": [(printable(k), printable(v)) for k, v in merged.get("rule", {}).items()],
    }


def _relabelled(entry: object) -> Row | None:
    """Return what the card says of the review that made this version."""
    if not isinstance(entry, dict):
        return None
    changes = [
        {name: printable(one.get(name) or "") for name in ("path", "from", "to")}
        for one in entry.get("changes", ())
    ]
    return {"num": len(changes), "changes": changes[:MAX_LISTED]}
