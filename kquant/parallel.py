"""How a call runs: on how many threads, reporting to whom."""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
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

    The kernel releases the GIL, so threads are enough. Each run starts its own and
    waits for them, so that nothing is left behind that a fork could break. The calling
    thread works too, and does all of the work where no thread can be started: without
    memory for one, or while the interpreter ends. Results never depend on the number
    of threads: work is cut where integer sums make the order irrelevant.

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

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        """Leave nothing to do, as what a run starts ends with it; name memory."""
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
        todo = deque(range(len(calls)))
        results: dict[int, Result] = {}
        errors: list[BaseException] = []

        def work() -> None:
            while True:
                try:
                    i = todo.popleft()
                except IndexError:
                    return
                try:
                    results[i] = function(*calls[i])
                except BaseException as error:  # to be raised by the calling thread
                    errors.append(error)
                    todo.clear()

        threads = [
            threading.Thread(target=work, name="kquant")
            for _ in range(min(self._threads, len(calls)) - 1)
        ]
        started = []
        try:
            for thread in threads:
                try:
                    thread.start()
                except RuntimeError:  # none can be had
                    break
                started.append(thread)
            work()
        finally:
            todo.clear()  # this thread may have been interrupted
            for thread in started:
                thread.join()
        if errors:
            raise errors[0]
        return [results[i] for i in range(len(calls))]
