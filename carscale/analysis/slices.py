"""Slices: accuracy by attributes of the samples, and the worst slices. N samples, T tests."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import stats
from carscale.analysis.result import Slice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.analysis.result import Evidence


MIN_SAMPLES = 20
"""Smaller slices are not tested."""

NUM_BINS = 4
MAX_VALUES_TO_CROSS = 8
"""Attributes of more values than this are not combined with others."""

ALPHA = 0.05
SHARE_OF_SINGLES = 0.8
NOT_SLICED = frozenset(("contrast", "information", "saturation", "red", "green", "blue"))
"""Attributes that describe clusters; as slices they would only cost power."""

Factor = tuple[str, "NDArray[np.int64]", list[str]]
"""An attribute: its name, each sample's value number (-1 for none), the values' names."""


def find_slices(evidence: Evidence) -> list[Slice]:
    """Return accuracy by make, body, year, source, size, quality and train photos; worst first."""
    correct_N = evidence.predictions.prediction_N == evidence.predictions.labels_N
    return cut_slices(correct_N, _factors(evidence))


def slice_rows(evidence: Evidence) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the slices of at least ``MIN_SAMPLES`` samples: ``brightness: below 63``, and which.

    Those of single attributes, not of two combined.
    """
    found = []
    for name, values_N, names in _factors(evidence):
        for number, value in enumerate(names):
            is_in_N = values_N == number
            if MIN_SAMPLES <= is_in_N.sum() < len(values_N):
                found.append((f"{name}: {value}", is_in_N))
    return found


def cut_slices(correct_N: NDArray[np.bool_], factors: list[Factor]) -> list[Slice]:
    """Return every slice of at least ``MIN_SAMPLES`` samples, and of two attributes combined.

    Args:
        correct_N: Whether the prediction is correct.
        factors: Attributes.

    Returns:
        Slices with Jeffreys intervals; p is Fisher's exact test, one-sided, of "no worse than the
        rest", adjusted (Holm) over all slices, four fifths of the 5 % for single attributes and
        one fifth for the many combined ones, which are listed only where they are significantly
        worse. Sorted by p, then accuracy.

    Example:
        >>> right = np.array([True] * 80 + [False] * 20)
        >>> make = ("make", np.repeat([0, 1], [75, 25]), ["Audi", "BMW"])
        >>> [(one.value, one.accuracy, one.is_worst) for one in cut_slices(right, [make])]
        [('BMW', 0.2, True), ('Audi', 1.0, False)]
    """
    singles = [part for factor in factors for part in _parts(correct_N, factor)]
    small = [factor for factor in factors if len(factor[2]) <= MAX_VALUES_TO_CROSS]
    crossed = [
        part
        for one, other in combinations(small, 2)
        for part in _parts(correct_N, _cross(one, other))
    ]
    parts = singles + crossed
    if not parts:
        return []
    num_T = np.array([num for *_, num, _ in parts])
    wins_T = np.array([wins for *_, wins in parts])
    all_correct, num_all = int(correct_N.sum()), len(correct_N)
    p_T = stats.fewer_right(wins_T, num_T, all_correct, num_all)
    families = (p_T[: len(singles)], SHARE_OF_SINGLES), (p_T[len(singles) :], 1 - SHARE_OF_SINGLES)
    p_T = np.concatenate([np.minimum(1, stats.holm(p) / share) for p, share in families])
    low_T, high_T = stats.jeffreys(wins_T, num_T)
    slices = [
        Slice(
            attribute=name,
            value=value,
            num_samples=num,
            num_correct=wins,
            accuracy=wins / num,
            low=float(low_T[t]),
            high=float(high_T[t]),
            rest=(all_correct - wins) / (num_all - num) if num < num_all else float("nan"),
            p=float(p_T[t]),
            is_worst=bool(p_T[t] < ALPHA),
        )
        for t, (name, value, num, wins) in enumerate(parts)
    ]
    kept = slices[: len(singles)] + [one for one in slices[len(singles) :] if one.is_worst]
    return sorted(kept, key=lambda one: (one.p, one.accuracy, one.attribute, one.value))


