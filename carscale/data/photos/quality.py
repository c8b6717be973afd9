"""Which photos are dark, blurred, tiny...: measured once, then judged against their own data set.

Chosen: a photo is flagged when it is beyond a fixed limit and far from the median of its data set,
in robust deviations. Rejected: the fixed limit alone (a set of night photos would be flagged
whole), the deviations alone (the darkest of well-lit photos would be flagged, in every set).
Axes: N photos of the manifest, S side of a signature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import images, threads
from carscale.data.frozen.cache import read_cache, write_cache
from carscale.data.frozen.manifest import read_manifest
from carscale.data.frozen.reader import read_splits
from carscale.data.photos.sample import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Split, Splits


AHEAD = 256
"""Photos in flight; bounds memory."""

NUMBERS = images.PhotoStats._fields[:-2]

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
class StatsTable:
    """Statistics of every photo of a data set, ordered by manifest id.

    Attributes:
        ids_N: Manifest ids, int64: 0 to N - 1 of all splits.
        paths_N: Relative paths.
        stats_N: Of ``images.STATS_DTYPE``; numbers are NaN where a photo can't be read.
        unreadable: Why, by path.
    """

    ids_N: NDArray[np.int64]
    paths_N: NDArray[Any]
    stats_N: NDArray[Any]
    unreadable: dict[str, str]

    def __len__(self) -> int:
        return len(self.ids_N)

    @property
    def values(self) -> dict[str, NDArray[np.float32]]:
        """The numbers as columns, by their names in ``images.PhotoStats``."""
        return {name: self.stats_N[name] for name in NUMBERS}

    @property
    def phashes_N(self) -> NDArray[np.uint64]:  # noqa: N802 - N photos
        """Perceptual hashes; 0 where a photo can't be read."""
        phashes_N: NDArray[np.uint64] = self.stats_N["phash"]
        return phashes_N

    @property
    def signatures_NSS(self) -> NDArray[np.uint8]:  # noqa: N802 - N photos, S side
        """Small grey copies; zeros where a photo can't be read."""
        signatures_NSS: NDArray[np.uint8] = self.stats_N["signature"]
        return signatures_NSS


def photo_stats(root: Path, advance: Callable[[int], None] = lambda total: None) -> StatsTable:
    """Return statistics of every photo of a frozen folder or pack, all splits; measured once.

    What was measured is kept on this machine, in the cache of ``data.verify``, as ``freeze`` and
    ``merge`` do; other photos, or other measuring code, and it is measured anew. What could not be
    read is tried again each time.

    Args:
        root: The folder; its lock is not checked here.
        advance: Called after each photo that is measured, with the number of all to measure.

    Returns:
        The columns, ordered by manifest id.

    Raises:
        DataError: No frozen folder.

    Example:
        >>> photo_stats(Path("data/demo")).values["sharpness"]  # doctest: +SKIP
        array([0.83, 0.79, ...], dtype=float32)
    """
    splits = read_splits(root)
    ids_N, paths_N, rows = _photos(splits)
    stats_N = _read_cache(root, splits, len(ids_N))
    todo = np.flatnonzero(np.isnan(stats_N["brightness"])).tolist()
    problems = _measure(rows, todo, stats_N, advance) if todo else {}
    if len(problems) < len(todo):
        write_cache(root, "photo_stats", _version(splits), stats=stats_N)
    unreadable = {str(paths_N[row]): problem for row, problem in problems.items()}
    return StatsTable(ids_N, paths_N, stats_N, unreadable)


def keep_stats(
    root: Path, samples: Sequence[Sample], stats_M: NDArray[Any], *, parent: Path | None = None
) -> None:
    """Keep for ``photo_stats`` what was measured while a frozen folder was made.

    Args:
        root: The folder.
        samples: Measured photos; some may not have joined the folder.
        stats_M: Their statistics, of ``images.STATS_DTYPE``.
        parent: A folder that others of its photos come from.
    """
    splits = read_splits(root)
    stats_N = images.empty_stats(sum(map(len, splits.every)))
    parts = [([sample.sha256 for sample in samples], stats_M)]
    if parent is not None:
        hashes = _hashes(parent)
        parts.append((hashes, _read_cache(parent, read_splits(parent), len(hashes))))
    wanted = _hashes(root)
    for hashes, known in parts:
        row_of = {name: row for row, name in enumerate(hashes)}
        rows_N = np.array([row_of.get(name, -1) for name in wanted], dtype=np.int64)
        stats_N[rows_N >= 0] = known[rows_N[rows_N >= 0]]
    write_cache(root, "photo_stats", _version(splits), stats=stats_N)


