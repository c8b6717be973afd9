"""``carscale blend OLD NEW`` and ``carscale soup RUN...``: weights of runs, averaged."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.options import Force, Metric, Overrides
from carscale.cli.output import say_once


def blend(
    old: Annotated[Path, typer.Argument(help="Run folder.")],
    new: Annotated[Path, typer.Argument(help="Run that was trained on from OLD's weights.")],
    overrides: Overrides = None,
    share: Annotated[
        float | None, typer.Option(help="Of NEW's weights, 0 to 1; val chooses if absent.")
    ] = None,
    metric: Metric = "top1",
    max_negative_flips: Annotated[
        float, typer.Option(help="Share of what OLD has right on val that may be wrong then.")
    ] = 0.02,
    force: Force = False,
) -> None:
    """Make a run whose weights lie between two runs': most of what NEW gained, less of its loss.

    Example: carscale blend runs/effnet_baseline runs/effnet_baseline-rebalanced
    """
    from carscale import workflows

    made = workflows.blend(
        old,
        new,
        share=share,
        metric=metric,
        max_negative_flips=max_negative_flips,
        settings=overrides or (),
        force=force,
    )
    say_once(made, next_step=shlex.join(["carscale", "gate", str(old), str(made)]))


def soup(
    words: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Run folders from the same weights; settings."),
    ],
    metric: Metric = "top1",
    force: Force = False,
) -> None:
    """Make a run of the mean weights of those runs that make it better on val (a greedy soup).

    Example: carscale soup runs/cars-s0 runs/cars-s1 runs/cars-s2
    """
    from carscale import workflows

    runs = [Path(word) for word in words if "=" not in word or Path(word).is_dir()]
    settings = [word for word in words if Path(word) not in runs]
    made = workflows.soup(runs, metric=metric, settings=settings, force=force)
    say_once(made, next_step=shlex.join(["carscale", "compare", str(runs[0]), str(made)]))
