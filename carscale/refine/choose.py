"""Choosing among candidates on val, and what the choice is worth on photos that did not choose.

Axes: C candidates, N photos of val.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from carscale.verdicts.verdict import score

if TYPE_CHECKING:
    from numpy.typing import NDArray


NUM_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Choice:
    """Which candidate was chosen.

    Attributes:
        best: Its index; all of val chose it.
        values_C: Each candidate's metric on all of val; the best of them flatters itself.
        chosen_F: By fold: the index that the other folds chose.
        rows_N: For each photo the candidate that the other folds chose.
        value: The metric of these: what choosing so is worth.
    """

    best: int
    values_C: tuple[float, ...]
    chosen_F: tuple[int, ...]
    rows_N: NDArray[np.int64]
    value: float


def cross_fit(
    predictions_CN: NDArray[np.int64],
    losses_CN: NDArray[np.floating],
    labels_N: NDArray[np.int64],
    folds_N: NDArray[np.int64],
    *,
    metric: str,
) -> Choice:
    """Choose the candidate with the best metric; of equal ones the first.

    Args:
        predictions_CN: Predicted classes.
        losses_CN: ``-log p(true class)``.
        labels_N: True classes.
        folds_N: Which fold each photo is in, from 0; every fold is chosen for by the others.
        metric: A key of ``METRICS``.

    Raises:
        ValueError: Fewer than two folds hold photos.

    Example:
        >>> labels = np.array([0, 1, 0, 1])
        >>> said = np.array([[0, 0, 0, 0], [0, 1, 0, 1]])
        >>> found = cross_fit(said, np.zeros((2, 4)), labels, np.array([0, 0, 1, 1]), metric="top1")
        >>> found.best, found.value
        (1, 1.0)
    """
    names = np.unique(folds_N)
    if len(names) < 2:
        raise ValueError("cross-fitting needs photos in two folds at least")
    rows_N = np.empty(len(labels_N), np.int64)
    chosen = []
    for name in names:
        held_N = folds_N == name
        values = _values(
            predictions_CN[:, ~held_N], losses_CN[:, ~held_N], labels_N[~held_N], metric
        )
        chosen.append(int(np.argmax(values)))
        rows_N[held_N] = chosen[-1]
    values_C = _values(predictions_CN, losses_CN, labels_N, metric)
    columns_N = np.arange(len(labels_N))
    value = score(predictions_CN[rows_N, columns_N], losses_CN[rows_N, columns_N], labels_N, metric)
    return Choice(int(np.argmax(values_C)), tuple(values_C), tuple(chosen), rows_N, value)


def _values(
    predictions_CN: NDArray[np.int64],
    losses_CN: NDArray[np.floating],
    labels_N: NDArray[np.int64],
    metric: str,
) -> list[float]:
    """Return each candidate's metric."""
    return [
        score(predictions_N, losses_N, labels_N, metric)
        for predictions_N, losses_N in zip(predictions_CN, losses_CN, strict=True)
    ]
