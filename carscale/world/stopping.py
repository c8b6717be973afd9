"""What this process was asked by signals, and how ranks agree on the step to stop at.

The first SIGTERM, Ctrl-C, SIGUSR1 (Slurm's warning) or SIGHUP (a terminal that has gone, unless
``nohup`` says to ignore it) asks; where training has begun, the step is finished and saved. A
second one ends the process at once.

Chosen: a thread hears signals through a pipe that C code writes to. Rejected: Python's handlers
alone: they wait for the main thread, which may wait for another rank in C++.
Chosen: ranks compare their flags after each step and look at the answer a step later, when it has
arrived: no step waits. Rejected: the rank that is asked decides: it may be the only one that is.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any

from carscale.errors import Stopped

if TYPE_CHECKING:
    from torch import Tensor

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
SAME_REQUEST_S = 2.0
"""A terminal signals a launcher and its ranks, and the launcher signals the ranks once more."""
GRACE_S = 10.0
"""A process that has nothing to save, and does not end by itself, is ended after this."""
TICK_S = 1.0
FLAG_TIMEOUT = timedelta(hours=1)


class Listener:
    """Hears signals, and notices that the launcher has gone, in a thread of its own.

    Attributes:
        asked: The signal that came first, to this rank or another; 0 before that.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._asked_at = 0.0
        self._defers = False
        self._left_at: float | None = None
        self._launcher = os.getppid() if was_launched() else 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs, which trains: signals that came are not handed on."""
        is_main = threading.current_thread() is threading.main_thread()
        heard, told = socket.socketpair()
        told.setblocking(False)
        thread = threading.Thread(target=self._listen, args=(heard,), name="carscale-signals")
        thread.daemon = True
        if is_main:
            before = {number: signal.signal(number, self._handle) for number in heeded()}
            wakeup = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        thread.start()
        try:
            yield
        finally:
            if is_main:
                signal.set_wakeup_fd(wakeup)
                for number, handler in before.items():
                    signal.signal(number, handler)
            told.close()
            thread.join()
            heard.close()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Leave it to the block to save and to raise ``Stopped`` when a signal comes.

        Once it has, further signals do nothing: the process ends.
        """
        before, self._defers = self._defers, True
        try:
            yield
        except Stopped:
            self._left_at = self._left_at if before else time.monotonic()
            raise
        finally:
            self._defers = before

    def hear(self, number: int) -> None:
        """Note the first signal; a further one ends the process, unless a launcher repeats it."""
        now = time.monotonic()
        if not self.asked:
            self.asked, self._asked_at = number, now
        elif now - self._asked_at > SAME_REQUEST_S and self._left_at is None:
            os._exit(Stopped(number).exit_code)

    def hear_afar(self, number: int) -> None:
        """Note what another rank was asked, again and again."""
        if not self.asked:
            self.hear(number)

    def _handle(self, number: int, _: FrameType | None) -> None:
        """End what the main thread does, unless that defers or ends already."""
        if not self._defers and self._left_at is None:
            self._left_at = time.monotonic()
            self.hear(number)
            raise Stopped(number)

    def _listen(self, heard: socket.socket) -> None:
        """Read signals; look for the launcher once a second."""
        next_tick = time.monotonic() + TICK_S
        while True:
            wait_s = max(0.0, next_tick - time.monotonic())
            if select.select([heard], [], [], wait_s)[0]:
                numbers = heard.recv(64)
                if not numbers:  # the other end is closed
                    return
                for number in numbers:
                    if number in SIGNALS:
                        self.hear(number)
                continue
            next_tick = time.monotonic() + TICK_S
            self._tick()

    def _tick(self) -> None:
        """Notice a launcher that has gone, and a main thread that does not end."""
        if self._launcher and os.getppid() != self._launcher:
            self._launcher = 0
            os.kill(os.getpid(), signal.SIGTERM)
        since = max(self._asked_at, self._left_at or 0.0)
        if self.asked and not self._defers and time.monotonic() - since > GRACE_S:
            os._exit(Stopped(self.asked).exit_code)


LISTENER: list[Listener] = []
"""Of this process, while ``listening`` runs; empty in notebooks and tests."""


@contextmanager
def listening() -> Iterator[None]:
    """Hear signals while the block trains, in a process that does nothing else."""
    listener = Listener()
    LISTENER.append(listener)
    try:
        with listener.listening():
            yield
    finally:
        LISTENER.remove(listener)


class StopVote:
    """The ranks' agreement on where to stop; all make one, and vote, at the same moments.

    Without a listener nobody ever asks.

    Args:
        size: Number of ranks.
    """

    def __init__(self, size: int) -> None:
        self._listener = LISTENER[-1] if LISTENER else Listener()
        self._group: Any = None
        if LISTENER and size > 1:
            from torch import distributed

            self._group = distributed.new_group(backend="gloo", timeout=FLAG_TIMEOUT)
        self._cast: tuple[Any, Tensor] | None = None
        self.deferred = self._listener.deferred

    @property
    def is_asked(self) -> bool:
        """Tell whether this rank knows of a request."""
        return self._listener.asked > 0

    def after_step(self) -> int:
        """Return the signal to stop for after this step, the same on all ranks; 0 to go on.

        It is what any rank knew a step ago.
        """
        if self._group is None:
            return self._listener.asked
        previous, self._cast = self._cast, self._ask_all()
        return _answer(*previous) if previous else 0

    def now(self) -> int:
        """Return the signal that any rank knows of; waits for all ranks."""
        return self._listener.asked if self._group is None else _answer(*self._ask_all())

    def _ask_all(self) -> tuple[Any, Tensor]:
        """Start to compare the ranks' flags."""
        import torch
        from torch import distributed

        flag = torch.tensor(self._listener.asked)
        greatest = distributed.ReduceOp.MAX
        return distributed.all_reduce(flag, greatest, group=self._group, async_op=True), flag


def _answer(work: Any, flag: Tensor) -> int:  # noqa: ANN401 - torch's Work has no public name
    """Return what the ranks' flags came to."""
    work.wait()
    return int(flag)


def heeded() -> tuple[signal.Signals, ...]:
    """Return the signals to listen to: ``nohup`` has a process ignore SIGHUP."""
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in SIGNALS if number != signal.SIGHUP or not is_ignored)


def was_launched() -> bool:
    """Tell whether a launcher started this process: Accelerate's, torch's or ours."""
    return any(name in os.environ for name in ("ACCELERATE_DYNAMO_BACKEND", "TORCHELASTIC_RUN_ID"))
