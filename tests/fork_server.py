"""A process that has torch loaded and forks to run recipes, and the client that asks it to.

The client imports nothing that takes time, and lives and dies as the recipe does: it passes on
SIGTERM and SIGINT, ends as the recipe ends, and its death kills the recipe.
"""

import contextlib
import json
import multiprocessing
import os
import runpy
import select
import signal
import socket
import sys
import time
from pathlib import Path

FIELD = 4
"""Bytes of a number that is sent."""


def ask(address: str, argv: list[str]) -> int:
    """Let the server run a recipe with our output and environment; return its exit code."""
    with socket.socket(socket.AF_UNIX) as line:
        _connect(line, address)
        wanted = json.dumps({"argv": argv, "cwd": str(Path.cwd()), "env": dict(os.environ)})
        passed_on = (signal.SIGTERM, signal.SIGINT)
        signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
        socket.send_fds(line, [len(wanted.encode()).to_bytes(FIELD)], [1, 2])
        line.sendall(wanted.encode())
        worker = _number(line)
        for number in passed_on:
            signal.signal(number, lambda sent, _: os.kill(worker, sent))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
        code = _number(line)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)  # as the recipe died
    return code


def serve(address: str, preload: list[str]) -> None:
    """Load modules, then fork for whoever asks, until stdin is closed."""
    for name in preload:
        __import__(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no one waits for those that watch
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        while sys.stdin not in select.select([door, sys.stdin], [], [])[0]:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _watch(line)
            line.close()


def _connect(line: socket.socket, address: str) -> None:
    """Connect to the server, which may be loading torch still."""
    until = time.monotonic() + 60
    while True:
        try:
            return line.connect(address)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _watch(line: socket.socket) -> None:
    """Fork the recipe, tell its number, wait, tell its exit code; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, descriptors, _, _ = socket.recv_fds(line, FIELD, 2)
    size, text = int.from_bytes(head), b""
    while len(text) < size:
        text += line.recv(size - len(text))
    worker = multiprocessing.get_context("fork").Process(
        target=_work, args=(json.loads(text), descriptors)
    )
    worker.start()
    for descriptor in descriptors:
        os.close(descriptor)
    with contextlib.suppress(BrokenPipeError):
        line.sendall(worker.pid.to_bytes(FIELD))
        if line in select.select([line, worker.sentinel], [], [])[0]:
            worker.kill()  # whoever asked is dead
        worker.join()
        line.sendall(worker.exitcode.to_bytes(FIELD, signed=True))
    os._exit(0)


def _work(wanted: dict, descriptors: list[int]) -> None:
    """Be the recipe."""
    os.setsid()
    for number, descriptor in zip((1, 2), descriptors, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["env"])
    sys.argv = wanted["argv"]
    sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


def _number(line: socket.socket) -> int:
    """Return the next number that was sent."""
    got = line.recv(FIELD)
    if len(got) < FIELD:
        raise ConnectionError("the server is gone")
    return int.from_bytes(got, signed=True)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(ask(sys.argv[2], sys.argv[3:]))
