"""Do two answers to the same photos agree? N photos, K classes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        num_correct, num_correct_before: Photos that the second and the first model has right.
        max_difference, mean_difference: Of probabilities, over all classes and photos.
    """

    num_photos: int
    num_same: int
    num_correct: int
    num_correct_before: int
    max_difference: float
    mean_difference: float

    @property
    def same(self) -> float:
        """Return the share of photos of which both name the same class."""
        return self.num_same / self.num_photos

    @property
    def drop(self) -> float:
        """Return the accuracy that the first model has more."""
        return (self.num_correct_before - self.num_correct) / self.num_photos

    def to_dict(self) -> dict[str, Any]:
        """Return all as JSON holds it, with the second model's accuracy and 95 % interval."""
        low, high = stats.jeffreys(self.num_correct, self.num_photos)
        return {
            **asdict(self),
            "same": self.same,
            "drop": self.drop,
            "accuracy": self.num_correct / self.num_photos,
            "low": float(low),
            "high": float(high),
        }


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
        >>> found.num_same, round(found.max_difference, 3), found.num_correct, found.drop
        (1, 0.2, 1, 0.5)
    """
    first_N, second_N = ours_NK.argmax(axis=1), theirs_NK.argmax(axis=1)
    differences_NK = np.abs(ours_NK - theirs_NK)
    return Agreement(
        len(labels_N),
        int((first_N == second_N).sum()),
        int((second_N == labels_N).sum()),
        int((first_N == labels_N).sum()),
        float(differences_NK.max()),
        float(differences_NK.mean(dtype=np.float64)),
    )


def pooled(parts: Sequence[Agreement]) -> Agreement:
    """Return how two models agree on the photos of all parts.

    Example:
        >>> pooled([Agreement(1, 1, 1, 1, 0.25, 0.25), Agreement(3, 2, 0, 1, 0.5, 0.25)])
        Agreement(num_photos=4, num_same=3, ..., max_difference=0.5, mean_difference=0.25)
    """
    num_photos = sum(one.num_photos for one in parts)
    return Agreement(
        num_photos,
        sum(one.num_same for one in parts),
        sum(one.num_correct for one in parts),
        sum(one.num_correct_before for one in parts),
        max(one.max_difference for one in parts),
        sum(one.mean_difference * one.num_photos for one in parts) / num_photos,
    )
