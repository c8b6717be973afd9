"""The loop. B samples of a micro-batch, K classes."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from carscale import balance, files, models
from carscale.errors import RunError, Stopped
from carscale.progress import bar, note
from carscale.runs import data_places
from carscale.training import checkpoint
from carscale.training.checkpoint import State
from carscale.training.checks import check_fit
from carscale.training.divergence import finite_scores
from carscale.training.logger import TrainingLogger
from carscale.training.schedule import dropout_seed, epoch_ends, scored_steps
from carscale.types import Batch, TrainLoader
from carscale.world import name_out_of_memory

if TYPE_CHECKING:
    from carscale.models import Classifier
    from carscale.training.learner import Learner
    from carscale.world import Run, World


Score = Callable[["Classifier", "World"], dict[str, float]]


def fit(run: Run, learner: Learner, loader: TrainLoader, *, score: Score) -> bool:
    """Train to the end, going on from the run folder's newest whole checkpoint.

    Args:
        run: Folder, settings and processes.
        learner: Model, loss, optimizer settings.
        loader: Training batches by step.
        score: Takes the model, on all ranks, and returns val metrics; called after each epoch, or
            as ``train.eval_every_epochs`` says.

    Returns:
        Whether the weights that ``score`` was last given, in this process, are the run's result.

    Raises:
        ConfigError: The global batch can't be cut for these processes and micro-steps.
        RunError: The folder's checkpoint is of other data.
        OutOfMemoryError: A batch does not fit; says what to type.
        Stopped: A signal came to a rank; the step was finished and saved.
        TrainingError: The loss, or a prediction of val, is not finite.
    """
    # 1. Check that batch, network and data fit the settings.
    check_fit(run, learner, loader)

    # 2. Load counters, weights and EMA of the newest whole checkpoint, if it is of these photos.
    hashes = {"train": loader.split.hash, "val": getattr(score, "hash", "")}
    hashes |= balance.selection_hash(run.cfg.finetune)
    state, optimizer_tensors = checkpoint.load_checkpoint(run, learner)
    _check_same(run, state, hashes)
    state.hashes = hashes

    # 3. Write what the run is made of: classes, data, model.
    _describe(run, learner, loader, hashes)

    # 4. Move to the device, wrap for DDP, build the optimizer; then load the optimizer's state.
    learner.prepare(run.world, ema_decay=run.cfg.train.ema_decay)
    if optimizer_tensors:
        learner.load_optimizer_tensors(optimizer_tensors)
    if state.scaler and run.world.accelerator.scaler is not None:
        run.world.accelerator.scaler.load_state_dict(state.scaler)

    # 5. Train what is left.
    if state.is_finished:
        if run.world.is_main:
            note(f"{run.folder}: the run is complete; nothing left to train")
        return False
    learner.warm_up_ddp(run.world, run.cfg.data.image_px)
    _Fit(run, learner, loader, score, state).train()
    return state.best_step == state.step


@dataclass
class _Fit:
    """A training run in progress."""

    run: Run
    learner: Learner
    loader: TrainLoader
    score: Score
    state: State

    def __post_init__(self) -> None:
        self.cfg = self.run.cfg.train
        self.ends = epoch_ends(
            len(self.loader.split),
            global_batch_size=self.loader.global_batch_size,
            num_epochs=self.cfg.num_epochs,
            max_steps=self.cfg.max_steps,
        )
        self.num_steps = max(self.ends)
        self.scored = scored_steps(self.ends, self.cfg.eval_every_epochs)
        self.steps_per_epoch = len(self.loader.split) / self.loader.global_batch_size
        self.logger = TrainingLogger(
            self.run,
            global_batch_size=self.loader.global_batch_size,
            steps_per_epoch=self.steps_per_epoch,
        )
        self.num_unreadable = 0  # on this rank, not yet summed
        self.saved_step = -1

    def train(self) -> None:
        """Run from the state's step to the end; whatever happens, threads end and files close."""
        self.logger.open(self.state, self.num_steps)
        batches = self.loader.batches(self.state.step, self.num_steps, self.cfg.accumulate_steps)
        try:
            with self.run.world.stop.deferred():
                try:
                    self._steps(batches)
                except Stopped as stop:
                    raise self._saved(stop) from None
        finally:
            batches.close()
            self.logger.close()
        self.run.world.accelerator.wait_for_everyone()

    def _steps(self, batches: Iterator[Batch]) -> None:
        """Take the steps; flush, score and save where they are due."""
        state, world = self.state, self.run.world
        with bar(
            "train", self.num_steps, start=state.step, show=world.is_main, unit="steps"
        ) as self.logger.advance:
            if state.needs_score:
                self._score_and_save()
            for step in range(state.step, self.num_steps):
                if state.is_finished:
                    return
                self._step(step, batches)
                state.step = step + 1
                state.needs_score = state.step in self.scored
                is_end = state.step in self.ends
                if is_end or len(self.logger.losses) == self.cfg.log_every_steps:
                    self.logger.flush(state.step)
                self._score_and_save()
                asked = 0 if state.is_finished else world.stop.after_step()
                if asked:
                    raise Stopped(asked)

    def _score_and_save(self) -> None:
        """Score val where it is due, and write a checkpoint where one is due."""
        state, every = self.state, self.cfg.checkpoint_every_steps
        is_due = state.step % every == 0 if every else state.step in self.ends
        if state.needs_score:
            self._end_epoch()
            state.needs_score = False
        if is_due or state.is_finished:
            self._checkpoint()

    def _saved(self, stop: Stopped) -> Stopped:
        """Write a checkpoint of where training stopped; return what tells so."""
        state, world = self.state, self.run.world
        if self.saved_step != state.step or state.needs_score:
            self._checkpoint()
        world.accelerator.wait_for_everyone()  # a launcher ends all when the first one leaves
        return Stopped(
            stop.number,
            f"{self.run.folder}: stopped by {signal.Signals(stop.number).name} after step "
            f"{state.step} of {self.num_steps}, saved; the same command goes on",
        )

    def _step(self, step: int, batches: Iterator[Batch]) -> None:
        """Take one optimizer step from its micro-batches."""
        learner, world, num_micro = self.learner, self.run.world, self.cfg.accumulate_steps
        learner.loss.set_done(step / self.num_steps)
        window = self.loader.accumulation_labels(step)
        accumulation_weight = learner.loss.accumulation_weight(*window)
        lr = learner.set_lr(
            step,
            num_steps=self.num_steps,
            warmup_steps=learner.cfg.warmup_epochs * self.steps_per_epoch,
        )
        is_frozen = step < learner.cfg.freeze_epochs * self.steps_per_epoch
        learner.train_mode(is_frozen=is_frozen)
        total = torch.zeros((), device=world.device)
        with self._memory_named():
            for micro_step in range(num_micro):
                with self.logger.waiting():
                    batch = next(batches)
                world.reached(step + 1)
                self.num_unreadable += batch.num_unreadable
                torch.manual_seed(dropout_seed(self.run.cfg.seed, step, micro_step, world.rank))
                if micro_step == num_micro - 1:
                    total += self._backward(step, batch, accumulation_weight)
                else:
                    with world.accelerator.no_sync(learner.forward):
                        total += self._backward(step, batch, accumulation_weight)
            if is_frozen:
                learner.drop_body_gradients()
            norm = self._clip()
            learner.optimizer.step()
            learner.optimizer.zero_grad()
        learner.update_ema(step)
        self.logger.add(total, norm, lr)

    def _backward(self, step: int, batch: Batch, accumulation_weight: float) -> Tensor:
        """Add a micro-batch's gradient; return its share of the window's loss.

        DDP averages gradients over ranks, hence the factor.
        """
        with self.run.world.accelerator.autocast():
            batch = self.learner.mixed(batch, self.run.world)
            logits_BK = self.learner.forward(batch.images_BCHW)
            kept = self.learner.distilled_sum(batch.images_BCHW, logits_BK)
        if self.logger.dynamics is not None:
            self.logger.dynamics.add(step, logits_BK, batch.labels_B, batch.ids_B)
        share = self.learner.loss.batch_sum(logits_BK, batch) / accumulation_weight
        share = share + kept / self.loader.global_batch_size
        self.run.world.accelerator.backward(share * self.run.world.size)
        return share.detach()

    def _clip(self) -> Tensor:
        """Clip gradients and return their norm."""
        limit = self.cfg.grad_clip_norm or math.inf
        norm = self.run.world.accelerator.clip_grad_norm_(self.learner.forward.parameters(), limit)
        return torch.as_tensor(norm).detach()

    def _end_epoch(self) -> None:
        """Score val, keep the best weights, log, and see whether the run is over."""
        state, world = self.state, self.run.world
        self._sum_unreadable()
        model = self.learner.eval_model
        world.broadcast_buffers(model)
        epoch = self.ends[state.step]
        values = finite_scores(
            self.run,
            self.score,
            model,
            f"epoch {epoch:.3g} (step {state.step} of {self.num_steps})",
        )
        score = values[self.cfg.select_metric]
        is_best = self.cfg.select == "last" or score > state.best_score
        state.epochs_without_best = 0 if is_best else state.epochs_without_best + 1
        if is_best:
            state.best_score, state.best_step = score, state.step
        has_no_patience = 0 < self.cfg.patience <= state.epochs_without_best
        state.is_finished = state.step == self.num_steps or has_no_patience

        def write() -> None:
            self.logger.log_epoch(state.step, epoch, values, is_best=is_best)
            if state.is_finished:
                self.logger.log_end(state, "patience" if has_no_patience else "done")
            if is_best:
                checkpoint.save_best(
                    self.run, self.learner.eval_model.net, state.step, self._card()
                )

        world.on_main(write)
        self.logger.restart_clock()

    def _checkpoint(self) -> None:
        """Write a checkpoint that belongs to the logs as they are now."""
        if self.logger.losses:
            self.logger.flush(self.state.step)
        self._sum_unreadable()
        self.saved_step = self.state.step
        self.run.world.on_main(self._write_checkpoint)
        self.logger.restart_clock()

    def _write_checkpoint(self) -> None:
        """Write logs, counters and tensors on rank 0; remove older ones."""
        state = self.state
        state.log_bytes, state.timing_bytes = self.logger.sync()
        scaler = self.run.world.accelerator.scaler
        state.scaler = scaler.state_dict() if scaler is not None else {}
        state.about = _about(self.run)
        checkpoint.save_checkpoint(self.run, self.learner, state, self._card())
        checkpoint.prune(self.run, state, keep_last=self.cfg.keep_last)

    def _sum_unreadable(self) -> None:
        """Add the unreadable photos that all ranks trained on since the last call."""
        num_new = torch.tensor(self.num_unreadable, device=self.run.world.device)
        self.state.num_unreadable += int(self.run.world.sum(num_new))
        self.num_unreadable = 0

    def _card(self) -> dict[str, Any]:
        """Return what is stored with the weights: the model, its view, its classes."""
        split, view = self.loader.split, getattr(self.score, "view", None)
        return {
            "model": self.run.cfg.model.model_dump(),
            "view": None if view is None else asdict(view),
            "classes": [asdict(car_class) for car_class in split.classes],
            "backend": self.loader.backend,
            "num_unreadable": self.state.num_unreadable,
        }

    def _memory_named(self) -> AbstractContextManager[None]:
        """Return a block whose failed allocations name the batch and what to try."""
        world, num_micro = self.run.world, self.cfg.accumulate_steps
        local = self.loader.global_batch_size // (num_micro * world.size)
        is_begun = self.saved_step >= 0 or self.state.log_bytes > 0  # a run keeps its settings
        return name_out_of_memory(
            world,
            f"{local} samples at once "
            f"(loader.global_batch_size={self.loader.global_batch_size}, {world.size} processes, "
            f"train.accumulate_steps={num_micro})",
            f"the same batch with less memory: train.accumulate_steps={2 * num_micro}"
            + (" run.name=NAME" if is_begun else ""),
        )


