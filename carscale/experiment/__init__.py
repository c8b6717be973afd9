"""Comparisons that start processes of their own.

In: frozen photos and what to compare. Out: numbers with intervals, as plain dicts that the command
line prints and ``report`` draws.

- ``loader_arms``: what runs in the process of one arm of ``carscale benchmark loaders``.
- ``loader_race``: arms take turns, round by round; medians, intervals, what to choose.

Chosen: one process an arm, all alive, rounds in turn. Rejected: one process for all (worker
processes, thread pools and DALI disturb each other, and memory can't be told apart); one arm after
the other (a shared machine drifts, and the ratio drifts with it).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carscale.experiment.loader_race import RaceRule, race

__all__ = ["RaceRule", "race"]


def __getattr__(name: str) -> object:
    """Load the race when it is used."""
    if name in __all__:
        return getattr(import_module("carscale.experiment.loader_race"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
