"""``carscale benchmark models NAME...``: size, speed and memory of models on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer


def models(
    names: Annotated[list[str], typer.Argument(help="timm's names.")],
    image_px: Annotated[int, typer.Option(min=16, max=2048, help="Side of the input.")] = 224,
    local_batch_size: Annotated[int, typer.Option(min=2, help="Samples a step.")] = 32,
    attention: Annotated[str, typer.Option(help="none, se, eca, cbam or gc.")] = "none",
    num_classes: Annotated[int, typer.Option(min=1, help="Of the classifier.")] = 196,
    num_threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of a CPU; all cores when absent.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
) -> None:
    """Measure parameters, multiply-adds, images/s and memory of models, each in its own process.

    Example: carscale benchmark models tf_efficientnet_lite0 resnext50_32x4d --image-px 160
    """
    import json

    from carscale import config, progress

    config.resolve(config.Recipe(), [f"model.attention={attention}"])  # a wrong word stops here

    from carscale.benchmark import ModelRule, measure_models

    rule = ModelRule(
        image_px=image_px,
        local_batch_size=local_batch_size,
        num_classes=num_classes,
        attention=attention,
        num_threads=num_threads or 0,
    )
    wanted = tuple(dict.fromkeys(names))
    with progress.bar("benchmark", len(wanted), unit="models") as advance:
        rows = measure_models(wanted, rule, advance=advance)
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        _print_table(rows, rule)


def _print_table(rows: list[dict[str, Any]], rule: Any) -> None:  # noqa: ANN401 - loaded late
    """Print a table for people."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=max(120, Console().width))
    console.print(
        f"{rows[0]['device']}, {rows[0]['precision']}: {rule.image_px} px, steps of "
        f"{rule.local_batch_size}, {rule.num_classes} classes, attention {rule.attention}; median "
        "images/s of 5 rounds (lowest to highest), peak memory of the process",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=None)
    table.add_column("model", no_wrap=True)
    for name in ("parameters", "GMACs", "train images/s", "memory", "predict images/s", "memory"):
        table.add_column(name, justify="right")
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
        table.add_row(*cells)
    console.print(table)
