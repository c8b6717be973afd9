"""``carscale data preview ROOT``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Fit, Root, Seed
from carscale.cli.output import say
from carscale.config import PolicyName


def preview(
    root: Root,
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")] = Path("grid.png"),
    policy: Annotated[PolicyName, typer.Option(help="augment.policy.")] = "standard",
    fit: Fit = "squash",
    num_photos: Annotated[int, typer.Option(min=1, help="Rows.")] = 6,
    num_draws: Annotated[int, typer.Option(min=1, help="Augmented views of each.")] = 8,
    image_px: Annotated[int, typer.Option(help="Side of a view.")] = 160,
    seed: Seed = 0,
    model: Annotated[
        str, typer.Option(help="Whose fill and filter are used.")
    ] = "tf_efficientnet_lite0",
) -> None:
    """Draw a grid: each photo as it is, then as the model would see it in training.

    Example: carscale data preview data/demo --policy standard -o grid.png
    """
    from carscale import workflows

    settings = [
        *(f"augment.policy={policy}", f"data.image_px={image_px}"),
        *(f"data.fit={fit}", f"model.name={model}"),
    ]
    say(
        workflows.preview(
            root, out, settings, num_photos=num_photos, num_draws=num_draws, seed=seed
        )
    )
