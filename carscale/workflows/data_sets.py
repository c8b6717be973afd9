"""Data sets: draw, freeze, check, grow and clean them; what ``carscale data ...`` calls."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from carscale import config, curate, data, files, progress
from carscale.errors import ConfigError, DataError, RunError
from carscale.runs import RunFolder

if TYPE_CHECKING:
    from carscale.types import Splits


def draw_demo(
    out: Path | str, *, num_classes: int = 12, num_images: int = 720, seed: int = 0
) -> Path:
    """Draw car photos with known problems into class folders: ``carscale data demo``.

    Args:
        out: Folder to make.
        num_classes: 6 to 60.
        num_images: At least 20 a class.
        seed: Another seed, other photos.

    Raises:
        ConfigError: A number out of range.
        DataError: There is something at ``out``, or it can't be written.
    """
    from carscale.demo import build_demo

    place = Path(out)
    with progress.bar("draw cars", num_images, unit="photos") as advance:
        build_demo(
            place, num_classes=num_classes, num_images=num_images, seed=seed, advance=advance
        )
    return place


def freeze(
    source: Path | str,
    out: Path | str,
    rule: data.FreezeRule | None = None,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    follow_links: bool = False,
    force: bool = False,
) -> data.Frozen:
    """Freeze a source of labelled photos into train, val and test: ``carscale data freeze``.

    Args:
        source: Class folders, an archive, a table, WebDataset shards or a ``datasets`` address.
        out: Frozen folder to make.
        rule: How photos are split; 70, 15 and 15 percent when ``None``.
        image_column: Column of paths or photos, where its name is unusual.
        label_column: Column of classes, where its name is unusual.
        follow_links: Take photos too that links, or paths in a table, name outside of the source.
        force: Replace a frozen folder at ``out``.

    Returns:
        ``root``, the ``card`` and ``warnings`` to read.

    Raises:
        ConfigError: A rule that makes no sense.
        DataError: No photos, or a place that can't be written.
        QuestionError: The source can be read in two ways; its ``answers`` are options of the
            command, and of the rule under the same names.
    """
    with progress.stages(**data.NEAR_UNITS) as advance:
        return data.freeze(
            source,
            Path(out),
            rule or data.FreezeRule(),
            image_column=image_column,
            label_column=label_column,
            follow_links=follow_links,
            force=force,
            advance=advance,
        )


@dataclass(frozen=True)
class DataCheck:
    """What ``check`` found: the lock matches, and what state the photos are in.

    Attributes:
        splits: The frozen splits.
        num_hashed: Photos, of a pack shards, that were hashed.
        audit: Quality, duplicates, near-empty classes.
    """

    splits: Splits
    num_hashed: int
    audit: curate.Audit

    @property
    def class_counts(self) -> list[dict[str, Any]]:
        """A row a class: its name and its photos in each split."""
        every = (self.splits.train, self.splits.val, self.splits.test)
        return [
            {"class": car.name, **{split.name: int(split.counts_K[k]) for split in every}}
            for k, car in enumerate(self.splits.classes)
        ]

    @property
    def most_and_least(self) -> tuple[int, int]:
        """Train photos of the most frequent class and of the rarest that has any."""
        counts = self.splits.train.counts_K
        return int(counts.max()), int(counts[counts > 0].min())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        most, least = self.most_and_least
        return {
            "root": str(self.splits.train.root),
            "hashes": self.splits.card["hashes"],
            "imbalance_ratio": most / least,
            "classes": self.class_counts,
            "notes": self.splits.card["notes"],
            **self.audit.as_dict(),
        }


def check(
    root: Path | str, *, full: bool = False, quality: bool = True, near: bool = True
) -> DataCheck:
    """Check a frozen folder against its lock and look at its photos: ``carscale data check``.

    Leaks are in the result; the command fails for them.

    Args:
        root: Frozen folder or pack.
        full: Hash every photo again; else those whose size, time or inode changed.
        quality: Look at the photos for dark, blurred, tiny ones; once, then cached.
        near: Look for near duplicates too.

    Raises:
        DataError: No frozen folder, or one that does not match its lock.
    """
    root = Path(root)
    data.read_card(root)  # a wrong folder is a wrong input
    try:
        num_hashed = data.verify(root, mode="full" if full else "fast")
    except DataError as error:
        error.exit_code = 1  # the check did its work; the data failed it
        raise
    with progress.stages(**data.NEAR_UNITS) as advance:
        audit = curate.audit_data(root, quality=quality, near=near, advance=advance)
    return DataCheck(data.read_splits(root), num_hashed, audit)


def relabel(
    root: Path | str,
    decisions: Path | str,
    out: Path | str,
    *,
    any_split: bool = False,
    link: Literal["copy", "hard"] = "copy",
    force: bool = False,
) -> data.Relabelled:
    """Correct labels by a review, in a new version: ``carscale data relabel``.

    Args:
        root: Frozen folder; it stays as it is.
        decisions: CSV with ``id,path,label,decision,new_label``, as a review page saves it.
        out: New version to make.
        any_split: Change val and test too; old results no longer compare.
        link: ``hard`` shares bytes with ``root``.
        force: Replace a frozen folder at ``out``.

    Raises:
        ConfigError: A line that does not fit the data.
        DataError: No frozen folder.
    """
    with progress.bar("relabel", None, unit="photos") as advance:
        return data.relabel(
            Path(root),
            Path(decisions),
            Path(out),
            any_split=any_split,
            link=link,
            force=force,
            advance=lambda total: advance(1, total=total),
        )


def refine(
    root: Path | str,
    out: Path | str,
    *,
    merges: Sequence[str] = (),
    split: Path | str | None = None,
    actions: RunFolder | Path | str | None = None,
    undo: bool = False,
    link: Literal["copy", "hard"] = "copy",
    force: bool = False,
) -> data.Refined:
    """Merge or split classes in a new version, its photos as they are: ``carscale data refine``.

    Args:
        root: Frozen folder; it stays as it is.
        out: New version to make.
        merges: ``"A + B -> C"``, once or more.
        split: CSV of ``path`` (or ``key``) and ``class``.
        actions: A run: merges that its ``errors/actions-val.json`` advises.
        undo: Take back the last refinement of ``root``.
        link: ``hard`` shares bytes with ``root``.
        force: Replace a frozen folder at ``out``.

    Raises:
        ConfigError: Classes or names that do not fit, or nothing to change.
        DataError: No frozen folder, or a table of other photos.
        RunError: No such run.
    """
    if undo and (merges or split or actions):
        raise ConfigError("--undo: takes back what was done, and does nothing else")
    told = [data.read_merge(text) for text in merges]
    if actions is not None:
        told += _advised_merges(RunFolder.open(actions))
    with progress.bar("refine", None, unit="photos") as advance:
        how: dict[str, Any] = {
            "link": link,
            "force": force,
            "advance": lambda total: advance(1, total=total),
        }
        if undo:
            return data.undo_refinement(Path(root), Path(out), **how)
        table = None if split is None else Path(split)
        return data.refine_classes(Path(root), Path(out), merges=told, split=table, **how)


def _advised_merges(run: RunFolder) -> list[tuple[tuple[str, ...], str]]:
    """Return the merges that a run's actions advise."""
    path = run.errors_folder / "actions-val.json"
    if not path.is_file():
        raise RunError(
            f"{run}: has no actions yet", f"make them with: carscale errors {shlex.quote(str(run))}"
        )
    found = files.read_json(path)
    pairs = [one["classes"] for one in found if one.get("kind") == "merge"]
    if not pairs:
        raise ConfigError(f"{path}: advises no merge of classes")
    return [(tuple(pair), " / ".join(pair)) for pair in pairs]


