"""``carscale rebalance RUN``: another classifier layer on the network of a run."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from carscale.cli.options import Force, Metric, Overrides, RunFolderArg
from carscale.cli.output import say_once
from carscale.config import RebalanceMethod

Method = Annotated[
    RebalanceMethod,
    typer.Option(help="How the layer is made; auto tries all and lets val choose."),
]


def rebalance(
    run: RunFolderArg,
    overrides: Overrides = None,
    method: Method = "auto",
    metric: Metric = "macro_f1",
    force: Force = False,
) -> None:
    """Make another run of a run: its network, and a classifier layer that serves rare classes too.

    It takes seconds: the layer sees embeddings, which are kept.

    Example: carscale rebalance runs/effnet_baseline
    """
    from carscale import workflows

    made = workflows.rebalance(
        run, method=method, metric=metric, settings=overrides or (), force=force
    )
    words = shlex.join(["carscale", "compare", str(run), str(made), "--metric", metric])
    say_once(made, next_step=words)
