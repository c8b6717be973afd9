"""Keep one process warm for the runs of a study: imports are paid once, not twice a run.

A run's command is the cold one behind a client (``fork_server``); output, exit code, signals and
kills are those of the recipe. Only on Linux without a GPU, for one process a run: all else starts
as it always did.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from carscale.studies.launching import Launch

SERVER = Path(__file__).with_name("fork_server.py")
GRACE_S = 10.0


class WarmLaunch(Launch):
    """Starts recipes in forks of a server, which starts with the first of them.

    Args:
        folder: Where the server's socket goes; private, with a short path.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.address = folder / "socket"
        self._server: subprocess.Popen[bytes] | None = None

    def command(self, recipe: Path, words: list[str]) -> list[str]:
        """Return the command as a process takes it: the cold one, behind the client."""
        self._start()
        return asked(self.address, super().command(recipe, words))

    def prepare(self) -> None:
        """Wait until the server has loaded, or will not serve."""
        self._start()
        with socket.socket(socket.AF_UNIX) as line, contextlib.suppress(OSError):
            line.connect(str(self.address))
            line.shutdown(socket.SHUT_WR)  # asks for nothing
            line.recv(1)

    def _start(self) -> None:
        """Start the server, once."""
        if self._server is None:
            self._server = start_server(self.address)

    def close(self) -> None:
        """End the server; recipes that it started go on."""
        if self._server is None:
            return
        assert self._server.stdin is not None
        self._server.stdin.close()
        try:
            self._server.wait(GRACE_S)
        except subprocess.TimeoutExpired:  # it is loading still
            self._server.kill()
            self._server.wait()


def start_server(address: Path, *words: str) -> subprocess.Popen[bytes]:
    """Start a server, and return once clients can ask; it ends when its stdin is closed.

    Args:
        address: Of its socket; at most 100 characters.
        words: What recipes get beside the client's environment, as JSON, in place of what the
            launcher would give them.
    """
    server = subprocess.Popen(
        [sys.executable, "-P", str(SERVER), "serve", str(address), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C in a terminal is the runner's to pass on
    )
    while not address.exists() and server.poll() is None:
        time.sleep(0.01)
    return server


def asked(address: Path, command: list[str]) -> list[str]:
    """Return a command that has a server do what another command does, or else becomes that."""
    return [sys.executable, "-IS", str(SERVER), "ask", str(address), *command]


@contextlib.contextmanager
def kept_warm(launch: Launch) -> Iterator[Launch]:
    """Yield what starts recipes sooner, where that can be; else the launch itself.

    Args:
        launch: How recipes are started.
    """
    if type(launch) is not Launch or launch.options or not hasattr(os, "pidfd_open"):
        yield launch
        return
    folder = Path(tempfile.mkdtemp(prefix="carscale-"))
    warm = WarmLaunch(folder)
    try:
        yield warm
    finally:
        warm.close()
        shutil.rmtree(folder, ignore_errors=True)