def pack(
    root: Path | str, out: Path | str, *, max_px: int = 512, quality: int = 95, force: bool = False
) -> data.Frozen:
    """Copy a frozen folder into a few large files, giant photos shrunk: ``carscale data pack``.

    Args:
        root: Frozen folder.
        out: Pack to make.
        max_px: Longer side that photos are shrunk to.
        quality: JPEG quality of shrunk photos, 1 to 100.
        force: Replace frozen data at ``out``.

    Raises:
        ConfigError: A number out of range.
        DataError: No frozen folder.
    """
    rule = data.PackRule(max_px=max_px, quality=quality)
    with progress.bar("pack photos", None, unit="photos") as advance:
        return data.pack(
            Path(root), Path(out), rule, force=force, advance=lambda total: advance(1, total=total)
        )


def preview(
    root: Path | str,
    out: Path | str,
    settings: Sequence[str] = (),
    *,
    num_photos: int = 6,
    num_draws: int = 8,
    seed: int = 0,
) -> Path:
    """Draw photos as a model would see them in training: ``carscale data preview``.

    Args:
        root: Frozen folder or pack.
        out: PNG to write.
        settings: Of a recipe: ``augment.policy=strong``, ``data.image_px=160`` ...
        num_photos: Rows.
        num_draws: Augmented views of each.
        seed: Of the choice and the draws.

    Raises:
        ConfigError: A setting that can't be used, or a file that can't be written.
        DataError: No frozen folder.
    """
    from carscale import models
    from carscale.loaders import preview_grid

    cfg = config.resolve(config.Recipe(), list(settings))
    splits = data.read_splits(Path(root))
    view = models.preprocessing(cfg.model, cfg.data)
    png = preview_grid(
        splits.train, cfg.augment, view, num_photos=num_photos, num_draws=num_draws, seed=seed
    )
    write_result(Path(out), png)
    return Path(out)


