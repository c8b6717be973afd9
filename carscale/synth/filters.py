"""What speaks against a synthetic photo: quality, class, likeness to real ones.

Axes: N real photos, M synthetic ones, D features of an embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale.data import StatsTable, quality_flags

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAREST = 3
"""Real photos that an embedding is compared with."""
OUTLYING = 0.01
"""Share of real photos that lie as far from the others as an outlier."""
FIRST = 5
"""Classes among which a model must name a photo's own; of fewer than 20, the first quarter."""


def quality_reasons(real: StatsTable, stats_M: NDArray[Any]) -> dict[int, str]:
    """Return why synthetic photos are hard to see, by the rules that real ones are judged by.

    Args:
        real: Of the photos there are, from ``data.photo_stats``.
        stats_M: Of the synthetic ones, of ``images.STATS_DTYPE``.

    Returns:
        A reason by row.
    """
    num_real = len(real)
    together = StatsTable(
        np.arange(num_real + len(stats_M)),
        np.concatenate([real.paths_N, np.full(len(stats_M), "", object)]),
        np.concatenate([real.stats_N, stats_M]),
        real.unreadable,
    )
    found: dict[int, list[str]] = {}
    for name, is_so_N in quality_flags(together).items():
        for row in np.flatnonzero(is_so_N[num_real:]).tolist():
            found.setdefault(row, []).append(name)
    return {row: ", ".join(names) for row, names in found.items()}


def class_reasons(
    top: Mapping[int, Sequence[str]], names: Mapping[int, str], num_classes: int
) -> dict[int, str]:
    """Return which photos a model does not take for their class, by row.

    Args:
        top: Names of a model's first classes, the likeliest first, by row.
        names: Of the classes that they are made for.
        num_classes: That the model tells apart.

    Example:
        >>> class_reasons({4: ["a", "b"], 7: ["a", "b"]}, {4: "b", 7: "c"}, 7)
        {7: 'not among the first 2 classes of a model, which says a'}
    """
    num_first = min(FIRST, -(-num_classes // 4))
    return {
        row: f"not among the first {num_first} classes of a model, which says {said[0]}"
        for row, said in top.items()
        if names[row] not in said[:num_first]
    }


@dataclass(frozen=True, eq=False)
class NearestPhotos:
    """How near real photos lie to each other.

    Attributes:
        real_ND: Embeddings of real photos, of length 1.
        limit: Mean similarity to the nearest that ``OUTLYING`` of them do not reach.
    """

    real_ND: NDArray[np.float32]
    limit: float

    @classmethod
    def of(cls, embeddings_ND: NDArray[np.float32]) -> NearestPhotos:
        """Measure real photos, each against all others."""
        real_ND = _normalised(embeddings_ND)
        near_N = _nearness(real_ND, real_ND, [(row,) for row in range(len(real_ND))])
        return cls(real_ND, float(np.quantile(near_N, OUTLYING)))


def outlier_reasons(
    real: NearestPhotos, embeddings_MD: NDArray[np.float32], parents_M: Sequence[Sequence[int]] = ()
) -> dict[int, str]:
    """Return which photos lie farther from real ones than real ones do, by row.

    Args:
        real: The real photos.
        embeddings_MD: Of the synthetic ones.
        parents_M: Rows of ``real`` that each was made of: it is not compared with those.
    """
    leave = parents_M or [()] * len(embeddings_MD)
    near_M = _nearness(_normalised(embeddings_MD), real.real_ND, leave)
    return {
        row: f"like no real photo: similarity {near_M[row]:.2f} to the nearest {NEAREST}, "
        f"99 % of real ones reach {real.limit:.2f}"
        for row in np.flatnonzero(near_M < real.limit).tolist()
    }


def _normalised(embeddings_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return embeddings of length 1."""
    length_N1 = np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    return np.asarray(embeddings_ND / np.maximum(length_N1, 1e-12), dtype=np.float32)


def _nearness(
    one_MD: NDArray[np.float32], real_ND: NDArray[np.float32], leave_M: Sequence[Sequence[int]]
) -> NDArray[np.float32]:
    """Return the mean similarity of each row to the nearest real ones but some, by blocks."""
    found = []
    for start in range(0, len(one_MD), 1024):
        alike_BN = one_MD[start : start + 1024] @ real_ND.T
        for place, rows in enumerate(leave_M[start : start + 1024]):
            alike_BN[place, list(rows)] = -1
        most = min(NEAREST, alike_BN.shape[1])
        found.append(np.partition(alike_BN, -most, axis=1)[:, -most:].mean(axis=1))
    return np.concatenate(found) if found else np.empty(0, np.float32)
