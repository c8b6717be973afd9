"""``carscale evaluate RUN``: predict a split with the run's result, and write its metrics."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from carscale.cli.splits import check_split


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(help="Settings to change here: data.root=..., loader....=..."),
    ] = None,
    split: Annotated[
        str,
        typer.Option(
            help="val, test, train or a test_... of the data; looks at tests are written down."
        ),
    ] = "val",
    probs: Annotated[
        bool | None,
        typer.Option(help="Keep all probabilities of each photo; up to 10 million if absent."),
    ] = None,
    embeddings: Annotated[
        bool,
        typer.Option("--embeddings", help="Keep what the classifier layer saw, of train too."),
    ] = False,
    saliency: Annotated[
        str | None,
        typer.Option(help="Ids of predicted photos, 12,40,7: draw where their classes are seen."),
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option(help="Average each photo with its mirror image; the run's setting if absent."),
    ] = None,
    temperature: Annotated[
        bool | None,
        typer.Option(help="Scale confidence as val wants it; the run's setting if absent."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The metrics as JSON.")] = False,
) -> None:
    """Predict every photo of a split once with the run's best weights; write the metrics.

    Example: carscale evaluate runs/effnet_focal --split test
    """
    from carscale import config
    from carscale.errors import ConfigError
    from carscale.runs import RunFolder

    check_split(split, ("train", "val", "test"))
    folder = RunFolder.open(run)
    allowed = (
        "data.root=",
        "data.verify=",
        "loader.",
        "train.precision=",
        "train.num_cpu_threads=",
    )
    wrong = [word for word in overrides or [] if not word.startswith(allowed)]
    if wrong:
        raise ConfigError(
            f"command line: {wrong[0]!r} can't change in an evaluation",
            f"these can: {', '.join(allowed)}",
        )
    chosen = [] if flip is None else [f"evaluate.flip={flip}"]
    if temperature is not None:
        chosen.append(f"evaluate.temperature={'val' if temperature else 'none'}")
    cfg = config.resolve(folder.settings(), [*(overrides or []), *chosen])

    if saliency is not None and (embeddings or as_json or probs is not None):
        raise ConfigError(
            "command line: --saliency only draws; it predicts and prints nothing",
            f"draw after: carscale evaluate {folder} --split {split} --embeddings",
        )
    if saliency is not None:
        from carscale.workflows.saliency import draw_saliency

        for path in draw_saliency(folder, cfg, split, _ids(saliency)):
            print(path)
        return

    from carscale.workflows.evaluate import evaluate_run

    metrics = evaluate_run(
        folder,
        cfg,
        split=split,
        keep_probs=probs,
        command=sys.argv[1:],
        keep_embeddings=embeddings,
    )
    if metrics is None:  # not rank 0
        return
    if as_json:
        print(json.dumps(metrics, indent=1, ensure_ascii=False))
    else:
        _print_metrics(split, metrics)


def _print_metrics(split: str, metrics: dict[str, Any]) -> None:
    """Print the scores with their intervals, and the short classes."""
    print(f"{split}: {metrics['num_samples']} photos")
    for name in ("top1", "top5", "macro_f1", "balanced_accuracy", "ece"):
        entry = metrics[name]
        print(f"  {name:<18} {entry['value']:.4f}  95 % [{entry['low']:.4f}, {entry['high']:.4f}]")
    if "temperature" in metrics["about"]:
        print(f"  temperature {metrics['about']['temperature']:.3f}, fitted on val")
    print(f"  low recall: {'; '.join(metrics['low_recall_classes']) or 'no class'}")
    if metrics["without_support"]:
        print(f"  without photos here: {'; '.join(metrics['without_support'])}")


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
