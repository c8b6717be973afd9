"""Processes that work together, and the run they work on; the door to Accelerate.

In: settings and the launcher's environment. Out: a ``World`` (rank, device, gather) and a ``Run``
(folder, logs, files).

Chosen: Accelerate gives device, DDP, mixed precision, gather and trackers. Rejected: letting it
``prepare`` loaders or schedulers: it rebuilds the one and steps the other once a process.
Chosen: stop when the launcher and Accelerate disagree on the number of processes. On a machine
without a GPU a plain ``Accelerator()`` makes lone processes that each train on all the data.
Chosen: OpenMP threads that wait sleep early (``GOMP_SPINCOUNT=1000``), set before torch is loaded.
By default they spin, and where another program takes one of two cores the step takes ten times as
long (measured: 2.6 to 4 images/s, against 27 to 30; alone on the machine both are equal).
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import config, runs, tables
from carscale.errors import CarscaleError, ConfigError, LaunchError, RunError
from carscale.progress import note
from carscale.types import Predictions

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

__all__ = ["Run", "World", "open_world", "start_run"]

if "OMP_WAIT_POLICY" not in os.environ:  # read once, when torch loads its OpenMP library
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

GROUP_TIMEOUT = timedelta(hours=1)
"""Ranks wait this long for each other: the first check of a large data set runs on one of them."""

FREE_ON_RESUME = (
    "run",
    "resume",
    "data.root",
    "data.verify",
    "loader.num_threads",
    "loader.prefetch",
    "loader.on_unreadable",
    "train.keep_last",
    "train.checkpoint_every_steps",
    "train.log_every_steps",
    "train.tracker",
)
"""Settings that do not change the result; data are compared by hash."""

TRACKER_PACKAGES = {
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "trackio": "trackio",
}


@dataclass(frozen=True)
class World:
    """This process among all.

    Attributes:
        rank: 0 to ``size - 1``; rank 0 writes and speaks.
        size: Number of processes.
        device: What this one computes on.
        accelerator: Accelerate's object.
    """

    rank: int
    size: int
    device: torch.device
    accelerator: Accelerator

    @property
    def is_main(self) -> bool:
        """Tell whether this is rank 0."""
        return self.rank == 0

    @property
    def cores_share(self) -> int:
        """Return how many cores this process may use, at least 1."""
        return max(1, _num_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))

    def gather_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """Return all ranks' rows one after another.

        Ranks may hold different numbers of them, or none.
        """
        import torch

        if self.size == 1:
            return rows
        count = torch.tensor([len(rows)], device=self.device)
        counts = self.accelerator.gather(count).tolist()
        padded = rows.new_zeros((max(*counts, 1), *rows.shape[1:]))
        padded[: len(rows)] = rows
        every = self.accelerator.gather(padded).split(len(padded))
        return torch.cat([part[:count] for part, count in zip(every, counts, strict=True)])

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum over all ranks."""
        return self.accelerator.reduce(values, reduction="sum")

    def broadcast(self, value: Any) -> Any:  # noqa: ANN401 - any picklable thing of our own
        """Return rank 0's value on every rank."""
        if self.size == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value])[0]

    def broadcast_buffers(self, module: torch.nn.Module) -> None:
        """Give every rank the batch-norm statistics of rank 0, which differ by rank."""
        from accelerate.utils import broadcast

        if self.size > 1:
            for buffer in module.buffers():
                buffer.copy_(broadcast(buffer))


@dataclass
class Run:
    """One training run: its folder, its resolved settings, its processes.

    Only rank 0 writes; every method may be called on all ranks.
    """

    folder: Path
    cfg: config.Recipe
    world: World
    recipe: str
    environment: dict[str, Any] = field(default_factory=dict)

    def record(self, **facts: object) -> None:
        """Add facts to ``env.json``: what the run was made with."""
        self.environment.update(facts)
        if self.world.is_main:
            runs.write_json(self.folder / "env.json", self.environment)

    def save_predictions(self, split: str, predictions: Predictions) -> None:
        """Write ``predictions/<split>.parquet``."""
        if self.world.is_main:
            path = self.folder / "predictions" / f"{split}.parquet"
            path.parent.mkdir(exist_ok=True)
            runs.write_atomic(path, tables.predictions_bytes(predictions))


@contextmanager
def open_world(
    *,
    precision: str = "fp32",
    num_cpu_threads: int = 0,
    tracker: str = "none",
    folder: Path | None = None,
) -> Iterator[World]:
    """Join the processes that the launcher started.

    Args:
        precision: ``fp32``, ``bf16``, ``fp16`` or ``auto``.
        num_cpu_threads: Threads of this process's arithmetic; 0 takes its share of the cores.
        tracker: Accelerate's name of a tracker, or ``none``.
        folder: Where trackers that write files put them.

    Raises:
        LaunchError: The launcher started another number of processes than Accelerate sees.
    """
    from accelerate import Accelerator
    from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs
    from torch import set_num_threads

    chosen = _resolve_precision(precision)
    accelerator = Accelerator(
        cpu=not _uses_gpu(),
        mixed_precision="no" if chosen == "fp32" else chosen,
        log_with=None if tracker == "none" else tracker,
        project_dir=None if folder is None else str(folder),
        kwargs_handlers=[
            DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True),
            InitProcessGroupKwargs(timeout=GROUP_TIMEOUT),
        ],
    )
    world = World(
        accelerator.process_index, accelerator.num_processes, accelerator.device, accelerator
    )
    check_launch(world.size)
    set_num_threads(num_cpu_threads or world.cores_share)
    try:
        yield world
    finally:
        accelerator.end_training()


