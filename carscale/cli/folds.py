"""``carscale folds RUN``: predictions of train by models that did not train on them."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from carscale.cli.options import Launch as LaunchWords
from carscale.cli.options import Overrides, RunFolderArg
from carscale.cli.output import say


def folds(
    run: RunFolderArg,
    overrides: Overrides = None,
    num_folds: Annotated[
        int, typer.Option(min=2, help="Parts of train; each is left out once.")
    ] = 5,
    num_repeats: Annotated[
        int, typer.Option(min=1, help="Trainings of each part; their predictions are averaged.")
    ] = 1,
    recipe: Annotated[
        str | None,
        typer.Option(help="The recipe, by file or name, where the run's is none of carscale's."),
    ] = None,
    launch: LaunchWords = "",
    keep_weights: Annotated[
        bool, typer.Option("--keep-weights", help="Keep the folds' weights.")
    ] = False,
) -> None:
    """Train without each part of train in turn and predict that part: how labels are reviewed.

    Started again, it goes on where it was. Then carscale errors RUN reviews the labels of train.

    Example: carscale folds runs/effnet_focal --num-folds 2
    """
    from carscale import progress, workflows
    from carscale.runs import RunFolder
    from carscale.studies.folds import FoldRule, run_folds
    from carscale.studies.launching import Launch

    folder = RunFolder.open(run)
    how = Launch(tuple(shlex.split(launch)))
    file = None if recipe is None else workflows.recipe_file(recipe)
    rule = FoldRule(num_folds, num_repeats, tuple(overrides or ()), how, keep_weights, file)
    path, found = run_folds(folder, rule)
    top1 = float((found.prediction_N == found.labels_N).mean())
    progress.note(
        f"{len(found)} train photos predicted out of sample, top-1 {top1:.1%}; "
        f"next: {shlex.join(['carscale', 'errors', str(folder)])}"
    )
    say(path)
