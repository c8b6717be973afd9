"""Numbers that a statistic can be computed from: finite, and in their range."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def finite(
    name: str, values: ArrayLike, *, low: float = -math.inf, high: float = math.inf
) -> NDArray[np.float64]:
    """Return values as float64, each of them a number between two bounds.

    Args:
        name: What the error calls them.
        values: Any shape; none is fine.
        low: Their smallest value allowed.
        high: Their largest.

    Raises:
        ValueError: Some are NaN, infinite or out of bounds; says how many.

    Example:
        >>> finite("shares", [0.5, float("nan")], low=0, high=1)
        Traceback (most recent call last):
        ValueError: shares must be finite and >= 0 and <= 1, 1 of 2 are not
    """
    numbers = np.asarray(values, dtype=np.float64)
    is_fine = np.isfinite(numbers) & (numbers >= low) & (numbers <= high)
    if is_fine.all():
        return numbers
    bounds = "" if low == -math.inf else f" and >= {low:g}"
    bounds += "" if high == math.inf else f" and <= {high:g}"
    num_bad = numbers.size - int(is_fine.sum())
    raise ValueError(f"{name} must be finite{bounds}, {num_bad} of {numbers.size} are not")
