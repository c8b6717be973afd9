"""What ``carscale predict`` does once its words are checked. B photos of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from carscale import (
    augment,
    config,
    contained,
    evaluation,
    export,
    file_kinds,
    images,
    models,
    outgoing,
    progress,
    threads,
)
from carscale.data.frozen.names import is_clutter
from carscale.errors import TRAIN_SLOWER, ConfigError, DataError, ModelError, NotFiniteError
from carscale.loaders import render
from carscale.runs import RunFolder
from carscale.types import View
from carscale.workflows.calibration import stored_temperature
from carscale.workflows.evaluation_run import load_result
from carscale.world import name_out_of_memory, open_world, smaller_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

AT_ONCE = 16


@dataclass(frozen=True)
class PhotoRule:
    """When a photo gets no class.

    Attributes:
        above: The likeliest class needs at least this probability; 0 takes any.
        unknown: Whether photos that resemble no class are refused, by the energy of their logits.
    """

    above: float = 0.0
    unknown: bool = False

    def check(self) -> None:
        """Raise on a probability that is none.

        Raises:
            ConfigError: It is not in [0, 1].
        """
        if not 0 <= self.above <= 1:
            raise ConfigError(f"--above {self.above:g}: must be a probability, 0 to 1")


@dataclass(frozen=True)
class _Asked:
    """A model that is asked of photos, of a run or an export.

    Attributes:
        view: What it sees.
        names: Of its classes.
        ask: Gives probabilities ``[B, K]`` and energies ``[B]`` for uint8 ``[B, H, W, 3]``.
        limit: Energy below which a photo is unknown, and in words what that keeps of val.
    """

    view: View
    names: Sequence[str]
    ask: Callable[[NDArray[np.uint8]], tuple[Tensor, list[float]]]
    limit: tuple[float, str] | None = None


def predict_photos(
    folder: Path | RunFolder,
    cfg: config.Recipe,
    photos: list[Path],
    rule: PhotoRule | None = None,
) -> list[dict[str, Any]]:
    """Return a row a photo: ``path``, ``top5`` (class and prob), ``abstains``, ``error``.

    ``abstains`` says why the first class is not to be trusted, ``error`` why there is none; both
    may be ``None``. Mirror images count with ``evaluate.flip``; probabilities are at the
    temperature that ``carscale evaluate`` fitted for this checkpoint, if it did.

    Raises:
        DataError: A path that does not exist, folders without a photo, or no embeddings of val to
            tell the unknown by.
        NotFiniteError: The weights, or a probability, are NaN or infinite.
        OutOfMemoryError: ``AT_ONCE`` photos do not fit.
    """
    return predict_readable(folder, cfg, _readable(photos), rule)


def predict_exported(
    exported: export.Exported, photos: list[Path], rule: PhotoRule | None = None
) -> list[dict[str, Any]]:
    """Return what ``predict_photos`` does, of an exported model.

    Raises:
        DataError: As there.
        ModelError: The unknown are asked for, and the export was not verified.
    """
    facts, rule = exported.facts, rule or PhotoRule()
    readable = _readable(photos)
    if rule.unknown and facts.min_energy is None:
        raise ModelError(
            f"{exported.path}: knows no energy of val: it was exported with --verify none",
            "export it again, verified: carscale export RUN OUT",
        )

    def ask(images_BHWC: NDArray[np.uint8]) -> tuple[Tensor, list[float]]:
        probs_BK, logits_BK = exported.answer(images_BHWC)
        return torch.from_numpy(probs_BK), evaluation.energy(logits_BK).tolist()

    limit = None if facts.min_energy is None else (facts.min_energy, facts.unknown_rule)
    asked = _Asked(facts.view, facts.classes, ask, limit if rule.unknown else None)
    with images.quiet_decoders():
        return _rows(asked, readable, rule)


def predict_readable(
    folder: Path | RunFolder,
    cfg: config.Recipe,
    photos: Sequence[tuple[str, Callable[[], bytes]]],
    rule: PhotoRule | None = None,
) -> list[dict[str, Any]]:
    """Return what ``predict_photos`` returns, of photos wherever they lie.

    Args:
        folder: Of the run.
        cfg: Its settings.
        photos: A name for each photo, and what returns its bytes or raises ``OSError``.
        rule: When a photo gets no class.
    """
    run, rule = RunFolder(folder), rule or PhotoRule()
    model, view, card, where = load_result(run, cfg.model)
    temperature = stored_temperature(run, cfg.evaluate, where.name)
    if temperature is not None:
        progress.note(f"probabilities at temperature {temperature:.3f}, fitted on val")
    elif cfg.evaluate.temperature == "val":
        progress.note(
            "no temperature is fitted yet; fit it: "
            f"{outgoing.command('carscale', 'evaluate', folder)}"
        )
    limit = _unknown_limit(run, model, where.name) if rule.unknown else None
    with (
        open_world(precision="fp32") as world,
        name_out_of_memory(world, f"{AT_ONCE} photos", smaller_batches(1)),
        images.quiet_decoders(),
        torch.inference_mode(),
    ):
        model = models.for_scoring(model.to(world.device).eval(), view.image_px)

        def ask(images_BHWC: NDArray[np.uint8]) -> tuple[Tensor, list[float]]:
            images_BCHW = torch.from_numpy(images_BHWC).to(world.device).permute(0, 3, 1, 2)
            log_probs_BK = evaluation.log_probs(model, images_BCHW, flip=cfg.evaluate.flip)
            energy_B = [0.0] * len(images_BHWC)
            if limit:
                energy_B = evaluation.energy(model(images_BCHW).float().cpu().numpy()).tolist()
            return (log_probs_BK / (temperature or 1.0)).softmax(dim=-1).cpu(), energy_B

        names = [entry["name"] for entry in card["classes"]]
        return _rows(_Asked(view, names, ask, limit), photos, rule)


def _rows(
    asked: _Asked, photos: Sequence[tuple[str, Callable[[], bytes]]], rule: PhotoRule
) -> list[dict[str, Any]]:
    """Return a row a photo."""
    if asked.limit is not None:
        progress.note(f"unknown: energy below {asked.limit[0]:.4g}, which {asked.limit[1]}")
    rows: list[dict[str, Any]] = []
    with progress.bar("predict", len(photos), unit="photos") as advance:
        names = iter([name for name, _ in photos])
        for part in views([read for _, read in photos], asked.view):
            seen = [one for one in part if not isinstance(one, str)]
            answers: Iterator[tuple[Tensor, float]] = iter(())
            if seen:
                answers = zip(*asked.ask(np.stack(seen)), strict=True)
            for one in part:
                row: dict[str, Any] = {
                    "path": next(names),
                    "top5": [],
                    "abstains": None,
                    "error": None,
                }
                if isinstance(one, str):
                    rows.append(row | {"error": one})
                    continue
                probs_K, energy = next(answers)
                if not probs_K.isfinite().all():
                    raise NotFiniteError(f"{row['path']}: has no finite probability", TRAIN_SLOWER)
                rows.append(row | _said(asked, rule, probs_K, energy))
            advance(len(part))
    return rows


def _said(asked: _Asked, rule: PhotoRule, probs_K: Tensor, energy: float) -> dict[str, Any]:
    """Return what a model says of a photo."""
    prob_T, top_T = probs_K.topk(min(5, len(asked.names)))
    best = [
        {"class": asked.names[k], "prob": round(p, 6)}
        for k, p in zip(top_T.tolist(), prob_T.tolist(), strict=True)
    ]
    abstains = None
    if float(prob_T[0]) < rule.above:
        abstains = f"below {rule.above:g}"
    if asked.limit is not None and energy < asked.limit[0]:
        abstains = "unknown"
    return {"top5": best, "abstains": abstains}


def _unknown_limit(run: RunFolder, model: models.Classifier, checkpoint: str) -> tuple[float, str]:
    """Return the energy below which a photo is unknown, by the embeddings of val, and its rule.

    Raises:
        DataError: Val was not predicted with embeddings by this checkpoint.
        ModelError: The network has no linear classifier layer.
    """
    embeddings_ND = None
    if run.has_predictions("val"):
        val = run.predictions("val")
        split_hash = str(val.about.get("split_hash"))
        embeddings_ND = run.embeddings("val", split_hash, checkpoint)
    if embeddings_ND is None:
        raise DataError(
            f"{run}: --unknown needs val's embeddings of {checkpoint}",
            outgoing.command("carscale", "evaluate", run, "--embeddings"),
        )
    layer = model.linear_head()
    with torch.no_grad():
        logits_NK = layer(torch.from_numpy(np.asarray(embeddings_ND, np.float32))).numpy()
    is_wrong_N = logits_NK.argmax(axis=1) != val.labels_N
    return evaluation.unknown_threshold(evaluation.energy(logits_NK), is_wrong_N)


def _readable(photos: list[Path]) -> list[tuple[str, Callable[[], bytes]]]:
    """Return a name for each photo that paths name, and what reads it."""
    read = partial(contained.read_named, max_bytes=contained.MAX_PHOTO_BYTES)
    return [(str(path), partial(read, path)) for path in _photo_paths(photos)]


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


def views(
    photos: Sequence[Callable[[], bytes]], view: View
) -> Iterator[list[NDArray[np.uint8] | str]]:
    """Yield the evaluation views of any photos, ``AT_ONCE`` a time, or why there is none."""
    with ThreadPoolExecutor(threads.num_cores(), "carscale-photos") as pool:
        seen = threads.in_order(pool, partial(view_of, view=view), photos, ahead=2 * AT_ONCE)
        while part := list(islice(seen, AT_ONCE)):
            yield part


def view_of(read: Callable[[], bytes], view: View) -> np.ndarray | str:
    """Return the evaluation view of any photo, or why there is none."""
    try:
        photo = images.read_photo(read())
    except (OSError, images.BadPhotoError) as error:
        return str(error)
    params = augment.plain(np.array([[photo.width, photo.height]]), view)
    return render(photo.content, params, 0, view)
