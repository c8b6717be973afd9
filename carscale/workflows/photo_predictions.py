"""What ``carscale predict`` does once its words are checked. B photos of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from carscale import (
    augment,
    config,
    contained,
    evaluation,
    file_kinds,
    images,
    models,
    outgoing,
    progress,
)
from carscale.data.frozen.names import is_clutter
from carscale.errors import TRAIN_SLOWER, DataError, NotFiniteError
from carscale.loaders import render
from carscale.runs import RunFolder
from carscale.types import View
from carscale.workflows.calibration import stored_temperature
from carscale.workflows.evaluation_run import load_result
from carscale.world import name_out_of_memory, open_world, smaller_batches


def predict_photos(
    folder: Path | RunFolder, cfg: config.Recipe, photos: list[Path]
) -> list[dict[str, Any]]:
    """Return a row a photo: its ``path``, ``top5`` (class and prob) and ``error`` or ``None``.

    Mirror images count with ``evaluate.flip``; probabilities are at the temperature that
    ``carscale evaluate`` fitted for this checkpoint, if it did.

    Raises:
        DataError: A path that does not exist, or folders without a photo.
        NotFiniteError: The weights, or a probability, are NaN or infinite.
        OutOfMemoryError: One photo does not fit.
    """
    paths = _photo_paths(photos)
    read = partial(contained.read_named, max_bytes=contained.MAX_PHOTO_BYTES)
    return predict_readable(folder, cfg, [(str(path), partial(read, path)) for path in paths])


def predict_readable(
    folder: Path | RunFolder, cfg: config.Recipe, photos: Sequence[tuple[str, Callable[[], bytes]]]
) -> list[dict[str, Any]]:
    """Return what ``predict_photos`` returns, of photos wherever they lie.

    Args:
        folder: Of the run.
        cfg: Its settings.
        photos: A name for each photo, and what returns its bytes or raises ``OSError``.
    """
    model, view, card, where = load_result(folder, cfg.model)
    temperature = stored_temperature(RunFolder(folder), cfg.evaluate, where.name)
    if temperature is not None:
        progress.note(f"probabilities at temperature {temperature:.3f}, fitted on val")
    elif cfg.evaluate.temperature == "val":
        progress.note(
            "no temperature is fitted yet; fit it: "
            f"{outgoing.command('carscale', 'evaluate', folder)}"
        )
    names = [entry["name"] for entry in card["classes"]]
    rows: list[dict[str, Any]] = []
    with (
        open_world(precision="fp32") as world,
        progress.bar("predict", len(photos), unit="photos") as advance,
        name_out_of_memory(world, "one photo", smaller_batches(1)),
        images.quiet_decoders(),
        torch.inference_mode(),
    ):
        model = models.for_scoring(model.to(world.device).eval(), view.image_px)
        for path, read in photos:
            pixels = view_of(read, view)
            advance()
            if isinstance(pixels, str):
                rows.append({"path": path, "top5": [], "error": pixels})
                continue
            image_1CHW = torch.from_numpy(pixels).to(world.device).permute(2, 0, 1)[None]
            log_probs_1K = evaluation.log_probs(model, image_1CHW, flip=cfg.evaluate.flip)
            probs_K = (log_probs_1K / (temperature or 1.0)).softmax(dim=-1)[0]
            if not probs_K.isfinite().all():
                raise NotFiniteError(f"{path}: has no finite probability", TRAIN_SLOWER)
            prob_T, top_T = probs_K.topk(min(5, len(names)))
            best = [
                {"class": names[k], "prob": round(p, 6)}
                for k, p in zip(top_T.tolist(), prob_T.tolist(), strict=True)
            ]
            rows.append({"path": path, "top5": best, "error": None})
    return rows


def _photo_paths(photos: list[Path]) -> list[Path]:
    """Return the files that paths name, folders opened."""
    paths: list[Path] = []
    for path in photos:
        if path.is_dir():
            paths += _photos_in(path)
        elif path.exists():
            paths.append(path)
        else:
            raise DataError(f"{path}: no such file or folder")
    return paths


def _photos_in(folder: Path) -> list[Path]:
    """Return a folder's photos, by name or content; what is passed over is said."""
    inside = [p for p in folder.rglob("*") if not is_clutter(p.relative_to(folder).as_posix())]
    files = sorted(path for path in inside if path.is_file())
    photos = [path for path in files if images.is_photo_name(path.name) or _begins_as_photo(path)]
    if not photos:
        is_pack = (folder / "card.json").exists()
        raise DataError(
            f"{folder}: {'is a pack, not photo files' if is_pack else 'holds no photos'}",
            "name photos or folders; for a split: carscale evaluate RUN --split val",
        )
    known = set(photos)
    if others := [path.name for path in files if path not in known]:
        more = ", ..." if len(others) > 3 else ""
        progress.note(
            f"{folder}: {len(others)} of {len(files)} files are no photos and were passed over: "
            f"{', '.join(others[:3])}{more}"
        )
    return photos


def _begins_as_photo(path: Path) -> bool:
    """Tell whether a file begins as a photo does, also where it can't be read: that is said."""
    try:
        with path.open("rb") as file:
            return file_kinds.is_photo(file.read(file_kinds.HEAD_BYTES))
    except OSError:
        return True


def view_of(read: Callable[[], bytes], view: View) -> np.ndarray | str:
    """Return the evaluation view of any photo, or why there is none."""
    try:
        photo = images.read_photo(read())
    except (OSError, images.BadPhotoError) as error:
        return str(error)
    params = augment.plain(np.array([[photo.width, photo.height]]), view)
    return render(photo.content, params, 0, view)
