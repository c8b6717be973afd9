"""``carscale evaluate RUN``: predict a split with the run's result, and write its metrics."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from carscale import outgoing
from carscale.cli.options import Json, Overrides, RunFolderArg
from carscale.cli.output import print_json, say

if TYPE_CHECKING:
    from carscale.workflows import Metrics


def evaluate(
    run: RunFolderArg,
    overrides: Overrides = None,
    split: Annotated[
        str,
        typer.Option(
            help="val, test, train or a test_... of the data; evaluations on tests are recorded."
        ),
    ] = "val",
    probs: Annotated[
        bool | None,
        typer.Option(help="Keep all probabilities of each photo; up to 10 million if absent."),
    ] = None,
    embeddings: Annotated[
        bool,
        typer.Option("--embeddings", help="Keep the penultimate-layer embeddings, of train too."),
    ] = False,
    saliency: Annotated[
        str | None,
        typer.Option(help="Ids of predicted photos, 12,40,7: draw Grad-CAM of their classes."),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option(help="Average each photo with its mirror image; the run's setting if absent."),
    ] = None,
    temperature: Annotated[
        bool | None,
        typer.Option(help="Calibrate confidence on val; the run's setting if absent."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict every photo of a split once with the run's best weights; write the metrics.

    Example: carscale evaluate runs/effnet_focal --split test
    """
    from carscale import workflows
    from carscale.errors import ConfigError

    words = overrides or []
    if saliency is not None:
        if embeddings or as_json or probs is not None:
            raise ConfigError(
                "command line: --saliency only draws; it predicts and prints nothing",
                f"draw after: carscale evaluate {outgoing.command(run)} "
                f"--split {split} --embeddings",
            )
        for path in workflows.draw_saliency(run, _ids(saliency), split=split, settings=words):
            say(path)
        return
    metrics = workflows.evaluate(
        run,
        split=split,
        settings=words,
        probs=probs,
        embeddings=embeddings,
        flip=flip,
        temperature=temperature,
        command=sys.argv[1:],
    )
    if metrics is None:  # not rank 0
        return
    if as_json:
        print_json(metrics.to_dict())
    else:
        _print(metrics)


def _print(metrics: Metrics) -> None:
    """Print the scores with their intervals, and the classes of low recall."""
    values = metrics.values
    say(f"{metrics.split}: {values['num_samples']} photos")
    for name in ("top1", "top5", "macro_f1", "balanced_accuracy", "ece"):
        low, high = metrics.interval(name)
        say(f"  {name:<18} {metrics[name]:.4f}  95 % [{low:.4f}, {high:.4f}]")
    if "temperature" in values["about"]:
        say(f"  temperature {values['about']['temperature']:.3f}, fitted on val")
    say(f"  low recall: {'; '.join(values['low_recall_classes']) or 'no class'}")
    if values["without_support"]:
        say(f"  without photos here: {'; '.join(values['without_support'])}")


def _ids(text: str) -> list[int]:
    """Return the numbers of a list with commas."""
    from carscale.errors import ConfigError

    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() for part in parts):
        raise ConfigError(
            f"--saliency {text}: wanted ids of photos with commas between",
            "they are listed by: carscale errors RUN --csv",
        )
    return list(dict.fromkeys(map(int, parts)))
