"""The run whose weights another one starts from."""

from __future__ import annotations

from pathlib import Path

from carscale.runs.folder import RunFolder

MAX_DEPTH = 3
"""A weights file lies so many folders deep in its run."""


def run_of_weights(weights: Path | str | None) -> RunFolder | None:
    """Return the run that weights are of; ``None`` for a file alone, or no weights.

    Args:
        weights: ``model.weights``: a run, its checkpoint, or a file of that.
    """
    if weights is None:
        return None
    places = (Path(weights), *Path(weights).parents[:MAX_DEPTH])
    return next((RunFolder(one) for one in places if RunFolder(one).has_settings), None)
