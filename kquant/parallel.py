"""Threads: how many, and one way to run work on them."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .errors import InvalidTypeError, InvalidValueError


def allowed_cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Workers:
    """A pool of threads for the length of one call; a context manager.

    The kernel releases the GIL, so threads are enough, and a pool that dies with
    the call leaves nothing behind that a fork could break. Results never depend
    on the number of threads: work is cut where integer sums make the order
    irrelevant.

    Parameters
    ----------
    threads : int, optional
        How many threads may compute at once; by default, every core that this
        process may use.
    """

    def __init__(self, threads: int | None = None) -> None:
        if threads is None:
            threads = allowed_cores()
        if isinstance(threads, bool) or not hasattr(threads, "__index__"):
            raise InvalidTypeError(
                f"threads must be an integer or None, got {type(threads).__name__}"
            )
        if threads < 1:
            raise InvalidValueError(f"threads must be at least 1, got {threads}")
        self._threads = min(int(threads), 64)
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def share(self, work: int, least: int) -> int:
        """Into how many parts to cut `work` so that each has at least `least`."""
        return max(1, min(self._threads, work // least))

    def run(self, function: Callable[..., Any], calls: Iterable[tuple]) -> list[Any]:
        """Call `function(*arguments)` for each of `calls`; results in their order."""
        calls = list(calls)
        if len(calls) == 1:
            return [function(*calls[0])]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "kquant")
        futures = [self._pool.submit(function, *arguments) for arguments in calls]
        return [future.result() for future in futures]
