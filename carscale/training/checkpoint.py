"""Checkpoints: folders of safetensors and JSON, staged and renamed.

    checkpoints/step_00000120/  model, ema, optimizer .safetensors  state.json  model.json
    checkpoints/best_00000120/  model.safetensors  model.json: the best weights so far

A kill at any point loses nothing: 1. write ``best_N``, 2. write the ``step_N`` that names it,
3. delete what is no longer named.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carscale import contained, files, models
from carscale.errors import RunError
from carscale.progress import note
from carscale.runs import RunFolder, card_file, state_file, step_of, weights_file

if TYPE_CHECKING:
    from torch import Tensor, nn

    from carscale.models import Classifier
    from carscale.training.learner import Learner
    from carscale.world import Run


@dataclass
class State:
    """The counters of a run, all that is not a tensor.

    Attributes:
        step: Optimizer steps done.
        best_score: Of the result so far.
        best_step: When it was made; -1 before the first.
        epochs_without_best: Scored epochs since.
        num_unreadable: Photos trained on as a grey square, on all ranks.
        is_finished: Whether the run is over.
        needs_score: Whether val was to be scored here and was not: the run was stopped.
        log_bytes, timing_bytes: Sizes of the logs that belong to this step.
        scaler: Loss scale of fp16.
        hashes: Of the train and val splits.
        about: Threads, processes and the like, for comparison.
    """

    step: int = 0
    best_score: float = float("-inf")
    best_step: int = -1
    epochs_without_best: int = 0
    num_unreadable: int = 0
    is_finished: bool = False
    needs_score: bool = False
    log_bytes: int = 0
    timing_bytes: int = 0
    scaler: dict[str, Any] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(run: Run, learner: Learner, state: State, card: dict[str, Any]) -> None:
    """Write ``checkpoints/step_N`` on rank 0; whole or not at all.

    Raises:
        DiskError: The disk is full, read-only or failing.
    """
    tensors = {"model": learner.model.net.state_dict(), "optimizer": learner.optimizer_tensors()}
    if learner.ema is not None:
        tensors["ema"] = learner.ema.net.state_dict()
    counters = asdict(state)
    counters["best_score"] = None if state.best_step < 0 else state.best_score
    with _staged(run.folder.checkpoint("step", state.step), tensors, card) as staging:
        sizes = {path.name: path.stat().st_size for path in sorted(staging.iterdir())}
        files.write_json(state_file(staging), counters | {"files": sizes})


def save_best(run: Run, net: nn.Module, step: int, card: dict[str, Any]) -> None:
    """Write ``checkpoints/best_N`` on rank 0: the weights that are the run's result so far."""
    tensors = {"model": net.state_dict()}
    with _staged(run.folder.checkpoint("best", step), tensors, card):
        pass


def prune(run: Run, state: State, *, keep_last: int) -> None:
    """Delete older steps and results, and what killed writers left, on rank 0."""
    folder = run.folder.checkpoints_folder
    for path in [*folder.glob(".*.writing"), *folder.glob(".*.old")]:
        shutil.rmtree(contained.inside(folder, path.name, "folder"))
    steps = run.folder.checkpoints("step")
    kept = [path for path in steps if step_of(path) <= state.step][:keep_last]
    for path in set(steps) - set(kept):
        shutil.rmtree(path)
    named = {run.folder.checkpoint_state(path)["best_step"] for path in kept}
    for path in run.folder.checkpoints("best"):
        if step_of(path) not in named | {state.best_step}:
            shutil.rmtree(path)


def newest_whole(folder: RunFolder) -> tuple[Path, dict[str, Any]] | None:
    """Return the newest checkpoint whose files all have their size, and its state.

    ``None`` when there is none.
    """
    for path in folder.checkpoints("step"):
        try:
            stored = folder.checkpoint_state(path)
            parts = {name: contained.inside(path, name, "file") for name in stored["files"]}
            sizes = {name: part.stat().st_size for name, part in parts.items()}
        except (RunError, OSError) as error:
            note(f"{path}: not whole, taking an older one ({error})")
            continue
        if sizes == stored["files"]:
            return path, stored
        note(f"{path}: not whole, taking an older one")
    return None


def load_checkpoint(run: Run, learner: Learner) -> tuple[State, dict[str, Tensor]]:
    """Read the newest whole checkpoint on rank 0, give it to all ranks, load the weights.

    Returns:
        The counters (fresh ones when there is no checkpoint) and the optimizer's tensors.

    Raises:
        ModelError: The checkpoint is of another model or class list.
    """
    found = newest_whole(run.folder) if run.world.is_main else None
    payload = None if found is None else _read(*found)
    payload = run.world.broadcast(payload)
    if payload is None:
        return State(), {}
    where, counters, tensors = payload
    models.load_state(learner.model.net, tensors["model"], where)
    if tensors["ema"]:
        import copy

        learner.ema = copy.deepcopy(learner.model)
        models.load_state(learner.ema.net, tensors["ema"], where)
    try:
        return State(**counters), tensors["optimizer"]
    except TypeError as error:
        raise RunError(f"{where}: its counters can't be used: {error}") from error


def load_best(run: Run, model: Classifier) -> Classifier:
    """Load the run's result into a model and return it; the run remembers which it was.

    Raises:
        ModelError: No result was written, or it is of another model.
    """
    payload = None
    if run.world.is_main:
        found = run.folder.checkpoints("best")
        if found:
            payload = (str(found[0]), models.read_weights(weights_file(found[0])))
    payload = run.world.broadcast(payload)
    if payload is None:
        raise run.folder.no_epoch_error()
    models.load_state(model.net, payload[1], payload[0])
    run.result = Path(payload[0]).name
    return model


def _read(path: Path, stored: dict[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Read a checkpoint's counters and tensors."""
    stored_in = {name: weights_file(path, name) for name in ("model", "ema", "optimizer")}
    tensors = {n: models.read_weights(p) if p.exists() else {} for n, p in stored_in.items()}
    counters = {key: value for key, value in stored.items() if key != "files"}
    if counters.get("best_score") is None:
        counters["best_score"] = float("-inf")
    return str(path), counters, tensors


@contextmanager
def _staged(
    final: Path, tensors: dict[str, dict[str, Tensor]], card: dict[str, Any]
) -> Iterator[Path]:
    """Write a checkpoint's tensors and card; after the block, all of it takes its place."""
    num_bytes = sum(one.nbytes for part in tensors.values() for one in part.values())
    with files.staged_folder(final, "writing", num_bytes=num_bytes) as staging:
        for name, part in tensors.items():
            models.save_state(staging, name, part)
        files.write_json(card_file(staging), card)
        yield staging
