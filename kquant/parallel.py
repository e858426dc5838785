"""How a call runs: on how many threads, reporting to whom."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from . import _simd, checks
from .errors import InvalidTypeError, InvalidValueError, NamingMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Progress: TypeAlias = Callable[[str, float], object]

Result = TypeVar("Result")

MOST_THREADS = 64

# Fewer pixels are not worth a thread of their own. Sums over pixels are added up in
# parts of this size, whatever the number of threads.
THREAD_PIXELS = 1 << 19


def allowed_cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _resolve(threads: int | None) -> int:
    if threads is not None:
        return min(checks.integer("threads", threads, 1, optional=True), MOST_THREADS)
    text = os.environ.get("KQUANT_THREADS", "")
    if not text:
        return min(allowed_cores(), MOST_THREADS)
    if not text.isdecimal():
        raise InvalidValueError(f"KQUANT_THREADS must be a number, got {text!r}")
    return min(checks.integer("KQUANT_THREADS", int(text), 1), MOST_THREADS)


def ranges(n: int, parts: int) -> list[tuple[int, int]]:
    """Cut 0..n into so many ranges of about the same length."""
    ends = [n * i // parts for i in range(parts + 1)]
    return list(itertools.pairwise(ends))


class Workers:
    """The threads of one call, and its way to report; a context manager.

    The kernel releases the GIL, so threads are enough, and a pool that dies with
    the call leaves nothing behind that a fork could break. Results never depend
    on the number of threads: work is cut where integer sums make the order
    irrelevant.

    Parameters
    ----------
    threads : int, optional
        How many threads may compute at once; by default what the environment
        variable KQUANT_THREADS says, or else every core that this process may use.
    progress : callable, optional
        Called by `report`.
    """

    def __init__(
        self, threads: int | None = None, progress: Progress | None = None
    ) -> None:
        if _simd.WRONG_LEVEL:
            raise InvalidValueError(_simd.WRONG_LEVEL)
        if progress is not None and not callable(progress):
            raise InvalidTypeError(
                f"progress must be callable or None, got {type(progress).__name__}"
            )
        self._threads = _resolve(threads)
        self._progress = progress
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        NamingMemory().__exit__(kind, error)

    def report(self, stage: str, fraction: float) -> None:
        """Say how far a stage is; what the listener raises ends the call."""
        if self._progress is not None:
            self._progress(stage, fraction)

    def share(self, work: int, least: int) -> int:
        """Into how many parts to cut `work` so that each has at least `least`."""
        return max(1, min(self._threads, work // least))

    def share_pixels(self, pixels: int) -> int:
        """Into how many parts to cut pixels, each worth a thread of its own."""
        return self.share(pixels, THREAD_PIXELS)

    def run(
        self, function: Callable[..., Result], calls: Iterable[tuple[Any, ...]]
    ) -> list[Result]:
        """Call `function(*arguments)` for each of `calls`; results in their order."""
        calls = list(calls)
        if len(calls) == 1:
            return [function(*calls[0])]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "kquant")
        futures = [self._pool.submit(function, *arguments) for arguments in calls]
        return [future.result() for future in futures]
