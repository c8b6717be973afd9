"""Near duplicates of a frozen folder: looked for once, kept in the cache of this machine.

N photos by manifest id, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import images, outgoing, tables
from carscale.data.frozen.answers import read_answers
from carscale.data.frozen.cache import read_cache, write_cache
from carscale.data.frozen.layout import read_card
from carscale.data.frozen.manifest import cars_of, read_manifest
from carscale.data.frozen.reader import photo_reader
from carscale.data.photos.near_duplicates import Advance, NearPairs, near_pairs
from carscale.data.photos.quality import StatsTable
from carscale.errors import DataError, UnsafePathError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.data.photos.duplicate_groups import PhotoRows

NEAR_VERSION = 1
"""Stored with what was found: another number, looked for anew. Raise it with each change."""


def near_duplicates(
    root: Path,
    photos: PhotoRows,
    measured: StatsTable,
    advance: Advance = lambda what, total: None,
) -> NearPairs:
    """Return the near duplicates of a frozen folder or pack, without those a person parted.

    Synthetic photos that show one car in one split are none either: they are meant to be alike.

    Args:
        root: The folder; its lock is not checked here.
        photos: From ``read_photos``.
        measured: From ``photo_stats``.
        advance: As ``near_pairs`` tells it; not at all where the answer is kept.

    Returns:
        The pairs; rows are manifest ids, of photos with the same bytes the first.

    Raises:
        DataError: A photo that was measured can't be read any more.
    """
    pairs = _read(root)
    if pairs is None:
        pairs = _found(root, photos, measured, advance)
        if measured.unreadable:  # not kept: their pairs would be missing once they are back
            pairs = replace(pairs, num_plain=pairs.num_plain - len(measured.unreadable))
        else:
            _write(root, pairs)
    return _answered(pairs, photos, root)


def settled_pairs(root: Path, photos: PhotoRows) -> NDArray[np.int64]:
    """Return the pairs of which a person said that they show different cars, as rows ``[P, 2]``."""
    row_of = {key: row for row, key in enumerate(photos.keys_N.tolist())}
    pairs = [
        sorted((row_of[made.one], row_of[made.other]))
        for made in read_answers(root)
        if not made.is_same and made.one in row_of and made.other in row_of
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def is_parted(
    photos: PhotoRows, settled_P2: NDArray[np.int64], rows_L2: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which pairs a person parted; an answer is about all copies of a photo.

    Args:
        photos: Of all splits.
        settled_P2: From ``settled_pairs``.
        rows_L2: The pairs.
    """
    parted = set(_contents_of(photos, settled_P2))
    return np.array([pair in parted for pair in _contents_of(photos, rows_L2)], bool)


def keep_near(root: Path, contents_M: Sequence[str], pairs: NearPairs) -> None:
    """Keep for ``near_duplicates`` what was found while a frozen folder was made.

    Args:
        root: The folder.
        contents_M: Hashes of the bytes of the photos that were compared; some may not have joined.
        pairs: Their near duplicates.
    """
    contents_N = _contents(root)
    known = [*contents_N, *contents_M]
    numbers = tables.numbered(np.array(known, dtype=object))
    first = np.full(int(numbers.max(initial=-1)) + 1, -1, np.int64)
    own = numbers[: len(contents_N)]
    first[own[::-1]] = np.arange(len(own))[::-1]
    rows_P2 = np.sort(first[numbers[len(contents_N) :][pairs.rows_P2]], axis=1)
    kept = (rows_P2[:, 0] >= 0) & (rows_P2[:, 0] != rows_P2[:, 1])
    rows_P2, agreements_P = rows_P2[kept], pairs.agreements_P[kept]
    order = np.lexsort((rows_P2[:, 1], rows_P2[:, 0]))
    found = NearPairs(rows_P2[order], agreements_P[order], pairs.num_plain, pairs.num_left_out)
    _write(root, found)


def keep_near_of(root: Path, parent: Path) -> None:
    """Keep what is known of a folder's parent, where that is known and has all photos of it."""
    pairs = _read(parent)
    if pairs is not None:
        keep_near(root, _contents(parent), pairs)


def _found(root: Path, photos: PhotoRows, measured: StatsTable, advance: Advance) -> NearPairs:
    """Look for near duplicates."""
    read = photo_reader(root)
    try:
        return near_pairs(
            measured.phashes_N,
            measured.signatures_NSS,
            lambda row: read(str(photos.paths_N[row])),
            contents_N=photos.content_N,
            groups_N=photos.groups_N,
            advance=advance,
        )
    except UnsafePathError:
        raise
    except (OSError, ValueError) as error:
        raise DataError(
            f"{root}: a photo can't be read any more: {error}",
            f"see which with: {outgoing.command('carscale', 'data', 'check', root)}",
        ) from error


def _contents(root: Path) -> list[str]:
    """Return the hash of each photo's bytes, by id."""
    columns = read_manifest(root, ["id", "sha256"])
    hashes: list[str] = columns["sha256"][np.argsort(columns["id"], kind="stable")].tolist()
    return hashes


def _answered(pairs: NearPairs, photos: PhotoRows, root: Path) -> NearPairs:
    """Return pairs without those that a person parted, and without synthetic ones of one car."""
    pairs = _of_two_cars(pairs, root) if len(pairs.rows_P2) else pairs
    settled_P2 = settled_pairs(root, photos)
    if not len(settled_P2) or not len(pairs.rows_P2):
        return pairs
    return pairs.kept(~is_parted(photos, settled_P2, pairs.rows_P2))


def _of_two_cars(pairs: NearPairs, root: Path) -> NearPairs:
    """Return pairs without those of one split where a synthetic photo shows the other one's car."""
    columns = read_manifest(root, ["id", "key", "split", "synthetic"])
    if not (columns["synthetic"] != "").any():
        return pairs
    order_N = np.argsort(columns["id"], kind="stable")
    cars_N = cars_of(columns["key"][order_N], columns["synthetic"][order_N])
    splits_N = columns["split"][order_N]
    one, other = pairs.rows_P2.T
    return pairs.kept((cars_N[one] != cars_N[other]) | (splits_N[one] != splits_N[other]))


def _contents_of(photos: PhotoRows, rows_P2: NDArray[np.int64]) -> list[frozenset[Any]]:
    """Return pairs by their bytes."""
    return [frozenset(pair) for pair in photos.content_N[rows_P2].tolist()]


def _version(root: Path) -> str:
    """Return what the cache is of: these photos, measured and compared by this code."""
    lock = read_card(root)["lock"]["manifest.parquet"]
    return f"{lock} {images.MEASURE_VERSION} {NEAR_VERSION}"


def _read(root: Path) -> NearPairs | None:
    """Return what was found before, if it was of the same photos by the same code."""
    known = read_cache(root, "near", _version(root))
    if known is None:
        return None
    return NearPairs(known["rows"], known["agreements"], *map(int, known["counts"]))


def _write(root: Path, pairs: NearPairs) -> None:
    """Keep what was found."""
    write_cache(
        root,
        "near",
        _version(root),
        rows=pairs.rows_P2,
        agreements=pairs.agreements_P,
        counts=[pairs.num_plain, pairs.num_left_out],
    )
