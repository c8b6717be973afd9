"""Thread pools: how many cores there are, and results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


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