def _parts(correct_N: NDArray[np.bool_], factor: Factor) -> list[tuple[str, str, int, int]]:
    """Return (attribute, value, samples, correct ones) of each value that is common enough."""
    name, values_N, names = factor
    is_known_N = values_N >= 0
    num_V = np.bincount(values_N[is_known_N], minlength=len(names))
    wins_V = np.bincount(values_N[is_known_N & correct_N], minlength=len(names))
    return [
        (name, names[v], int(num_V[v]), int(wins_V[v]))
        for v in np.flatnonzero((num_V >= MIN_SAMPLES) & (num_V < len(correct_N))).tolist()
    ]


def _cross(one: Factor, other: Factor) -> Factor:
    """Return the attribute of two together."""
    name, values_N, names = one
    other_name, other_N, other_names = other
    both_N = np.where((values_N >= 0) & (other_N >= 0), values_N * len(other_names) + other_N, -1)
    values = [f"{first}, {other_name} {second}" for first in names for second in other_names]
    return f"{name} + {other_name}", both_N, [f"{name} {value}" for value in values]


def _factors(evidence: Evidence) -> list[Factor]:
    """Return the attributes that are known: of the class, of the photo, of its training."""
    labels_N, classes = evidence.predictions.labels_N, evidence.classes
    found: list[Factor] = []
    for name in ("make", "body", "year"):
        of_class_K = np.array([str(getattr(one, name) or "") for one in classes], dtype=object)
        _, number_K, names = _text_factor(name, of_class_K)
        found.append((name, number_K[labels_N], names))
    for name, values in evidence.attributes.items():
        if name in NOT_SLICED:
            continue
        if values.dtype == object or values.dtype.kind in "US":
            found.append(_text_factor(name, values))
        else:
            found.append(_number_factor(name, values))
    if evidence.train_counts_K is not None:
        found.append(_number_factor("train photos", evidence.train_counts_K[labels_N]))
    for name, flags_N in evidence.flags.items():
        found.append(("quality", np.where(flags_N, 0, -1), [name]))
    return [factor for factor in found if len(factor[2]) > 1 or factor[0] == "quality"]


def _text_factor(name: str, values_N: NDArray[Any]) -> Factor:
    """Return an attribute of texts; an empty one is none."""
    names, numbers_N = np.unique(values_N.astype(str), return_inverse=True)
    numbers_N = numbers_N.reshape(-1)
    if len(names) and names[0] == "":
        return name, numbers_N - 1, names[1:].tolist()
    return name, numbers_N, names.tolist()


def _number_factor(name: str, values_N: NDArray[Any]) -> Factor:
    """Return a number as quarters, or as its values where there are few; NaN is none."""
    numbers_N = values_N.astype(np.float64)
    known = numbers_N[np.isfinite(numbers_N)]
    if len(known) == 0:
        return name, np.full(len(numbers_N), -1), []
    values = np.unique(known)
    if len(values) <= NUM_BINS:
        places_N = np.searchsorted(values, np.where(np.isfinite(numbers_N), numbers_N, values[0]))
        named = [_short(value) for value in values]
        return name, np.where(np.isfinite(numbers_N), places_N, -1), named
    edges = np.unique(np.quantile(known, np.arange(1, NUM_BINS) / NUM_BINS))
    edges = edges[edges > known.min()]  # else the first quarter is empty
    bins_N = np.where(np.isfinite(numbers_N), np.searchsorted(edges, numbers_N, side="right"), -1)
    texts = [_short(edge) for edge in edges]
    inner = [f"{low} to {high}" for low, high in pairwise(texts)]
    return name, bins_N, [f"below {texts[0]}", *inner, f"{texts[-1]} or more"]


def _short(number: float) -> str:
    """Return a number with three digits."""
    return f"{number:.0f}" if abs(number) >= 100 else f"{number:.3g}"
