"""Duplicates of a frozen folder: found on disk, and a new version without them. N photos."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import data, outgoing, tables
from carscale.curate.drops import Drops, choose_drops
from carscale.data import DuplicateGroup, DuplicateGroups, PhotoRows
from carscale.errors import DataError
from carscale.runs import RunFolder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Split


Advance = Callable[[str, int], None]

CONCERNS = {"leak": 0, "label": 1, "duplicate": 2}


@dataclass(frozen=True, eq=False)
class Duplicates:
    """What is in a folder more than once.

    Attributes:
        root: The folder.
        photos: All of it.
        groups: Exact and, if looked for, near duplicates.
        by_embedding: Pairs that a run takes for the same; empty without one.
        has_near: Whether near duplicates were looked for.
        settled_P2: Pairs of which a person said that both labels are right.
        run: The run, if one was asked.
        notes: Lines a person should read.
    """

    root: Path
    photos: PhotoRows
    groups: DuplicateGroups
    by_embedding: DuplicateGroups
    has_near: bool
    settled_P2: NDArray[np.int64]
    run: Path | RunFolder | None = None
    notes: list[str] = field(default_factory=list)

    def every(self) -> Iterator[DuplicateGroup]:
        """Yield all groups, leaks first, then two classes, then the rest; embeddings last."""
        both = self.groups, self.by_embedding
        return heapq.merge(*both, key=lambda group: CONCERNS[group.concern])

    def counts(self) -> dict[str, int]:
        """Return how much was found, by what a person should think of it."""
        both = (self.groups, self.by_embedding)
        return {
            "photos": len(self.photos),
            "groups": sum(map(len, both)),
            "leaks": sum(int(part.is_leak_G.sum()) for part in both),
            "conflicts": sum(int(part.is_conflict_G.sum()) for part in both),
            "spare_photos": self.groups.num_spare,
        }


@dataclass
class Deduped:
    """A new version: where, its card, what went, what a person should read."""

    root: Path
    card: dict[str, Any]
    drops: Drops
    warnings: list[str] = field(default_factory=list)


def find_duplicates(
    root: Path,
    *,
    near: bool = True,
    run: Path | RunFolder | None = None,
    advance: Advance = lambda what, total: None,
) -> Duplicates:
    """Find photos that are in a frozen folder or pack more than once.

    Args:
        root: The folder; its lock is not checked.
        near: Look for near duplicates too.
        run: A run whose embeddings are asked too, by ``data.EMBEDDING_RULE``.
        advance: Told what is done and how much of it there is.

    Raises:
        DataError: No frozen folder, or the run's embeddings are missing or of other photos.
    """
    photos = data.read_photos(root)
    embedded = None if run is None else _read_embeddings(root, RunFolder(run))
    pairs, notes = None, []
    if near or run is not None:
        measured = data.photo_stats(root, lambda total: advance("measure", total))
        if measured.unreadable:
            first = next(iter(measured.unreadable))
            notes.append(
                f"{len(measured.unreadable)} photos can't be read and were not compared "
                f"(first: {first}: {measured.unreadable[first]})"
            )
        if near:
            pairs = data.near_duplicates(root, photos, measured, advance)
            notes += pairs.notes()
    settled_P2 = data.settled_pairs(root, photos)
    groups = data.duplicate_groups(photos, pairs, settled_P2=settled_P2)
    if run is None or embedded is None:
        return Duplicates(root, photos, groups, groups[:0], near, settled_P2, None, notes)
    known_N = np.arange(len(photos))
    first_M = np.repeat(groups.rows_M[groups.starts_G1[:-1]], np.diff(groups.starts_G1))
    known_N[groups.rows_M] = first_M
    found = data.embedding_pairs(embedded.embeddings_MD, known_N[embedded.rows_M].tolist())
    read = data.photo_reader(root)
    agreements = data.agreements(
        measured.signatures_NSS,
        lambda row: read(str(photos.paths_N[row])),
        embedded.rows_M[found.rows_P2],
    )
    by_embedding = data.embedding_groups(photos, found, embedded.rows_M, agreements)
    is_parted_G = data.is_parted(photos, settled_P2, by_embedding.links.rows_L2)
    by_embedding = by_embedding.taken(~is_parted_G)
    notes += embedded.notes
    return Duplicates(root, photos, groups, by_embedding, near, settled_P2, run, notes)


def drop_duplicates(
    found: Duplicates,
    out: Path,
    *,
    link: str = "copy",
    force: bool = False,
    advance: Advance = lambda what, total: None,
) -> Deduped:
    """Make a new version without the duplicates that ``choose_drops`` names.

    Args:
        found: From ``find_duplicates``, of a frozen folder.
        out: The frozen folder to make.
        link: ``copy``, or ``hard`` to share bytes with the folder.
        force: Replace a frozen folder at ``out``.
        advance: Called after each photo that is written.

    Raises:
        ConfigError: ``link`` is another word.
        DataError: As ``data.drop_photos`` does.
    """
    drops = choose_drops(found.photos, found.groups)
    entry = {
        "near": found.has_near,
        "num_groups": len(found.groups),
        "num_for_review": len(drops.for_review),
        "num_held_out": len(drops.held_out),
    }
    made = data.drop_photos(
        found.root,
        out,
        drops.reasons,
        entry=entry,
        link=link,
        force=force,
        advance=lambda total: advance("write", total),
    )
    return Deduped(out, made.card, drops, [*_warnings(found.root, drops), *made.warnings])


def _warnings(root: Path, drops: Drops) -> list[str]:
    """Return what a person has to decide."""
    lines = []
    if not drops.reasons:
        lines.append("nothing was left out: the new version holds what the folder holds")
    if drops.for_review:
        first = drops.for_review[0]
        lines.append(
            f"{len(drops.for_review)} groups lie in train in two classes and were left in (first: "
            f"{first.example(first.classes)}): say which label is right on the "
            f"page of: {outgoing.command('carscale', 'data', 'dedupe', root)} --out FOLDER"
        )
    if drops.held_out:
        first = drops.held_out[0]
        lines.append(
            f"{len(drops.held_out)} groups lie in two of val and the tests, which stay as they are "
            f"(first: {first.example(first.splits)}): new splits come from "
            "carscale data freeze SOURCE NEW_FOLDER"
        )
    return lines


@dataclass(frozen=True, eq=False)
class _Embedded:
    """Embeddings of some splits: M photos, the row of each, what is missing."""

    rows_M: NDArray[np.int64]
    embeddings_MD: NDArray[np.floating]
    notes: list[str]


def _read_embeddings(root: Path, run: RunFolder) -> _Embedded:
    """Return what a run saw of a folder's splits; train must be there."""
    splits = data.read_splits(root)
    rows, parts, notes, checkpoints = [], [], [], {}
    for split in (splits.train, splits.val, splits.test):
        path = run.embeddings_file(split.name)
        again = f"make them with: {outgoing.command('carscale', 'evaluate', run)}"
        again += f" --split {split.name} --embeddings"
        if not len(split):
            continue
        if not path.exists() and split.name == "train":
            raise DataError(f"{path}: no such file; the run keeps no embeddings of train", again)
        if not path.exists():
            notes.append(f"{split.name} was not compared by embedding; {again}")
            continue
        embeddings_ND, checkpoint = _of_split(path, split, again)
        checkpoints[checkpoint] = again
        rows.append(split.ids_N)
        parts.append(embeddings_ND)
    if len(checkpoints) > 1:
        raise DataError(
            f"{run.predictions_folder}: embeddings are of several checkpoints: "
            f"{', '.join(sorted(checkpoints))}",
            *checkpoints.values(),
        )
    if not parts:
        raise DataError(f"{root}: holds no photos to compare")
    return _Embedded(np.concatenate(rows), np.concatenate(parts), notes)


def _of_split(path: Path, split: Split, again: str) -> tuple[NDArray[np.float16], str]:
    """Return a split's embeddings in the order of its ids, and the checkpoint they are of."""
    ids_N, embeddings_ND, about = tables.read_embeddings(path)
    if about.get("split_hash") != split.hash or len(ids_N) != len(split):
        raise DataError(
            f"{path}: is of {len(ids_N)} photos of another {split.name} than the {len(split)} of "
            f"{split.root}",
            again + " " + outgoing.command(f"data.root={split.root}"),
        )
    return embeddings_ND[np.argsort(ids_N)], str(about.get("checkpoint"))
