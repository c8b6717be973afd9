"""Thread pools: how many cores there are, and results in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_order(
    pool: ThreadPoolExecutor, job: Callable[[int], Result], numbers: Iterable[int], *, ahead: int
) -> Iterator[Result]:
    """Yield a job's results by the order of its numbers.

    Args:
        pool: Does the work.
        job: A function of a number.
        numbers: What it is called with.
        ahead: How many are in flight at most; bounds memory.

    Example:
        >>> with ThreadPoolExecutor(2) as pool:
        ...     list(in_order(pool, lambda n: n * n, range(4), ahead=2))
        [0, 1, 4, 9]
    """
    waiting: deque[Future[Result]] = deque()
    for number in numbers:
        waiting.append(pool.submit(job, number))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def num_cores() -> int:
    """Return how many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
