"""The sections of a data set's page, as plain values.

Axes: N photos, K classes, S splits.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import data, images, threads
from carscale.curate import find_rgb_swaps
from carscale.data.frozen.split_assignment import PARTIAL
from carscale.report.data import plots
from carscale.report.page.checks import printable
from carscale.report.page.class_bars import MAX_NAMED, draw_class_bars
from carscale.report.page.csv import write_csv
from carscale.report.page.pictures import SMALL_PX, Picture, make_pictures, photo_link
from carscale.report.page.theme import FigureEntry, figure_entry

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from carscale.data import DuplicateGroup
    from carscale.report.data.gather import DataRecord, Flag
    from carscale.report.page.place import Place


TILE_PX = (120, 80)
NUM_TILES = 4
MAX_STRIPS = 4000
"""More classes than this stand without examples."""
NUM_EXAMPLES = 8
MAX_PAIRS = 60
MAX_GROUPS = 4
"""Sources in a histogram; the others are one."""
FEW = 20
"""Smaller sources have no histogram, classes of fewer train photos are a tail."""
STATISTICS = (
    ("longer", "Longer side", "px", True),
    ("aspect", "Width / height", "", True),
    ("brightness", "Brightness", "mean luma, 0 to 255", False),
    ("contrast", "Contrast", "standard deviation of luma", False),
    ("saturation", "Saturation", "mean of max less min channel", False),
    ("sharpness", "Sharpness", "fine detail over coarse structure", False),
)
FACTS = ("path", "class", "split", "source")
USES = {
    "train": "training",
    "val": "choosing epochs and settings",
    "test": "final evaluation",
    PARTIAL: "only the make is known: partial labels",
}

Row = dict[str, Any]


def build_splits(record: DataRecord) -> list[Row]:
    """Return a row a split: name, photos, classes that have any, hash, what it is for."""
    splits_N, classes_N = record.rows["split"], record.rows["class"]
    return [
        {
            "name": name,
            "num": int((splits_N == name).sum()),
            "num_classes": len(set(classes_N[splits_N == name].tolist())),
            "hash": record.card["hashes"][name],
            "use": USES.get(name, "a test of another source"),
        }
        for name in record.splits
    ]


def build_sources(record: DataRecord) -> list[Row]:
    """Return a row a source and licence: photos by split, and how many of them each rule finds."""
    origins_N, licences_N = record.rows["origin"], record.rows["licence"]
    kinds = Counter(zip(origins_N.tolist(), licences_N.tolist(), strict=True))
    values = record.stats.values
    signs = find_rgb_swaps(origins_N.tolist(), values["usual_hues"], values["mirror_hues"])
    suspected = {sign.origin: sign.verdict for sign in signs if sign.is_suspected}
    rows = []
    for (origin, licence), count in sorted(kinds.items(), key=lambda item: (-item[1], item[0])):
        mask_N = (origins_N == origin) & (licences_N == licence)
        flagged = {name: int((flag.mask_N & mask_N).sum()) for name, flag in record.flags.items()}
        splits_M = record.rows["split"][mask_N]
        rows.append(
            {
                "name": printable(origin) or "unnamed",
                "licence": printable(licence),
                "num": count,
                "by_split": [int((splits_M == name).sum()) for name in record.splits],
                "num_classes": len(set(record.rows["class"][mask_N].tolist())),
                "flags": [(name, number) for name, number in flagged.items() if number],
                "channels": suspected.get(origin, ""),
            }
        )
    return rows


def build_classes(record: DataRecord, place: Place) -> Row:
    """Count and draw the photos of each class, and write a strip of examples per class.

    Returns:
        ``rows``: name, counts by split, number of flagged photos, sources, ``strip`` and ``links``
        of its examples, the most train photos first. ``figure``. ``ratio`` of the most to the
        fewest in train; ``unlearned``: classes that train lacks.
    """
    splits = [name for name in record.splits if name != PARTIAL]
    names = [car.name for car in record.classes]
    number = {name: k for k, name in enumerate(names)}
    is_whole_N = record.rows["split"] != PARTIAL
    rows_of: list[list[int]] = [[] for _ in names]
    for row in np.flatnonzero(is_whole_N).tolist():
        rows_of[number[record.rows["class"][row]]].append(row)
    flagged_N = any_flag(record)
    counts_SK = np.array(
        [
            [sum(record.rows["split"][row] == split for row in rows) for rows in rows_of]
            for split in splits
        ]
    )
    order_K = sorted(range(len(names)), key=lambda k: (-counts_SK[0, k], names[k]))
    strips = _strips(record, place, {k: rows_of[k] for k in order_K})
    rows = [
        {
            "name": printable(names[k]),
            "counts": counts_SK[:, k].tolist(),
            "num": len(rows_of[k]),
            "flagged": int(flagged_N[rows_of[k]].sum()),
            "sources": len(set(record.rows["origin"][rows_of[k]].tolist())),
            "strip": strips[k][0],
            "links": strips[k][1],
        }
        for k in order_K
    ]
    num_train = [row["counts"][0] for row in rows if row["counts"][0]]
    return {
        "splits": splits,
        "rows": rows,
        "figure": _class_figure(rows, splits, place.build_folder),
        "span": (min(num_train), float(np.median(num_train)), max(num_train))
        if num_train
        else None,
        "ratio": max(num_train) / min(num_train) if num_train else None,
        "unlearned": [row["name"] for row in rows if not row["counts"][0]],
        "tail": [row for row in rows if 0 < row["counts"][0] < FEW],
        "few": FEW,
    }


def any_flag(record: DataRecord) -> NDArray[np.bool_]:
    """Return which photos any rule finds."""
    masks = [flag.mask_N for flag in record.flags.values()]
    return np.any(masks, axis=0) if masks else np.zeros(len(record), dtype=bool)


def _class_figure(rows: Sequence[Row], splits: Sequence[str], folder: Path) -> FigureEntry:
    """Draw the photos of each class, and write them as a table."""
    counts_SK = np.array([row["counts"] for row in rows]).T
    names = [row["name"] for row in rows]
    has_hover = len(rows) > MAX_NAMED
    words = [f"{row['name']}: {_counted(row['counts'], splits)}" for row in rows]
    return figure_entry(
        lambda theme: draw_class_bars(theme, names, counts_SK, splits),
        folder,
        "classes",
        alt=f"Photos of {len(rows)} classes by split; in train from {counts_SK[0].min()} to "
        f"{counts_SK[0].max()}.",
        caption="A bar is a class, the one with the most train photos first; its parts are splits.",
        csv=write_csv(
            folder / "tables" / "classes.csv",
            ["class", *splits, "flagged", "sources"],
            ([row["name"], *row["counts"], row["flagged"], row["sources"]] for row in rows),
        ),
        hover=(range(len(rows)), counts_SK[0].tolist(), words) if has_hover else None,
    )


def _counted(counts: Sequence[int], splits: Sequence[str]) -> str:
    """Return counts in words."""
    return ", ".join(f"{count} {split}" for count, split in zip(counts, splits, strict=True))


def _strips(
    record: DataRecord, place: Place, rows_of: dict[int, list[int]]
) -> dict[int, tuple[str | None, list[str]]]:
    """Write a strip a class; return its link and the links to the photos on it, by class."""
    if place.read is None or len(rows_of) > MAX_STRIPS:
        return dict.fromkeys(rows_of, (None, []))
    read, paths_N = place.read, record.rows["path"]
    width, height = TILE_PX
    folder = place.build_folder / "strips"
    folder.mkdir(parents=True, exist_ok=True)

    def make(number: int) -> tuple[str | None, list[str]]:
        rows = rows_of[number]
        spread = range(0, len(rows), max(1, len(rows) // NUM_TILES))
        chosen = [rows[at] for at in list(spread)[:NUM_TILES]]
        if not chosen:
            return None, []
        contents = [_bytes_of(read, paths_N[row]) for row in chosen]
        file = folder / f"{number}.jpg"
        file.write_bytes(images.photo_strip(contents, width=width, height=height))
        return f"strips/{file.name}", [_photo_link(place, paths_N[row]) for row in chosen]

    with images.quiet_decoders(), ThreadPoolExecutor(threads.num_cores(), "carscale-strip") as pool:
        return dict(zip(rows_of, pool.map(make, rows_of), strict=True))


def _bytes_of(read: Any, path: str) -> bytes:  # noqa: ANN401 - a reader of bytes
    """Return a photo's bytes; empty where it can't be read, which is a flag."""
    try:
        return bytes(read(path))
    except OSError:
        return b""


def _photo_link(place: Place, path: str) -> str:
    """Return a link to a photo where it is a file; empty for a pack's."""
    return photo_link(place.data_root, path, place.page_folder) if place.data_root else ""


