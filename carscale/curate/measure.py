"""A set of photos, measured: a frozen folder, or any source before it joins one.

Axes: N photos, S side of a signature.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import data, images, threads
from carscale.data.sources.photos import SourcePhoto, open_photos
from carscale.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


MOST_HEADERS = 2000
"""Photos whose compression is read from their header."""
AHEAD = 256
"""Photos in flight; bounds memory."""

Advance = Callable[[str, int], None]


@dataclass(frozen=True, eq=False)
class MeasuredPhotos:
    """Statistics of a set's photos.

    Attributes:
        name: What messages call the set.
        values: Columns of ``images.PhotoStats`` and ``num_bytes``, ``quality`` (of JPEG), float;
            NaN where not known.
        phashes_N, signatures_NSS: As ``images.PhotoStats`` has them.
        sha256_N: Of the photos' bytes.
        photos: What reads them, in the same order.
        splits_N: Their splits; empty text where there are none.
        total: Photos of the set; more than ``N`` where some were drawn.
        unread: Files that are no photo.
        notes: What a person should know.
    """

    name: str
    values: dict[str, NDArray[np.float64]]
    phashes_N: NDArray[np.uint64]
    signatures_NSS: NDArray[np.uint8]
    sha256_N: NDArray[Any]
    photos: Sequence[SourcePhoto]
    splits_N: NDArray[Any]
    total: int
    unread: int = 0
    notes: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.phashes_N)

    def rows(self, rows: NDArray[np.int64]) -> MeasuredPhotos:
        """Return the statistics of some of the photos."""
        return MeasuredPhotos(
            self.name,
            {name: column[rows] for name, column in self.values.items()},
            self.phashes_N[rows],
            self.signatures_NSS[rows],
            self.sha256_N[rows],
            [self.photos[row] for row in rows.tolist()],
            self.splits_N[rows],
            self.total,
            self.unread,
            self.notes,
        )


@contextmanager
def measure_photos(
    spec: str | Path,
    *,
    most: int,
    seed: int = 0,
    how: data.Reading | None = None,
    advance: Advance = lambda what, total: None,
) -> Iterator[MeasuredPhotos]:
    """Measure a set's photos; they can be read inside the block.

    Args:
        spec: A frozen folder or pack, or what ``data.open_source`` takes.
        most: Of a larger set so many are drawn.
        seed: Of the draw.
        how: Columns, classes, boxes, links of a source that is not frozen.
        advance: Told what is done and how much of it there is.

    Raises:
        DataError: There is no such set, or it holds fewer than three photos.
    """
    if (Path(spec) / "card.json").is_file():
        found = _frozen(Path(spec), most, seed, advance)
        _check(found, spec)
        yield found
        return
    with open_photos(spec, how) as source:
        files = source.files
        chosen = _drawn(len(files), most, seed)
        photos = [
            SourcePhoto(str(files[n].path or files[n].relative), files[n].read_bytes)
            for n in chosen.tolist()
        ]
        found = _measured(source.name or str(spec), photos, len(files), advance)
        found.notes.extend(source.notes)
        _check(found, spec)
        yield found


def _check(found: MeasuredPhotos, spec: str | Path) -> None:
    """Raise where there is too little to compare."""
    if len(found) < 3:
        raise DataError(
            f"{spec}: {len(found)} photos that can be read; three at least can be compared"
        )


def _drawn(count: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return rows of a set, drawn where there are more than ``most``; in their order."""
    if count <= most:
        return np.arange(count)
    rng = np.random.Generator(np.random.Philox(seed))
    return np.sort(rng.choice(count, most, replace=False)).astype(np.int64)


def _frozen(root: Path, most: int, seed: int, advance: Advance) -> MeasuredPhotos:
    """Return the statistics of a frozen folder, from its cache where it is measured."""
    title = f"measure {root.resolve().name}"
    measured = data.photo_stats(root, lambda total: advance(title, total))
    names = ["id", "path", "split", "sha256", "num_bytes"]
    table = data.read_manifest(root, names)
    order_N = np.argsort(table["id"], kind="stable")
    read = data.photo_reader(root)
    values = {name: column.astype(np.float64) for name, column in measured.values.items()}
    values["num_bytes"] = table["num_bytes"][order_N].astype(np.float64)
    values["quality"] = np.full(len(order_N), np.nan)
    paths = table["path"][order_N].tolist()
    whole = MeasuredPhotos(
        root.resolve().name,
        values,
        measured.phashes_N,
        measured.signatures_NSS,
        table["sha256"][order_N],
        [SourcePhoto(f"{root}/{path}", _reader(read, path)) for path in paths],
        table["split"][order_N],
        len(paths),
        len(measured.unreadable),
    )
    good = np.flatnonzero(np.isfinite(values["brightness"]))
    chosen = whole.rows(good[_drawn(len(good), most, seed)])
    few = _drawn(len(chosen), MOST_HEADERS, seed)
    for row in few.tolist():
        quality = images.jpeg_quality(chosen.photos[row].read())
        chosen.values["quality"][row] = np.nan if quality is None else quality
    return chosen


def _reader(read: Callable[[str], bytes], path: str) -> Callable[[], bytes]:
    """Return what reads one path."""
    return lambda: read(path)


def _measured(
    name: str, photos: Sequence[SourcePhoto], total: int, advance: Advance
) -> MeasuredPhotos:
    """Decode and measure a source's photos."""

    def measure(photo: SourcePhoto) -> tuple[images.PhotoStats, int, float, str] | None:
        try:
            content = photo.read()
            decoded = data.decode_photo(content)
        except (OSError, images.BadPhotoError):
            return None
        if decoded.stats is None:
            return None
        quality = images.jpeg_quality(content)
        digest = hashlib.sha256(decoded.photo.content).hexdigest()
        return decoded.stats, len(content), np.nan if quality is None else quality, digest

    rows, kept = [], []
    with (
        images.quiet_decoders(),
        ThreadPoolExecutor(threads.num_cores(), "carscale-measure") as pool,
    ):
        measured = threads.in_order(pool, measure, photos, ahead=AHEAD)
        for photo, row in zip(photos, measured, strict=True):
            advance(f"measure {name}", len(photos))
            if row is not None:
                rows.append(row)
                kept.append(photo)
    values = {
        column: np.array([row[0][number] for row in rows], dtype=np.float64)
        for number, column in enumerate(images.PhotoStats._fields[:-2])
    }
    values["num_bytes"] = np.array([row[1] for row in rows], dtype=np.float64)
    values["quality"] = np.array([row[2] for row in rows], dtype=np.float64)
    side = images.SIGNATURE_PX
    return MeasuredPhotos(
        name,
        values,
        np.array([row[0].phash for row in rows], dtype=np.uint64),
        np.array([row[0].signature for row in rows], dtype=np.uint8).reshape(-1, side, side),
        np.array([row[3] for row in rows], dtype=object),
        kept,
        np.full(len(rows), "", dtype=object),
        total,
        len(photos) - len(rows),
    )
