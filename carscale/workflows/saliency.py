"""Pictures of why: a mistake, where its classes are seen, and photos to compare it with.

N samples, M train samples, B mistakes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import analysis, config, data, disk, evaluation, files, loaders, outgoing, report
from carscale.errors import ConfigError, DataError, LaunchError
from carscale.progress import bar
from carscale.runs import RunFolder
from carscale.workflows.evaluation_run import load_result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from carscale.types import Predictions, Split


@dataclass(frozen=True, eq=False)
class _Neighbours:
    """What tells which train photos are near."""

    train: Split
    embeddings_ND: NDArray[np.float32]
    embeddings_MD: NDArray[np.float32]


def draw_photos(
    folder: Path | RunFolder, cfg: config.Recipe, split_name: str, ids: list[int]
) -> list[Path]:
    """Write ``RUN/saliency/SPLIT-ID.png`` for photos of a predicted split; return the paths.

    Each shows the photo, where the model sees the predicted and the true class (Grad-CAM), a photo
    of the predicted class that was named right, and the nearest train photos of both classes,
    where embeddings are known.

    Args:
        folder: Of the run.
        cfg: Its settings.
        split_name: ``val``, ``test`` or ``train``.
        ids: Manifest ids of photos of that split.

    Raises:
        ConfigError: An id is not in the split.
        DataError: The split is not predicted, or other photos were.
        LaunchError: Several processes were started.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise LaunchError(
            "--saliency works on one process", "start it without a launcher: carscale evaluate ..."
        )
    splits = data.load(cfg.data.model_copy(update={"partial": "leave"}))
    split = data.named_split(splits, split_name)
    run = RunFolder(folder)
    predictions = run.predictions(split_name)
    if predictions.about.get("split_hash") not in (None, split.hash):
        raise DataError(
            f"{run}: predicted another {split_name} split than {split.root} holds",
            f"predict again with: carscale evaluate {outgoing.command(run)} --split {split_name}",
        )
    rows = _rows(split, ids)
    model, view, _, where = load_result(run, cfg.model)
    near = _neighbours(run, split, splits.train, where.name)
    import torch

    paths = []
    with bar("saliency", len(rows), unit="photos") as advance:
        for row in rows:
            pixels_HWC = loaders.eval_view(split, row, view)
            image_BCHW = torch.from_numpy(pixels_HWC).permute(2, 0, 1)[None].repeat(2, 1, 1, 1)
            label, guess = int(split.labels_N[row]), int(predictions.prediction_N[row])
            heat_BHW = evaluation.grad_cam(model, image_BCHW, torch.tensor([guess, label]))
            beside = _beside(split, predictions, near, row)
            names = [splits.classes[number].name for number in (guess, label)]
            panels: list[tuple[str, Any, Any]] = [("the photo", pixels_HWC, None)]
            panels += [
                (f"{what}: {name}", pixels_HWC, heat_HW)
                for what, name, heat_HW in zip(("said", "true"), names, heat_BHW, strict=True)
            ]
            panels += [
                (words, loaders.eval_view(source, place, view), None)
                for words, source, place in beside
            ]
            path = run.saliency_folder / f"{split_name}-{int(split.ids_N[row])}.png"
            disk.make_folder(path.parent)
            files.write_atomic(path, report.draw_panels(panels))
            paths.append(path)
            advance(1)
    return paths


def _rows(split: Split, ids: list[int]) -> list[int]:
    """Return the rows of some ids."""
    missing = np.setdiff1d(ids, split.ids_N)
    if len(missing):
        raise ConfigError(
            f"--saliency {missing[0]}: {split.name} of {split.root} holds no photo of that id",
            "ids of mistakes are listed by: carscale errors RUN --csv",
        )
    return [int(row) for row in np.searchsorted(split.ids_N, ids)]


def _neighbours(run: RunFolder, split: Split, train: Split, checkpoint: str) -> _Neighbours | None:
    """Return the embeddings of the split and of train, where both are known."""
    of_split = run.embeddings(split.name, split.hash, checkpoint)
    of_train = run.embeddings("train", train.hash, checkpoint)
    if of_split is None or of_train is None:
        return None
    return _Neighbours(train, analysis.normalised(of_split), analysis.normalised(of_train))


def _beside(
    split: Split, predictions: Predictions, near: _Neighbours | None, row: int
) -> list[tuple[str, Split, int]]:
    """Return photos to compare a mistake with: words, split and row of each."""
    label, guess = int(split.labels_N[row]), int(predictions.prediction_N[row])
    chosen: list[tuple[str, Split, int]] = []
    is_correct_N = (split.labels_N == guess) & (predictions.prediction_N == guess)
    is_correct_N[row] = False
    if is_correct_N.any():
        best = int(np.where(is_correct_N, predictions.prob_label_N, -1).argmax())
        chosen.append((f"rightly called {split.classes[guess].name}", split, best))
    if near is None:
        return chosen
    for number in dict.fromkeys((guess, label)):
        rows_M = np.flatnonzero(near.train.labels_N == number)
        if split.name == "train":
            rows_M = rows_M[rows_M != row]
        if len(rows_M):
            found, _ = analysis.nearest(
                near.embeddings_ND[row : row + 1], near.embeddings_MD[rows_M], 1
            )
            words = f"nearest train photo of {split.classes[number].name}"
            chosen.append((words, near.train, int(rows_M[found[0, 0]])))
    return chosen
