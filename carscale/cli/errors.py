"""``carscale errors RUN``: every mistake, its cause, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carscale.cli.options import Csv, DataRoot, Json, RunFolderArg
from carscale.cli.output import (
    check_one_format,
    print_csv,
    print_json,
    print_notes,
    print_table,
    say,
)
from carscale.progress import note

if TYPE_CHECKING:
    from carscale.analysis import Analysis

MAX_ROWS = 10


def errors(
    run: RunFolderArg,
    split: Annotated[str, typer.Option(help="val, test or a test_... of the data.")] = "val",
    data_root: DataRoot = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Sort the mistakes of a predicted split by cause; write them, with what to do, to RUN/errors.

    Example: carscale errors runs/effnet_focal
    """
    from carscale import analysis, workflows

    check_one_format(as_json, as_csv)
    found = workflows.analyse(run, split=split, data_root=data_root)
    note(f"{len(found.analysis.wrong_W)} mistakes: {found.path}")
    print_notes(found.analysis.notes)
    if as_csv:
        columns = analysis.mistake_columns(found.analysis)
        names = [name for name in columns if name not in ("top5", "top5_prob", "embedding")]
        print_csv((*names, "top5"), _csv_rows(columns, names))
    elif as_json:
        print_json(found.to_dict())
    else:
        _print(found.analysis)


def _csv_rows(columns: dict[str, Any], names: list[str]) -> Iterator[list[object]]:
    """Yield a line a mistake; the best classes as ``name:probability``, ``;`` between."""
    lists = [columns[name].tolist() for name in names]
    best = zip(columns["top5"].tolist(), columns["top5_prob"].tolist(), strict=True)
    for row, (classes, probs) in zip(zip(*lists, strict=True), best, strict=True):
        pairs = ";".join(f"{c}:{p:.4f}" for c, p in zip(classes, probs, strict=True))
        yield [*row, pairs]


def _print(found: Analysis) -> None:
    """Print causes, pairs, bad slices and actions for people."""
    say(
        f"{found.evidence.split}: {len(found.wrong_W)} mistakes in "
        f"{len(found.evidence.predictions)} photos\n"
    )
    causes: list[tuple[Any, ...]] = [
        (group.title, len(group.rows_G), group.num_primary) for group in found.groups
    ]
    unexplained = int((found.primary_W < 0).sum())
    if unexplained:
        causes.append((("None of these", "dim"), unexplained, unexplained))
    print_table(("Cause", ">mistakes", ">primary"), causes)
    names = [one.name for one in found.evidence.classes]
    print_table(
        ("Confused pair A / B", ">A -> B", ">B -> A", ">by chance", ">p"),
        (
            (
                f"{names[pair.first]} / {names[pair.second]}",
                f"{pair.first_as_second}/{pair.first_support}",
                f"{pair.second_as_first}/{pair.second_support}",
                f"{pair.chance:.1f}",
                f"{pair.p:.2g}",
            )
            for pair in found.confusions.pairs[:MAX_ROWS]
        ),
    )
    print_table(
        ("Worse than the rest", ">photos", ">accuracy", ">95 %", ">rest"),
        (
            (
                f"{one.attribute}: {one.value}",
                one.num_samples,
                f"{one.accuracy:.1%}",
                f"{one.low:.1%} to {one.high:.1%}",
                f"{one.rest:.1%}",
            )
            for one in [one for one in found.slices if one.is_worst][:MAX_ROWS]
        ),
    )
    if found.actions:
        say("\nWhat to do")
    for action in found.actions:
        say(f"- {action['title']}\n  {action['why']}")
        if action["command"]:
            say(f"  {action['command']}")
        if action["then"]:
            say(f"  then: {action['then']}")
