"""The other ranks: are they there, which fell silent, over which network do they talk.

Each rank counts up a number of its own in the launcher's key-value store once a second and reads
the others'. So a peer that never comes, is stopped or cut off is named, by those who wait. So is
one that hangs while its thread counts on: it tells the step it is at, and others are at a later.

Chosen: a thread of our own. Rejected: the timeout of collectives: it names nobody, and it has to
outlast the first check of the data, an hour.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from carscale.errors import LostRankError
from carscale.progress import note

BEAT_S = 1.0
RANKS_A_BEAT = 32
"""More ranks beat more slowly: rank 0's machine answers all."""
FIRST_LINE_S = 15.0
"""A rank that is silent for so long is named on the console, then after twice the time each."""
STORE_TIMEOUT = timedelta(seconds=10)
LEFT = -(1 << 40)
SIOCGIFADDR = 0x8915  # Linux: the IPv4 address of an interface

NETWORK_SIGNS = (
    *("Connection closed by peer", "Connection reset by peer", "Timed out waiting"),
    *("Socket Timeout", "NCCL error", "Broken pipe", "gloo/transport"),
)


class Peers:
    """What this rank hears from the others.

    Args:
        rank, size: Of this process, of the world.
        address: Host and port of the store.
        timeout_s: A rank that is silent for longer ends this one.
        opening: How many worlds these processes opened before: each counts anew.
        asked: Returns the signal that this rank was sent, or 0.
        hear: Takes the signal that another rank was sent.
        connect: Opens the store.
        clock: Seconds.
    """

    def __init__(  # noqa: PLR0913 - three stand in for the world in tests
        self,
        rank: int,
        size: int,
        address: tuple[str, int],
        *,
        timeout_s: float,
        opening: int = 0,
        asked: Callable[[], int] = lambda: 0,
        hear: Callable[[int], None] = lambda number: None,
        connect: Callable[[tuple[str, int]], Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rank, self.size, self.address, self.timeout_s = rank, size, address, timeout_s
        self._asked, self._hear = asked, hear
        self._connect = connect or _connect
        self._clock = clock
        self._beat_s = BEAT_S * max(1.0, size / RANKS_A_BEAT)
        self._store: Any = None
        self._counts = [0] * size
        self._step = 0
        self._steps = [0] * size
        self._behind_since: dict[int, float] = {}
        self._hosts = [""] * size
        self._heard_at = [clock()] * size
        self._exchanged_at = clock()
        self._next_line_s = FIRST_LINE_S
        self._ends = threading.Event()
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        names = (*range(size), *(f"{rank}/step" for rank in range(size)), "asked")
        self._keys = [f"carscale/{attempt}/{opening}/{name}" for name in names]

    def start(self) -> None:
        """Exchange in one thread and look in another, until ``leave``.

        A store that is cut off may hold the first for ever.
        """
        for job in (self._exchange_all, self._look_all):
            threading.Thread(target=job, name="carscale-peers", daemon=True).start()

    def reached(self, step: int) -> None:
        """Note, for the others, which step this rank has the photos of; they count from 1."""
        self._step = step

    def leave(self) -> None:
        """Tell the others that this rank is done."""
        self._ends.set()
        store = self._store
        if store is not None:
            with suppress(RuntimeError):
                store.add(self._keys[self.rank], LEFT)

    def exchange(self) -> None:
        """Tell and hear once; a store that does not answer tells nothing."""
        try:
            counts, steps = self._counts_now()
        except RuntimeError:  # torch's errors of network and store
            self._store = None
            return
        now = self._exchanged_at = self._clock()
        for rank, count in enumerate(counts):
            if count != self._counts[rank] or count < 0:
                self._heard_at[rank] = now
        furthest = max(steps)
        for rank, step in enumerate(steps):
            if step == furthest or counts[rank] < 0:
                self._behind_since.pop(rank, None)
            elif step != self._steps[rank]:
                self._behind_since[rank] = now
            else:
                self._behind_since.setdefault(rank, now)
        self._counts, self._steps = counts, steps

    def silent_for(self, seconds: float) -> list[int]:
        """Return the ranks that were not heard for so long: rank 0 when its store is silent."""
        now = self._clock()
        if now - self._exchanged_at >= seconds:
            return [0]
        return [rank for rank, at in enumerate(self._heard_at) if now - at >= seconds]

    def lost(self) -> str:
        """Return, in words, who has gone, after beats that would have told otherwise."""
        time.sleep(3.5 * self._beat_s)
        return self._named(self.silent_for(2 * self._beat_s)) or "another rank"

    def _counts_now(self) -> tuple[list[int], list[int]]:
        """Count up and tell the step; return all ranks' counts and steps."""
        if self._store is None:
            store = self._connect(self.address)
            for key in self._keys:
                store.add(key, 0)
            store.set(f"{self._keys[self.rank]}/host", socket.gethostname())
            self._store = store
        self._store.add(self._keys[self.rank], 1)
        self._store.set(self._keys[self.size + self.rank], str(self._step))
        if self._asked():
            self._store.set(self._keys[-1], str(self._asked()))
        *values, asked = (int(value) for value in self._store.multi_get(self._keys))
        counts, steps = values[: self.size], values[self.size :]
        if asked:
            self._hear(asked)
        for rank in range(self.size):
            if counts[rank] and not self._hosts[rank]:
                self._hosts[rank] = self._store.get(f"{self._keys[rank]}/host").decode()
        return counts, steps

    def look(self) -> list[str]:
        """Return lines for the console: who is silent, now and then.

        Raises:
            LostRankError: Ranks were silent for too long; names them.
        """
        silent = self.silent_for(self.timeout_s)
        if silent:
            has_come = all(self._counts[rank] for rank in silent)
            raise LostRankError(
                f"{self._named(silent)} {'was silent' if has_come else 'did not come'} for "
                f"{self.timeout_s / 60:g} minutes (world.timeout_minutes)",
                f"look whether it runs, and reaches {self.address[0]}:{self.address[1]}",
                "the same command, on every machine, goes on from the last checkpoint",
            )
        now = self._clock()
        for rank, since in list(self._behind_since.items()):
            if now - since >= self.timeout_s:
                raise LostRankError(
                    f"{self._named([rank])} has stood at step {self._steps[rank]} for "
                    f"{self.timeout_s / 60:g} minutes while others went on (world.timeout_minutes)",
                    "look what it waits for: its photos, its disk, its GPU",
                    "the same command, on every machine, goes on from the last checkpoint",
                )
        silent = self.silent_for(self._next_line_s)
        if not silent:
            if not self.silent_for(FIRST_LINE_S):
                self._next_line_s = FIRST_LINE_S
            return []
        silent_s, self._next_line_s = self._next_line_s, 2 * self._next_line_s
        return [
            f"waiting for {self._named(silent)}, silent for {silent_s:.0f} s; "
            f"gives up after {self.timeout_s / 60:g} minutes (world.timeout_minutes)"
        ]

    def _named(self, ranks: Sequence[int]) -> str:
        """Return ranks in words, with their machines where they are known."""
        parts = [
            f"rank {rank}" + (f" ({self._hosts[rank]})" if self._hosts[rank] else "")
            for rank in ranks[:8]
        ]
        more = f" and {len(ranks) - 8} more" if len(ranks) > 8 else ""
        return ", ".join(parts) + more

    def _exchange_all(self) -> None:
        """Exchange until the end."""
        while not self._ends.wait(self._beat_s):
            self.exchange()

    def _look_all(self) -> None:
        """Look until the end; end the process when ranks are lost: it may wait for them in C++."""
        while not self._ends.wait(self._beat_s):
            try:
                lines = self.look()
            except LostRankError as error:
                note(f"[rank {self.rank}] LostRankError: {error}")
                os._exit(LostRankError.exit_code)
            if os.environ.get("LOCAL_RANK", "0") == "0":
                for line in lines:
                    note(line)


def _connect(address: tuple[str, int]) -> Any:  # noqa: ANN401 - torch's store
    """Open the store that the launcher, or rank 0, keeps."""
    from torch.distributed import TCPStore

    try:  # torch prints a page of C++ where nobody listens
        socket.create_connection(address, STORE_TIMEOUT.total_seconds()).close()
    except OSError as error:
        raise RuntimeError(str(error)) from error
    return TCPStore(*address, None, False, STORE_TIMEOUT, wait_for_workers=False)


def is_of_the_network(error: RuntimeError) -> bool:
    """Tell whether an error says that another rank can't be reached."""
    from torch import distributed

    kinds = (distributed.DistNetworkError, distributed.DistBackendError, distributed.DistStoreError)
    return isinstance(error, kinds) or any(sign in str(error) for sign in NETWORK_SIGNS)


def interface_towards(address: str) -> str | None:
    """Return the name of the network interface that reaches a host; ``None`` where unknown.

    Example:
        >>> interface_towards("127.0.0.1")
        'lo'
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))  # sends nothing
            own = probe.getsockname()[0]
            for _, name in socket.if_nameindex():
                with suppress(OSError):
                    request = struct.pack("256s", name.encode())
                    answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)
                    if socket.inet_ntoa(answer[20:24]) == own:
                        return name
    except OSError:
        return None
    return None
