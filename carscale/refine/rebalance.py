"""Ways to exchange a classifier layer, each with the strengths that are tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from carscale.config import RebalanceMethod
from carscale.errors import DataError
from carscale.refine import heads
from carscale.refine.heads import Head, Refit, TrainPhotos

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from carscale.types import CarClass

AS_TRAINED = "as trained"
METHODS: dict[str, tuple[Refit, tuple[float, ...]]] = {
    "ncm": (heads.nearest_mean, (1.0,)),
    "tau-norm": (heads.tau_normalised, (0.25, 0.5, 0.75, 1.0)),
    "logit-adjust": (heads.logit_adjusted, (0.25, 0.5, 0.75, 1.0, 1.5)),
    "lws": (heads.rescaled, (0.5, 1.0)),
    "crt": (heads.retrained, (0.5, 1.0)),
    "crt-logit-adjusted": (heads.retrained_adjusted, (0.5, 1.0, 1.5, 2.0)),
}
assert set(METHODS) == set(get_args(RebalanceMethod)) - {"auto"}


@dataclass(frozen=True, eq=False)
class Candidate:
    """A head that may be chosen.

    Attributes:
        method: A key of ``METHODS``, or ``AS_TRAINED``.
        strength: What the method takes; 0 where nothing changes.
        head: The layer.
    """

    method: str
    strength: float
    head: Head


def num_candidates(method: RebalanceMethod) -> int:
    """Return how many heads a method gives."""
    return sum(len(strengths) for _, (_, strengths) in _tried(method)) + 1


def check_counts(counts_K: NDArray[np.int64], classes: Sequence[CarClass]) -> None:
    """Raise where a class has no train photo: nothing tells where it lies.

    Raises:
        DataError: Names the first.
    """
    empty = [one.name for one, count in zip(classes, counts_K.tolist(), strict=True) if not count]
    if empty:
        raise DataError(
            f"{len(empty)} of {len(classes)} classes have no train photo (first: {empty[0]}), so "
            "no classifier can be made for them",
            "add photos: carscale data merge; or leave them out of the data",
        )


def candidates(head: Head, train: TrainPhotos, method: RebalanceMethod) -> Iterator[Candidate]:
    """Return the head as trained, then those of a method, or of all, with each strength.

    Args:
        head: As trained.
        train: What the network says of the train photos; each class has some.
        method: Which way.
    """
    yield Candidate(AS_TRAINED, 0.0, head)
    for name, (refit, strengths) in _tried(method):
        for strength in strengths:
            yield Candidate(name, strength, refit(head, train, strength))


def _tried(method: RebalanceMethod) -> list[tuple[str, tuple[Refit, tuple[float, ...]]]]:
    """Return the methods that are tried."""
    return [(name, entry) for name, entry in METHODS.items() if method in ("auto", name)]
