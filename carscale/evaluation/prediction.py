"""Predict every sample of a split exactly once, on any number of processes.

Axes: B samples of a batch, N samples, K classes, T top classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from carscale import models
from carscale.errors import TRAIN_SLOWER, LoaderError, ModelError, NotFiniteError, Stopped
from carscale.evaluation.in_parts import Seen, in_parts
from carscale.evaluation.metrics import scores
from carscale.progress import bar
from carscale.types import Loader, Predictions, Split
from carscale.world import name_out_of_memory, smaller_batches

if TYPE_CHECKING:
    from carscale.world import World


NUM_TOP = 5


class Scorer:
    """Scores a model on one split while it trains.

    Args:
        loader: The plain loader of the split, usually val.
        flip: As in ``predict``.

    Attributes:
        last: What the model that was scored last says of the split; ``None`` before the first.
    """

    def __init__(self, loader: Loader, *, flip: bool = False) -> None:
        self.loader = loader
        self.flip = flip
        self.view = loader.view
        self.hash = loader.split.hash
        self.last: Predictions | None = None

    def __call__(self, model: nn.Module, world: World) -> dict[str, float]:
        """Return top-1, balanced accuracy, macro-F1, ECE, top-5 and loss, the same on all ranks."""
        self.last = predict(model, self.loader, world, flip=self.flip)
        return scores(self.last, len(self.loader.split.classes))


def are_few(num_samples: int, num_classes: int) -> bool:
    """Tell whether all probabilities are kept by default: up to 10 million, 40 MB.

    Example:
        >>> are_few(8_144, 196), are_few(1_000_000, 1_000)
        (True, False)
    """
    return num_samples * num_classes <= 10_000_000


def log_probs(model: Callable[[Tensor], Tensor], images_BCHW: Tensor, *, flip: bool) -> Tensor:
    """Return the log-probabilities of a batch.

    Args:
        model: Gives logits ``[B, K]``.
        images_BCHW: uint8.
        flip: Whether to average probabilities with those of the mirror images.

    Returns:
        Float32 ``[B, K]``.
    """
    log_probs_BK = torch.log_softmax(model(images_BCHW).float(), dim=-1)
    if not flip:
        return log_probs_BK
    mirrored_BK = torch.log_softmax(model(images_BCHW.flip(-1)).float(), dim=-1)
    return torch.logaddexp(log_probs_BK, mirrored_BK) - math.log(2)


def predict(
    model: nn.Module,
    loader: Loader,
    world: World,
    *,
    keep_probs: bool | None = None,
    about: dict[str, Any] | None = None,
    flip: bool = False,
    keep_embeddings: bool = False,
) -> Predictions:
    """Return what a model says of every sample of the loader's split.

    Args:
        model: The bare module; its buffers should be rank 0's.
        loader: Whole batches of this rank.
        world: All ranks call this together; there is one gather, at the end.
        keep_probs: Whether to keep all K probabilities of each sample; ``None`` keeps them where
            they are few (``are_few``): label review and calibration are better with them.
        about: What the table should say of its making.
        flip: Whether to average each photo's probabilities with those of its mirror image, which
            takes twice the time.
        keep_embeddings: Whether to keep what the classifier layer saw of each photo (not of its
            mirror image): 2 bytes a number on every rank.

    Returns:
        The whole table, ordered by id, on every rank.

    Raises:
        LoaderError: An id is missing or came twice.
        NotFiniteError: A loss or probability is no number; on all ranks alike.
        Stopped: A signal came to a rank; nothing was gathered.
        OutOfMemoryError: A batch does not fit; says what to type.
        ModelError: Embeddings are asked for, and the network has no single classifier layer, or
            gives it numbers that half precision can't hold.
    """
    split = loader.split
    if keep_probs is None:
        keep_probs = are_few(len(split), len(split.classes))
    model.to(world.device).eval()
    if isinstance(model, models.Classifier):
        model = models.for_scoring(model, loader.view.image_px)
    rows_I: list[Tensor] = []
    rows_F: list[Tensor] = []
    rows_D: list[Tensor] = []
    at_once = loader.eval_batch_size
    starts = range(0, len(split), at_once)[world.rank :: world.size]
    num_mine = sum(min(at_once, len(split) - start) for start in starts)
    with (
        world.stop.deferred(),
        torch.inference_mode(),
        name_out_of_memory(
            world,
            f"{at_once} photos of {split.name} at once (loader.eval_batch_size={at_once})",
            smaller_batches(at_once),
        ),
        bar(f"predict {split.name}", num_mine, show=world.is_main, unit="photos") as advance,
        seen_by_classifier(model, wanted=keep_embeddings) as seen,
        in_parts(model, world, seen) as logits,
    ):
        for batch in loader:
            if world.stop.is_asked:
                break
            log_probs_BK = log_probs(logits, batch.images_BCHW, flip=flip)
            integers, floats = _rows(
                log_probs_BK, batch.labels_B, batch.ids_B, keep_probs=keep_probs
            )
            rows_I.append(integers)
            rows_F.append(floats)
            if keep_embeddings:  # the first of them: those of the mirror images follow
                rows_D.append(torch.cat(seen.rows)[: len(batch.ids_B)])
                seen.rows = []
            advance(len(batch.ids_B))
        asked = world.stop.now()
        if asked:
            raise Stopped(asked)
        num_top = min(NUM_TOP, len(split.classes))
        num_floats = 3 + num_top + (len(split.classes) if keep_probs else 0)
        empty_I = torch.empty((0, 2 + num_top), dtype=torch.int64, device=world.device)
        empty_F = torch.empty((0, num_floats), device=world.device)
        integers_N = world.gather_rows(torch.cat([*rows_I, empty_I])).cpu().numpy()
        floats_N = world.gather_rows(torch.cat([*rows_F, empty_F])).cpu().numpy()
        made_by: dict[str, Any] = {"split": split.name, "split_hash": split.hash}
        made_by |= {"backend": loader.backend, "flip": flip}
        table = _table(integers_N, floats_N, split, num_top, made_by | (about or {}))
        _check_numbers(table, world)
        embeddings_ND = _gathered(rows_D, world) if keep_embeddings else None
    if embeddings_ND is None:
        return table
    return replace(table, embeddings_ND=embeddings_ND[np.argsort(integers_N[:, 0], kind="stable")])


@contextmanager
def seen_by_classifier(model: nn.Module, *, wanted: bool) -> Iterator[Seen]:
    """Collect what a model's classifier layer is given, float16 ``[B, D]``, call by call.

    Logits stay what they are without it.

    Args:
        model: A ``Classifier``.
        wanted: Whether to collect anything.

    Raises:
        ModelError: The network has no single classifier layer, or one of feature maps.
    """
    seen = Seen()
    if not wanted:
        yield seen
        return
    head = model.net.get_classifier()  # type: ignore[operator,union-attr]
    if not isinstance(head, nn.Module):
        raise ModelError(
            f"{type(model.net).__name__}: has no single classifier layer to look into",
            "leave --embeddings out, or take another model.name",
        )

    def keep(_: nn.Module, given: tuple[Tensor, ...]) -> None:
        seen.rows.append(given[0].detach().flatten(1).to(torch.float16))

    handle = head.register_forward_pre_hook(keep)
    try:
        yield seen
    finally:
        handle.remove()


def _gathered(rows_D: list[Tensor], world: World) -> np.ndarray:
    """Return all ranks' embeddings; a rank without samples learns their size from the others."""
    size = torch.tensor(rows_D[0].shape[1] if rows_D else 0, device=world.device)
    sizes = world.gather_rows(size[None]).max()
    empty = torch.empty((0, int(sizes)), dtype=torch.float16, device=world.device)
    whole_ND = world.gather_rows(torch.cat([*rows_D, empty]))
    num_bad = int((~torch.isfinite(whole_ND)).any(dim=1).sum())
    if num_bad:
        raise ModelError(
            f"embeddings of {num_bad} of {len(whole_ND)} photos hold numbers above 65504 or NaN, "
            "which half precision can't keep",
            "leave out: --embeddings",
        )
    return whole_ND.cpu().numpy()


