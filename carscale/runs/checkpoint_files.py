"""A checkpoint is a folder: weights, what they are, and for ``step_N`` counters."""

from __future__ import annotations

from pathlib import Path

from carscale import contained


def step_of(checkpoint: Path) -> int:
    """Return the step that a checkpoint's name says.

    Example:
        >>> step_of(Path("checkpoints/best_00000120"))
        120
    """
    return int(checkpoint.name.partition("_")[2])


def card_file(checkpoint: Path) -> Path:
    """Return the path of what a checkpoint's weights are: model, view, classes."""
    return contained.inside(checkpoint, "model.json", "file")


def weights_file(checkpoint: Path, name: str = "model") -> Path:
    """Return the path of a checkpoint's weights: ``model``, ``ema``, ``optimizer``."""
    return contained.inside(checkpoint, f"{name}.safetensors", "file")


def state_file(checkpoint: Path) -> Path:
    """Return the path of a checkpoint's counters."""
    return contained.inside(checkpoint, "state.json", "file")
