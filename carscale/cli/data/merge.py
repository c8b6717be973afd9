"""``carscale data merge BASE SOURCE --map map.yaml OUT``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from carscale import outgoing
from carscale.cli.options import (
    Attributes,
    BoxMargin,
    ClassDepth,
    ClassFilter,
    ClassFrom,
    Crop,
    FollowLinks,
    Force,
    ImageColumn,
    LabelColumn,
    Link,
    NewVersion,
    OtherSet,
    Root,
    Seed,
    answers_as_commands,
)
from carscale.cli.output import print_notes, say

if TYPE_CHECKING:
    from carscale import curate


def merge(
    ctx: typer.Context,
    base: Root,
    source: OtherSet,
    out: NewVersion,
    class_map: Annotated[
        Path, typer.Option("--map", help="What becomes of each source class: carscale data map.")
    ],
    as_split: Annotated[
        str, typer.Option("--as", help="train, or a test of its own: test_external.")
    ] = "train",
    make_only: Annotated[
        Literal["drop", "keep"],
        typer.Option(help="Photos of which only the make is known: keep them to train on."),
    ] = "drop",
    near_train: Annotated[
        Literal["drop", "keep"],
        typer.Option(help="Near duplicates of base train; those of val and test are dropped."),
    ] = "drop",
    max_per_class: Annotated[
        int | None, typer.Option(help="Most photos that join a class; by a draw.")
    ] = None,
    max_ratio: Annotated[
        float | None, typer.Option(help="Most photos that join a class, for each it has in train.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the photos' source is called.")] = "",
    licence: Annotated[str, typer.Option(help="Of the photos; stored beside each.")] = "",
    synthetic: Annotated[
        bool,
        typer.Option(
            "--synthetic", help="No camera took these photos: say so of each, and filter them."
        ),
    ] = False,
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="With --synthetic: judges whether they show their class."),
    ] = None,
    class_filter: ClassFilter = True,
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    class_depth: ClassDepth = None,
    class_from: ClassFrom = None,
    attribute: Attributes = None,
    crop: Crop = "ask",
    box_margin: BoxMargin = 0.0,
    follow_links: FollowLinks = False,
    seed: Seed = 0,
    link: Link = "copy",
    force: Force = False,
) -> None:
    """Add another set's photos, in a new version; BASE's val and test stay byte for byte.

    Started again after a kill, it goes on where it was.

    Example: carscale data merge data/cars more-photos data/cars-2 --map map.yaml
    """
    from carscale import curate, data, progress, workflows
    from carscale.errors import ConfigError

    reading = data.Reading(
        image_column=image_column,
        label_column=label_column,
        class_depth=class_depth,
        class_from=class_from,
        attributes=data.attributes_of(attribute or []),
        crop=crop,
        box_margin=box_margin,
        follow_links=follow_links,
    )
    origin = curate.Origin(source, name, licence, reading)
    if run is not None and not synthetic:
        raise ConfigError("--run judges synthetic photos", "add --synthetic, or leave --run out")
    if synthetic and as_split != "train":
        raise ConfigError(
            f"--as {as_split}: synthetic photos are for train alone", "leave --as out"
        )
    if synthetic:
        origin = workflows.as_synthetic(origin, base, run, by_class=class_filter)
    rule = curate.MergeRule(
        as_split=as_split,
        make_only=make_only,
        near_train=near_train,
        max_per_class=max_per_class,
        max_ratio=max_ratio,
        seed=seed,
    )
    with answers_as_commands(ctx):
        made = workflows.merge(base, origin, out, class_map, rule, link=link, force=force)
    progress.note(f"next: {outgoing.command('carscale', 'data', 'diff', base, out)}")
    say_merged(made, out)


def say_merged(made: curate.Merged, out: Path) -> None:
    """Print what joined, what did not, and where the version lies."""
    from carscale import curate, progress

    print_notes(made.warnings)
    progress.note(f"joined: {_listed(made.counts['joined'])}")
    left_out = _listed(made.counts["left_out"])
    progress.note(f"left out: {left_out}; each in {out}/{curate.MERGE_LIST} or quarantine.jsonl")
    say(made.root)


def _listed(counts: dict[str, int]) -> str:
    """Return counts in words, the largest first."""
    parts = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in parts) or "none"
