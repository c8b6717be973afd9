"""What ``carscale evaluate`` does once its words are checked."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import config, data, evaluation, files, loaders, models, tables
from carscale.errors import ModelError
from carscale.types import CarClass, Predictions, Split, Splits, View
from carscale.workflows.calibration import calibrate, store
from carscale.world import open_world

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def evaluate_run(
    folder: Path,
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
    """
    splits = data.load(cfg.data.model_copy(update={"partial": "leave"}))
    model, view, card, where = load_result(folder, cfg.model)
    _check_classes(card, splits, where)
    with open_world(
        precision=cfg.train.precision, num_cpu_threads=cfg.train.num_cpu_threads
    ) as world:
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
        if keep_embeddings:
            to_embed = {split: predictions}
            if split != "train" and not has_embeddings(folder, splits.train, where.name):
                to_embed["train"] = predicted("train", keep_probs=False, keep_embeddings=True)
            if world.is_main:
                for name, embedded in to_embed.items():
                    _write_embeddings(folder, name, embedded)
        if scales:  # val decides, whatever is evaluated
            on_val = predictions if split == "val" else predicted("val", keep_probs=True)
            found = calibrate(on_val)
            predictions = evaluation.with_temperature(predictions, found["temperature"])
            few = evaluation.are_few(len(predictions), len(splits.classes))
            if not (few if keep_probs is None else keep_probs):
                predictions = replace(predictions, probs_NK=None)
            if world.is_main:
                store(folder, found)
        return _write(folder, splits, predictions, split, command) if world.is_main else None


def has_embeddings(folder: Path, split: Split, checkpoint: str) -> bool:
    """Tell whether a split's embeddings by this checkpoint lie in the run folder."""
    return read_embeddings(folder, split.name, split.hash, checkpoint) is not None


def read_embeddings(
    folder: Path, split: str, split_hash: str, checkpoint: str
) -> NDArray[np.float16] | None:
    """Return a split's embeddings in the order of its ids; ``None`` where none are of this result.

    Args:
        folder: Of the run.
        split: Its name.
        split_hash: What the split holds.
        checkpoint: Name of the run's result.
    """
    path = folder / "predictions" / f"{split}.embeddings.parquet"
    if not path.exists():
        return None
    _, embeddings_ND, about = tables.read_embeddings(path)
    is_same = (about.get("split_hash"), about.get("checkpoint")) == (split_hash, checkpoint)
    return embeddings_ND if is_same else None


def load_result(
    folder: Path, cfg: config.Model
) -> tuple[models.Classifier, View, dict[str, Any], Path]:
    """Return a run's chosen model, its view, its card and where it lies.

    Raises:
        ModelError: No epoch was finished yet, or the weights do not fit.
    """
    found = sorted((folder / "checkpoints").glob("best_*"))
    if not found:
        raise ModelError(
            f"{folder}: holds no finished epoch yet (checkpoints/best_*)",
            "train it to the end of an epoch by its recipe",
        )
    where = found[-1]
    card = files.read_json(where / "model.json")
    stored = card["view"]
    view = View(**stored | {"mean": tuple(stored["mean"]), "std": tuple(stored["std"])})
    classes = tuple(CarClass(**entry) for entry in card["classes"])
    model = models.build(cfg, view, classes, with_weights=False)
    weights = where / "model.safetensors"
    models.load_state(model.net, models.read_weights(weights), str(weights))
    return model, view, card, where


def held_out(folder: Path, splits: Splits, checkpoint: str) -> list[dict[str, Any]]:
    """Return a row a class over val and test together, as far as they are predicted.

    Together they are all that the model never trained on.
    """
    hashes = set(splits.card["hashes"].values())
    paths = [folder / "predictions" / f"{name}.parquet" for name in ("val", "test")]
    parts = [tables.read_predictions(path) for path in paths if path.exists()]
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


def _write_embeddings(folder: Path, split: str, predictions: Predictions) -> None:
    """Write what the classifier layer saw of a split."""
    path = folder / "predictions" / f"{split}.embeddings.parquet"
    path.parent.mkdir(exist_ok=True)
    files.write_atomic(path, tables.embeddings_bytes(predictions))


def _pooled(folder: Path, splits: Splits, checkpoint: str) -> dict[str, Any]:
    """Return what ``metrics.json`` says of val and test together."""
    rows = held_out(folder, splits, checkpoint)
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
    folder: Path, splits: Splits, predictions: Predictions, split: str, command: list[str]
) -> dict[str, Any]:
    """Write predictions, metrics and, for test, the ledger."""
    path = folder / "predictions" / f"{split}.parquet"
    path.parent.mkdir(exist_ok=True)
    files.write_atomic(path, tables.predictions_bytes(predictions))
    metrics = evaluation.summary(predictions, splits.classes, splits.train.counts_K)
    checkpoint = str(predictions.about["checkpoint"])
    files.update_json(
        folder / "metrics.json",
        lambda whole: whole | {split: metrics, "held_out": _pooled(folder, splits, checkpoint)},
    )
    if split.startswith("test"):
        look = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": " ".join(["carscale", *command]),
            "split": split,
            "checkpoint": predictions.about.get("checkpoint"),
            "split_hash": predictions.about.get("split_hash"),
            "top1": metrics["top1"]["value"],
        }
        files.append_line(folder / "test_evaluations.jsonl", look)
    return metrics


def _check_classes(card: dict[str, Any], splits: Splits, where: Path) -> None:
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
