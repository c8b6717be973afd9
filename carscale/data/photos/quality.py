"""Which photos are dark, blurred, tiny...: measured once, then judged against their own data set.

Chosen: a photo is flagged when it is beyond a fixed limit and far from the median of its data set,
in robust deviations. Rejected: the fixed limit alone (a set of night photos would be flagged
whole), the deviations alone (the darkest of well-lit photos would be flagged, in every set).
Axes: N photos of the manifest, S side of a signature.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import files, images, threads
from carscale.data.frozen.lock import cache_file
from carscale.data.frozen.reader import read_splits

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Split, Splits


AT_ONCE = 1024
"""Photos in flight; bounds memory."""

NUMBERS = (
    *("brightness", "shadow", "highlight", "contrast", "sharpness", "information", "saturation"),
    *("red", "green", "blue", "usual_hues", "mirror_hues", "width", "height"),
)

DARK, DIM_HIGHLIGHT = 45.0, 100.0
BRIGHT, PALE_SHADOW = 195.0, 110.0
SOFT = 0.35
SMALL_PX = 64.0
TIMES_ASPECT = 2.0
LITTLE_BITS = 5.0
DEVIATIONS = 2.5
MAD_TO_DEVIATION = 1.4826
"""Of a normal distribution."""

QUALITY_RULES = {
    "dark": f"mean luma below {DARK:g} of 255, and 95 % of the pixels below {DIM_HIGHLIGHT:g}",
    "bright": f"mean luma above {BRIGHT:g} of 255, and 95 % of the pixels above {PALE_SHADOW:g}",
    "blurred": f"less than {SOFT:g} as much fine detail as structure of 2 to 4 px, at 128 px",
    "tiny": f"shorter side below {SMALL_PX:g} px and below half the median",
    "odd aspect": f"width / height more than {TIMES_ASPECT:g} times off the median, either way",
    "low information": f"grey levels hold less than {LITTLE_BITS:g} bits a pixel",
}
"""Each flag's rule in words. All but ``tiny`` also ask for 2.5 robust deviations off the median."""


@dataclass(frozen=True, eq=False)
class PhotoAttributes:
    """What was measured of every photo of a data set, ordered by manifest id.

    Attributes:
        ids_N: Manifest ids, int64: 0 to N - 1 of all splits.
        paths_N: Relative paths.
        values: Columns by the names of ``images.Attributes``, float32 ``[N]``; NaN where a photo
            can't be read.
        hashes_N: Perceptual hashes, uint64; 0 where a photo can't be read.
        signatures_NSS: Small grey copies, uint8; zeros where a photo can't be read.
        unreadable: Why, by path.
    """

    ids_N: NDArray[np.int64]
    paths_N: NDArray[Any]
    values: dict[str, NDArray[np.float32]]
    hashes_N: NDArray[np.uint64]
    signatures_NSS: NDArray[np.uint8]
    unreadable: dict[str, str]

    def __len__(self) -> int:
        return len(self.ids_N)


def photo_attributes(
    root: Path, advance: Callable[[int], None] = lambda total: None
) -> PhotoAttributes:
    """Measure every photo of a frozen folder or pack, all splits; once, then from a cache.

    The cache lies beside what ``data.verify`` keeps on this machine; other photos, or other
    measuring code, and it is measured anew. What could not be read is tried again each time.

    Args:
        root: The folder; its lock is not checked here.
        advance: Called after each photo that is measured, with the number of all to measure.

    Returns:
        The columns, ordered by manifest id.

    Raises:
        DataError: No frozen folder.

    Example:
        >>> photo_attributes(Path("data/demo")).values["sharpness"]  # doctest: +SKIP
        array([0.83, 0.79, ...], dtype=float32)
    """
    splits = read_splits(root)
    cache = cache_file(root, "attributes")
    version = f"{splits.card['lock']['manifest.parquet']} {images.MEASURE_VERSION}"
    ids_N, paths_N, rows = _photos(splits)
    found = _read_cache(cache, version, ids_N, paths_N) or _empty(ids_N, paths_N)
    todo = np.flatnonzero(np.isnan(found.values["brightness"])).tolist()
    if todo:
        _measure(rows, todo, found, advance)
    if len(found.unreadable) < len(todo):
        _write_cache(cache, version, found)
    return found


