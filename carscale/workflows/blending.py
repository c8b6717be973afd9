"""What ``carscale blend`` and ``carscale soup`` do: weights of runs, averaged.

N photos of val, M of train, S statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from carscale import data, evaluation, loaders, models, refine
from carscale.errors import ConfigError, DataError, ModelError
from carscale.progress import note
from carscale.runs import RunFolder, weights_file
from carscale.types import Predictions
from carscale.verdicts.verdict import score
from carscale.workflows.refined_runs import (
    Base,
    check_free,
    finish,
    new_run,
    open_base,
    settings_of,
)
from carscale.world import World

if TYPE_CHECKING:
    from numpy.typing import NDArray

Run = RunFolder | Path | str
SHARES = tuple(number / 10 for number in range(11))
"""Of the new run's weights, that are tried."""
MAX_PHOTOS = 4096
"""Train photos that batch-norm statistics are estimated from."""


def blend(
    old: Run,
    new: Run,
    *,
    share: float | None = None,
    metric: str = "top1",
    settings: Sequence[str] = (),
    force: bool = False,
) -> RunFolder:
    """Make a run whose weights lie between those of two runs: ``carscale blend``.

    Under ``accelerate launch`` every process calls it.

    Args:
        old: Run folder.
        new: Run folder of a run that was trained on from the old one's weights.
        share: Of the new run's weights, 0 to 1; ``None`` tries tenths and lets val choose.
        metric: What is chosen by: a key of ``METRICS``.
        settings: Words: ``run.name=...``; where data lie and how they are loaded.
        force: Replace a run of that name.

    Returns:
        The new run's folder; its name is the new run's with ``-blended``.

    Raises:
        ConfigError: A share outside of 0 to 1, or one run twice.
        DataError: Other data, or a val too small for folds.
        ModelError: Different architectures, or a run without a result.
        RunError: No such run, or there is one of the new name.

    Reference:
        WiSE-FT: Wortsman et al. 2022, https://arxiv.org/abs/2109.01903.
    """
    if share is not None and not 0 <= share <= 1:
        raise ConfigError(f"--share {share:g}: must be from 0 (the old run) to 1 (the new one)")
    folders = _different([old, new])
    cfg = settings_of(folders[1], settings, f"{folders[1].path.resolve().name}-blended")
    check_free(folders, cfg, force=force)
    bases = [open_base(folder, cfg) for folder in folders]
    states = _states(bases)
    names = [str(folder) for folder in folders]
    with new_run(bases[1], "blend" if share is None else f"blend {share:g}", force=force) as run:
        tried = SHARES if share is None else (share,)
        found = []
        for one in tried:
            state = refine.averaged(states, [1 - one, one], names)
            found.append(_predictions(bases[1], state, run.world))
        choice = _cross_fit(bases[1], found, metric)
        best = tried[choice.best]

        def change() -> dict[str, Any]:
            models.load_state(
                bases[1].model.net, refine.averaged(states, [1 - best, best], names), names[1]
            )
            note(f"share {best:g} of {names[1]}: {metric} {choice.value:.1%} on val")
            return {
                "how": "blend",
                "share": best,
                "metric": metric,
                "chosen_on": "val" if share is None else "the command line",
                "num_folds": len(choice.chosen_F),
                "value": choice.value,
                "candidates": [
                    {"share": one, "value": value}
                    for one, value in zip(tried, choice.values_C, strict=True)
                ],
                "chosen_by_fold": [f"{tried[row]:g}" for row in choice.chosen_F],
            }

        finish(run, bases[1], change, [folders[0]])
    return run.folder


def soup(
    runs: Sequence[Run],
    *,
    metric: str = "top1",
    settings: Sequence[str] = (),
    force: bool = False,
) -> RunFolder:
    """Make a run whose weights are the mean of those runs' that make it better: ``carscale soup``.

    Batch-norm statistics are estimated anew for each mean. Under ``accelerate launch`` every
    process calls it.

    Args:
        runs: Run folders, two or more, trained from the same weights.
        metric: What is chosen by: a key of ``METRICS``.
        settings: Words: ``run.name=...``; where data lie and how they are loaded.
        force: Replace a run of that name.

    Returns:
        The new run's folder; its name is the first run's with ``-soup``.

    Raises:
        ConfigError: Fewer than two runs, or one twice.
        DataError: Other data, or a val too small for folds.
        ModelError: Different architectures or first weights, or a run without a result.
        RunError: No such run, or there is one of the new name.

    Reference:
        Wortsman et al. 2022, https://arxiv.org/abs/2203.05482.
    """
    folders = _different(runs)
    cfg = settings_of(folders[0], settings, f"{folders[0].path.resolve().name}-soup")
    check_free(folders, cfg, force=force)
    bases = [open_base(folder, cfg) for folder in folders]
    states, names = _states(bases), [str(folder) for folder in folders]
    _check_start(folders)
    refine.averaged(states, [1 / len(states)] * len(states), names)  # do they fit at all?
    with new_run(bases[0], "soup", force=force) as run:
        made: dict[tuple[int, ...], tuple[dict[str, Tensor], Predictions]] = {}

        def of(members: tuple[int, ...]) -> Predictions:
            if members not in made:
                parts, part_names = [states[i] for i in members], [names[i] for i in members]
                mean = refine.averaged(parts, [1 / len(parts)] * len(parts), part_names)
                if len(members) > 1:
                    mean = _with_norms(bases[0], mean, run.world)
                made[members] = mean, _predictions(bases[0], mean, run.world)
            return made[members][1]

        chosen, facts = _greedy(bases[0], len(states), of, metric)

        def change() -> dict[str, Any]:
            models.load_state(bases[0].model.net, made[chosen][0], names[0])
            shown = ", ".join(names[i] for i in chosen)
            note(f"mean of {shown}: {metric} {facts['value']:.1%} on val")
            return {"how": "soup", "members": [names[i] for i in chosen], **facts}

        finish(run, bases[0], change, [folders[i] for i in chosen if i])
    return run.folder


