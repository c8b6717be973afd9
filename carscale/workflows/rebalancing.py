"""What ``carscale rebalance`` does: another classifier layer on a run's network.

N photos, D features.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carscale import config, data, disk, evaluation, files, loaders, refine, tables
from carscale.progress import bar, note
from carscale.runs import RunFolder
from carscale.types import Predictions
from carscale.workflows.refined_runs import (
    Base,
    check_free,
    finish,
    new_run,
    open_base,
    settings_of,
)
from carscale.world import World


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
    with new_run(base, f"rebalance {method}", force=force) as new:
        train_ND, val_ND = _embeddings(base, new.world)

        def refit() -> dict[str, Any]:
            head = base.model.linear_head()
            chosen, facts = _rebalanced(base, train_ND, val_ND, method, metric)
            head.load_state_dict({"weight": chosen.weight_KD, "bias": chosen.bias_K})
            return facts

        finish(new, base, refit)
    return new.folder


def _rebalanced(
    base: Base,
    train_ND: torch.Tensor,
    val_ND: torch.Tensor,
    method: config.RebalanceMethod,
    metric: str,
) -> tuple[refine.Head, dict[str, Any]]:
    """Return the head that val chose, and how it was chosen."""
    splits, layer = base.splits, base.model.linear_head()
    bias_K = torch.zeros(layer.out_features) if layer.bias is None else layer.bias.detach()
    trained = refine.Head(layer.weight.detach().float(), bias_K.float())
    photos = refine.TrainPhotos(
        train_ND, torch.from_numpy(splits.train.labels_N), len(splits.classes), seed=base.cfg.seed
    )
    labels_N = splits.val.labels_N
    found, predictions, losses = [], [], []
    with bar("rebalance", refine.num_candidates(method), unit="heads") as advance:
        for candidate in refine.candidates(trained, photos, method):
            log_probs_NK = torch.log_softmax(candidate.head.logits(val_ND), dim=1).numpy()
            temperature = evaluation.fit_temperature(log_probs_NK, labels_N)
            head = candidate.head.scaled(1 / temperature)
            log_probs_NK = torch.log_softmax(head.logits(val_ND), dim=1).numpy()
            found.append((candidate.method, candidate.strength, head))
            predictions.append(log_probs_NK.argmax(axis=1))
            losses.append(-log_probs_NK[np.arange(len(labels_N)), labels_N])
            advance(1, f"{candidate.method} {candidate.strength:g}")
    folds_N = data.fold_numbers(splits.val, refine.NUM_FOLDS)
    choice = refine.cross_fit(
        np.stack(predictions), np.stack(losses), labels_N, folds_N, metric=metric
    )
    before = torch.log_softmax(trained.logits(val_ND), dim=1).numpy()
    as_trained = refine.cross_fit(
        before.argmax(axis=1)[None],
        -before[np.arange(len(labels_N)), labels_N][None],
        labels_N,
        folds_N,
        metric=metric,
    )
    name, strength, head = found[choice.best]
    note(
        f"{name} {strength:g}: {metric} {choice.value:.1%} on val, each fifth chosen for by the "
        f"others; as trained {as_trained.value:.1%}"
    )
    return head, {
        "how": "rebalance",
        "method": name,
        "strength": strength,
        "metric": metric,
        "chosen_on": "val",
        "num_folds": len(choice.chosen_F),
        "value": choice.value,
        "as_trained": as_trained.value,
        "candidates": [
            {"method": one, "strength": strength, "value": value}
            for (one, strength, _), value in zip(found, choice.values_C, strict=True)
        ],
        "chosen_by_fold": [f"{found[row][0]} {found[row][1]:g}" for row in choice.chosen_F],
    }


def _embeddings(base: Base, world: World) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the embeddings of train and val, float32; stores with the base what it lacks."""
    run, name = base.folder, base.checkpoint.name
    found = []
    for split in (base.splits.train, base.splits.val):
        stored = world.broadcast(run.embeddings(split.name, split.hash, name))
        if stored is None:
            predictions = evaluation.predict(
                base.model,
                loaders.eval_loader(base.cfg.loader, split, base.view, world),
                world,
                keep_probs=False,
                keep_embeddings=True,
                about={"checkpoint": name, "precision": base.cfg.train.precision},
            )
            world.on_main(partial(_keep, run, split.name, predictions))
            stored = predictions.embeddings_ND
        found.append(torch.from_numpy(np.asarray(stored, np.float32)))
    return found[0], found[1]


def _keep(run: RunFolder, split: str, predictions: Predictions) -> None:
    """Store embeddings where ``carscale evaluate --embeddings`` does."""
    disk.make_folder(run.predictions_folder)
    files.write_atomic(run.embeddings_file(split), tables.embeddings_bytes(predictions))
