"""What a run writes while it trains: log.jsonl, timing.jsonl, the bar, the tracker."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from carscale import files
from carscale.progress import note
from carscale.training.divergence import diverged
from carscale.training.dynamics import DynamicsLog
from carscale.world import peak_memory_gib

if TYPE_CHECKING:
    from carscale.training.checkpoint import State
    from carscale.world import Run


@dataclass
class TrainingLogger:
    """Logs losses, gradient norms, learning rates, speed and memory.

    Numbers of the last steps stay on the device until ``flush``. All ranks hold one; rank 0 writes.

    Attributes:
        run: Folder, processes, tracker.
        global_batch_size: Samples a step.
        steps_per_epoch: Need not be whole.
        advance: Moves the bar.
        losses, norms, lrs: Of the steps since the last flush.
        dynamics: Log of the training dynamics; ``None`` unless ``train.log_dynamics``.
    """

    run: Run
    global_batch_size: int
    steps_per_epoch: float
    advance: Callable[..., None] = lambda *args, **kwargs: None
    losses: list[Tensor] = field(default_factory=list)
    norms: list[Tensor] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)
    dynamics: DynamicsLog | None = None
    _waited_s: float = 0.0
    _since: float = 0.0

    def open(self, state: State, num_steps: int) -> None:
        """Open the logs, cut back to the state's step; a fresh run opens with its data."""
        self.restart_clock()
        if self.run.cfg.train.log_dynamics:
            self.dynamics = DynamicsLog(
                self.run.folder.dynamics_file,
                self.run.world,
                num_shown=state.step * self.global_batch_size,
            )
        if not self.run.world.is_main:
            return
        folder = self.run.folder
        self._log = files.JsonLines(folder.log_file, size=state.log_bytes)
        self._timing = files.JsonLines(folder.timing_file, size=state.timing_bytes)
        if state.step == 0:
            self._log.write(event="start", num_steps=num_steps, hashes=state.hashes)
        else:
            note(f"{folder}: going on from step {state.step} of {num_steps}")

    def sync(self) -> tuple[int, int]:
        """Put the logs on disk, on rank 0; return the sizes of log and timing in bytes."""
        if self.dynamics is not None:
            self.dynamics.sync()
        return self._log.sync(), self._timing.sync()

    def close(self) -> None:
        """Close the logs."""
        if self.dynamics is not None:
            self.dynamics.close()
        if self.run.world.is_main:
            self._log.close()
            self._timing.close()

    def restart_clock(self) -> None:
        """Start timing again, so that scoring and saving do not count as training."""
        self._since = time.perf_counter()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the block's time as spent waiting for data."""
        start = time.perf_counter()
        yield
        self._waited_s += time.perf_counter() - start

    def add(self, loss: Tensor, norm: Tensor, lr: float) -> None:
        """Keep a step's numbers: this rank's share of the loss, the gradient norm, the rate."""
        self.losses.append(loss)
        self.norms.append(norm)
        self.lrs.append(lr)

    def flush(self, step: int) -> None:
        """Take the numbers of the steps up to ``step`` off the device, check and log them.

        Raises:
            TrainingError: A loss is not finite.
        """
        losses = self.run.world.sum(torch.stack(self.losses)).tolist()
        if self.dynamics is not None:
            self.dynamics.flush()
        norms = torch.stack(self.norms).tolist()
        first = step - len(losses) + 1
        for index, (loss, norm, lr) in enumerate(zip(losses, norms, self.lrs, strict=True)):
            if not math.isfinite(loss):
                raise diverged(self.run, f"step {first + index}: the loss is {loss}")
            if self.run.world.is_main:
                self._log.write(
                    event="step",
                    step=first + index,
                    epoch=round((first + index) / self.steps_per_epoch, 4),
                    loss=loss,
                    lr=lr,
                    grad_norm=norm if math.isfinite(norm) else None,
                )
        self._log_timing(step, losses[-1], len(losses))
        self.losses, self.norms, self.lrs, self._waited_s = [], [], [], 0.0
        self.restart_clock()

    def _log_timing(self, step: int, loss: float, num_steps: int) -> None:
        """Write speed and memory, and move the bar."""
        elapsed_s = time.perf_counter() - self._since
        images_per_s = num_steps * self.global_batch_size / elapsed_s
        wait_share = self._waited_s / elapsed_s
        epoch = step / self.steps_per_epoch
        self.advance(
            num_steps,
            text=f"epoch {epoch:.2f}  loss {loss:.3f}  {images_per_s:.0f} images/s  "
            f"waiting for data {wait_share:.0%}",
        )
        if not self.run.world.is_main:
            return
        self._timing.write(
            step=step,
            elapsed_s=round(elapsed_s, 4),
            images_per_s=round(images_per_s, 2),
            wait_share=round(wait_share, 4),
            memory_gib=round(peak_memory_gib(self.run.world.device), 3),
        )
        self._track({"loss": loss, "lr": self.lrs[-1], "images_per_s": images_per_s}, step)

    def log_epoch(
        self, step: int, epoch: float, values: dict[str, float], *, is_best: bool
    ) -> None:
        """Write and show an epoch's val metrics, on rank 0."""
        self._log.write(event="epoch", epoch=epoch, step=step, val=values, is_best=is_best)
        shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        note(f"epoch {epoch:g}  val {shown}{'  best' if is_best else ''}")
        self._track({f"val/{name}": value for name, value in values.items()}, step)

    def log_end(self, state: State, reason: str) -> None:
        """Write that the run is over, and why, on rank 0."""
        self._log.write(
            event="end",
            step=state.step,
            best_step=state.best_step,
            reason=reason,
            num_unreadable=state.num_unreadable,
        )

    def _track(self, values: dict[str, float], step: int) -> None:
        """Hand numbers to the tracker, if there is one."""
        if self.run.cfg.train.tracker != "none":
            self.run.world.accelerator.log(values, step=step)
