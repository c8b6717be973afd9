"""``carscale data pack ROOT OUT``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Force, Root
from carscale.cli.output import print_notes, say


def pack(
    root: Root,
    out: Annotated[Path, typer.Argument(help="Pack to make.")],
    max_px: Annotated[int, typer.Option(help="Longer side that photos are shrunk to.")] = 512,
    quality: Annotated[int, typer.Option(help="JPEG quality of shrunk photos.")] = 95,
    force: Force = False,
) -> None:
    """Copy a frozen folder into a few large files, giant photos shrunk, for slow disks.

    Example: carscale data pack data/demo data/demo-256 --max-px 256
    """
    from carscale import progress, workflows

    packed = workflows.pack(root, out, max_px=max_px, quality=quality, force=force)
    print_notes(packed.warnings)
    counts, sizes = packed.card["counts"], packed.card["pack"]
    num_photos = counts["train"] + counts["val"] + counts["test"]
    progress.note(
        f"{counts['shrunk']} of {num_photos} photos shrunk to {max_px} px; "
        f"{sizes['parent_num_bytes'] / 1e6:.1f} MB are now {sizes['num_bytes'] / 1e6:.1f} MB"
    )
    say(packed.root)
