"""INT, TERM and HUP: a process that is told to end does so within a second.

Python runs a handler in the main thread, between two steps of whatever that does. One
that raises would come in the middle of an import, of tidying up, or of an exception, so
none of these does: where there is nothing to tidy up they end the process at once, and
elsewhere they tell those who wait, who then go on in order.
"""

from __future__ import annotations

# What `signal` wraps in enums, which take longer to import than a help text.
import _signal  # type: ignore[import-not-found]
import os
import sys

TYPE_CHECKING = False  # as in `options`
if TYPE_CHECKING:
    from collections.abc import Callable
    from queue import SimpleQueue
    from typing import NoReturn

# Seconds that tidying up may take before the process is ended all the same.
LAST = 0.9

_first = 0  # the number of the first signal that somebody attended to
_stop: Callable[[], None] | None = None


def heed() -> None:
    """Handle the signals, but those that are ignored already, as by nohup."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(_signal, name, None)  # Windows has no SIGHUP
        if number is not None and _signal.getsignal(number) != _signal.SIG_IGN:
            _signal.signal(number, _arrive)


def code() -> int:
    """Say what to end with because of a signal; 0 if there was none."""
    return 128 + _first if _first else 0


def _arrive(number: int, frame: object) -> None:
    global _first
    if _stop is None:
        _end(128 + number)
    _first = _first or number
    _stop()


def _end(code: int) -> NoReturn:
    """End the process here and now, without a temporary file."""
    module = sys.modules.get("kquant.files.temporary")
    if module is not None and hasattr(module, "abandon"):
        module.abandon()
    os._exit(code)


class Attended:
    """While this lasts, signals do not end the process: somebody is told of them.

    Parameters
    ----------
    stop : callable
        Called by each signal, at any moment: it may set a flag, put something into a
        `SimpleQueue`, or raise. If this context is not left soon after the first, the
        process is ended all the same, whatever it waits for.
    """

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._told: SimpleQueue[bool] | None = None

    def __enter__(self) -> Attended:
        global _stop
        import _thread
        from queue import SimpleQueue

        self._told = SimpleQueue()
        try:
            _thread.start_new_thread(self._watch, (self._told,))
        except RuntimeError:  # none can be had: then without a last moment
            self._told = None
        _stop = self._tell
        return self

    def __exit__(self, *_: object) -> None:
        global _stop
        _stop = None
        if self._told is not None:
            self._told.put(False)
        if _first:  # those who still write are not waited for any more
            module = sys.modules.get("kquant.files.temporary")
            if module is not None:
                module.abandon()

    def _tell(self) -> None:
        if self._told is not None:
            self._told.put(True)
        self._stop()

    @staticmethod
    def _watch(told: SimpleQueue[bool]) -> None:
        """Wait for a signal, and then for the end, but not for long."""
        import time
        from queue import Empty

        if not told.get():
            return
        last = time.monotonic() + LAST
        try:
            while told.get(timeout=max(0, last - time.monotonic())):
                pass
        except Empty:
            _end(code())
