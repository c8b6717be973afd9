"""The temperature of a run: fitted on val, kept in its folder, used by evaluate and predict."""

from __future__ import annotations

import math
import shlex
from typing import Any

from carscale import config, evaluation
from carscale.errors import ConfigError, RunError
from carscale.runs import RunFolder
from carscale.types import Predictions


def calibrate(on_val: Predictions) -> dict[str, Any]:
    """Fit a temperature on a run's val predictions.

    Args:
        on_val: With all probabilities.

    Returns:
        What ``calibration.json`` holds: the temperature, loss and ECE before and after on the same
        photos (after, they flatter a little), and what was predicted how.

    Raises:
        ConfigError: Val holds no photos.
    """
    if len(on_val) == 0 or on_val.probs_NK is None:
        raise ConfigError(
            "evaluate.temperature=val: the val split holds no photos to fit it on",
            "evaluate without: --no-temperature",
        )
    temperature = evaluation.fit_temperature(
        evaluation.floored_log(on_val.probs_NK), on_val.labels_N
    )
    after = evaluation.with_temperature(on_val, temperature)
    about = on_val.about
    return {
        "temperature": temperature,
        "fitted_on": "val",
        "num_samples": len(on_val),
        "loss_before": float(on_val.loss_N.astype(float).mean()),
        "loss_after": float(after.loss_N.astype(float).mean()),
        "ece_before": _ece(on_val),
        "ece_after": _ece(after),
    } | {name: about.get(name) for name in ("checkpoint", "split_hash", "flip", "precision")}


def stored_temperature(run: RunFolder, cfg: config.Evaluate, checkpoint: str) -> float | None:
    """Return the temperature that was fitted for a checkpoint, predicted in the same way.

    Args:
        run: Its folder.
        cfg: ``flip`` has to be that of the fit.
        checkpoint: Name of the run's result.

    Returns:
        ``None`` when there is none.

    Raises:
        RunError: The stored one is no temperature.
    """
    stored = run.calibration()
    if not stored or (stored.get("checkpoint"), stored.get("flip")) != (checkpoint, cfg.flip):
        return None
    temperature = float(stored["temperature"])
    if not 0 < temperature < math.inf:
        raise RunError(
            f"{run.calibration_file}: temperature {temperature}: must be > 0",
            f"fit it again: carscale evaluate {shlex.quote(str(run))}",
        )
    return temperature


def _ece(predictions: Predictions) -> float:
    """Return the expected calibration error."""
    is_correct_N = predictions.prediction_N == predictions.labels_N
    return evaluation.calibration_error(predictions.prob_prediction_N, is_correct_N)
