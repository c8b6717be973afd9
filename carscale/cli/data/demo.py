"""``carscale data demo OUT``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Seed
from carscale.cli.output import say


def demo(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    num_classes: Annotated[int, typer.Option(help="6 to 60 classes.")] = 12,
    num_images: Annotated[int, typer.Option(help="At least 20 a class.")] = 720,
    seed: Seed = 0,
) -> None:
    """Draw car photos with known problems, to try everything on.

    Example: carscale data demo data/demo-raw
    """
    from carscale.workflows.data_sets import draw_demo

    say(draw_demo(out, num_classes=num_classes, num_images=num_images, seed=seed))
