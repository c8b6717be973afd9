"""``carscale data compare A B``: how far B lies from A, and what that will do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carscale import outgoing
from carscale.cli.options import (
    BoxMargin,
    ClassDepth,
    ClassFrom,
    Crop,
    FollowLinks,
    ImageColumn,
    Json,
    LabelColumn,
    Seed,
    answers_as_commands,
)
from carscale.cli.output import print_json, print_notes, print_table, say

if TYPE_CHECKING:
    from carscale.curate import Gap

MAX_PAIRS = 8


def compare(
    ctx: typer.Context,
    a: Annotated[Path, typer.Argument(metavar="A", help="Frozen folder or pack.")],
    b: Annotated[
        str,
        typer.Argument(metavar="B", help="What carscale data freeze takes, or a frozen folder."),
    ],
    run: Annotated[
        Path | None, typer.Option(help="Run folder: also compare its model's embeddings.")
    ] = None,
    num_photos: Annotated[int, typer.Option(min=20, help="Most photos a side to embed.")] = 500,
    max_photos: Annotated[
        int, typer.Option(min=20, help="Most photos a side that are measured; by a draw.")
    ] = 20_000,
    seed: Seed = 0,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    class_depth: ClassDepth = None,
    class_from: ClassFrom = None,
    crop: Crop = "ask",
    box_margin: BoxMargin = 0.0,
    follow_links: FollowLinks = False,
    as_json: Json = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for gap.json and attributes.csv.")
    ] = None,
) -> None:
    """Say how another set's photos differ from yours, before they join.

    Example: carscale data compare data/cars more-photos --run runs/effnet_focal
    """
    from carscale import progress, workflows

    if out is not None:
        _make_folder(out)
    with answers_as_commands(ctx):
        gap = workflows.compare_sets(
            a,
            b,
            run=run,
            num_photos=num_photos,
            max_photos=max_photos,
            seed=seed,
            image_column=image_column,
            label_column=label_column,
            class_depth=class_depth,
            class_from=class_from,
            crop=crop,
            box_margin=box_margin,
            follow_links=follow_links,
        )
    for side in (gap.a, gap.b):
        if side["num_unread"]:
            print_notes([f"{side['name']}: {side['num_unread']} files can't be read"])
        if side["num_compared"] + side["num_unread"] < side["num_photos"]:
            print_notes(
                [
                    f"{side['name']}: {side['num_compared']} of {side['num_photos']} photos, "
                    "by a draw; more: --max-photos"
                ]
            )
    if out is not None:
        workflows.write_gap(gap, out)
        progress.note(f"wrote {out}{os.sep}gap.json and attributes.csv")
    if as_json:
        print_json(gap.as_dict())
    else:
        _print(gap)


def _make_folder(out: Path) -> None:
    """Make the folder of the results, before minutes are spent on them."""
    from carscale import disk
    from carscale.errors import ConfigError

    if (out / "card.json").exists():
        raise ConfigError(f"--out {out}: is frozen data; its lock allows no more files")
    try:
        disk.make_folder(out)
    except OSError as error:
        raise ConfigError(f"--out {out}: can't be written: {error.strerror}") from error


def _print(gap: Gap) -> None:
    """Print a line an attribute, the first photos of both, and the sentences."""
    from carscale import curate

    print_table(
        ("attribute", ">A", ">B", ">delta", ">interval", ">p", "gap"),
        (
            (
                one.name,
                f"{one.median_a:.4g}",
                f"{one.median_b:.4g}",
                f"{one.delta:+.2f}",
                f"{one.low:+.2f}..{one.high:+.2f}",
                "<0.001" if one.p < 0.001 else f"{one.p:.3f}",
                (one.strength, "bold" if one.matters else "dim"),
            )
            for one in gap.attributes
        ),
    )
    say(
        "Medians; delta is Cliff's: how much oftener B has more than less.\n"
        "Intervals and p hold for all attributes together.\n"
    )
    for path_b, path_a, agreement in gap.overlap.pairs[:MAX_PAIRS]:
        how = "the same as" if agreement == 1.0 else f"{agreement:.0%} like"
        say(outgoing.one_line(f"{path_b} is {how} {path_a}"))
    num_more = len(gap.overlap.pairs) - MAX_PAIRS
    if num_more > 0:
        say(f"and {num_more} more; all: --json")
    if gap.overlap.pairs:
        say()
    for sentence in curate.sentences(gap):
        say(sentence)
