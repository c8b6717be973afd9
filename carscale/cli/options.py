"""Options and arguments that several commands share: one name, one help text each."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from carscale.cli.output import print_notes

# what is read
Root = Annotated[Path, typer.Argument(help="Frozen folder or pack; it is not changed.")]
Source = Annotated[
    str,
    typer.Argument(
        help="Class folders (a class is any path below), a zip or tar of them; CSV, TSV or "
        "Parquet of path,label; COCO, Pascal VOC, YOLO, devkits with boxes; WebDataset shards: "
        "'cars-{000..009}.tar'; "
        "hf://owner/name[:split] or hf://FOLDER, a folder of save_to_disk."
    ),
]
OtherSet = Annotated[
    str, typer.Argument(help="A source as carscale data freeze takes it, or a frozen folder.")
]
ImageColumn = Annotated[
    str | None,
    typer.Option(help="Column of paths or photos, where its name is unusual, or its position."),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(help="Column of classes, where its name is unusual, or its position."),
]
FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links",
        help="Take photos too that links, or paths in a table, name outside of the source.",
    ),
]
ClassDepth = Annotated[
    int | None, typer.Option(help="How many folders from the top are the class.")
]
ClassFrom = Annotated[
    str | None,
    typer.Option(
        help="Parts of the path that are the class: '{make}/{model}/{year}/*', "
        "'{make}_{model}_*/*' for all years, '{make}_{model}_*.jpg' for names of files, or a "
        "regular expression with named groups."
    ),
]
Crop = Annotated[
    Literal["ask", "boxes", "none"],
    typer.Option(
        help="Of COCO, VOC, YOLO, devkits and tables with boxes: boxes: each becomes a photo; "
        "none: whole photos; ask: stop where a photo has boxes of several classes."
    ),
]
BoxMargin = Annotated[
    float, typer.Option(help="With --crop boxes: kept on each side, as a share of the box.")
]
ClassFilter = Annotated[
    bool,
    typer.Option(
        "--class-filter/--no-class-filter",
        help="Of synthetic photos: a model must name the class among its first five, of fewer than "
        "20 classes the first quarter.",
    ),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        help="NAME=REGEX, once or more: what is found in a photo's path is an attribute of it, "
        "for slices: 'colour=([^/]+)/[^/]+$'.",
    ),
]
RunFolderArg = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder.")]
DataRoot = Annotated[
    Path | None, typer.Option(help="Where the photos lie now; the run's data.root otherwise.")
]
Overrides = Annotated[
    list[str] | None, typer.Argument(help="Settings to change: data.root=data/cars ...")
]

# what is written
NewVersion = Annotated[Path, typer.Argument(metavar="OUT", help="New frozen folder to make.")]
Link = Annotated[
    Literal["copy", "hard"],
    typer.Option(help="hard: photos that stay as they are share their bytes on disk."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace what carscale made there before.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")]

Near = Annotated[
    bool,
    typer.Option(
        "--near/--no-near",
        help="Near duplicates too: re-encoded, resized, cropped, mirrored; once, then cached.",
    ),
]

# how it is done
Seed = Annotated[int, typer.Option(min=0, help="Another seed, another draw.")]
Launch = Annotated[
    str, typer.Option(help="Words for accelerate launch: '--config_file gpu8.yaml'.")
]
Metric = Annotated[
    Literal["top1", "balanced_accuracy", "macro_f1", "log_loss"],
    typer.Option(help="What is compared."),
]
Fit = Annotated[
    Literal["crop", "pad", "squash"], typer.Option(help="How a photo fills the square, data.fit.")
]


def typed_again(ctx: typer.Context) -> str:
    """Return ``carscale data COMMAND`` as it was typed, arguments first, to add an option to."""
    words = [
        str(ctx.params.get(param.name or ""))
        for param in ctx.command.params
        if param.param_type_name == "argument"
    ]
    return shlex.join(["carscale", *ctx.command_path.split()[-2:], *words, *typed_options(ctx)])


@contextmanager
def answers_as_commands(ctx: typer.Context) -> Iterator[None]:
    """Turn a question about a source into an error that prints each answer as a command."""
    from carscale.errors import DataError, QuestionError

    try:
        yield
    except QuestionError as question:
        print_notes(question.notes)
        again = typed_again(ctx)
        answers = (f"{means}: {again} {option}" for means, option in question.answers.items())
        raise DataError(question.fact, *question.next_steps, *answers) from question


def typed_options(ctx: typer.Context, *names: str) -> list[str]:
    """Return the words of options that were typed, of these names or all."""
    words: list[str] = []
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        is_meant = not names or param.name in names
        if param.param_type_name == "argument" or not is_meant or value in (None, param.default):
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [param.opts[0]] if one is True else [param.opts[0], str(one)]
    return words
