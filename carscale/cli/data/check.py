"""``carscale data check ROOT``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carscale import outgoing
from carscale.cli.options import Json, Near, Root
from carscale.cli.output import first_few, print_json, print_table, say

if TYPE_CHECKING:
    from carscale.curate import Audit, Quality
    from carscale.workflows import DataCheck


def check(
    root: Root,
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
    near: Near = True,
    as_json: Json = False,
) -> None:
    """Check a frozen folder against its lock; fail for leaks; show its classes and quality.

    Example: carscale data check data/demo
    """
    from carscale import workflows

    found = workflows.check(root, full=full, quality=quality, near=near)
    if as_json:
        print_json(found.to_dict())
    else:
        _print(root, found)
    if found.audit.leaks:
        raise _leaks_error(root, found.audit)


def _print(root: Path, found: DataCheck) -> None:
    """Print the classes, the most frequent first, then what a person should know."""
    names = ("train", "val", "test")
    rows = sorted(found.class_counts, key=lambda row: (-row["train"], row["class"]))
    print_table(
        ("class", *(f">{name}" for name in names)),
        ((row["class"], *(row[name] for name in names)) for row in rows),
    )
    splits, (most, least) = found.splits, found.most_and_least
    num_photos = sum(map(len, (splits.train, splits.val, splits.test)))
    say(
        f"{len(rows)} classes, {num_photos} photos; "
        f"imbalance ratio in train {most / least:.1f} ({most} to {least})"
    )
    if splits.extra:
        counts = ", ".join(f"{len(split)} in {name}" for name, split in splits.extra.items())
        say(f"beside these: {counts}")
    kind = "shards" if "shards" in splits.card else "photos"
    say(f"the lock matches ({found.num_hashed} {kind} hashed)")
    for line in _lines(root, found.audit):
        say(line)


def _lines(root: Path, found: Audit) -> list[str]:
    """Return what a person should know beyond the classes' counts, a line each."""
    from carscale import curate

    lines = []
    if found.thin:
        names = [f"{one.name} ({one.train} + {one.val} + {one.test})" for one in found.thin]
        lines.append(f"near-empty classes: {first_few(names)}; {curate.FEW_RULE}")
    near = "" if found.has_near else " --no-near"
    conflicts = [group.example(group.classes) for group in found.conflicts]
    if conflicts:
        lines.append(
            f"alike, in two classes: {first_few(conflicts)}; say which label is right on the page "
            f"of: carscale data dedupe {outgoing.command(root)}{near} --out FOLDER"
        )
    lines += found.near_notes
    if found.duplicates:
        kinds = "duplicates" if found.has_near else "exact duplicates"
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
            lines.append(f"{name}: {first_few(paths)}; {data.QUALITY_RULES[name]}")
    if quality.unreadable:
        named = [f"{path} ({why})" for path, why in quality.unreadable.items()]
        lines.append(f"unreadable: {first_few(named)}")
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
    from carscale.data import read_card
    from carscale.errors import DataError

    near = [group for group in found.leaks if group.kind != "exact"]
    num_exact = len(found.leaks) - len(near)
    parts = [f"{num_exact} times the same photo"] if num_exact else []
    parts += [f"{len(near)} times nearly the same photo"] if near else []
    first = found.leaks[0]
    option, place = "" if found.has_near else " --no-near", outgoing.command(root)
    lines = [
        f"see them with: carscale data dedupe {place}{option} --out FOLDER",
        f"leave them out of train with: carscale data dedupe {place}{option} --apply NEW_FOLDER",
    ]
    if "shards" in read_card(root):
        lines[1] = "this is a pack: leave them out of the frozen folder that it was made of"
    if near:
        lines.append(
            "or draw new splits, near duplicates in one: carscale data freeze SOURCE NEW_FOLDER"
        )
    error = DataError(
        f"{root}: {' and '.join(parts)} in more than one split "
        f"(first: {first.example(first.splits)}); what is learned from one is tested on the other",
        *lines,
    )
    error.exit_code = 1
    return error
