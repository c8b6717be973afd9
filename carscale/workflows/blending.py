"""What ``carscale blend`` and ``carscale soup`` do: weights of runs, averaged.

N photos of val, M of train, S statistics.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from carscale import evaluation, loaders, models, outgoing, refine
from carscale.errors import ConfigError, DataError, ModelError
from carscale.progress import note
from carscale.runs import RunFolder, weights_file
from carscale.types import Predictions
from carscale.verdicts.verdict import score
from carscale.workflows.refined_runs import (
    Base,
    check_free,
    finish,
    is_continued,
    metric_text,
    new_run,
    open_base,
    settings_of,
    val_folds,
)
from carscale.world import World

if TYPE_CHECKING:
    from numpy.typing import NDArray

Run = RunFolder | Path | str
SHARES = tuple(number / 10 for number in range(11))
"""Of the new run's weights, that are tried."""
MAX_PHOTOS, NORM_BATCH = 4096, 64
"""Train photos that batch-norm statistics are estimated from, and how many at once."""


def blend(
    old: Run,
    new: Run,
    *,
    share: float | None = None,
    metric: str = "top1",
    max_negative_flips: float = 0.02,
    settings: Sequence[str] = (),
    force: bool = False,
) -> RunFolder:
    """Make a run whose weights lie between those of two runs: ``carscale blend``.

    Batch-norm statistics lie between too, as the paper has it; only where neither run went on from
    the other are they estimated anew. Under ``accelerate launch`` every process calls it.

    Args:
        old: Run folder.
        new: Run folder of a run that was trained on from the old one's weights.
        share: Of the new run's weights, 0 to 1; ``None`` tries tenths and lets val choose.
        metric: What is chosen by: a key of ``METRICS``.
        max_negative_flips: Shares are left out with which more than this part of what the old run
            has right on val would be wrong.
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
    if not 0 <= max_negative_flips <= 1:
        raise ConfigError(f"--max-negative-flips {max_negative_flips:g}: must be from 0 to 1")
    if share is not None and not 0 <= share <= 1:
        raise ConfigError(f"--share {share:g}: must be from 0 (the old run) to 1 (the new one)")
    folders = _different([old, new])
    cfg = settings_of(folders[1], settings, f"{folders[1].path.resolve().name}-blended")
    check_free(folders, cfg, force=force)
    bases = [open_base(folder, cfg) for folder in folders]
    _check_line(*folders)
    states, names = [_weights(base) for base in bases], [str(folder) for folder in folders]
    refine.averaged(states, [0.5, 0.5], names)  # do they fit at all?
    folds_N = val_folds(bases[1], metric) if share is None else None
    is_line = is_continued(*folders)
    with new_run(bases[1], "blend" if share is None else f"blend {share:g}", force=force) as run:

        def mixed(one: float) -> dict[str, Tensor]:
            state = refine.averaged(states, [1 - one, one], names)
            is_whole = is_line or one in (0, 1)
            return state if is_whole else _with_norms(bases[1], state, run.world)

        best, facts = share, {"chosen_on": "the command line", "metric": metric}
        if folds_N is not None:
            found = [_predictions(bases[1], mixed(one), run.world) for one in SHARES]
            labels_N = bases[1].splits.val.labels_N
            best, facts, told = _chosen(found, labels_N, folds_N, metric, max_negative_flips)
            for line in told if run.world.is_main else ():
                note(line)
        assert best is not None
        models.load_state(bases[1].model.net, mixed(best), names[1])
        finish(run, bases[1], lambda: {"share": best, **facts}, [folders[0]])
    return run.folder


def _chosen(
    found: Sequence[Predictions],
    labels_N: NDArray[np.int64],
    folds_N: NDArray[np.int64],
    metric: str,
    max_flips: float,
) -> tuple[float, dict[str, Any], list[str]]:
    """Return the share that val chooses among those that flip little, how, and lines to say."""
    flips_C = _flips(found)
    few = [n for n, flips in enumerate(flips_C) if flips <= max_flips]
    shares = [SHARES[n] for n in few]
    choice = refine.cross_fit(
        np.stack([found[n].prediction_N for n in few]),
        np.stack([found[n].loss_N for n in few]),
        labels_N,
        folds_N,
        metric=metric,
    )
    ends = [choice.values_C[0], choice.values_C[-1]]
    is_better = choice.value > max(ends)
    best = shares[choice.best] if is_better else shares[-int(np.argmax(ends))]
    facts = _facts_of(choice, metric, shares) | {
        "max_negative_flips": max_flips,
        "negative_flips": {f"{one:g}": n for one, n in zip(SHARES, flips_C, strict=True)},
    }
    old, new, told = (metric_text(one, metric) for one in (*ends, choice.value))
    lines = [
        f"{metric} on val: the old run {old}, share {shares[-1]:g} of the new one {new}; by "
        f"choosing {told}, measured on each fifth of val with the share that the other fifths "
        f"choose; taken: share {best:g}, negative flips {flips_C[SHARES.index(best)]:.1%}"
        + ("" if is_better else " (no share between both is better)")
    ]
    if len(few) < len(SHARES):
        lines.append(
            f"{len(SHARES) - len(few)} of {len(SHARES)} shares have more than {max_flips:.1%} of "
            "what was right wrong; to take them too: --max-negative-flips"
        )
    return best, facts, lines


def _flips(found: Sequence[Predictions]) -> list[float]:
    """Return which part of what the first has right each has wrong."""
    correct = [one.prediction_N == one.labels_N for one in found]
    num_right = max(1, int(correct[0].sum()))
    return [int((correct[0] & ~one).sum()) / num_right for one in correct]


def _facts_of(choice: refine.Choice, metric: str, shares: Sequence[float]) -> dict[str, Any]:
    """Return how a share was chosen."""
    return {
        "metric": metric,
        "chosen_on": "val",
        "num_folds": len(choice.chosen_F),
        "value": choice.value,
        "candidates": [
            {"share": one, "value": value}
            for one, value in zip(shares, choice.values_C, strict=True)
        ],
        "chosen_by_fold": [f"{shares[row]:g}" for row in choice.chosen_F],
    }


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
    bases = [open_base(folder, cfg) for folder in folders]
    _check_start(bases)
    check_free(folders, cfg, force=force)
    states, names = [_weights(base) for base in bases], [str(folder) for folder in folders]
    refine.averaged(states, [1 / len(states)] * len(states), names)  # do they fit at all?
    folds_N = val_folds(bases[0], metric)
    with new_run(bases[0], "soup", force=force) as run:

        def mean(members: tuple[int, ...]) -> dict[str, Tensor]:
            parts, part_names = [states[i] for i in members], [names[i] for i in members]
            state = refine.averaged(parts, [1 / len(parts)] * len(parts), part_names)
            return _with_norms(bases[0], state, run.world) if len(members) > 1 else state

        made: dict[tuple[int, ...], Predictions] = {}

        def of(members: tuple[int, ...]) -> Predictions:
            if members not in made:
                made[members] = _predictions(bases[0], mean(members), run.world)
            return made[members]

        chosen, facts = _greedy(bases[0].splits.val.labels_N, folds_N, len(states), of, metric)
        alone = int(np.argmax(facts["alone"]))
        is_better = facts["value"] > facts["alone"][alone]
        chosen = chosen if is_better else (alone,)
        if run.world.is_main:
            shown = ", ".join(names[i] for i in chosen)
            best, told = (
                metric_text(one, metric) for one in (facts["alone"][alone], facts["value"])
            )
            note(
                f"{metric} on val: {names[alone]} alone {best}; by choosing {told}, measured on "
                f"each fifth of val with the runs that the other fifths choose; taken: {shown}"
                + ("" if is_better else " (no mean is better)")
            )
        models.load_state(bases[0].model.net, mean(chosen), names[0])
        facts["members"] = [names[i] for i in chosen]
        finish(run, bases[0], lambda: facts, [folders[i] for i in chosen if i])
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


def _weights(base: Base) -> dict[str, Tensor]:
    """Return a run's tensors."""
    return models.read_weights(weights_file(base.checkpoint))


