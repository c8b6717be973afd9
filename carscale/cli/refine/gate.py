"""``carscale gate OLD NEW``: may the new run replace the old one?"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from carscale.cli.options import DataRoot, Json
from carscale.cli.output import print_json, print_notes, print_table, say
from carscale.progress import note

if TYPE_CHECKING:
    from carscale.verdicts.gate import GateResult
    from carscale.workflows import Gate

REFUSED = 3
MAX_ROWS = 10


def gate(
    old: Annotated[Path, typer.Argument(help="Run folder of what is in use.")],
    new: Annotated[Path, typer.Argument(help="Run folder of what may replace it.")],
    split: Annotated[str, typer.Option(help="val, test or a test_...; predicted by both.")] = "val",
    max_class_drop: Annotated[
        float, typer.Option(help="Share of its photos that a class or slice may lose.")
    ] = 0.05,
    max_negative_flips: Annotated[
        float,
        typer.Option(
            help="Share of what was right that may be wrong now, beyond what another seed loses."
        ),
    ] = 0.02,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a page with the photos that flipped.")
    ] = None,
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Refuse a new run that became worse anywhere: by class, by slice, photo by photo.

    Exit code 0: passed; 3: refused; 1: failed; 2: wrong input.

    Example: carscale gate runs/effnet_baseline runs/effnet_baseline-rebalanced
    """
    from carscale import workflows

    found = workflows.gate(
        old,
        new,
        split=split,
        max_class_drop=max_class_drop,
        max_negative_flips=max_negative_flips,
        out=out,
        data_root=data_root,
    )
    if as_json:
        print_json(found.to_dict())
    else:
        _print(found)
    if found.page is None and not as_json:
        again = shlex.join(["carscale", "gate", str(old), str(new), "--split", split])
        note(f"the photos that flipped: {again} --out FOLDER")
    if not found.result.has_passed:
        raise typer.Exit(REFUSED)


def _print_unseen(result: GateResult) -> None:
    """Say which classes lost more than is allowed, but too little to be told from chance."""
    limit = result.max_class_drop
    lost = [one for one in result.groups if one.drop > limit and not one.is_worse]
    for one in sorted(lost, key=lambda one: -one.drop)[:MAX_ROWS]:
        note(
            f"{one.name}: lost {100 * one.drop:.0f} points, which {one.num_photos} photos do not "
            "tell from chance"
        )
    blind = sum(one.smallest_drop is None for one in result.groups)
    if blind:
        note(f"{blind} of {len(result.groups)} groups are too small to be refused")


def _print(found: Gate) -> None:
    """Print the judgement for people."""
    result, flips = found.result, found.result.flips
    print_table(
        (found.split, ">photos", ">before", ">now", ">points", ">p", ">could show"),
        (
            (
                one.name,
                one.num_photos,
                f"{one.num_right / one.num_photos:.1%}",
                f"{(one.num_right - one.num_lost + one.num_gained) / one.num_photos:.1%}",
                f"{-100 * one.drop:+.1f}",
                f"{one.p:.3f}",
                "nothing" if one.smallest_drop is None else f"{-100 * one.smallest_drop:.1f}",
            )
            for one in [result.groups[0], *(one for one in result.worse if one.kind != "all")][
                :MAX_ROWS
            ]
        ),
    )
    told = "not judged: no other seed of the old recipe lies beside it"
    if flips.p is not None:
        num = len(found.seeds)
        by = "the old weights" if found.is_continued else f"{num} other seed{'s' * (num != 1)}"
        told = f"{flips.by_chance:.1%} by {by}, {flips.limit:.1%} more allowed, p {flips.p:.3f}"
    say(f"negative flips: {flips.num_lost} of {flips.num_right}, {flips.share:.1%} ({told})")
    print_notes(found.notes)
    if result.is_blind:
        note(
            f"classes can't be judged: they shift by {100 * result.shift.value:.1f} points between "
            "these runs, and no other seed of the old recipe tells luck from damage"
        )
    if found.page is not None:
        say(found.page)
    _print_unseen(result)
    if result.has_passed:
        say("passed" if flips.p is not None else "passed, as far as it was judged")
        return
    what = [one.name for one in result.worse] + ["negative flips"] * flips.is_too_many
    say(f"refused: {'; '.join(what[:MAX_ROWS])}")
