"""``carscale data check ROOT``."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carscale.cli.terminal import shown

if TYPE_CHECKING:
    from carscale.curate import Audit, DuplicateGroup, Quality
    from carscale.types import Splits

NUM_NAMED = 3


def check_data(
    root: Annotated[Path, typer.Argument(help="Frozen folder or pack.")],
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Hash every photo again; else those whose size, time or inode changed.",
        ),
    ] = False,
    quality: Annotated[
        bool,
        typer.Option(
            "--quality/--no-quality",
            help="Look at the photos: dark, blurred, red and blue exchanged; once, then cached.",
        ),
    ] = True,
    near: Annotated[
        bool, typer.Option("--near", help="Fail for near duplicates across splits, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """Check a frozen folder against its lock, look for leaks, and show its classes and quality.

    Example: carscale data check data/demo
    """
    from carscale import curate, data, progress
    from carscale.errors import DataError

    data.read_card(root)  # a wrong folder is a wrong input
    try:
        num_hashed = data.verify(root, mode="full" if full else "fast")
    except DataError as error:
        error.exit_code = 1  # the check did its work; the data failed it
        raise
    splits = data.read_splits(root)
    with progress.stages() as advance:
        found = curate.audit_data(
            root, quality=quality, near=near, advance=lambda total: advance("measure", total)
        )
    rows, ratio = _class_rows(splits), _imbalance(splits)
    if as_json:
        told = {
            "root": str(root),
            "hashes": splits.card["hashes"],
            "imbalance_ratio": ratio[0],
            "classes": rows,
            "notes": splits.card["notes"],
            **found.as_dict(),
        }
        print(json.dumps(told, indent=1, ensure_ascii=False))
    else:
        _class_table(rows)
        num_photos = sum(map(len, (splits.train, splits.val, splits.test)))
        print(
            f"{len(rows)} classes, {num_photos} photos; "
            f"imbalance ratio in train {ratio[0]:.1f} ({ratio[1]} to {ratio[2]})"
        )
        if splits.extra:
            counts = ", ".join(f"{len(split)} in {name}" for name, split in splits.extra.items())
            print(f"beside these: {counts}")
        kind = "shards" if "shards" in splits.card else "photos"
        print(f"the lock matches ({num_hashed} {kind} hashed)")
        for line in _lines(root, found):
            print(line)
    if found.leaks:
        raise _leaks_error(root, found)


def _class_rows(splits: Splits) -> list[dict[str, Any]]:
    """Return a row a class with its counts."""
    every = (splits.train, splits.val, splits.test)
    return [
        {"class": car.name, **{split.name: int(split.counts_K[k]) for split in every}}
        for k, car in enumerate(splits.classes)
    ]


def _imbalance(splits: Splits) -> tuple[float, int, int]:
    """Return how many times the rarest class's train photos the most frequent has, and both."""
    held = splits.train.counts_K[splits.train.counts_K > 0]
    return float(held.max() / held.min()), int(held.max()), int(held.min())


def _lines(root: Path, found: Audit) -> list[str]:
    """Return what a person should know beyond the classes' counts, a line each."""
    from carscale import curate

    lines = []
    if found.thin:
        names = [f"{one.name} ({one.train} + {one.val} + {one.test})" for one in found.thin]
        lines.append(f"near-empty classes: {_some(names)}; {curate.FEW_RULE}")
    conflicts = [" = ".join(group.paths) for group in found.conflicts]
    if conflicts:
        lines.append(f"in two classes, one label must be wrong: {_some(conflicts)}")
    if found.duplicates:
        kinds = "duplicates" if found.has_near else "exact duplicates"
        near = " --near" if found.has_near else ""
        lines.append(
            f"{kinds}: {len(found.duplicates)} groups, {len(found.leaks)} across splits; "
            f"list them with: carscale data dedupe {shlex.quote(str(root))}{near}"
        )
    return [*lines, *([] if found.quality is None else _quality_lines(found.quality))]


def _quality_lines(quality: Quality) -> list[str]:
    """Return what the photos themselves show."""
    from carscale import curate, data

    lines = []
    for name, paths in quality.flags.items():
        if paths:
            lines.append(f"{name}: {_some(paths)}; {data.QUALITY_RULES[name]}")
    if quality.unreadable:
        told = [f"{path} ({why})" for path, why in quality.unreadable.items()]
        lines.append(f"unreadable: {_some(told)}")
    if not any(quality.flags.values()) and not quality.unreadable:
        lines.append("no photo is dark, bright, blurred, tiny, odd in shape or nearly empty")
    suspects = [sign for sign in quality.rgb_swaps if sign.is_suspected]
    for sign in suspects:
        lines.append(
            f"red and blue look {sign.verdict} in source {sign.origin}: {sign.num_odd} of "
            f"{sign.num_telling} telling photos have hues that few things have; look at some"
        )
    if suspects:
        lines.append(f"suspected: {curate.RGB_SWAP_RULE}")
    return lines


def _leaks_error(root: Path, found: Audit) -> Exception:
    """Return the error that names photos of several splits, and what to type."""
    from carscale.errors import DataError

    near = [group for group in found.leaks if group.kind != "exact"]
    num_exact = len(found.leaks) - len(near)
    parts = [f"{num_exact} times the same photo"] if num_exact else []
    parts += [f"{len(near)} times nearly the same photo"] if near else []
    option = " --near" if found.has_near else ""
    lines = [
        f"see them with: carscale data dedupe {root}{option} --out FOLDER",
        f"leave them out of train with: carscale data dedupe {root}{option} --apply NEW_FOLDER",
    ]
    if near:
        lines.append(
            "or draw new splits with: "
            "carscale data freeze SOURCE NEW_FOLDER --near-duplicates group"
        )
    error = DataError(
        f"{root}: {' and '.join(parts)} in more than one split "
        f"(first: {_pair(found.leaks[0])}); what is learned from one is tested on the other",
        *lines,
    )
    error.exit_code = 1
    return error


def _pair(group: DuplicateGroup) -> str:
    """Return two photos of a group that lie in different splits."""
    other = next(n for n, split in enumerate(group.splits) if split != group.splits[0])
    sign = "=" if group.kind == "exact" else "~"
    return f"{group.paths[0]} {sign} {group.paths[other]}"


def _some(names: list[str]) -> str:
    """Return a count, the first names and how many more there are."""
    more = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
    return f"{len(names)}: " + "; ".join(names[:NUM_NAMED]) + more


def _class_table(rows: list[dict[str, Any]]) -> None:
    """Print the classes and their counts, the most frequent first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("class", box=None)
    for name in ("train", "val", "test"):
        table.add_column(name, justify="right")
    for row in sorted(rows, key=lambda row: (-int(row["train"]), str(row["class"]))):
        table.add_row(
            Text(shown(row["class"])), *(str(row[name]) for name in ("train", "val", "test"))
        )
    Console().print(table)
