"""Options and arguments that several commands share: one name, one help text each."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

# what is read
Root = Annotated[Path, typer.Argument(help="Frozen folder or pack; it is not changed.")]
Source = Annotated[
    str,
    typer.Argument(
        help="Class folders (a class is any path below), a zip or tar of them; CSV, TSV or "
        "Parquet of path,label; WebDataset shards: 'cars-{000..009}.tar'; "
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

# how it is done
Seed = Annotated[int, typer.Option(min=0, help="Another seed, another draw.")]
Launch = Annotated[
    str, typer.Option(help="Words for accelerate launch: '--config_file gpu8.yaml'.")
]
Metric = Annotated[Literal["top1", "balanced_accuracy"], typer.Option(help="What is compared.")]
Fit = Annotated[
    Literal["crop", "pad", "squash"], typer.Option(help="How a photo fills the square, data.fit.")
]


def typed_again(ctx: typer.Context) -> str:
    """Return ``carscale data COMMAND`` as it was typed, arguments first, to add an option to."""
    words, options = ["carscale", *ctx.command_path.split()[-2:]], []
    for param in ctx.command.params:
        value = ctx.params.get(param.name or "")
        if param.param_type_name == "argument":
            words.append(str(value))
        elif value not in (None, param.default):
            options += [param.opts[0]] if value is True else [param.opts[0], str(value)]
    return shlex.join([*words, *options])
