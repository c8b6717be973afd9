"""``carscale data demo|freeze|check|relabel|dedupe|pack|preview|map|merge|diff|report|compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from carscale.cli.data.check import check_data
from carscale.cli.data.compare import compare_sets
from carscale.cli.data.dedupe import dedupe_photos
from carscale.cli.data.diff import show_difference
from carscale.cli.data.map import map_classes
from carscale.cli.data.merge import merge_source
from carscale.cli.data.report import report_data

app = typer.Typer(
    help="Make, freeze, check, relabel, dedupe, pack, look at and grow photos.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("check")(check_data)
app.command("dedupe")(dedupe_photos)
app.command("compare")(compare_sets)
app.command("diff")(show_difference)
app.command("map")(map_classes)
app.command("merge")(merge_source)
app.command("report")(report_data)


@app.command()
def demo(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    num_classes: Annotated[int, typer.Option(help="6 to 60 classes.")] = 12,
    num_images: Annotated[int, typer.Option(help="At least 20 a class.")] = 720,
    seed: Annotated[int, typer.Option(help="Another seed, other photos.")] = 0,
) -> None:
    """Draw car photos with known problems, to try everything on.

    Example: carscale data demo data/demo-raw
    """
    from carscale import progress
    from carscale.demo import build_demo

    with progress.bar("draw cars", num_images, unit="photos") as advance:
        build_demo(out, num_classes=num_classes, num_images=num_images, seed=seed, advance=advance)
    print(out)


@app.command()
def freeze(
    source: Annotated[
        str,
        typer.Argument(
            help="Class folders (a class is any path below), a zip or tar of them; CSV, TSV or "
            "Parquet of path,label; WebDataset shards: 'cars-{000..009}.tar'; "
            "hf://owner/name[:split] or hf://FOLDER, a folder of save_to_disk."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="Frozen folder to make.")],
    fractions: Annotated[str, typer.Option(help="Of train, val, test.")] = "0.7,0.15,0.15",
    seed: Annotated[int, typer.Option(help="Another seed, another draw.")] = 0,
    group_by: Annotated[
        str | None,
        typer.Option(help="Regular expression: photos with the same match stay together."),
    ] = None,
    long_tail: Annotated[
        str | None, typer.Option(help="MOST:LEAST train photos of a class.")
    ] = None,
    keep_splits: Annotated[
        bool,
        typer.Option(
            "--keep-splits",
            help="The source has train, val, test: as top folders, column split, or its own.",
        ),
    ] = False,
    near_duplicates: Annotated[
        str, typer.Option(help="group: near duplicates stay in one split; ignore: don't look.")
    ] = "ignore",
    image_column: Annotated[
        str | None, typer.Option(help="Column of paths or photos, if of another name.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of classes, if not label or class.")
    ] = None,
    link: Annotated[
        str, typer.Option(help="copy, or hard to share bytes with the source.")
    ] = "copy",
    force: Annotated[bool, typer.Option("--force", help="Replace a frozen folder at OUT.")] = False,
) -> None:
    """Freeze a source of labelled photos into train, val and test, for good.

    Example: carscale data freeze data/demo-raw data/demo
    """
    from carscale import data, progress

    rule = data.FreezeRule(
        fractions=_fractions(fractions),
        seed=seed,
        group_by=group_by,
        long_tail=_most_and_least(long_tail),
        keep_splits=keep_splits,
        link=link,
        near_duplicates=near_duplicates,
    )
    with progress.bar("decode photos", None, unit="photos") as advance:
        frozen = data.freeze(
            source,
            out,
            rule,
            image_column=image_column,
            label_column=label_column,
            force=force,
            advance=lambda total: advance(1, total=total),
        )
    for line in frozen.warnings:
        progress.note(f"note: {line}")
    counts = frozen.card["counts"]
    progress.note(
        f"{counts['classes']} classes: {counts['train']} train, {counts['val']} val, "
        f"{counts['test']} test; "
        f"{counts['made_plain']} made plain, {counts['quarantined']} refused"
    )
    print(frozen.root)


@app.command()
def relabel(
    root: Annotated[Path, typer.Argument(help="Frozen folder; it stays as it is.")],
    decisions: Annotated[
        Path, typer.Argument(help="CSV with id,path,label,decision,new_label: a review page's.")
    ],
    out: Annotated[Path, typer.Argument(help="New version to make.")],
    any_split: Annotated[
        bool,
        typer.Option("--any-split", help="Change val and test too; old results no longer compare."),
    ] = False,
    link: Annotated[
        str, typer.Option(help="copy, or hard to share bytes with the folder.")
    ] = "copy",
    force: Annotated[bool, typer.Option("--force", help="Replace a frozen folder at OUT.")] = False,
) -> None:
    """Correct labels by a person's review, in a new version that names its parent.

    Example: carscale data relabel data/cars decisions.csv data/cars-2
    """
    from carscale import data, progress

    with progress.bar("relabel", None, unit="photos") as advance:
        made = data.relabel(
            root,
            decisions,
            out,
            any_split=any_split,
            link=link,
            force=force,
            advance=lambda total: advance(1, total=total),
        )
    for line in made.warnings:
        progress.note(f"note: {line}")
    progress.note(
        f"{made.num_relabelled} relabelled, {made.num_left_out} left out, "
        f"{made.num_unchanged} unchanged"
    )
    print(made.root)


@app.command()
def pack(
    root: Annotated[Path, typer.Argument(help="Frozen folder.")],
    out: Annotated[Path, typer.Argument(help="Pack to make.")],
    max_px: Annotated[int, typer.Option(help="Longer side that photos are shrunk to.")] = 512,
    quality: Annotated[int, typer.Option(help="JPEG quality of shrunk photos.")] = 95,
    force: Annotated[bool, typer.Option("--force", help="Replace frozen data at OUT.")] = False,
) -> None:
    """Copy a frozen folder into a few large files, giant photos shrunk, for slow disks.

    Example: carscale data pack data/demo data/demo-256 --max-px 256
    """
    from carscale import data, progress

    rule = data.PackRule(max_px=max_px, quality=quality)
    with progress.bar("pack photos", None, unit="photos") as advance:
        packed = data.pack(
            root, out, rule, force=force, advance=lambda total: advance(1, total=total)
        )
    for line in packed.warnings:
        progress.note(f"note: {line}")
    counts, sizes = packed.card["counts"], packed.card["pack"]
    num_photos = counts["train"] + counts["val"] + counts["test"]
    progress.note(
        f"{counts['shrunk']} of {num_photos} photos shrunk to {max_px} px; "
        f"{sizes['parent_num_bytes'] / 1e6:.1f} MB are now {sizes['num_bytes'] / 1e6:.1f} MB"
    )
    print(packed.root)


@app.command()
def preview(
    root: Annotated[Path, typer.Argument(help="Frozen folder or pack.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")] = Path("grid.png"),
    policy: Annotated[
        str,
        typer.Option(
            help="none, simple, standard, geometric, photometric, trivial, rand, erase or degrade."
        ),
    ] = "standard",
    fit: Annotated[
        str, typer.Option(help="squash, pad or crop, as data.fit; the recipes squash.")
    ] = "squash",
    num_photos: Annotated[int, typer.Option(min=1, help="Rows.")] = 6,
    num_draws: Annotated[int, typer.Option(min=1, help="Augmented views of each.")] = 8,
    image_px: Annotated[int, typer.Option(help="Side of a view.")] = 160,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice and the draws.")] = 0,
    model: Annotated[
        str, typer.Option(help="Whose fill and filter are used.")
    ] = "tf_efficientnet_lite0",
) -> None:
    """Draw a grid: each photo plain, then as the model would see it in training.

    Example: carscale data preview data/demo --policy standard -o grid.png
    """
    from carscale import config, data, files
    from carscale.errors import ConfigError
    from carscale.loaders.preview import preview_grid

    cfg = config.resolve(
        config.Recipe(),
        [
            *(f"augment.policy={policy}", f"data.image_px={image_px}"),
            *(f"data.fit={fit}", f"model.name={model}"),
        ],
    )
    from carscale import models

    splits = data.read_splits(root)
    view = models.preprocessing(cfg.model, cfg.data)
    png = preview_grid(
        splits.train, cfg.augment, view, num_photos=num_photos, num_draws=num_draws, seed=seed
    )
    try:
        files.write_atomic(out, png)
    except OSError as error:
        raise ConfigError(f"--out {out}: can't be written: {error.strerror}") from error
    print(out)


def _fractions(text: str) -> tuple[float, float, float]:
    """Read three numbers."""
    from carscale.errors import ConfigError

    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--fractions {text!r}: must be three numbers", "for example: --fractions 0.7,0.15,0.15"
        ) from error
    return train, val, test


def _most_and_least(text: str | None) -> tuple[int, int] | None:
    """Read ``MOST:LEAST``."""
    from carscale.errors import ConfigError

    if text is None:
        return None
    try:
        most, least = (int(part) for part in text.split(":"))
    except ValueError as error:
        raise ConfigError(
            f"--long-tail {text!r}: must be MOST:LEAST", "for example: --long-tail 40:5"
        ) from error
    return most, least
