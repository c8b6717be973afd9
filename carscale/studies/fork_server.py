"""A process that has torch loaded and forks to run recipes, and the client that asks it to.

The client imports nothing that takes time. It lives and dies as the recipe does: it passes signals
on and ends as the recipe ends; where the server can't serve, the client becomes the command that
starts the recipe without it. This file is started by its path, so it imports none of ours before
it serves.

    client  --  watcher (a fork of the server, the recipe's parent)  --  recipe (a fork of that)

Chosen: a fork for each recipe from a process that never trained: nothing of one run is left to the
next. Rejected: recipes one after another in one process: memory grows, seeds and threads are left
over, and one crash ends the study.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any

FIELD = 4
"""Bytes of a number that is sent."""
GRACE_S = 30.0
"""That a recipe whose client is gone has to save and end."""

PRELOAD = (
    "carscale.world.processes",  # first: it sets how OpenMP waits, which torch reads when loaded
    *("torch", "torch.testing", "torch.distributed", "torch._dynamo", "timm", "accelerate"),
    *("sklearn.metrics", "pyarrow.parquet", "carscale.world.run", "carscale.world.launch"),
    *("carscale.data", "carscale.models.factory", "carscale.models.weights"),
    *("carscale.models.scoring", "carscale.loaders.build", "carscale.loaders.torch_backend"),
    *("carscale.training.loop", "carscale.training.learner", "carscale.evaluation.prediction"),
    *("carscale.evaluation.metrics", "carscale.balance.losses", "carscale.pipeline"),
    *("carscale.config.schema", "carscale.config.load", "carscale.data.frozen.reader"),
)
"""What training needs."""

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


def ask(address: str, command: list[str]) -> int:
    """Let the server run a recipe with our output and environment; return its exit code.

    Args:
        address: Of the server.
        command: ``... train RECIPE WORDS``; what to become where the server can't serve.
    """
    argv = command[command.index("train") + 1 :]
    wanted = json.dumps({"argv": argv, "cwd": str(Path.cwd()), "env": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as line:
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        try:
            line.connect(address)
            socket.send_fds(line, [len(wanted).to_bytes(FIELD, "big")], [1, 2])
            line.sendall(wanted)
            worker = _number(line)
        except OSError:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
            os.execv(command[0], command)
        for number in PASSED_ON:
            signal.signal(number, lambda sent, _: _pass_on(worker, sent))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        code = _number(line)
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler to take back
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)  # as the recipe died
    return code


def serve(address: str, environment: dict[str, str] | None = None) -> dict[str, Any] | None:
    """Load modules, then fork for whoever asks, until stdin is closed.

    Args:
        address: Where to listen.
        environment: What recipes get beside the client's; ``None`` asks Accelerate's settings.

    Returns:
        What to run, in the fork that is to run it; ``None`` in the server, at its end.
    """
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        for name in PRELOAD:
            importlib.import_module(name)
        from carscale.world.launch import environment_of_one

        environment = environment_of_one() if environment is None else environment
        if environment is None:
            return None
        gc.freeze()  # what is loaded stays; collections need not touch its pages
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no one waits for watchers
        while sys.stdin not in select.select([door, sys.stdin], [], [])[0]:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                return _watched(line, environment)
            line.close()
    return None


def _watched(line: socket.socket, environment: dict[str, str]) -> dict[str, Any]:
    """Fork the recipe and return in it; here, tell its number, wait, tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with contextlib.suppress(OSError):
        head, descriptors, _, _ = socket.recv_fds(line, FIELD, 2)
        size, text = int.from_bytes(head or _gone(), "big"), b""
        while len(text) < size:
            text += line.recv(size - len(text)) or _gone()
        worker = os.fork()
        if worker == 0:
            line.close()
            wanted: dict[str, Any] = json.loads(text)
            wanted["env"] |= environment
            return wanted | {"descriptors": descriptors}
        for descriptor in descriptors:
            os.close(descriptor)
        line.sendall(worker.to_bytes(FIELD, "big"))
        ended = os.pidfd_open(worker)
        if ended in select.select([line.fileno(), ended], [], [])[0]:
            code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
            line.sendall(code.to_bytes(FIELD, "big", signed=True))
        else:
            _end(worker, ended)
    os._exit(0)


def _end(worker: int, ended: int) -> None:
    """End a recipe whose client is gone: it sees so, saves and ends; one that hangs is killed."""
    if not select.select([ended], [], [], GRACE_S)[0]:
        _pass_on(worker, signal.SIGKILL)


def be(wanted: dict[str, Any]) -> None:
    """Be the recipe, in a session of its own."""
    os.setsid()
    for number, descriptor in zip((1, 2), wanted["descriptors"], strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.argv = wanted["argv"]
    if not os.environ.get("PYTHONSAFEPATH"):
        sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    runpy.run_path(sys.argv[0], run_name="__main__")


def _pass_on(worker: int, number: int) -> None:
    """Send the recipe, and all that it started, a signal that came to the client."""
    try:
        os.killpg(worker, number)
    except ProcessLookupError:  # it has no group of its own yet
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, number)


def _number(line: socket.socket) -> int:
    """Return the next number that was sent."""
    got = line.recv(FIELD)
    if len(got) < FIELD:
        _gone()
    return int.from_bytes(got, "big", signed=True)


def _gone() -> bytes:
    """Raise: the other side is gone."""
    raise ConnectionError("the other side is gone")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asked = serve(sys.argv[2], json.loads(sys.argv[3]) if sys.argv[3:] else None)
        if asked is not None:
            be(asked)
    else:
        sys.exit(ask(sys.argv[2], sys.argv[3:]))
