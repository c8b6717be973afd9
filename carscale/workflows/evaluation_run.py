"""What ``carscale evaluate`` does once its words are checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carscale import config, data, disk, evaluation, files, loaders, models, outgoing, tables
from carscale.errors import DataError, ModelError
from carscale.progress import note
from carscale.runs import RunFolder, card_file, weights_file
from carscale.types import CarClass, Predictions, Splits, View
from carscale.workflows.calibration import calibrate
from carscale.world import open_world


@dataclass(frozen=True)
class _Evaluation:
    """What an evaluation found, before any of it is written.

    Attributes:
        split: Its name.
        predictions: Of the split.
        embedded: Predictions with embeddings, by split.
        fitted: The temperature and what it was fitted on; ``None`` where none was.
    """

    split: str
    predictions: Predictions
    embedded: dict[str, Predictions]
    fitted: dict[str, Any] | None


def evaluate_run(
    folder: Path | RunFolder,
    cfg: config.Recipe,
    *,
    split: str,
    keep_probs: bool | None,
    command: list[str],
    keep_embeddings: bool = False,
) -> dict[str, Any] | None:
    """Predict a split with a run's result; write predictions and metrics; return these on rank 0.

    With embeddings, those of train are written too where they are not there yet: what a photo is
    far from, and what it resembles, is asked of train.

    Raises:
        ConfigError: A temperature is asked for, and val holds no photos.
        DataError: The photos do not match their lock.
        ModelError: The run has no result yet, or one of another class list.
        NotFiniteError: Weights or predictions are no numbers; nothing is replaced.
    """
    run = RunFolder(folder)
    with open_world(
        precision=cfg.train.precision,
        num_cpu_threads=cfg.train.num_cpu_threads,
        timeout_minutes=cfg.world.timeout_minutes,
    ) as world:
        splits = data.load(cfg.data.model_copy(update={"partial": "leave"}))  # others hear of us
        model, view, card, where = load_result(run, cfg.model)
        check_classes(card, splits, where)
        about = {
            "checkpoint": where.name,
            "class_hash": splits.card["hashes"]["classes"],
            "view": asdict(view),
            "precision": cfg.train.precision,
        }

        def predicted(
            name: str, *, keep_probs: bool | None = None, keep_embeddings: bool = False
        ) -> Predictions:
            return evaluation.predict(
                model,
                loaders.eval_loader(cfg.loader, data.named_split(splits, name), view, world),
                world,
                keep_probs=keep_probs,
                about=about,
                flip=cfg.evaluate.flip,
                keep_embeddings=keep_embeddings,
            )

        scales = cfg.evaluate.temperature == "val"
        predictions = predicted(
            split, keep_probs=scales or keep_probs, keep_embeddings=keep_embeddings
        )
        embedded = {split: predictions} if keep_embeddings else {}
        lacks_train = keep_embeddings and split != "train"
        if lacks_train and run.embeddings("train", splits.train.hash, where.name) is None:
            embedded["train"] = predicted("train", keep_probs=False, keep_embeddings=True)
        fitted = None
        if scales:  # val decides, whatever is evaluated
            on_val = predictions if split == "val" else predicted("val", keep_probs=True)
            fitted = calibrate(on_val)
            predictions = evaluation.with_temperature(predictions, fitted["temperature"])
            few = evaluation.are_few(len(predictions), len(splits.classes))
            if not (few if keep_probs is None else keep_probs):
                predictions = replace(predictions, probs_NK=None)
        found = _Evaluation(split, predictions, embedded, fitted)
        metrics: dict[str, Any] = {}
        world.on_main(lambda: metrics.update(_write(run, splits, found, command)))
        return metrics or None


def load_result(
    folder: Path | RunFolder, cfg: config.Model
) -> tuple[models.Classifier, View, dict[str, Any], Path]:
    """Return a run's chosen model, its view, its card and where it lies.

    Raises:
        ModelError: No epoch was finished yet, or the weights do not fit.
    """
    run = RunFolder(folder)
    where = run.best_checkpoint
    card = run.checkpoint_card(where)
    stored = card["view"]
    try:
        view = View(**stored | {"mean": tuple(stored["mean"]), "std": tuple(stored["std"])})
        classes = tuple(CarClass(**entry) for entry in card["classes"])
    except TypeError as error:
        raise ModelError(f"{card_file(where)}: is no card of a model: {error}") from error
    model = models.build(cfg, view, classes, with_weights=False)
    weights = weights_file(where)
    models.load_state(model.net, models.read_weights(weights), str(weights))
    return model, view, card, where


def held_out(run: RunFolder, splits: Splits, checkpoint: str) -> list[dict[str, Any]]:
    """Return a row a class over val and test together, as far as they are predicted.

    Together they are all that the model never trained on.
    """
    hashes = set(splits.card["hashes"].values())
    parts = _readable(run, ("val", "test"))
    parts = [part for part in parts if part.about.get("checkpoint") == checkpoint]
    parts = [part for part in parts if part.about.get("split_hash") in hashes]
    if not parts:
        return []
    pooled = Predictions(
        **{
            name: _stacked([getattr(part, name) for part in parts])
            for name in Predictions.__dataclass_fields__
            if name not in ("probs_NK", "embeddings_ND", "about")
        }
    )
    return evaluation.per_class(pooled, splits.classes, splits.train.counts_K)


def _readable(run: RunFolder, names: Sequence[str]) -> list[Predictions]:
    """Return the predictions of some splits, less those that can't be used, which is noted."""
    parts = []
    for name in filter(run.has_predictions, names):
        try:
            parts.append(run.predictions(name))
        except DataError as error:
            note(f"left out of val and test together: {error}")
    return parts


