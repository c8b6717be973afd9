"""One training run: its folder, its resolved settings, what made it."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from carscale import config, disk, files, locks, tables, threads
from carscale.errors import ConfigError, DataError, RunError
from carscale.progress import note
from carscale.runs import FORMAT, FREE_ON_RESUME, RunFolder
from carscale.types import Predictions
from carscale.world.processes import World, open_world, resolve_precision

TRACKER_PACKAGES = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
}


@dataclass
class Run:
    """One training run: its folder, its resolved settings, its processes.

    Only rank 0 writes; every method may be called on all ranks.
    """

    folder: RunFolder
    cfg: config.Recipe
    world: World
    recipe: str
    environment: dict[str, Any] = field(default_factory=dict)
    result: str | None = None

    def record(self, **facts: object) -> None:
        """Add facts to ``env.json``: what the run was made with."""
        self.environment.update(facts)
        if self.world.is_main:
            files.write_json(self.folder.environment_file, self.environment)

    def store_backend(self, backend: str, why: str) -> None:
        """Store which loader backend ``auto`` became, and why."""
        loader = self.cfg.loader.model_copy(update={"backend": backend})
        self.cfg = self.cfg.model_copy(update={"loader": loader})
        self.record(backend=backend, backend_why=why)
        if self.world.is_main:
            _store_settings(self.folder, self.cfg)

    def save_predictions(self, split: str, predictions: Predictions) -> None:
        """Write ``predictions/<split>.parquet``."""
        known = {"checkpoint": self.result, "precision": self.cfg.train.precision}
        known_by = replace(predictions, about=predictions.about | known)

        def write() -> None:
            disk.make_folder(self.folder.predictions_folder)
            path = self.folder.predictions_file(split)
            files.write_atomic(path, tables.predictions_bytes(known_by))

        self.world.on_main(write)


@contextmanager
def start_run(recipe: str, cfg: config.Recipe) -> Iterator[Run]:
    """Open the run folder and join the processes, for the length of a ``with`` block.

    Args:
        recipe: The recipe's name; the run's too unless ``run.name`` says otherwise.
        cfg: The settings; ``auto`` values are resolved once and stored in ``config.yaml``.

    Raises:
        ConfigError: A run name that is no plain name, or a tracker that is not installed.
        DataError: There are no photos at ``data.root``.
        RunError: The folder holds another run, or is in use.
        LaunchError: Processes that do not see each other.
    """
    folder = _run_folder(cfg, recipe)
    _check_root(cfg.data.root)
    _check_tracker(cfg.train.tracker)
    resolved = _resolve(cfg, folder)
    tracker = resolved.train.tracker
    with (
        open_world(
            precision=resolved.train.precision,
            num_cpu_threads=resolved.train.num_cpu_threads,
            tracker=tracker,
            folder=folder.path,
            timeout_minutes=resolved.world.timeout_minutes,
        ) as world,
        _folder_of_one(folder, resolved, world),
    ):
        _seed(cfg.seed)
        run = Run(folder, resolved, world, recipe)
        run.record(**_environment(run))
        if tracker != "none":
            named = {"wandb": {"name": folder.name}, "mlflow": {"run_name": folder.name}}
            world.accelerator.init_trackers(recipe, init_kwargs=named)
        yield run
        if world.is_main:
            note(_farewell(folder))


def _run_folder(cfg: config.Recipe, recipe: str) -> RunFolder:
    """Return ``run.dir/run.name``.

    Raises:
        ConfigError: ``run.name`` is no plain name.
    """
    name = cfg.run.name or recipe
    if name in (".", "..") or "/" in name:
        raise ConfigError(f"run.name={name}: must be a plain name", "folders go into run.dir")
    return RunFolder(Path(cfg.run.dir) / name)


def _resolve(cfg: config.Recipe, folder: RunFolder) -> config.Recipe:
    """Return the settings with ``auto`` filled in, from the folder's run when it goes on.

    Raises:
        RunError: The folder holds a run and ``resume=never``, or one of other settings, or one
            that another version of carscale made.
    """
    has_checkpoint = bool(folder.checkpoints("step"))
    if cfg.resume != "overwrite" and folder.has_settings:
        folder.check_format()
    if cfg.resume != "overwrite" and folder.is_finished and (how := _refined(folder)):
        raise RunError(
            f"{folder}: was made of another run by {how}; it can't be trained on in its place",
            f"train on from it in another: model.weights={shlex.quote(str(folder))} run.name=NAME",
        )
    if cfg.resume != "overwrite" and not has_checkpoint and folder.is_finished:
        raise RunError(
            f"{folder}: holds a finished run whose checkpoints were removed; it can't go on",
            "start another run: run.name=NAME; or train it again: resume=overwrite",
        )
    if cfg.resume == "overwrite" or not folder.has_settings or not has_checkpoint:
        return _fill(cfg, resolve_precision(cfg.train.precision), _threads(cfg), "auto")
    if cfg.resume == "never":
        raise RunError(
            f"{folder}: holds a run already, and resume=never",
            "go on with it: resume=auto; start another run: run.name=NAME",
        )
    old = folder.settings()
    new = _fill(cfg, old.train.precision, old.train.num_cpu_threads, old.loader.backend)
    changed = config.differences(old, new, ignore=FREE_ON_RESUME)
    if changed:
        raise RunError(
            f"{folder}: holds a run of other settings; then -> now:",
            *changed,
            "start another run: run.name=NAME; or empty the folder first: resume=overwrite",
        )
    return new


def _refined(folder: RunFolder) -> str | None:
    """Return how a run was made of another one; ``None`` for one that was trained."""
    refined = folder.environment().get("refined")
    return None if refined is None else f"carscale {refined['how']}"


def _fill(cfg: config.Recipe, precision: str, num_cpu_threads: int, backend: str) -> config.Recipe:
    """Return the settings without ``auto`` and 0 for precision and threads.

    ``auto`` for the backend is left to ``loaders.resolve_backend``, which knows photos and model.
    """
    train = cfg.train.model_copy(
        update={
            "precision": precision if cfg.train.precision == "auto" else cfg.train.precision,
            "num_cpu_threads": cfg.train.num_cpu_threads or num_cpu_threads,
        }
    )
    chosen = backend if cfg.loader.backend == "auto" else cfg.loader.backend
    loader = cfg.loader.model_copy(update={"backend": chosen})
    return cfg.model_copy(update={"train": train, "loader": loader})


def _threads(cfg: config.Recipe) -> int:
    """Return this process's share of the cores."""
    share = threads.num_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return cfg.train.num_cpu_threads or max(1, share)