def _different(runs: Sequence[Run]) -> list[RunFolder]:
    """Return run folders, none of them twice, two at least."""
    folders = [RunFolder.open(run) for run in runs]
    places = [folder.path.resolve() for folder in folders]
    if len(folders) < 2:
        raise ConfigError(f"{len(folders)} run is given, wanted two or more")
    twice = [
        str(one) for one, place in zip(folders, places, strict=True) if places.count(place) > 1
    ]
    if twice:
        raise ConfigError(f"{twice[0]}: is given twice", "name each run once")
    return folders


def _states(bases: Sequence[Base]) -> list[dict[str, Tensor]]:
    """Return the weights of runs on the same data.

    Raises:
        DataError: One was trained with another val: what it is chosen by would have trained it.
    """
    for base in bases[1:]:
        first = bases[0].folder.hashes
        for split in ("val", "train"):
            mine, theirs = first.get(split), base.folder.hashes.get(split)
            if mine and theirs and mine != theirs:
                raise DataError(
                    f"{bases[0].folder} and {base.folder}: their {split} photos differ: "
                    f"{mine[:12]} and {theirs[:12]}",
                    "average runs that were trained on the same frozen data",
                )
    return [models.read_weights(weights_file(base.checkpoint)) for base in bases]


def _check_start(folders: Sequence[RunFolder]) -> None:
    """Raise where runs did not start from the same weights: their mean is no model."""
    starts = [(run.environment().get("model") or {}).get("weights_from") for run in folders]
    for run, start in zip(folders, starts, strict=True):
        if start != starts[0] or start == "random":
            raise ModelError(
                f"{folders[0]} and {run}: started from other weights ({starts[0]} and {start}); "
                "the mean of their weights is no model",
                "make a soup of runs from the same pretrained weights",
            )


def _predictions(base: Base, state: dict[str, Tensor], world: World) -> Predictions:
    """Return what a model of these weights says of val."""
    models.load_state(base.model.net, state, str(base.folder))
    loader = loaders.eval_loader(base.cfg.loader, base.splits.val, base.view, world)
    return evaluation.predict(
        base.model, loader, world, keep_probs=False, flip=base.cfg.evaluate.flip
    )


def _cross_fit(base: Base, found: Sequence[Predictions], metric: str) -> refine.Choice:
    """Return which predictions of val are best."""
    return refine.cross_fit(
        np.stack([one.prediction_N for one in found]),
        np.stack([one.loss_N for one in found]),
        base.splits.val.labels_N,
        data.fold_numbers(base.splits.val, refine.NUM_FOLDS),
        metric=metric,
    )


def _with_norms(base: Base, state: dict[str, Tensor], world: World) -> dict[str, Tensor]:
    """Return weights with batch-norm statistics of train photos, the same for any world size."""
    models.load_state(base.model.net, state, str(base.folder))
    model = base.model.to(world.device)
    if not models.has_norms(model):
        return state
    train = base.splits.train
    rows_M = np.random.default_rng(0).permutation(len(train))[:MAX_PHOTOS]
    columns = ("ids_N", "keys_N", "paths_N", "labels_N", "sizes_N2")
    some = replace(train, **{name: getattr(train, name)[rows_M] for name in columns})
    loader = loaders.eval_loader(base.cfg.loader, some, base.view, world)
    rows_S = models.norm_rows(model, (batch.images_BCHW for batch in loader))
    # rank r has batches r, r + size, ...: put them in order, so that sums are the same
    numbers = torch.arange(len(rows_S), device=rows_S.device) * world.size + world.rank
    order = world.gather_rows(numbers).argsort()
    models.set_norms(model, world.gather_rows(rows_S)[order].mean(dim=0))
    return {name: tensor.detach().cpu().clone() for name, tensor in model.net.state_dict().items()}


def _greedy(
    base: Base, num_runs: int, of: Callable[[tuple[int, ...]], Predictions], metric: str
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return the runs that val chooses, and what choosing so is worth on photos that did not."""
    labels_N = base.splits.val.labels_N
    folds_N = data.fold_numbers(base.splits.val, refine.NUM_FOLDS)

    def value(members: tuple[int, ...], rows_N: NDArray[np.bool_]) -> float:
        found = of(members)
        return score(found.prediction_N[rows_N], found.loss_N[rows_N], labels_N[rows_N], metric)

    def chosen_by(rows_N: NDArray[np.bool_]) -> tuple[int, ...]:
        alone = [value((run,), rows_N) for run in range(num_runs)]
        order = sorted(range(num_runs), key=lambda run: -alone[run])
        return refine.greedy(order, lambda members: value(members, rows_N))

    prediction_N, loss_N = np.empty(len(labels_N), np.int64), np.empty(len(labels_N), np.float32)
    for fold in np.unique(folds_N):
        held_N = folds_N == fold
        found = of(chosen_by(~held_N))
        prediction_N[held_N], loss_N[held_N] = found.prediction_N[held_N], found.loss_N[held_N]
    every_N = np.ones(len(labels_N), dtype=bool)
    return chosen_by(every_N), {
        "metric": metric,
        "chosen_on": "val",
        "num_folds": len(np.unique(folds_N)),
        "value": score(prediction_N, loss_N, labels_N, metric),
        "alone": [value((run,), every_N) for run in range(num_runs)],
    }
