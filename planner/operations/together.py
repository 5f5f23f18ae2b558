"""Independent pieces of work side by side: the compiled loops of this package let other threads run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import cpu_count, parent_process
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def together(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """``[work(item) for item in items]``, on every processor; on one in a worker process, whose siblings have the rest.

    The first fault is raised once all have ended.
    """
    todo = list(items)
    threads = 1 if parent_process() is not None else min(cpu_count(), len(todo))
    if threads <= 1:
        return [work(item) for item in todo]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, todo))
