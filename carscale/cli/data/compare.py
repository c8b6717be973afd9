"""``carscale data compare A B``: how far B lies from A, and what that will do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carscale.cli.terminal import shown

if TYPE_CHECKING:
    from carscale import config
    from carscale.curate import Gap, PhotoStats

MAX_PAIRS = 8


def compare_sets(
    a: Annotated[Path, typer.Argument(metavar="A", help="Frozen folder or pack.")],
    b: Annotated[
        str,
        typer.Argument(metavar="B", help="What carscale data freeze takes, or a frozen folder."),
    ],
    run: Annotated[
        Path | None, typer.Option(help="Run folder: also compare what its model sees.")
    ] = None,
    num_photos: Annotated[
        int, typer.Option(min=20, help="Most photos a side that the run looks at.")
    ] = 500,
    max_photos: Annotated[
        int, typer.Option(min=20, help="Most photos a side that are measured; by a draw.")
    ] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="Of all draws.")] = 0,
    image_column: Annotated[
        str | None, typer.Option(help="Column of paths or photos, where its name is unusual.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of classes, where its name is unusual.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for gap.json and attributes.csv.")
    ] = None,
) -> None:
    """Say how another set's photos differ from yours, before they join.

    Example: carscale data compare data/cars more-photos --run runs/effnet_focal
    """
    from carscale import config, curate, data, progress, files, runs

    data.read_card(a)  # a wrong folder is a wrong input
    folder = None if run is None else runs.find_run(run)
    cfg = None if folder is None else config.from_yaml(folder / "config.yaml")
    if out is not None:
        _make_folder(out)
    columns = {"image_column": image_column, "label_column": label_column}
    with (
        progress.stages() as advance,
        curate.measure_photos(a, most=max_photos, seed=seed, advance=advance) as looks_a,
        curate.measure_photos(b, most=max_photos, seed=seed + 1, advance=advance, **columns) as looks_b,
    ):
        seen = None
        if folder is not None and cfg is not None:
            seen = (
                _embed(folder, cfg, looks_a, num_photos, seed),
                _embed(folder, cfg, looks_b, num_photos, seed),
            )
        advance("compare", 1)
        gap = curate.find_gap(looks_a, looks_b, embeddings=seen, seed=seed)
    for side in (gap.a, gap.b):
        if side["num_unread"]:
            progress.note(f"note: {side['name']}: {side['num_unread']} files can't be read")
        if side["num_compared"] + side["num_unread"] < side["num_photos"]:
            progress.note(
                f"note: {side['name']}: {side['num_compared']} of {side['num_photos']} photos, "
                "by a draw; more: --max-photos"
            )
    told = gap.as_dict()
    if out is not None:
        _write(out, told)
    if as_json:
        print(json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False))
        return
    _print(gap, told["summary"])


def _embed(folder: Path, cfg: config.Recipe, looks: PhotoStats, num_photos: int, seed: int) -> Any:  # noqa: ANN401 - an array; numpy waits
    """Return what a run's model sees of some photos of a set."""
    import numpy as np

    from carscale.workflows.embed import embed_readable

    rng = np.random.Generator(np.random.Philox(seed))
    chosen = np.sort(rng.permutation(len(looks))[:num_photos])
    return embed_readable(folder, cfg, [looks.photos[row].read for row in chosen.tolist()])


def _make_folder(out: Path) -> None:
    """Make the folder of the results."""
    from carscale.errors import ConfigError

    if (out / "card.json").exists():
        raise ConfigError(f"--out {out}: is frozen data; its lock allows no more files")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--out {out}: can't be written: {error.strerror}") from error


def _write(out: Path, told: dict[str, Any]) -> None:
    """Write the results as JSON and CSV."""
    from carscale import progress, files, runs
    from carscale.report.page.csv import write_csv

    files.write_json(out / "gap.json", told)
    rows = told["attributes"]
    write_csv(out / "attributes.csv", list(rows[0]), (list(row.values()) for row in rows))
    progress.note(f"wrote {out}{os.sep}gap.json and attributes.csv")


def _print(gap: Gap, summary: list[str]) -> None:
    """Print a line an attribute, the first photos of both, and the sentences."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in ("attribute", "A", "B", "delta", "interval", "p", "gap"):
        is_word = head in ("attribute", "gap")
        table.add_column(head, justify="left" if is_word else "right", no_wrap=True)
    for one in gap.attributes:
        table.add_row(
            one.name,
            f"{one.median_a:.4g}",
            f"{one.median_b:.4g}",
            f"{one.delta:+.2f}",
            f"{one.low:+.2f}..{one.high:+.2f}",
            "<0.001" if one.p < 0.001 else f"{one.p:.3f}",
            Text(one.strength, style="bold" if one.matters else "dim"),
        )
    Console().print(table)
    print(
        "Medians; delta is Cliff's: how much oftener B has more than less.\n"
        "Intervals and p hold for all attributes together.\n"
    )
    for path_b, path_a, correlation in gap.overlap.pairs[:MAX_PAIRS]:
        how = "the same as" if correlation == 1.0 else f"{correlation:.3f} like"
        print(shown(f"{path_b} is {how} {path_a}"))
    num_more = len(gap.overlap.pairs) - MAX_PAIRS
    if num_more > 0:
        print(f"and {num_more} more; all: --json")
    if gap.overlap.pairs:
        print()
    for sentence in summary:
        print(sentence)