def find_duplicates(
    root: Path | str, *, near: bool = True, run: Path | str | None = None
) -> curate.Duplicates:
    """List duplicate photos: leaks, label conflicts, redundant copies: ``carscale data dedupe``.

    Args:
        root: Frozen folder or pack.
        near: Near duplicates too: re-encoded, resized, cropped.
        run: Run folder: also what its model takes for the same photo.

    Raises:
        DataError: No frozen folder, or embeddings of other photos.
    """
    folder = None if run is None else RunFolder.open(run)
    with progress.stages(**data.NEAR_UNITS) as advance:
        return curate.find_duplicates(Path(root), near=near, run=folder, advance=advance)


def drop_duplicates(
    found: curate.Duplicates,
    out: Path | str,
    *,
    link: Literal["copy", "hard"] = "copy",
    force: bool = False,
) -> curate.Deduped:
    """Write a new version with one photo of each group: ``carscale data dedupe --apply``.

    Args:
        found: Of ``find_duplicates``.
        out: New version to make.
        link: ``hard`` shares bytes with the folder.
        force: Replace a frozen folder at ``out``.

    Raises:
        DataError: The folder changed since, or ``out`` can't be written.
    """
    with progress.stages(**data.NEAR_UNITS) as advance:
        return curate.drop_duplicates(found, Path(out), link=link, force=force, advance=advance)


def diff(a: Path | str, b: Path | str) -> curate.Difference:
    """Tell what changed between two frozen folders, photo by photo: ``carscale data diff``.

    Args:
        a: Frozen folder or pack, the older.
        b: The newer.

    Raises:
        DataError: No frozen folder.
    """
    return curate.find_difference(Path(a), Path(b))


def write_data_report(root: Path | str, out: Path | str | None = None) -> Path:
    """Write the page of a data set; return its path: ``carscale data report``.

    Args:
        root: Frozen folder or pack; it stays as it is.
        out: Folder of the page; ``ROOT-report`` beside it when ``None``.

    Raises:
        ConfigError: The folder holds something else.
        DataError: No frozen folder.
    """
    from carscale.report import check_page_folder, write_data_report

    root = Path(root)
    data.read_card(root)  # a wrong folder is a wrong input, said at once
    place = root.resolve() if root.name in ("", "..") else root
    folder = Path(out) if out is not None else place.with_name(f"{place.name}-report")
    check_page_folder(folder, "data")
    with progress.stages(unit="") as advance:
        return write_data_report(root, folder, advance=advance)


def write_result(path: Path, content: str | bytes) -> None:
    """Write a result file."""
    try:
        files.write_atomic(path, content)
    except OSError as error:
        raise ConfigError(f"--out {path}: can't be written: {error.strerror}") from error