def _hashes(root: Path) -> list[str]:
    """Return the hash of each photo's bytes, by id."""
    columns = read_manifest(root, ["id", "sha256"])
    hashes: list[str] = columns["sha256"][np.argsort(columns["id"], kind="stable")].tolist()
    return hashes


def quality_flags(stats: StatsTable) -> dict[str, NDArray[np.bool_]]:
    """Tell which photos are hard to see, by the rules of ``QUALITY_RULES``.

    A limit of 45 grey levels, 0.35 of sharpness or 5 bits lies below all of a usual set: of 8,144
    photos of Stanford Cars, none is as blurred, and 0.1 % are as dark. The median and the median
    absolute deviation (MAD, times 1.4826: as a standard deviation, but half the photos may be odd
    without moving it) say what is usual here: a limit moves to the median less 2.5 deviations where
    that is farther out, so that a set of night photos is not flagged whole.

    Args:
        stats: From ``photo_stats``.

    Returns:
        For each rule a mask, bool ``[N]``; photos that can't be read are in none.

    Example:
        >>> flags = quality_flags(photo_stats(Path("data/demo")))  # doctest: +SKIP
        >>> flags["dark"].sum()  # doctest: +SKIP
        14
    """
    values = stats.values
    shorter_N = np.minimum(values["width"], values["height"])
    with np.errstate(invalid="ignore"):
        aspect_N = np.log(values["width"] / values["height"])
    median, deviation = _median(aspect_N)
    off_N = np.abs(aspect_N - median)
    return {
        "dark": (values["brightness"] < _low(values["brightness"], DARK))
        & (values["highlight"] < DIM_HIGHLIGHT),
        "bright": (-values["brightness"] < _low(-values["brightness"], -BRIGHT))
        & (values["shadow"] > PALE_SHADOW),
        "blurred": values["sharpness"] < _low(values["sharpness"], SOFT),
        "tiny": shorter_N < min(SMALL_PX, _median(shorter_N)[0] / 2),
        "odd aspect": off_N > max(np.log(TIMES_ASPECT), DEVIATIONS * deviation),
        "low information": values["information"] < _low(values["information"], LITTLE_BITS),
    }


def _low(values_N: NDArray[np.float32], limit: float) -> float:
    """Return the lower of a fixed limit and what is far below the usual."""
    median, deviation = _median(values_N)
    return min(limit, median - DEVIATIONS * deviation)


def _median(values_N: NDArray[np.float32]) -> tuple[float, float]:
    """Return the median and the robust deviation of what could be measured."""
    valid = values_N[~np.isnan(values_N)]
    if not len(valid):
        return 0.0, 0.0
    median = float(np.median(valid))
    return median, MAD_TO_DEVIATION * float(np.median(np.abs(valid - median)))


def _photos(splits: Splits) -> tuple[NDArray[np.int64], NDArray[Any], list[tuple[Split, int]]]:
    """Return ids, paths, and each photo's split and row in it, by id."""
    every = splits.every
    ids_N = np.concatenate([split.ids_N for split in every])
    paths_N = np.concatenate([split.paths_N for split in every])
    rows = [(split, row) for split in every for row in range(len(split))]
    order_N = np.argsort(ids_N)
    return ids_N[order_N], paths_N[order_N], [rows[n] for n in order_N.tolist()]


def _measure(
    rows: list[tuple[Split, int]],
    todo: list[int],
    stats_N: NDArray[Any],
    advance: Callable[[int], None],
) -> dict[int, str]:
    """Measure photos; return by row why some can't be."""

    def measure(index: int) -> images.PhotoStats | str:
        split, row = rows[index]
        try:
            return images.measure(split.read_bytes(row))
        except (OSError, ValueError) as error:
            return " ".join(str(error).split()) or type(error).__name__

    problems = {}
    with (
        images.quiet_decoders(),
        ThreadPoolExecutor(threads.num_cores(), "carscale-measure") as pool,
    ):
        measured = threads.in_order(pool, measure, todo, ahead=AHEAD)
        for index, result in zip(todo, measured, strict=True):
            if isinstance(result, str):
                problems[index] = result
            else:
                stats_N[index] = result
            advance(len(todo))
    return problems


def _version(splits: Splits) -> str:
    """Return what the cache is of: these photos, measured by this code."""
    return f"{splits.card['lock']['manifest.parquet']} {images.MEASURE_VERSION}"


def _read_cache(root: Path, splits: Splits, count: int) -> NDArray[Any]:
    """Return what was measured before, if it was of the same photos by the same code."""
    empty = images.empty_stats(count)
    known = read_cache(root, "photo_stats", _version(splits)) or {}
    stats_N = known.get("stats", empty)
    return stats_N if stats_N.shape == empty.shape and stats_N.dtype == empty.dtype else empty
