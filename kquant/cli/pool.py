"""Several files at a time, within the memory there is."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Memory for a file: so much a pixel, from pictures whose pixels all differ, and for
# what does not depend on them.
BYTES_PER_PIXEL, BYTES_PER_FILE = 24, 48 << 20


class Budget:
    """Memory that jobs share: each waits until its part is free.

    Parameters
    ----------
    total : int
        Bytes. A job that needs more than all runs alone.
    """

    def __init__(self, total: int) -> None:
        self._total, self._used = total, 0
        self._changed = threading.Condition()

    def run(self, size: int, function: Callable[[], Result]) -> Result:
        """Call a function that needs so many bytes, once they are there."""
        size = min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._used + size <= self._total)
            self._used += size
        try:
            return function()
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


def half_of_memory() -> int:
    """Bytes: half of what the machine has, or 1 GB where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 1 << 30


def memory_for(pixels: int) -> int:
    """Bytes that an image of so many pixels may need."""
    return pixels * BYTES_PER_PIXEL + BYTES_PER_FILE


def run_all(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    at_a_time: int,
    stop: threading.Event,
) -> Iterator[Result]:
    """Do all of `items`, several at a time; results come in their order.

    Whoever leaves the loop early, also by Ctrl-C, ends what runs: `stop` is set, which
    `work` is to look at.
    """
    if at_a_time == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(at_a_time, "kquant-file")
    try:
        futures = [pool.submit(work, item) for item in items]
        for future in futures:
            yield future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
