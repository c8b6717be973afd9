"""``carscale benchmark models NAME...``: size, speed and memory of models on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from carscale.cli.options import Json, typed_options
from carscale.cli.output import print_json, print_table, say
from carscale.progress import note


def models(
    ctx: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="timm's names.")] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Run folder: its network in PyTorch, ONNX Runtime, OpenVINO."),
    ] = None,
    image_px: Annotated[int, typer.Option(min=16, max=2048, help="Side of the input.")] = 224,
    local_batch_size: Annotated[int, typer.Option(min=2, help="Samples a step.")] = 32,
    attention: Annotated[
        Literal["none", "se", "eca", "cbam", "gc"], typer.Option(help="Layers to add.")
    ] = "none",
    num_classes: Annotated[int, typer.Option(min=1, help="Of the classifier.")] = 196,
    num_threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of a CPU; all cores when absent.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure parameters, multiply-adds, images/s and memory of models, each in its own process.

    With --run: images/s of that run's network by runtime, at batches of 1 and 32.

    Example: carscale benchmark models tf_efficientnet_lite0 resnext50_32x4d --image-px 160
    """
    from carscale import progress, workflows
    from carscale.benchmark import ModelRule, measure_models
    from carscale.errors import ConfigError

    if (run is None) == (not names):
        raise ConfigError("benchmark models: wants names of models, or --run RUN, one of both")
    if run is not None:
        if ignored := typed_options(
            ctx, "image_px", "local_batch_size", "attention", "num_classes"
        ):
            raise ConfigError(f"--run: its network is as it was trained; leave out {ignored[0]}")
        found = workflows.race_runtimes(run, num_threads=num_threads or 0)
        print_json(found) if as_json else _print_runtimes(found)
        return

    rule = ModelRule(
        image_px=image_px,
        local_batch_size=local_batch_size,
        num_classes=num_classes,
        attention=attention,
        num_threads=num_threads or 0,
    )
    wanted = tuple(dict.fromkeys(names or ()))
    with progress.bar("benchmark", len(wanted), unit="models") as advance:
        rows = measure_models(wanted, rule, advance=advance)
    if as_json:
        print_json(rows)
    else:
        _print_table(rows, rule)


def _print_runtimes(rows: list[dict[str, Any]]) -> None:
    """Print a table of runtimes for people."""
    lines = [
        (
            row["runtime"],
            row["num_images"],
            f"{row['images_per_s']['median']:,.1f}",
            "{median:.2f} ({low:.2f} to {high:.2f})".format(**row["ratio"]),
        )
        for row in rows
        if "ratio" in row
    ]
    say("on the CPU, in turns; median and range of rounds")
    print_table(("runtime", ">at once", ">images/s", ">times PyTorch (rounds)"), lines)
    for row in rows:
        if "skipped" in row:
            note(f"left out: {row['runtime']}: {row['skipped']}")


def _print_table(rows: list[dict[str, Any]], rule: Any) -> None:  # noqa: ANN401 - loaded late
    """Print a table for people."""
    say(
        f"{rows[0]['device']}, {rows[0]['precision']}: {rule.image_px} px, steps of "
        f"{rule.local_batch_size}, {rule.num_classes} classes, attention {rule.attention}; median "
        "images/s of 5 rounds (lowest to highest), peak memory of the process"
    )
    lines = []
    for row in rows:
        cells = [row["name"], f"{row['num_parameters'] / 1e6:.1f} M", f"{row['gmacs']:.2f}"]
        for kind in ("train", "predict"):
            speed = row[kind]
            digits = 0 if speed["median"] >= 100 else 1
            cells.append(
                f"{speed['median']:,.{digits}f} ({speed['low']:,.{digits}f} to "
                f"{speed['high']:,.{digits}f})"
            )
            cells.append(f"{speed['memory_gib']:.2f} GiB")
        lines.append(cells)
    numbers = ("parameters", "GMACs", "train images/s", "memory", "predict images/s", "memory")
    print_table(("model", *(f">{name}" for name in numbers)), lines)
