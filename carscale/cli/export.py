"""``carscale export RUN OUT``: the model as others open it, verified."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from carscale.cli.options import Force, Overrides, RunFolderArg
from carscale.cli.output import say_once

Format = Annotated[
    Literal["hub", "onnx", "openvino", "pt2"],
    typer.Option(
        "--format",
        help="hub: a folder that timm and transformers open; onnx, openvino: a graph; pt2: a "
        "program of torch.export.",
    ),
]


def export(
    run: RunFolderArg,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    overrides: Overrides = None,
    format_: Format = "hub",
    int8: Annotated[
        bool, typer.Option("--int8", help="Eight bits, if they lose at most a point of accuracy.")
    ] = False,
    temperature: Annotated[
        bool, typer.Option("--temperature", help="Divide logits by the temperature fitted on val.")
    ] = False,
    verify: Annotated[
        Literal["val", "none"],
        typer.Option(help="Every photo of val must get the run's answer; none: not asked."),
    ] = "val",
    fixed_batch: Annotated[
        int | None, typer.Option(min=1, help="Pictures of each call of a graph; any otherwise.")
    ] = None,
    push: Annotated[
        str | None, typer.Option(help="OWNER/NAME: send the folder to the Hugging Face hub.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a run's model as others open it, proven to answer alike, with a model card.

    Example: carscale export runs/effnet_focal exported --format onnx
    """
    from carscale import workflows

    rule = workflows.ExportRule(format_, int8, temperature, verify == "val", fixed_batch)
    made = workflows.export_run(run, out, rule, settings=overrides or (), push=push, force=force)
    say_once(made, next_step=shlex.join(["carscale", "predict", str(made), "PHOTOS"]))