def _pooled(run: RunFolder, splits: Splits, checkpoint: str) -> dict[str, Any]:
    """Return what ``metrics.json`` says of val and test together."""
    rows = held_out(run, splits, checkpoint)
    return {
        "per_class": rows,
        "low_recall_classes": [row["class"] for row in rows if row["has_low_recall"]],
        "low_recall_rule": evaluation.LOW_RECALL_RULE,
    }


def _stacked(columns: list[Any]) -> Any:  # noqa: ANN401 - arrays of any kind
    """Return arrays one after another."""
    import numpy as np

    return np.concatenate(columns)


def _write(
    run: RunFolder, splits: Splits, found: _Evaluation, command: list[str]
) -> dict[str, Any]:
    """Compute the metrics, then replace older results; return the metrics."""
    predictions, split = found.predictions, found.split
    metrics = evaluation.summary(predictions, splits.classes, splits.train.counts_K)
    run.metrics()  # one that can't be read is said before anything is replaced
    disk.make_folder(run.predictions_folder)
    for name, part in found.embedded.items():
        files.write_atomic(run.embeddings_file(name), tables.embeddings_bytes(part))
    if found.fitted is not None:
        files.write_json(run.calibration_file, found.fitted)
    files.write_atomic(run.predictions_file(split), tables.predictions_bytes(predictions))
    about = metrics["about"]
    checkpoint = str(about["checkpoint"])
    files.update_json(
        run.metrics_file,
        lambda whole: whole | {split: metrics, "held_out": _pooled(run, splits, checkpoint)},
    )
    if split.startswith("test"):
        evaluation_on_test = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": outgoing.command("carscale", *command),
            "split": split,
            "checkpoint": about.get("checkpoint"),
            "split_hash": about.get("split_hash"),
            "top1": metrics["top1"]["value"],
        }
        files.append_line(run.test_evaluations_file, evaluation_on_test)
    return metrics


def check_classes(card: dict[str, Any], splits: Splits, where: Path) -> None:
    """Raise when a model's classes are not the data's."""
    stored = [entry["name"] for entry in card["classes"]]
    names = [car_class.name for car_class in splits.classes]
    if stored == names:
        return
    only_model, only_data = sorted(set(stored) - set(names)), sorted(set(names) - set(stored))
    raise ModelError(
        f"{where}: was trained on {len(stored)} classes, {splits.train.root} has {len(names)}",
        f"only in the model: {', '.join(only_model[:5]) or 'none'}",
        f"only in the data: {', '.join(only_data[:5]) or 'none'}",
        "evaluate on the data it was trained on: data.root=FOLDER",
    )