@contextmanager
def _folder_of_one(folder: RunFolder, cfg: config.Recipe, world: World) -> Iterator[None]:
    """Make the folder and hold its lock on rank 0; where that fails, all ranks say why."""
    with ExitStack() as stack:
        world.on_main(lambda: stack.enter_context(_made_and_held(folder, cfg)))
        yield


@contextmanager
def _made_and_held(folder: RunFolder, cfg: config.Recipe) -> Iterator[None]:
    """Make the folder, hold its lock, and store the settings."""
    is_new = not folder.path.exists()
    try:
        disk.make_folder(folder.path)
    except OSError as error:
        raise RunError(
            f"{folder}: can't be made: {error}", "choose another: run.dir=FOLDER"
        ) from error
    with locks.hold_lock(folder.path):
        if cfg.resume == "overwrite":
            _empty(folder)
        _store_settings(folder, cfg)
        try:
            yield
        except BaseException:
            if is_new and not folder.log_file.exists():  # nothing was trained
                shutil.rmtree(folder)
            raise


def _farewell(folder: RunFolder) -> str:
    """Return where the run lies, how good it is, and what to type next."""
    best = folder.best_epoch
    score = f"val top-1 {best['val']['top1']:.1%} (epoch {best['epoch']:g}); " if best else ""
    where = shlex.quote(str(folder))
    return f"{folder}: {score}next: carscale evaluate {where}; carscale report {where}"


def _store_settings(folder: RunFolder, cfg: config.Recipe) -> None:
    """Write ``config.yaml``; read back, it never empties a folder."""
    stored = cfg.model_copy(update={"resume": "auto"})
    files.write_atomic(folder.settings_file, config.to_yaml(stored))


def _empty(folder: RunFolder) -> None:
    """Remove an old run's files, and nothing that no run writes; test evaluations are kept.

    Raises:
        RunError: The folder holds files but no run.
    """
    held = [path.name for path in folder.path.iterdir() if path.name != ".lock"]
    if held and not folder.has_settings:
        raise RunError(
            f"{folder}: holds {len(held)} files but no run (no config.yaml); nothing was removed",
            "choose another: run.name=NAME",
        )
    for path in folder.training_output:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _seed(seed: int) -> None:
    """Seed what draws the weights of new layers; steps seed themselves."""
    from torch import manual_seed

    manual_seed(seed)


def _check_root(root: str) -> None:
    """Raise when there are no photos, before settings are compared with an older run's."""
    if not Path(root).is_dir():
        raise DataError(
            f"data.root={root}: no such folder",
            f"freeze photos first: carscale data freeze PHOTOS {shlex.quote(root)}",
        )


def _check_tracker(tracker: str) -> None:
    """Raise when the tracker's package is missing."""
    from importlib.util import find_spec

    package = TRACKER_PACKAGES.get(tracker)
    if package and find_spec(package) is None:
        raise ConfigError(
            f"train.tracker={tracker}: the package {package} is not installed",
            f"install it with: pip install {package}",
        )


def _environment(run: Run) -> dict[str, Any]:
    """Return what made the run: versions, device, processes, command, commit."""
    import torch

    packages = (
        "torch",
        "accelerate",
        "timm",
        "datasets",
        "numpy",
        "pillow",
        "simplejpeg",
        "carscale",
    )
    is_gpu = run.world.device.type == "cuda"
    return {
        "format": FORMAT,
        "recipe": run.recipe,
        "started": _started(run.folder),
        "command": [Path(sys.argv[0]).as_posix(), *sys.argv[1:]],
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
        "device": torch.cuda.get_device_name() if is_gpu else f"cpu ({platform.machine()})",
        "world_size": run.world.size,
        "num_cpu_threads": torch.get_num_threads(),
        "precision": run.cfg.train.precision,
        "backend": run.cfg.loader.backend,
        "git_commit": _git_commit(),
    }


def _started(folder: RunFolder) -> str:
    """Return when the run began: what its folder says, or now."""
    stored = folder.environment().get("started")
    return str(stored or datetime.now(UTC).isoformat(timespec="seconds"))


def _git_commit() -> str | None:
    """Return the commit of the working folder, ``None`` outside a repository."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