def _check_line(old: RunFolder, new: RunFolder) -> None:
    """Raise where a run did not start from another one's weights, nor both from the same."""
    starts = [(run.environment().get("model") or {}).get("weights_from") for run in (old, new)]
    if is_continued(old, new) or (starts[0] == starts[1] and starts[0] not in (None, "random")):
        return
    raise ModelError(
        f"{new}: did not start from the weights of {old} (but from {starts[1]}), so nothing good "
        "lies between both",
        f"train on from it: {outgoing.command('carscale', 'train', 'finetune_hard')} "
        f"{shlex.quote(f'model.weights={old}')}",
    )


def _check_start(bases: Sequence[Base]) -> None:
    """Raise where runs did not start from the same weights, or see photos otherwise."""
    first = bases[0]
    starts = [(one.folder.environment().get("model") or {}).get("weights_from") for one in bases]
    for base, start in zip(bases, starts, strict=True):
        if start != starts[0] or start in (None, "random"):
            raise ModelError(
                f"{base.folder}: started from other weights ({start}) than {first.folder} "
                f"({starts[0]}), so the mean of both is no model",
                "make a soup of runs from the same pretrained weights",
            )
        if base.view != first.view:
            raise ModelError(
                f"{first.folder} and {base.folder}: see photos otherwise ({first.view.image_px} px "
                f"{first.view.fit}, {base.view.image_px} px {base.view.fit})",
                "make a soup of runs of one data.image_px and data.fit",
            )