def check_launch(num_processes: int) -> None:
    """Raise when the launcher started another number of processes than train together.

    Raises:
        LaunchError: ``WORLD_SIZE`` differs from what Accelerate sees.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != num_processes:
        raise LaunchError(
            f"the launcher started {started} processes but Accelerate sees {num_processes}; "
            "each would train alone on all the data",
            "launch with: accelerate launch --config_file accelerate_configs/cpu2.yaml ...",
        )


@contextmanager
def start_run(recipe: str, cfg: config.Recipe) -> Iterator[Run]:
    """Open the run folder and join the processes, for the length of a ``with`` block.

    A ``CarscaleError`` inside is printed without a traceback and ends the process with its exit
    code.

    Args:
        recipe: The recipe's name; the run's too unless ``run.name`` says otherwise.
        cfg: The settings; ``auto`` values are resolved once and stored in ``config.yaml``.
    """
    try:
        folder = Path(cfg.run.dir) / (cfg.run.name or recipe)
        _check_tracker(cfg.train.tracker)
        resolved = _resolve(cfg, folder)
        tracker = resolved.train.tracker
        with (
            open_world(
                precision=resolved.train.precision,
                num_cpu_threads=resolved.train.num_cpu_threads,
                tracker=tracker,
                folder=folder,
            ) as world,
            _folder_of_one(folder, resolved, world),
        ):
            run = Run(folder, resolved, world, recipe)
            run.record(**_environment(run))
            if tracker != "none":
                world.accelerator.init_trackers(recipe)
            yield run
    except CarscaleError as error:
        rank = os.environ.get("RANK", "0")
        where = f"[rank {rank}] " if os.environ.get("WORLD_SIZE", "1") != "1" else ""
        note(f"{where}{type(error).__name__}: {error}")
        sys.exit(error.exit_code)


def _resolve(cfg: config.Recipe, folder: Path) -> config.Recipe:
    """Return the settings with ``auto`` filled in, from the folder's run when it goes on.

    Raises:
        RunError: The folder holds a run and ``resume=never``, or one of other settings.
    """
    stored = folder / "config.yaml"
    if cfg.resume == "overwrite" or not stored.exists():
        return _fill(cfg, _resolve_precision(cfg.train.precision), _threads(cfg), "torch")
    if cfg.resume == "never":
        raise RunError(
            f"{folder}: holds a run already, and resume=never",
            "go on with it: resume=auto; start another beside it: run.name=NAME",
        )
    old = config.from_yaml(stored)
    new = _fill(cfg, old.train.precision, old.train.num_cpu_threads, old.loader.backend)
    changed = config.differences(old, new, ignore=FREE_ON_RESUME)
    if changed:
        raise RunError(
            f"{folder}: holds a run of other settings; then -> now:",
            *changed,
            "start another beside it: run.name=NAME; or empty the folder first: resume=overwrite",
        )
    return new


def _fill(cfg: config.Recipe, precision: str, num_cpu_threads: int, backend: str) -> config.Recipe:
    """Return the settings without ``auto`` and 0 for precision, threads and backend."""
    train = cfg.train.model_copy(
        update={
            "precision": precision if cfg.train.precision == "auto" else cfg.train.precision,
            "num_cpu_threads": cfg.train.num_cpu_threads or num_cpu_threads,
        }
    )
    chosen = backend if cfg.loader.backend == "auto" else cfg.loader.backend
    loader = cfg.loader.model_copy(update={"backend": chosen})
    return cfg.model_copy(update={"train": train, "loader": loader})


def _num_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads(cfg: config.Recipe) -> int:
    """Return this process's share of the cores."""
    share = _num_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return cfg.train.num_cpu_threads or max(1, share)


def _uses_gpu() -> bool:
    """Tell whether there is a GPU and the launcher's settings do not rule it out."""
    import torch

    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "false").lower() in ("1", "true", "yes")
    return torch.cuda.is_available() and not on_cpu


def _resolve_precision(precision: str) -> str:
    """Return what ``auto`` stands for here."""
    import torch

    if precision != "auto":
        return precision
    if not _uses_gpu():
        return "fp32"
    return "bf16" if torch.cuda.is_bf16_supported() else "fp16"


@contextmanager
def _folder_of_one(folder: Path, cfg: config.Recipe, world: World) -> Iterator[None]:
    """Make the folder and hold its lock on rank 0."""
    if not world.is_main:
        yield
        return
    import shutil

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder}: can't be made: {error}", "choose another: run.dir=FOLDER"
        ) from error
    with runs.hold_lock(folder):
        if cfg.resume == "overwrite":
            for path in folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != ".lock":
                    path.unlink()
        runs.write_atomic(folder / "config.yaml", config.to_yaml(cfg))
        yield


def _seed(seed: int) -> None:
    """Seed what draws the weights of new layers; steps seed themselves."""
    from torch import manual_seed

    manual_seed(seed)


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
        "recipe": run.recipe,
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


def _git_commit() -> str | None:
    """Return the commit of the working folder, ``None`` outside a repository."""
    import subprocess

    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except OSError:
        return None
    return answer.stdout.strip() or None
