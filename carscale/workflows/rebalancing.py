"""What ``carscale rebalance`` does: another classifier layer on a run's network.

N photos, D features.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from carscale import config, disk, evaluation, files, loaders, refine, tables
from carscale.progress import bar, note
from carscale.runs import RunFolder
from carscale.types import Predictions, Split
from carscale.verdicts.verdict import score
from carscale.workflows.refined_runs import (
    Base,
    check_free,
    finish,
    metric_text,
    new_run,
    open_base,
    settings_of,
    val_folds,
)
from carscale.world import World

if TYPE_CHECKING:
    from numpy.typing import NDArray


def rebalance(
    run: RunFolder | Path | str,
    *,
    method: config.RebalanceMethod = "auto",
    metric: str = "macro_f1",
    settings: Sequence[str] = (),
    force: bool = False,
) -> RunFolder:
    """Make a run with another classifier layer on a run's network: ``carscale rebalance``.

    The layer is made of the embeddings of train; method and strength are chosen on val, and what
    that is worth is measured on the fifths of val that did not choose. Under ``accelerate launch``
    every process calls it.

    Args:
        run: Run folder.
        method: ``ncm``, ``tau-norm``, ``logit-adjust``, ``lws``, ``crt``, ``crt-logit-adjusted``;
            ``auto`` tries all, and leaves the layer as trained where none is better.
        metric: What is chosen by: a key of ``METRICS``.
        settings: Words: ``run.name=...`` of the new run; where data lie and how they are loaded.
        force: Replace a run of that name.

    Returns:
        The new run's folder; its name is the run's with ``-rebalanced`` unless settings say so.

    Raises:
        ConfigError: A setting that can't change here.
        DataError: A class without train photos, other data, or a val too small for folds.
        ModelError: The run has no result, or a network without a linear classifier layer.
        RunError: No such run, or there is one of the new name.
    """
    folder = RunFolder.open(run)
    cfg = settings_of(folder, settings, f"{folder.path.resolve().name}-rebalanced")
    check_free([folder], cfg, force=force)
    base = open_base(folder, cfg)
    layer, folds_N = base.model.linear_head(), val_folds(base, metric)
    refine.check_counts(base.splits.train.counts_K, base.splits.classes)
    with new_run(base, f"rebalance {method}", force=force) as new:
        train, val = (_embeddings(base, one, new.world) for one in base.splits.every[:2])

        def refit() -> dict[str, Any]:
            trained = refine.Head(
                layer.weight.detach().float().cpu(), layer.bias.detach().float().cpu()
            )
            photos = refine.TrainPhotos(
                torch.from_numpy(np.asarray(train, np.float32)),
                torch.from_numpy(base.splits.train.labels_N),
                len(base.splits.classes),
                seed=base.cfg.seed,
            )
            tried = list(_tried(trained, photos, method, np.asarray(val, np.float32)))
            best, facts = _chosen(base, tried, folds_N, metric, int(method != "auto"))
            temperature = evaluation.fit_temperature(best.log_probs_NK, base.splits.val.labels_N)
            head = (
                best.head if best.method == refine.AS_TRAINED else best.head.scaled(1 / temperature)
            )
            layer.load_state_dict({"weight": head.weight_KD, "bias": head.bias_K})
            return facts

        finish(new, base, refit)
    return new.folder


@dataclass(frozen=True, eq=False)
class _Tried:
    """A head and what it says of val."""

    name: str
    method: str
    strength: float
    head: refine.Head
    log_probs_NK: NDArray[np.float32]


def _tried(
    trained: refine.Head,
    photos: refine.TrainPhotos,
    method: config.RebalanceMethod,
    val_ND: NDArray[np.float32],
) -> Iterator[_Tried]:
    """Yield the layer as trained, then each candidate that is another."""
    embeddings_ND = torch.from_numpy(val_ND)
    with bar("rebalance", refine.num_candidates(method), unit="heads") as advance:
        for one in refine.candidates(trained, photos, method):
            log_probs_NK = torch.log_softmax(one.head.logits(embeddings_ND), dim=1).numpy()
            name = f"{one.method} {one.strength:g}" if one.strength else one.method
            yield _Tried(name, one.method, one.strength, one.head, log_probs_NK)
            advance(1, name)


def _chosen(
    base: Base, tried: Sequence[_Tried], folds_N: NDArray[np.int64], metric: str, first: int
) -> tuple[_Tried, dict[str, Any]]:
    """Return the head that val chose from the first open one on, and how.

    The first of all is the layer as trained, which the choice is compared with. Confidence differs
    by candidate, so each is judged at the temperature that the other folds give it; the one that
    is chosen gets that of all of val.
    """
    labels_N = base.splits.val.labels_N
    scaled = [_calibrated(one.log_probs_NK, labels_N, folds_N) for one in tried]
    said_CN = np.stack([one.argmax(axis=1) for one in scaled])
    losses_CN = np.stack([-one[np.arange(len(labels_N)), labels_N] for one in scaled])
    choice = refine.cross_fit(said_CN[first:], losses_CN[first:], labels_N, folds_N, metric=metric)
    before = score(said_CN[0], losses_CN[0], labels_N, metric)
    open_to_choice = tried[first:]
    is_better = first > 0 or choice.value > before
    best = open_to_choice[choice.best] if is_better else tried[0]
    told = metric_text(choice.value, metric)
    note(
        f"{metric} on val: as trained {metric_text(before, metric)}; by choosing {told}, measured "
        f"on each fifth of val with the layer that the other fifths choose; taken: {best.name}"
        + ("" if choice.value > before else " (no better: nothing to gain here)")
    )
    return best, {
        "method": best.method,
        "strength": best.strength,
        "metric": metric,
        "chosen_on": "val",
        "num_folds": len(choice.chosen_F),
        "value": choice.value,
        "as_trained": before,
        "candidates": [
            {"method": one.method, "strength": one.strength, "value": value}
            for one, value in zip(open_to_choice, choice.values_C, strict=True)
        ],
        "chosen_by_fold": [open_to_choice[row].name for row in choice.chosen_F],
    }


def _calibrated(
    log_probs_NK: NDArray[np.float32], labels_N: NDArray[np.int64], folds_N: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return log-probabilities at the temperature that the other folds give each photo."""
    scaled_NK = np.empty(log_probs_NK.shape)
    for fold in np.unique(folds_N):
        held_N = folds_N == fold
        temperature = evaluation.fit_temperature(log_probs_NK[~held_N], labels_N[~held_N])
        scaled_NK[held_N] = log_probs_NK[held_N] / temperature
    top_N1 = scaled_NK.max(axis=1, keepdims=True)
    return scaled_NK - top_N1 - np.log(np.exp(scaled_NK - top_N1).sum(axis=1, keepdims=True))


def _embeddings(base: Base, split: Split, world: World) -> NDArray[np.float16]:
    """Return the embeddings of a split, on rank 0; stores with the base what it lacks."""
    run, name = base.folder, base.checkpoint.name
    stored = run.embeddings(split.name, split.hash, name) if world.is_main else None
    if world.broadcast(stored is not None):
        return np.empty((0, 0), np.float16) if stored is None else stored
    predictions = evaluation.predict(
        base.model,
        loaders.eval_loader(base.cfg.loader, split, base.view, world),
        world,
        keep_probs=False,
        keep_embeddings=True,
        about={"checkpoint": name, "precision": base.cfg.train.precision},
    )
    world.on_main(partial(_keep, run, split.name, predictions))
    assert predictions.embeddings_ND is not None
    return predictions.embeddings_ND


def _keep(run: RunFolder, split: str, predictions: Predictions) -> None:
    """Store embeddings where ``carscale evaluate --embeddings`` does."""
    disk.make_folder(run.predictions_folder)
    files.write_atomic(run.embeddings_file(split), tables.embeddings_bytes(predictions))