def _predictions(base: Base, state: dict[str, Tensor], world: World) -> Predictions:
    """Return what a model of these weights says of val."""
    models.load_state(base.model.net, state, str(base.folder))
    loader = loaders.eval_loader(base.cfg.loader, base.splits.val, base.view, world)
    return evaluation.predict(
        base.model, loader, world, keep_probs=False, flip=base.cfg.evaluate.flip
    )


def _with_norms(base: Base, state: dict[str, Tensor], world: World) -> dict[str, Tensor]:
    """Return weights with batch-norm statistics of train photos, the same for any world size."""
    models.load_state(base.model.net, state, str(base.folder))
    model = base.model.to(world.device)
    if not models.has_norms(model):
        return state
    train = base.splits.train
    rows_M = np.random.default_rng(0).permutation(len(train))[:MAX_PHOTOS]
    rows_M = rows_M[: len(rows_M) // NORM_BATCH * NORM_BATCH or len(rows_M)]  # no ragged batch
    if len(rows_M) < 2:
        raise DataError(f"{train.root}: {len(train)} train photo gives no batch-norm statistics")
    columns = ("ids_N", "keys_N", "paths_N", "labels_N", "sizes_N2")
    some = replace(train, **{name: getattr(train, name)[rows_M] for name in columns})
    cfg = base.cfg.loader.model_copy(update={"eval_batch_size": NORM_BATCH})
    loader = loaders.eval_loader(cfg, some, base.view, world)
    rows_S = models.norm_rows(model, (batch.images_BCHW for batch in loader))
    # rank r has batches r, r + size, ...: put them in order, so that sums are the same
    numbers = torch.arange(len(rows_S), device=rows_S.device) * world.size + world.rank
    order = world.gather_rows(numbers).argsort()
    models.set_norms(model, world.gather_rows(rows_S)[order].mean(dim=0))
    return {name: tensor.detach().cpu().clone() for name, tensor in model.net.state_dict().items()}


def _greedy(
    labels_N: NDArray[np.int64],
    folds_N: NDArray[np.int64],
    num_runs: int,
    of: Callable[[tuple[int, ...]], Predictions],
    metric: str,
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Return the runs that val chooses, and what choosing so is worth on photos that did not."""

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
