"""``carscale data freeze SOURCE OUT``."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from carscale.cli.options import (
    Attributes,
    BoxMargin,
    ClassDepth,
    ClassFrom,
    Crop,
    FollowLinks,
    Force,
    ImageColumn,
    LabelColumn,
    Link,
    NewVersion,
    Seed,
    Source,
    answers_as_commands,
)
from carscale.cli.output import print_notes, say


def freeze(
    ctx: typer.Context,
    source: Source,
    out: NewVersion,
    fractions: Annotated[str, typer.Option(help="Of train, val, test.")] = "0.7,0.15,0.15",
    seed: Seed = 0,
    group_by: Annotated[
        str | None,
        typer.Option(help="Regular expression: photos with the same match stay in one split."),
    ] = None,
    long_tail: Annotated[
        str | None, typer.Option(help="MOST:LEAST train photos of a class.")
    ] = None,
    keep_splits: Annotated[
        bool,
        typer.Option(
            "--keep-splits",
            help="The source has train, val, test: as folders, column split, or its own; val and "
            "test stay as they are.",
        ),
    ] = False,
    val_fraction: Annotated[
        float | None, typer.Option(help="With --keep-splits: of train, drawn as val.")
    ] = None,
    split_folders: Annotated[
        Literal["ask", "together", "classes"],
        typer.Option(
            help="What folders train and test are: splits to put together and draw anew, or "
            "classes; ask: stop and say."
        ),
    ] = "ask",
    class_depth: ClassDepth = None,
    class_from: ClassFrom = None,
    attribute: Attributes = None,
    alike: Annotated[
        Literal["ask", "join", "apart"],
        typer.Option(
            help="What classes are whose names differ in case, accents or separators alone: join "
            "them, keep them apart; ask: stop and say."
        ),
    ] = "ask",
    crop: Crop = "ask",
    box_margin: BoxMargin = 0.0,
    near_duplicates: Annotated[
        Literal["group", "drop", "ignore"],
        typer.Option(
            help="group: near duplicates stay in one split; drop: the largest of each is kept, "
            "where they are of one class; ignore: don't look."
        ),
    ] = "group",
    image_column: ImageColumn = None,
    label_column: LabelColumn = None,
    follow_links: FollowLinks = False,
    link: Link = "copy",
    force: Force = False,
) -> None:
    """Freeze a source of labelled photos into train, val and test, for good.

    Started again after a kill, it goes on where it was.

    Example: carscale data freeze data/demo-raw data/demo
    """
    from carscale import data, progress, workflows

    rule = data.FreezeRule(
        fractions=_fractions(fractions),
        seed=seed,
        group_by=group_by,
        long_tail=_most_and_least(long_tail),
        keep_splits=keep_splits,
        val_fraction=val_fraction,
        split_folders=split_folders,
        class_depth=class_depth,
        class_from=class_from,
        alike=alike,
        crop=crop,
        box_margin=box_margin,
        attributes=data.attributes_of(attribute or []),
        link=link,
        near_duplicates=near_duplicates,
    )
    with answers_as_commands(ctx):
        frozen = workflows.freeze(
            source,
            out,
            rule,
            image_column=image_column,
            label_column=label_column,
            follow_links=follow_links,
            force=force,
        )
    print_notes(frozen.warnings)
    counts = frozen.card["counts"]
    progress.note(
        f"{counts['classes']} classes: {counts['train']} train, {counts['val']} val, "
        f"{counts['test']} test; {counts['converted']} converted, "
        f"{counts['quarantined']} quarantined"
    )
    say(frozen.root)


def _fractions(text: str) -> tuple[float, float, float]:
    """Read three numbers."""
    from carscale.errors import ConfigError

    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--fractions {text!r}: must be three numbers", "for example: --fractions 0.7,0.15,0.15"
        ) from error
    return train, val, test


def _most_and_least(text: str | None) -> tuple[int, int] | None:
    """Read ``MOST:LEAST``."""
    from carscale.errors import ConfigError

    if text is None:
        return None
    try:
        most, least = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise ConfigError(
            f"--long-tail {text!r}: must be MOST:LEAST", "for example: --long-tail 40:5"
        ) from error
    return most, least
