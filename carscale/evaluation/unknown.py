"""Photos of no known class, by the energy of their logits. N photos, K classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT = 0.95
"""Share of val that a threshold keeps, as the field reports it (false positives at 95 %)."""


def energy(logits_NK: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how much a model knows a photo: the log of the sum of its exponentiated logits.

    Higher is more like train; the paper's energy is its negative.

    Reference:
        Liu et al. 2020, https://arxiv.org/abs/2010.03759, eq. 4 with T = 1.

    Example:
        >>> energy(np.array([[0.0, 0.0], [5.0, 0.0]])).round(3).tolist()
        [0.693, 5.007]
    """
    logits_NK = np.asarray(logits_NK, np.float64)
    return np.logaddexp.reduce(logits_NK, axis=1)


def unknown_threshold(
    energies_N: NDArray[np.float64], is_wrong_N: NDArray[np.bool_]
) -> tuple[float, str]:
    """Return the energy below which a photo is of no known class, and what that does to val.

    Args:
        energies_N: Of val, by ``energy``.
        is_wrong_N: Whether the model takes a photo for another class.

    Returns:
        The threshold, which keeps 95 % of val, and a sentence with coverage and error.

    Raises:
        ValueError: No photos.

    Example:
        >>> unknown_threshold(np.array([9.0, 1.3]), np.array([False, True]))[1]
        'keeps 50.0 % of val, of which 0.0 % are wrong (of all 50.0 %)'
    """
    if len(energies_N) == 0:
        raise ValueError("no photos to choose a threshold on")
    limit = float(np.quantile(energies_N, 1 - KEPT))
    is_kept_N = energies_N >= limit
    rule = (
        f"keeps {is_kept_N.mean():.1%} of val, of which {is_wrong_N[is_kept_N].mean():.1%} are "
        f"wrong (of all {is_wrong_N.mean():.1%})"
    )
    return limit, rule.replace("%", " %")
