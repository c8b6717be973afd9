"""Pools of threads and processes: how many cores there are, and results in order."""

from __future__ import annotations

import multiprocessing
import os
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
SAFE_PATH = "PYTHONSAFEPATH"
"""The variable by which a Python starts without its working folder on the module path."""


def in_order(
    pool: ThreadPoolExecutor, job: Callable[[Item], Result], items: Iterable[Item], *, ahead: int
) -> Iterator[Result]:
    """Yield a job's results in the order of its items.

    Args:
        pool: Does the work.
        job: A function of an item.
        items: What it is called with.
        ahead: How many are in flight at most; bounds memory.

    Example:
        >>> with ThreadPoolExecutor(2) as pool:
        ...     list(in_order(pool, lambda n: n * n, range(4), ahead=2))
        [0, 1, 4, 9]
    """
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(job, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def num_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class SpawnedPool(ProcessPoolExecutor):
    """Fresh processes that do not run the caller's script again.

    Python's own pools run it once in each process to find its functions, so that a script without
    ``if __name__ == "__main__":`` ends in an error. Ours call carscale's functions alone. Fork is
    unsafe beside thread pools. They start in Python's safe-path mode: ``python -c``, which starts
    them, would look for modules in the working folder first.

    Args:
        num_processes: At most.
    """

    def __init__(self, num_processes: int) -> None:
        with _safe_path():  # its locks have a process too
            super().__init__(num_processes, mp_context=multiprocessing.get_context("spawn"))

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401 - as it is there
        """Hand work to a process, which may be started here."""
        script = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            with _safe_path():
                return super().submit(*args, **kwargs)
        finally:
            sys.modules["__main__"] = script


@contextmanager
def _safe_path() -> Iterator[None]:
    """Let processes that start meanwhile keep the working folder off their module path."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before
