"""The run folder: its file names, what its files hold, and how far the run is."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from carscale import config, contained, files, locks, outgoing, tables
from carscale.errors import DataError, ModelError, RunError
from carscale.runs import stored_shapes
from carscale.runs.checkpoint_files import card_file, state_file, step_of
from carscale.runs.data_root import with_found_data
from carscale.shapes import problem
from carscale.types import CarClass, Predictions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 1
"""Version of the folder's layout, stored in ``env.json``; raise it when a file or key changes."""

SPLITS = ("val", "test")
OLD_FILES = ("test_looks.jsonl",)  # of versions that stored no format
TAIL_BYTES = 16_384


class _In:
    """A name inside the run folder; on a run it is the path, checked: a link there is refused."""

    def __init__(self, name: str, kind: Literal["file", "folder"] = "file") -> None:
        self.name = name
        self.kind = kind

    def __get__(self, run: RunFolder, owner: type[RunFolder]) -> Path:
        return contained.inside(run.path, self.name, self.kind)


@dataclass(frozen=True, init=False)
class RunFolder(os.PathLike[str]):
    """One run's folder on disk. Works wherever a path does.

    ``RunFolder(path)`` names a folder, whether or not a run lies there; ``RunFolder.open(path)``
    checks that one does.
    """

    path: Path

    settings_file = _In(config.SETTINGS_FILE)  # all settings, defaults included
    environment_file = _In("env.json")  # what made the run: versions, device, command, data, model
    classes_file = _In("classes.json")  # the class list, in label order
    log_file = _In("log.jsonl")  # deterministic: losses, val metrics, the end
    timing_file = _In("timing.jsonl")  # speed and memory
    dynamics_file = _In("dynamics.bin")  # each photo's probability each time it was trained on
    metrics_file = _In("metrics.json")  # by split
    calibration_file = _In("calibration.json")  # the temperature that was fitted on val
    test_evaluations_file = _In("test_evaluations.jsonl")  # one line each; never removed
    checkpoints_folder = _In("checkpoints", "folder")  # step_N to go on from, best_N the result
    predictions_folder = _In("predictions", "folder")
    report_folder = _In("report", "folder")
    errors_folder = _In("errors", "folder")
    saliency_folder = _In("saliency", "folder")
    folds_folder = _In("folds", "folder")  # runs of a cross-validation

    def __init__(self, path: str | os.PathLike[str]) -> None:
        object.__setattr__(self, "path", Path(path))

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Return the run in a folder, checked.

        Raises:
            RunError: There is no such folder, it holds no run (says which runs lie in or next to
                it), or another version of carscale wrote it.

        Example:
            >>> RunFolder.open("no/such/run")
            Traceback (most recent call last):
            carscale.errors.RunError: no/such/run: no such run folder
              no run lies in no/such
        """
        run = cls(path)
        if run.has_settings:
            run.check_format()
            return run
        folder, names = run.path, _runs_in(run.path)
        if not names:
            folder = run.path.parent
            names = _runs_in(folder)
        others = f"runs in {folder}: {', '.join(names)}" if names else f"no run lies in {folder}"
        kind = "holds no run (no config.yaml)" if run.path.exists() else "no such run folder"
        raise RunError(f"{run}: {kind}", others)

    def check_format(self) -> None:
        """Raise where another version of carscale wrote the folder.

        Raises:
            RunError: Says the two formats, and how to train the run again.
        """
        stored = self.environment().get("format", FORMAT if not self.has_environment else None)
        old = [name for name in OLD_FILES if (self.path / name).exists()]
        if stored == FORMAT and not old:
            return
        age = "a newer" if isinstance(stored, int) and stored > FORMAT else "an older"
        stated = "no format" if stored is None else f"format {stored}"
        found = f"it holds {old[0]}" if old else f"{stated}; this version's is {FORMAT}"
        where = shlex.join(
            [f"config={self.settings_file}", f"run.dir={self.path.parent}", f"run.name={self.name}"]
        )
        raise RunError(
            f"{self}: was made by {age} version of carscale ({found})",
            "read it with that version; or train it again: accelerate launch "
            f"{shlex.quote(self.recipe_file or 'RECIPE.py')} {where} resume=overwrite",
        )

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__

    @property
    def name(self) -> str:
        """Return the run's name."""
        return self.path.name

    def predictions_file(self, split: str) -> Path:
        """Return the path of a split's predictions; ``folds`` are those out of fold on train."""
        return contained.inside(self.path, f"predictions/{split}.parquet", "file")

    def embeddings_file(self, split: str) -> Path:
        """Return the path of a split's penultimate-layer embeddings."""
        return contained.inside(self.path, f"predictions/{split}.embeddings.parquet", "file")

    @property
    def training_output(self) -> tuple[Path, ...]:
        """Return what another training replaces: all but evaluations on test."""
        written = (self.settings_file, self.environment_file, self.classes_file, self.log_file)
        derived = (self.timing_file, self.metrics_file, self.calibration_file)
        return (
            *written,
            *derived,
            self.checkpoints_folder,
            self.predictions_folder,
            self.report_folder,
        )

    # what is read

    @property
    def has_settings(self) -> bool:
        """Tell whether a run was started here; a link in its place is refused when read."""
        return os.path.lexists(self.path / config.SETTINGS_FILE)

    @property
    def has_environment(self) -> bool:
        """Tell whether a run got as far as its first log line."""
        return self.environment_file.is_file()

    def settings(self) -> config.Recipe:
        """Return the run's settings, checked; ``data.root`` leads to its data from here."""
        return with_found_data(config.from_yaml(self.settings_file), self.path, self.environment())

    def environment(self) -> dict[str, Any]:
        """Return what made the run; empty where it is not stored."""
        return _mapping(self.environment_file, stored_shapes.ENVIRONMENT)

    def classes(self) -> tuple[CarClass, ...]:
        """Return the class list, in label order.

        Raises:
            RunError: The run has none, or the file is damaged.
        """
        if not self.classes_file.exists():
            raise RunError(
                f"{self}: holds no class list ({self.classes_file.name})",
                "train it by its recipe first",
            )
        rows = _mapping(self.classes_file, stored_shapes.CLASSES)["classes"]
        try:
            return tuple(CarClass(**row) for row in rows)
        except TypeError as error:
            raise RunError(f"{self.classes_file}: is no class list: {error}") from error

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the log's events, or those of a kind: ``start``, ``step``, ``epoch``, ``end``."""
        rows = _lines(self.log_file, stored_shapes.LOG)
        return rows if event is None else [row for row in rows if row.get("event") == event]

    def timing(self) -> list[dict[str, Any]]:
        """Return the log of speed and memory."""
        return _lines(self.timing_file, stored_shapes.TIMING)

    def predictions(self, split: str) -> Predictions:
        """Return a split's predictions.

        Raises:
            DataError: The split was not predicted; says how to.
        """
        if not self.has_predictions(split):
            raise DataError(
                f"{self}: has no predictions of {split}",
                f"make them with: carscale evaluate {shlex.quote(str(self))} --split {split}",
            )
        return tables.read_predictions(self.predictions_file(split))

    def embeddings(
        self, split: str, split_hash: str, checkpoint: str
    ) -> NDArray[np.float16] | None:
        """Return a split's embeddings in the order of its ids.

        Args:
            split: Its name.
            split_hash: What the split holds.
            checkpoint: Name of the best checkpoint.

        Returns:
            ``None`` where there are none of this split by this checkpoint.
        """
        path = self.embeddings_file(split)
        if not path.exists():
            return None
        _, embeddings_ND, about = tables.read_embeddings(path)
        is_same = (about.get("split_hash"), about.get("checkpoint")) == (split_hash, checkpoint)
        return embeddings_ND if is_same else None

    def metrics(self) -> dict[str, Any]:
        """Return the metrics by split; empty before the first evaluation."""
        return _mapping(self.metrics_file, stored_shapes.METRICS)

    def calibration(self) -> dict[str, Any]:
        """Return the fitted temperature and what it was fitted on; empty before that."""
        return _mapping(self.calibration_file, stored_shapes.CALIBRATION)

    def test_evaluations(self) -> list[dict[str, Any]]:
        """Return every evaluation on test, oldest first."""
        return _lines(self.test_evaluations_file, stored_shapes.TEST_EVALUATION)

    # answers

    @property
    def is_training(self) -> bool:
        """Tell whether a live process trains here."""
        return locks.is_held(self.path)

    @property
    def is_finished(self) -> bool:
        """Tell whether the run reached its end and predicted val, which comes last.

        The log alone does not tell: a kill may come between its last line and the checkpoint.
        """
        return self.has_predictions("val") and bool(self.log("end"))

    @property
    def steps_done(self) -> int:
        """Return the last step in the log; 0 without one. Reads the file's tail alone."""
        if not self.log_file.exists():
            return 0
        tail = files.read_tail(self.log_file, TAIL_BYTES)
        found = [part.split(",")[0] for part in tail.split('"step": ')[1:]]
        words = [text.strip("} \n") for text in found]
        numbers = [int(word) for word in words if word.isdecimal() and len(word) < 16]
        return max(numbers, default=0)

    @property
    def best_epoch(self) -> dict[str, Any] | None:
        """Return the log's line on the epoch that is the result so far."""
        lines = reversed(self.log("epoch"))
        return next((one for one in lines if one.get("is_best") and one.get("val")), None)

    def has_predictions(self, split: str) -> bool:
        """Tell whether a split was predicted."""
        return self.predictions_file(split).is_file()

    @property
    def predicted_splits(self) -> tuple[str, ...]:
        """Return the predicted splits: val, test, then tests that merges added."""
        found = self.predictions_folder.glob("test_*.parquet")
        added = sorted(path.stem for path in found if not path.stem.endswith(".embeddings"))
        return tuple(name for name in (*SPLITS, *added) if self.has_predictions(name))

    @property
    def best_checkpoint(self) -> Path:
        """Return the checkpoint that is the run's result so far.

        Raises:
            ModelError: No epoch is finished yet.
        """
        found = self.checkpoints("best")
        if not found:
            raise self.no_epoch_error()
        return found[0]

    def no_epoch_error(self) -> ModelError:
        """Return the error of a run without a result."""
        return ModelError(
            f"{self}: holds no scored epoch yet (checkpoints/best_*)",
            "train it on by its recipe; train.eval_every_epochs says which epochs are scored",
        )

    def checkpoints(self, kind: str) -> list[Path]:
        """Return the checkpoints ``kind_N``, newest first: ``step`` to go on from, ``best``."""
        found = [
            path
            for path in self.checkpoints_folder.glob(f"{kind}_*")
            if path.name[len(kind) + 1 :].isdecimal()
        ]
        found = [contained.inside(self.path, f"checkpoints/{one.name}", "folder") for one in found]
        return sorted(found, key=step_of, reverse=True)

    def checkpoint(self, kind: str, step: int) -> Path:
        """Return the path of one checkpoint."""
        return contained.inside(self.path, f"checkpoints/{kind}_{step:08d}", "folder")

    def checkpoint_card(self, checkpoint: Path) -> dict[str, Any]:
        """Return what a checkpoint's weights are: model, view, classes.

        Raises:
            RunError: The file is missing or damaged.
        """
        return _checked(card_file(checkpoint), stored_shapes.CHECKPOINT_CARD)

    def checkpoint_state(self, checkpoint: Path) -> dict[str, Any]:
        """Return a checkpoint's counters, and the sizes of its files.

        Raises:
            RunError: The file is missing or damaged.
        """
        return _checked(state_file(checkpoint), stored_shapes.CHECKPOINT_STATE)

    def fold(self, name: str) -> RunFolder:
        """Return the run of a fold."""
        return RunFolder(contained.inside(self.path, f"folds/{name}", "folder"))

    @property
    def recipe_file(self) -> str | None:
        """Return the recipe that started the run, as it was typed."""
        command = self.environment().get("command") or []
        words = outgoing.words_of(command) if isinstance(command, str) else map(str, command)
        return next((word for word in words if word.endswith(".py")), None)

    @property
    def data_root(self) -> Path:
        """Return the frozen folder that the settings name."""
        return Path(self.settings().data.root)

    @property
    def hashes(self) -> dict[str, str]:
        """Return hashes of the photos and classes that the run was trained on, by split."""
        return (self.environment().get("data") or {}).get("hashes") or {}

    @property
    def train_counts(self) -> list[int] | None:
        """Return the training images per class; ``None`` where they are not stored."""
        return (self.environment().get("data") or {}).get("train_counts")

    def to_dict(self) -> dict[str, Any]:
        """Return what can be said of the run at a glance, as JSON holds it."""
        best = self.best_epoch
        return {
            "folder": str(self),
            "recipe": self.environment().get("recipe"),
            "is_finished": self.is_finished,
            "steps_done": self.steps_done,
            "data_root": str(self.data_root),
            "hashes": self.hashes,
            "predicted_splits": list(self.predicted_splits),
            "val": None if best is None else best["val"],
        }


def _runs_in(folder: Path) -> list[str]:
    """Return the names of runs in a folder."""
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted(path.name for path in paths if RunFolder(path).has_settings)


def _mapping(path: Path, shape: dict[Any, Any]) -> dict[str, Any]:
    """Return a JSON file that holds a mapping of a shape; empty when there is none."""
    return _checked(path, shape) if path.is_file() else {}


def _checked(path: Path, shape: dict[Any, Any]) -> dict[str, Any]:
    """Return what a JSON file holds, of a shape."""
    tree: dict[str, Any] = files.read_json(path)
    if wrong := problem(tree, shape):
        raise RunError(f"{path}: {wrong}")
    return tree


def _lines(path: Path, shape: dict[Any, Any]) -> list[dict[str, Any]]:
    """Return the mappings of a JSON-lines file, each of a shape; an absent file has none."""
    rows = files.read_lines(path)
    for number, row in enumerate(rows, start=1):
        if wrong := problem(row, shape):
            raise RunError(f"{path}: line {number}: {wrong}")
    return rows
