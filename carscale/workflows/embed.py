"""What a run's model sees of loose photos.

Axes: N photos, B of a batch, M that can be read, D features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carscale import config, evaluation, images, models, progress
from carscale.errors import TRAIN_SLOWER, NotFiniteError
from carscale.runs import RunFolder
from carscale.workflows.evaluation_run import load_result
from carscale.workflows.photo_predictions import AT_ONCE, views
from carscale.world import name_out_of_memory, open_world, smaller_batches


def embed_readable(
    folder: Path | RunFolder, cfg: config.Recipe, photos: Sequence[Callable[[], bytes]]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return what the classifier layer of a run's model is given, of each photo that can be read.

    Args:
        folder: Of the run.
        cfg: Its settings.
        photos: What returns a photo's bytes or raises ``OSError``.

    Returns:
        float32 ``[M, D]`` of those that could be read, and which those are, bool ``[N]``.

    Raises:
        ModelError: The run has no result yet, or its network no single classifier layer.
        NotFiniteError: An embedding is NaN or infinite.
    """
    model, view, _, _ = load_result(folder, cfg.model)
    rows: list[torch.Tensor] = []
    is_read: list[bool] = []
    with (
        open_world(precision="fp32") as world,
        progress.bar("look with the run's model", len(photos), unit="photos") as advance,
        name_out_of_memory(world, f"{AT_ONCE} photos", smaller_batches(1)),
        images.quiet_decoders(),
        torch.inference_mode(),
    ):
        model = models.for_scoring(model.to(world.device).eval(), view.image_px)
        with evaluation.seen_by_classifier(model, wanted=True) as seen:
            for found in views(photos, view):
                pixels = [one for one in found if not isinstance(one, str)]
                is_read += [not isinstance(one, str) for one in found]
                advance(len(found))
                if not pixels:
                    continue
                images_BCHW = torch.from_numpy(np.stack(pixels)).to(world.device)
                evaluation.log_probs(model, images_BCHW.permute(0, 3, 1, 2), flip=False)
                rows.append(seen.rows[0].float().cpu())
                if not rows[-1].isfinite().all():
                    raise NotFiniteError(
                        f"{folder}: embeddings hold numbers above 65504 or NaN", TRAIN_SLOWER
                    )
                seen.rows = []
    embeddings_MD = torch.cat(rows).numpy() if rows else np.empty((0, 1), np.float32)
    return embeddings_MD, np.array(is_read, bool)
