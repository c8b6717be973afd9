"""What helps, by how much, with proof: comparisons of runs, and of loaders.

In: run folders, or frozen photos, and what to compare. Out: numbers with intervals, as plain data
that the command line prints and ``report`` draws.

- ``study_plan``: a study's runs, and what may not change half way; ``study_speed``: how long they
  take; ``study_run``: train them one after another, whatever was killed.
- ``history``: all runs on a data set over time.
- ``verdicts``: from right and wrong answers to words; pure. ``settle``: what would settle the rest.
- ``judging``: ``judge`` reads run folders (``answers``) and says all that a study's page shows.

- ``loader_arms``: what runs in the process of one arm of ``carscale benchmark loaders``.
- ``loader_race``: arms take turns, round by round; medians, intervals, what to choose.
- ``model_race``: size, speed and memory of models.

Chosen: one process an arm, all alive, rounds in turn. Rejected: one process for all (worker
processes, thread pools and DALI disturb each other, and memory can't be told apart); one arm after
the other (a shared machine drifts, and the ratio drifts with it).
Chosen: the wider of the interval over seeds and the one over photos. Rejected: resampling seeds and
photos in one bootstrap. Why: with three seeds that covers 87 % where it says 95.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from carscale.experiment.judging import StudyResult, judge
    from carscale.experiment.loader_race import RaceRule, race
    from carscale.experiment.model_race import ModelRule, measure_models

__all__ = ["ModelRule", "RaceRule", "StudyResult", "judge", "measure_models", "race"]

_HOMES = {
    "ModelRule": "model_race",
    "RaceRule": "loader_race",
    "StudyResult": "judging",
    "judge": "judging",
    "measure_models": "model_race",
    "race": "loader_race",
}


def __getattr__(name: str) -> object:
    """Load what is used when it is used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