def _check_same(run: Run, state: State, hashes: dict[str, str]) -> None:
    """Raise when a checkpoint is of other data; note when the number of processes changed."""
    changed = [name for name, value in state.hashes.items() if value != hashes[name]]
    if changed:
        raise RunError(
            f"{run.folder}: its checkpoint was trained on other data: {', '.join(changed)} changed",
            *(f"{name}: {state.hashes[name][:12]} -> {hashes[name][:12]}" for name in changed),
            "start another run: run.name=NAME; or empty the folder first: resume=overwrite",
        )
    was = state.about.get("world_size", run.world.size)
    if was != run.world.size and run.world.is_main:
        note(
            f"going on with {run.world.size} processes after {was}: the same samples in the same "
            "order; dropout and the last bits of sums will differ"
        )


def _describe(run: Run, learner: Learner, loader: TrainLoader, hashes: dict[str, str]) -> None:
    """Write what the run was made of: data, classes, model."""
    split = loader.split
    if run.world.is_main:
        classes = [asdict(car_class) for car_class in split.classes]
        files.write_json(run.folder.classes_file, {"classes": classes})
    card, name = models.card(learner.model, run.cfg.data.image_px), run.cfg.model.name
    run.record(
        data=data_places(run.folder.path, split.root)
        | {"hashes": hashes, "train_counts": split.counts_K.tolist()},
        model={"name": name, **card, "weights_from": learner.model.weights_from},
    )
    if run.world.is_main:
        note(
            f"{name}: {card['num_parameters'] / 1e6:.1f} M parameters, {card['gmacs']:.2f} GMACs "
            f"at {card['image_px']} px; weights: {learner.model.weights_from}"
        )


def _about(run: Run) -> dict[str, Any]:
    """Return the number of processes and threads, for a resumed run to compare."""
    return {"world_size": run.world.size, "num_cpu_threads": torch.get_num_threads()}