def _rows(
    log_probs_BK: Tensor, labels_B: Tensor, ids_B: Tensor, *, keep_probs: bool
) -> tuple[Tensor, Tensor]:
    """Return a batch's integers and floats.

    Integers: id, label, top classes. Floats: loss, p(label), margin, top p, and all p where kept.
    """
    probs_BK = log_probs_BK.exp()
    top_prob_BT, top_BT = probs_BK.topk(min(NUM_TOP, probs_BK.shape[1]), dim=-1)
    prob_label_B1 = probs_BK.gather(1, labels_B[:, None])
    loss_B1 = -log_probs_BK.gather(1, labels_B[:, None])
    if probs_BK.shape[1] > 1:
        best_other_B1 = probs_BK.scatter(1, labels_B[:, None], -1.0).max(dim=1, keepdim=True).values
    else:
        best_other_B1 = torch.zeros_like(prob_label_B1)
    floats = [loss_B1, prob_label_B1, prob_label_B1 - best_other_B1, top_prob_BT]
    floats += [probs_BK] if keep_probs else []
    return torch.cat([ids_B[:, None], labels_B[:, None], top_BT], dim=1), torch.cat(floats, dim=1)


def _table(
    integers_N: np.ndarray,
    floats_N: np.ndarray,
    split: Split,
    num_top: int,
    about: dict[str, Any],
) -> Predictions:
    """Order gathered rows by id, check that every id came once, and name the columns."""
    order_N = np.argsort(integers_N[:, 0], kind="stable")
    integers_N, floats_N = integers_N[order_N], floats_N[order_N]
    _check_ids(integers_N[:, 0], split)
    top5_NT, top5_prob_NT = integers_N[:, 2:], floats_N[:, 3 : 3 + num_top]
    return Predictions(
        ids_N=integers_N[:, 0],
        keys_N=split.keys_N,
        paths_N=split.paths_N,
        labels_N=integers_N[:, 1],
        prediction_N=top5_NT[:, 0],
        top5_NT=top5_NT,
        top5_prob_NT=top5_prob_NT,
        prob_label_N=floats_N[:, 1],
        prob_prediction_N=top5_prob_NT[:, 0],
        loss_N=floats_N[:, 0],
        margin_N=floats_N[:, 2],
        probs_NK=floats_N[:, 3 + num_top :] if floats_N.shape[1] > 3 + num_top else None,
        about=about,
    )


def _check_numbers(table: Predictions, world: World) -> None:
    """Raise where a number is none; every rank has the whole table, so all raise."""
    if table.fault is None:
        return
    is_reduced = world.accelerator.mixed_precision != "no"
    raise NotFiniteError(
        f"{table.about['split']}: {table.fault}",
        *(["compute in float32: train.precision=fp32"] if is_reduced else []),
        TRAIN_SLOWER,
    )


def _check_ids(ids_N: np.ndarray, split: Split) -> None:
    """Raise unless the ids are exactly the split's, each once."""
    if np.array_equal(ids_N, split.ids_N):
        return
    missing = np.setdiff1d(split.ids_N, ids_N)
    unique, counts = np.unique(ids_N, return_counts=True)
    raise LoaderError(
        f"{split.root}: predictions of {split.name} are not one a photo: {len(missing)} missing, "
        f"{(counts > 1).sum()} twice, {len(np.setdiff1d(unique, split.ids_N))} of other splits",
        "please report this: the loader or the gather is wrong",
    )