def build_statistics(record: DataRecord, folder: Path) -> list[FigureEntry]:
    """Draw histograms of photo statistics, by source where there are several."""
    values = record.stats.values
    with np.errstate(invalid="ignore"):
        columns = values | {
            "longer": np.maximum(values["width"], values["height"]),
            "aspect": values["width"] / values["height"],
        }
    groups = _groups(record)
    figures = []
    for key, title, unit, is_log in STATISTICS:
        parts = [(name, columns[key][mask_N]) for name, mask_N in groups]
        parts = [(name, part[np.isfinite(part)]) for name, part in parts]
        parts = [(name, part) for name, part in parts if len(part)]
        if not parts:
            continue
        medians = "; ".join(f"{name} {np.median(part):.3g}" for name, part in parts)
        entry = figure_entry(
            lambda theme, parts=parts, title=title, unit=unit, is_log=is_log: (  # type: ignore[misc]
                plots.draw_histogram(theme, parts, title=title, x=unit, is_log=is_log)
            ),
            folder,
            f"statistics-{key}",
            alt=f"{title}: shares of photos. Medians: {medians}.",
            caption=f"Medians: {medians}.",
        )
        figures.append(entry)
    return figures


def _groups(record: DataRecord) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the groups of a histogram: the largest sources, then the rest."""
    origins_N = record.rows["origin"]
    counts = Counter(origins_N.tolist())
    large = [name for name, count in counts.most_common(MAX_GROUPS - 1) if count >= FEW]
    if len(counts) < 2 or not large:
        return [("all photos", np.ones(len(record), dtype=bool))]
    groups = [(printable(name), origins_N == name) for name in large]
    rest_N = ~np.isin(origins_N, large)
    return [*groups, ("others", rest_N)] if rest_N.any() else groups


def build_flags(record: DataRecord, place: Place) -> list[Row]:
    """Return a row a rule: its rule, photos by split, and examples, the worst first."""
    rows = []
    for number, (name, flag) in enumerate(record.flags.items()):
        found = _worst(flag)
        shown = found[:NUM_EXAMPLES]
        pictures = pictures_of(record, place, shown, f"flag{number}")
        rows.append(
            {
                "name": printable(name),
                "rule": printable(flag.rule),
                "num": len(found),
                "by_split": [
                    int((record.rows["split"][found] == split).sum()) for split in record.splits
                ],
                "photos": [
                    photo_entry(record, row, one) for row, one in zip(shown, pictures, strict=True)
                ],
            }
        )
    write_csv(
        place.build_folder / "tables" / "flagged.csv",
        [*FACTS, "flag"],
        (
            [*_facts(record, row), name]
            for name, flag in record.flags.items()
            for row in _worst(flag)
        ),
    )
    return rows


def _worst(flag: Flag) -> list[int]:
    """Return the rows that a rule finds, the worst first."""
    rows = np.flatnonzero(flag.mask_N)
    if flag.order_N is not None:
        rows = rows[np.argsort(flag.order_N[rows], kind="stable")]
    return [int(row) for row in rows]


def build_pairs(record: DataRecord, place: Place) -> Row:
    """Return duplicates: counts, and the first pairs with pictures.

    Returns:
        ``exact``, ``near``, ``leaks``, ``conflicts``: numbers of pairs. ``pairs``: those shown.
    """
    pairs = record.pairs
    shown = pairs[:MAX_PAIRS]
    rows = sorted({row for pair in shown for row in pair.rows})
    pictures = dict(zip(rows, pictures_of(record, place, rows, "pair"), strict=True))
    write_csv(
        place.build_folder / "tables" / "duplicates.csv",
        [*FACTS, *(f"other_{name}" for name in FACTS), "agreement"],
        (
            [*(fact for row in pair.rows for fact in _facts(record, row)), _agreement(pair)]
            for pair in pairs
        ),
    )
    return {
        "exact": int((pairs.links.kinds_L == data.EXACT).sum()),
        "near": int((pairs.links.kinds_L == data.NEAR).sum()),
        "leaks": int(pairs.is_leak_G.sum()),
        "conflicts": int(pairs.is_conflict_G.sum()),
        "num": len(pairs),
        "pairs": [
            {
                "photos": [photo_entry(record, row, pictures[row]) for row in pair.rows],
                "agreement": _agreement(pair),
                "is_leak": pair.is_leak,
                "is_conflict": pair.is_conflict,
            }
            for pair in shown
        ],
    }


def _agreement(pair: DuplicateGroup) -> float | None:
    """Return the share of a pair's details that coincides; ``None`` for equal bytes."""
    return None if pair.kind == "exact" else round(pair.agreement, 4)


def pictures_of(record: DataRecord, place: Place, rows: Sequence[int], what: str) -> list[Picture]:
    """Write thumbnails of rows."""
    paths = [str(record.rows["path"][row]) for row in rows]
    return make_pictures(place, paths, [f"{what}-{row}" for row in rows], max_px=SMALL_PX)


def _facts(record: DataRecord, row: int) -> list[str]:
    """Return path, class, split and source of a row."""
    return [printable(record.rows[name][row]) for name in ("path", "class", "split", "origin")]


def photo_entry(record: DataRecord, row: int, picture: Picture) -> Row:
    """Return what the page shows of a photo."""
    path, name, split, source = _facts(record, row)
    return {
        "path": path,
        "class": name,
        "split": split,
        "source": source,
        "size": f"{record.rows['width'][row]}x{record.rows['height'][row]}",
        "thumb": picture.thumb,
        "photo": picture.photo,
        "trouble": picture.trouble,
    }
