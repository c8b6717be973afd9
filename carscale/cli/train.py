"""``carscale train RECIPE``: start ``accelerate launch``, follow it, print the run folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Launch, Overrides


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's file or name: carscale recipes.")],
    overrides: Overrides = None,
    config_file: Annotated[
        Path | None, typer.Option("--config_file", help="Of accelerate launch: which processes.")
    ] = None,
    launch: Launch = "",
) -> None:
    """Train a recipe; started again, it goes on where it was stopped.

    Example: carscale train effnet_focal data.root=data/demo train.max_steps=2 data.image_px=64
    """
    from carscale import workflows

    print(
        workflows.train(
            recipe, overrides or [], config_file=config_file, launch=shlex.split(launch)
        )
    )