def quality_flags(attributes: PhotoAttributes) -> dict[str, NDArray[np.bool_]]:
    """Tell which photos are hard to see, by the rules of ``QUALITY_RULES``.

    A limit of 45 grey levels, 0.35 of sharpness or 5 bits lies below all of a usual set: of 8,144
    photos of Stanford Cars, none is as blurred, and 0.1 % are as dark. The median and the median
    absolute deviation (MAD, times 1.4826: as a standard deviation, but half the photos may be odd
    without moving it) say what is usual here: a limit moves to the median less 2.5 deviations where
    that is farther out, so that a set of night photos is not flagged whole.

    Args:
        attributes: From ``photo_attributes``.

    Returns:
        For each rule a mask, bool ``[N]``; photos that can't be read are in none.

    Example:
        >>> flags = quality_flags(photo_attributes(Path("data/demo")))  # doctest: +SKIP
        >>> flags["dark"].sum()  # doctest: +SKIP
        14
    """
    values = attributes.values
    shorter_N = np.minimum(values["width"], values["height"])
    with np.errstate(invalid="ignore"):
        aspect_N = np.log(values["width"] / values["height"])
    middle, deviation = _middle(aspect_N)
    off_N = np.abs(aspect_N - middle)
    return {
        "dark": (values["brightness"] < _low(values["brightness"], DARK))
        & (values["highlight"] < DIM_HIGHLIGHT),
        "bright": (-values["brightness"] < _low(-values["brightness"], -BRIGHT))
        & (values["shadow"] > PALE_SHADOW),
        "blurred": values["sharpness"] < _low(values["sharpness"], SOFT),
        "tiny": shorter_N < min(SMALL_PX, _middle(shorter_N)[0] / 2),
        "odd aspect": off_N > max(np.log(TIMES_ASPECT), DEVIATIONS * deviation),
        "low information": values["information"] < _low(values["information"], LITTLE_BITS),
    }


def _low(values_N: NDArray[np.float32], limit: float) -> float:
    """Return the lower of a fixed limit and what is far below the usual."""
    middle, deviation = _middle(values_N)
    return min(limit, middle - DEVIATIONS * deviation)


def _middle(values_N: NDArray[np.float32]) -> tuple[float, float]:
    """Return the median and the robust deviation of what could be measured."""
    held = values_N[~np.isnan(values_N)]
    if not len(held):
        return 0.0, 0.0
    middle = float(np.median(held))
    return middle, MAD_TO_DEVIATION * float(np.median(np.abs(held - middle)))


def _photos(splits: Splits) -> tuple[NDArray[np.int64], NDArray[Any], list[tuple[Split, int]]]:
    """Return ids, paths, and each photo's split and row in it, by id."""
    every = splits.every
    ids_N = np.concatenate([split.ids_N for split in every])
    paths_N = np.concatenate([split.paths_N for split in every])
    rows = [(split, row) for split in every for row in range(len(split))]
    order_N = np.argsort(ids_N)
    return ids_N[order_N], paths_N[order_N], [rows[n] for n in order_N.tolist()]


def _empty(ids_N: NDArray[np.int64], paths_N: NDArray[Any]) -> PhotoAttributes:
    """Return columns of which nothing is known yet."""
    count, side = len(ids_N), images.SIGNATURE_PX
    values = {name: np.full(count, np.nan, np.float32) for name in NUMBERS}
    signatures_NSS = np.zeros((count, side, side), np.uint8)
    return PhotoAttributes(ids_N, paths_N, values, np.zeros(count, np.uint64), signatures_NSS, {})


def _measure(
    rows: list[tuple[Split, int]],
    todo: list[int],
    found: PhotoAttributes,
    advance: Callable[[int], None],
) -> None:
    """Measure photos into their columns."""

    def read(index: int) -> images.Attributes | str:
        split, row = rows[index]
        try:
            return images.measure(split.read_bytes(row))
        except (OSError, ValueError) as error:
            return " ".join(str(error).split()) or type(error).__name__

    with images.quiet_decoders(), ThreadPoolExecutor(threads.num_cores(), "carscale-look") as pool:
        for start in range(0, len(todo), AT_ONCE):
            part = todo[start : start + AT_ONCE]
            for index, result in zip(part, pool.map(read, part), strict=True):
                _store(found, index, result)
                advance(len(todo))


def _store(found: PhotoAttributes, index: int, result: images.Attributes | str) -> None:
    """Put one photo's numbers, or why there are none, into the columns."""
    path = str(found.paths_N[index])
    if isinstance(result, str):
        found.unreadable[path] = result
        return
    for name in NUMBERS:
        found.values[name][index] = getattr(result, name)
    found.hashes_N[index] = result.hash
    found.signatures_NSS[index] = result.signature


def _read_cache(
    path: Path, version: str, ids_N: NDArray[np.int64], paths_N: NDArray[Any]
) -> PhotoAttributes | None:
    """Return what was measured before, if it was of the same photos by the same code."""
    try:
        with path.open("rb") as file, np.load(file) as stored:
            if str(stored["version"]) != version:
                return None
            values = dict(zip(NUMBERS, stored["values"], strict=True))
            known = PhotoAttributes(
                ids_N, paths_N, values, stored["hashes"], stored["signatures"], {}
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return known if len(known.hashes_N) == len(ids_N) else None


def _write_cache(path: Path, version: str, found: PhotoAttributes) -> None:
    """Keep what was measured; a disk that can't take it costs time, nothing else."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_file(path) as file:
            np.savez(
                file,
                version=np.array(version),
                values=np.stack([found.values[name] for name in NUMBERS]),
                hashes=found.hashes_N,
                signatures=found.signatures_NSS,
            )
