"""The error of a run whose numbers are not finite any more, and what does work then."""

from __future__ import annotations

import itertools
import math
import shlex
from typing import TYPE_CHECKING

from carscale import config
from carscale.errors import NotFiniteError, TrainingError
from carscale.runs import weights_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from carscale.models import Classifier
    from carscale.world import Run, World


def finite_scores(
    run: Run, score: Callable[[Classifier, World], dict[str, float]], model: Classifier, where: str
) -> dict[str, float]:
    """Return val metrics, all of them numbers.

    Args:
        run: The run.
        score: Takes the model, on all ranks.
        model: What is scored.
        where: In the training, for the error.

    Raises:
        TrainingError: A prediction or a metric is not finite.
    """
    try:
        values = score(model, run.world)
    except NotFiniteError as error:
        raise diverged(run, f"{where}: {str(error).splitlines()[0]}") from error
    bad = [f"{name} {value}" for name, value in values.items() if not math.isfinite(value)]
    if bad:
        raise diverged(run, f"{where}: val is not finite: {', '.join(bad)}")
    return values


def diverged(run: Run, fact: str) -> TrainingError:
    """Return the error of a run that can't go on; the same on every rank.

    A run goes on only with its own settings, so another rate needs another name, or an empty
    folder. The best weights are good: none are kept whose predictions are not finite.

    Args:
        run: The run.
        fact: Where it happened, and what was not finite.
    """
    words = _slower(run.cfg)
    best = run.folder.checkpoints("best")
    named = shlex.join([f"run.name={_free_name(run)}", *words])
    steps = [f"train again with a lower rate; add to the command: {named}"]
    if best:
        start = shlex.quote(f"model.weights={weights_file(best[0])}")
        steps.append(f"or go on from the last good weights, {best[0]}: {named} {start}")
    else:
        steps.append("no epoch ended with good weights to go on from")
    steps.append(f"or in place of this run: {shlex.join(['resume=overwrite', *words])}")
    return TrainingError(f"{run.folder}: {fact}", *steps)


def _slower(cfg: config.Recipe) -> list[str]:
    """Return the settings that make a run that diverged less likely to."""
    words = [f"optim.lr={min(cfg.optim.lr / 10, config.Optim().lr):g}"]
    if not cfg.train.grad_clip_norm:
        words.append("train.grad_clip_norm=1")
    if cfg.train.precision == "fp16":
        words.append("train.precision=fp32")
    return words


def _free_name(run: Run) -> str:
    """Return a name that no run beside this one has."""
    folder = run.folder.path
    names = (f"{folder.name}-{number}" for number in itertools.count(2))
    return next(name for name in names if not (folder.parent / name).exists())
