"""The run whose weights another one starts from."""

from __future__ import annotations

from pathlib import Path

from carscale.runs.folder import RunFolder


def run_of_weights(weights: Path | str | None) -> RunFolder | None:
    """Return the run that weights are of; ``None`` for a file alone, or no weights.

    Args:
        weights: ``model.weights``: a run, its checkpoint, or a file of that.
    """
    if weights is None:
        return None
    path = Path(weights)
    inside = [one.parent for one in (path, *path.parents) if one.name == "checkpoints"]
    runs = (RunFolder(one) for one in (path, *inside))
    return next((run for run in runs if run.has_settings and run.has_environment), None)
