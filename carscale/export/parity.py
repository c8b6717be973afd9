"""Do two answers to the same photos agree? N photos, K classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import stats

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAME_ON_EQUAL_INPUT = 0.999
SAME_FROM_FILES = 0.995
MAX_DROP = 0.01
"""Of accuracy, by eight bits."""


@dataclass(frozen=True)
class Agreement:
    """How two models agree on photos.

    Attributes:
        num_photos: N.
        num_same: Photos of which both name the same class first.
        max_difference, mean_difference: Of probabilities, over all classes and photos.
        accuracy, low, high: Of the second model, with its 95 % interval.
        drop: Accuracy that the first has more.
    """

    num_photos: int
    num_same: int
    max_difference: float
    mean_difference: float
    accuracy: float
    low: float
    high: float
    drop: float

    @property
    def same(self) -> float:
        """Return the share of photos of which both name the same class."""
        return self.num_same / self.num_photos

    def to_dict(self) -> dict[str, Any]:
        """Return all as JSON holds it."""
        return {**asdict(self), "same": self.same}


def agreement(
    labels_N: NDArray[np.int64], ours_NK: NDArray[np.float32], theirs_NK: NDArray[np.float32]
) -> Agreement:
    """Compare the probabilities that two models give the same photos.

    Args:
        labels_N: True classes.
        ours_NK: Of the model that was exported.
        theirs_NK: Of what was exported.

    Example:
        >>> ours = np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
        >>> theirs = np.array([[0.8, 0.2], [0.6, 0.4]], np.float32)
        >>> found = agreement(np.array([0, 1]), ours, theirs)
        >>> found.num_same, round(found.max_difference, 3), found.accuracy, found.drop
        (1, 0.2, 0.5, 0.5)
    """
    first_N, second_N = ours_NK.argmax(axis=1), theirs_NK.argmax(axis=1)
    differences_NK = np.abs(ours_NK - theirs_NK)
    num_right = int((second_N == labels_N).sum())
    low, high = stats.jeffreys(num_right, len(labels_N))
    return Agreement(
        len(labels_N),
        int((first_N == second_N).sum()),
        float(differences_NK.max()),
        float(differences_NK.mean(dtype=np.float64)),
        num_right / len(labels_N),
        float(low),
        float(high),
        (int((first_N == labels_N).sum()) - num_right) / len(labels_N),
    )
