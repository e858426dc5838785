"""How a call runs: on which instructions, on how many threads, reporting to whom."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

from . import _kernel
from .errors import InvalidTypeError, InvalidValueError

Progress: TypeAlias = Callable[[str, float], object]

MOST_THREADS = 64


def allowed_cores() -> int:
    """Count the cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _choose_level() -> str | None:
    """Obey KQUANT_SIMD, once, at import; return what is wrong with it.

    To choose later would be a data race between threads, and to raise here would
    make `import kquant` fail, so a wrong name is reported by the first call.
    """
    wanted = os.environ.get("KQUANT_SIMD", "")
    levels = [name for name in _kernel.LEVELS if _kernel.use_level(name)]
    if not wanted or (wanted in levels and _kernel.use_level(wanted)):
        return None  # the last one that could be set is the best there is
    known = f"this machine has {', '.join(levels)}"
    return (
        f"KQUANT_SIMD must be one of {', '.join(_kernel.LEVELS)}; {known}, got {wanted}"
    )


_wrong_level = _choose_level()


def _resolve(threads: int | None) -> int:
    name = "threads"
    if threads is None:
        name, text = "KQUANT_THREADS", os.environ.get("KQUANT_THREADS", "")
        if not text:
            return min(allowed_cores(), MOST_THREADS)
        if not text.isdecimal():
            raise InvalidValueError(f"KQUANT_THREADS must be a number, got {text!r}")
        threads = int(text)
    if isinstance(threads, bool) or not hasattr(threads, "__index__"):
        raise InvalidTypeError(
            f"threads must be an integer or None, got {type(threads).__name__}"
        )
    if threads < 1:
        raise InvalidValueError(f"{name} must be at least 1, got {threads}")
    return min(int(threads), MOST_THREADS)


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
        if _wrong_level:
            raise InvalidValueError(_wrong_level)
        if progress is not None and not callable(progress):
            raise InvalidTypeError(
                f"progress must be callable or None, got {type(progress).__name__}"
            )
        self._threads = _resolve(threads)
        self._progress = progress
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def report(self, stage: str, fraction: float) -> None:
        """Say how far a stage is; what the listener raises ends the call."""
        if self._progress is not None:
            self._progress(stage, fraction)

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
