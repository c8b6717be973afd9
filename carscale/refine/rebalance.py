"""Ways to exchange a classifier layer, each with the strengths that are tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

from carscale.config import RebalanceMethod
from carscale.errors import DataError
from carscale.refine import heads
from carscale.refine.heads import Head, Refit, TrainPhotos

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
    return sum(len(strengths) for _, (_, strengths) in _tried(method)) + (method == "auto")


def candidates(head: Head, train: TrainPhotos, method: RebalanceMethod) -> Iterator[Candidate]:
    """Return the heads of a method, each with a strength; of ``auto``, of all and as trained.

    Args:
        head: As trained.
        train: What the network says of the train photos.
        method: Which way.

    Raises:
        DataError: A class has no train photo: nothing tells where it lies.
    """
    empty = (train.counts_K == 0).nonzero().flatten().tolist()
    if empty:
        raise DataError(
            f"{len(empty)} of {train.num_classes} classes have no train photo (first: number "
            f"{empty[0]}), so no classifier can be made for them",
            "add photos of them: carscale data merge; or leave them out of the data",
        )
    if method == "auto":
        yield Candidate(AS_TRAINED, 0.0, head)
    for name, (refit, strengths) in _tried(method):
        for strength in strengths:
            yield Candidate(name, strength, refit(head, train, strength))


def _tried(method: RebalanceMethod) -> list[tuple[str, tuple[Refit, tuple[float, ...]]]]:
    """Return the methods that are tried."""
    return [(name, entry) for name, entry in METHODS.items() if method in ("auto", name)]
