"""Interactions: do two changes together do the sum of each alone? S seeds, N photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from carscale.verdicts.metrics import METRICS
from carscale.verdicts.text import points
from carscale.verdicts.variance import Difference


@dataclass(frozen=True)
class Interaction:
    """Two changes together against the sum of what each does alone.

    Attributes:
        first, second, both: Arms; ``both`` makes the changes of the other two.
        difference: (both - baseline) - (first - baseline) - (second - baseline).
        is_flagged: The interval excludes 0; not corrected for multiple comparisons.
        sentence: The same in words.
    """

    first: str
    second: str
    both: str
    difference: Difference
    is_flagged: bool
    sentence: str


def find_triples(overrides: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """Return arms ``(A, B, A and B united)``.

    Args:
        overrides: What each arm changes of the baseline: setting and value. Arms that change
            nothing take no part.

    Example:
        >>> find_triples({"a": {"x": 1}, "b": {"y": 2}, "ab": {"x": 1, "y": 2}, "c": {"z": 3}})
        [('a', 'b', 'ab')]
    """
    changed = {name: dict(made) for name, made in overrides.items() if made}
    names = list(changed)
    return [
        (first, second, both)
        for place, first in enumerate(names)
        for second in names[place + 1 :]
        if not changed[first].keys() & changed[second].keys()
        for both in names
        if changed[both] == changed[first] | changed[second]
    ]


def describe(first: str, second: str, both: str, found: Difference, metric: str) -> Interaction:
    """Return an interaction with its words."""
    low, high = points(found.interval.low), points(found.interval.high)
    if not found.excludes_zero:
        says = "no interaction shown"
    elif found.value > 0:
        says = "together they do more than the sum of each alone"
    else:
        says = "together they do less than the sum of each alone"
    sentence = (
        f"{first} and {second}: {says} ({points(found.value)} points of {METRICS[metric]}, "
        f"interval {low} to {high})."
    )
    return Interaction(first, second, both, found, found.excludes_zero, sentence)
