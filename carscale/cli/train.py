"""``carscale train RECIPE``: start its processes, follow them, print the run folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Launch, Overrides
from carscale.cli.output import say


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's file or name: carscale recipes.")],
    overrides: Overrides = None,
    config_file: Annotated[
        Path | None, typer.Option("--config_file", help="Which processes: gpu8.yaml, or a file.")
    ] = None,
    launch: Launch = "",
    restarts: Annotated[
        int, typer.Option(min=0, help="Start all processes again when one died, so often.")
    ] = 0,
) -> None:
    """Train a recipe; started again, it goes on where it was stopped.

    Ctrl-C, SIGTERM and SIGUSR1 end it after a step, saved; a second one at once.
    Settings and what they mean: python recipes/effnet_focal.py --help

    Example: carscale train effnet_focal data.root=data/demo train.max_steps=2 data.image_px=64
    """
    from carscale import workflows
    from carscale.errors import Stopped

    try:
        say(
            workflows.train(
                recipe,
                overrides or [],
                config_file=config_file,
                launch=shlex.split(launch),
                restarts=restarts,
            )
        )
    except Stopped as stop:  # the first rank has said where
        raise typer.Exit(stop.exit_code) from None
