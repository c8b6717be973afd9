"""``carscale data merge BASE SOURCE --map map.yaml OUT``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def merge_source(
    base: Annotated[Path, typer.Argument(help="Frozen folder; it stays as it is.")],
    source: Annotated[
        str, typer.Argument(help="What carscale data freeze takes, or another frozen folder.")
    ],
    out: Annotated[Path, typer.Argument(help="New version to make.")],
    map_file: Annotated[
        Path, typer.Option("--map", help="What becomes of each source class: carscale data map.")
    ],
    as_split: Annotated[
        str, typer.Option("--as", help="train, or a test of its own: test_external.")
    ] = "train",
    make_only: Annotated[
        str, typer.Option(help="Photos of which only the make is known: drop, or keep to train on.")
    ] = "drop",
    near_train: Annotated[
        str, typer.Option(help="Near duplicates of base train: drop or keep; of val, test: drop.")
    ] = "drop",
    max_per_class: Annotated[
        int | None, typer.Option(help="Most photos that join a class; by a draw.")
    ] = None,
    max_ratio: Annotated[
        float | None, typer.Option(help="Most photos that join a class, for each it has in train.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the photos' source is called.")] = "",
    licence: Annotated[str, typer.Option(help="Of the photos; stands beside each.")] = "",
    image_column: Annotated[
        str | None, typer.Option(help="Column of paths or photos, where its name is unusual.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of classes, where its name is unusual.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the draw where there are too many.")] = 0,
    link: Annotated[str, typer.Option(help="copy, or hard to share bytes with BASE.")] = "copy",
    force: Annotated[bool, typer.Option("--force", help="Replace a frozen folder at OUT.")] = False,
) -> None:
    """Add another set's photos, in a new version; BASE's val and test stay byte for byte.

    Started again after a kill, it goes on where it was.

    Example: carscale data merge data/cars more-photos data/cars-2 --map map.yaml
    """
    from carscale import curate, data, progress

    base_names = [car.name for car in data.read_splits(base).classes]
    notes: list[str] = []

    def targets_of(names: Any) -> dict[str, curate.ClassTarget]:  # noqa: ANN401 - names of classes
        told = curate.read_map(map_file, base_names, names)
        notes.extend(told.notes)
        return told.targets()

    origin = curate.Origin(source, name, licence, image_column, label_column)
    rule = curate.MergeRule(
        as_split=as_split,
        make_only=make_only,
        near_train=near_train,
        max_per_class=max_per_class,
        max_ratio=max_ratio,
        seed=seed,
    )
    with progress.stages() as advance:
        made = curate.merge_source(
            base, origin, out, targets_of=targets_of, rule=rule, link=link, force=force, advance=advance
        )
    for line in [*notes, *made.warnings]:
        progress.note(f"note: {line}")
    progress.note(f"joined: {_listed(made.counts['joined'])}")
    left_out = _listed(made.counts["left_out"])
    progress.note(f"left out: {left_out}; each in {out}/{curate.MERGE_LIST} or quarantine.jsonl")
    progress.note(f"next: carscale data diff {base} {out}")
    print(made.root)


def _listed(counts: dict[str, int]) -> str:
    """Return counts in words, the largest first."""
    parts = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {name}" for name, count in parts) or "none"
