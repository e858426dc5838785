"""Several files at a time, within the memory and the time there is.

Files are done by threads of their own, also if it is one at a time: the main thread
only waits for them, so that a signal or a limit of time never has to wait for a
decoder, a pipe or a disk. A thread that cannot be stopped is left behind: what it does
is of no use any more, since who wants to write needs a leave, which is taken from it.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Memory for a file: so much a pixel, from pictures whose pixels all differ, and for
# what does not depend on them.
BYTES_PER_PIXEL, BYTES_PER_FILE = 24, 48 << 20

# Seconds that those who are writing may go on once a signal came, and that the others
# may take to notice if none did.
WRITING, NOTICING = 0.5, 2.0

# Seconds after which one looks whether something is late, or for Ctrl-C (Windows).
LOOK, IDLE = 0.05, 1.0


class StoppedError(Exception):
    """The leave was taken; what this job did is of no use."""


class Leave:
    """The leave of one job to go on; it can be taken until the job begins to write."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.taken = self.committed = False
        self.began: float | None = None

    def begin(self) -> None:
        """Let the time count from here."""
        self.began = time.monotonic()

    def check(self, stage: str = "", fraction: float = 0.0) -> None:
        """Raise `StoppedError` if the leave was taken: a listener to progress."""
        if self.taken:
            raise StoppedError

    def commit(self) -> None:
        """Begin what is not to be left half done."""
        with self._lock:
            self.check()
            self.committed = True

    def take(self) -> bool:
        """Take the leave, unless it is too late for that; return whether it is gone."""
        with self._lock:
            self.taken = self.taken or not self.committed
        return self.taken


class Budget:
    """Memory that jobs share: each waits until its part is free.

    Parameters
    ----------
    total : int
        Bytes. A job that needs more than all runs alone.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._parts: dict[Leave, int] = {}
        self._changed = threading.Condition()

    def run(self, size: int, function: Callable[[], Result], leave: Leave) -> Result:
        """Call a function that needs so many bytes, once they are there.

        The time of its leave begins then. One whose leave is taken has no part any
        more, as it may never end.
        """
        size = min(size, self._total)
        leave.began = None
        with self._changed:
            while self._used() + size > self._total:
                self._changed.wait(LOOK)
                leave.check()
            self._parts[leave] = size
        leave.begin()
        try:
            return function()
        finally:
            with self._changed:
                del self._parts[leave]
                self._changed.notify_all()

    def _used(self) -> int:
        return sum(size for leave, size in self._parts.items() if not leave.taken)


def half_of_memory() -> int:
    """Bytes: half of what the machine has, or 1 GB where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 1 << 30


def memory_for(pixels: int) -> int:
    """Bytes that an image of so many pixels may need."""
    return pixels * BYTES_PER_PIXEL + BYTES_PER_FILE


class _Ended(NamedTuple, Generic[Result]):
    """What became of a job: a result, or an error, or neither if it was stopped."""

    number: int
    results: tuple[Result, ...] = ()
    error: BaseException | None = None


class Pool(Generic[Item, Result]):
    """Does all of `items`, several at a time.

    Parameters
    ----------
    items : sequence
    work : callable
        Makes a result of an item and its leave.
    at_a_time : int
    seconds : float, optional
        How long one may take.
    late : callable, optional
        Makes the result of an item that took longer.
    """

    def __init__(
        self,
        items: Sequence[Item],
        work: Callable[[Item, Leave], Result],
        at_a_time: int,
        seconds: float | None = None,
        late: Callable[[Item], Result] | None = None,
    ) -> None:
        self._items, self._work, self._at_a_time = items, work, at_a_time
        self._seconds, self._late = seconds, late
        self._leaves = [Leave() for _ in items]
        self._todo = deque(range(len(items)))
        self._done: dict[int, _Ended[Result]] = {}  # what is not yet given away
        self._running: set[int] = set()
        self._events: SimpleQueue[_Ended[Result] | None] = SimpleQueue()
        self._threads = 0
        self._stopped = self._hurry = self._interrupted = False

    def stop(self, *, hurry: bool = False) -> None:
        """Begin no other item, and end those that run; a signal handler may call it.

        Parameters
        ----------
        hurry : bool
            Whether the process is to end soon, and wait for those who write alone.
        """
        self._stopped, self._hurry = True, self._hurry or hurry
        self._events.put(None)

    def results(self) -> Iterator[Result]:
        """Give the results in the order of the items, and at the end what is finished.

        Whoever leaves the loop early ends what runs.
        """
        number, count = 0, len(self._items)
        try:
            while number < count and not self._stopped:
                if number in self._done:
                    yield self._give(number)
                    number += 1
                else:
                    self._wait()
            self._end()
            for rest in range(number, count):
                if rest in self._done:
                    yield self._give(rest)
            if self._interrupted:
                raise KeyboardInterrupt
        finally:
            self._stopped = True
            self._end()

    def _give(self, number: int) -> Result:
        ended = self._done.pop(number)
        if ended.error is not None:
            raise ended.error
        return ended.results[0]

    def _wait(self) -> None:
        """Wait until something has changed, or a moment."""
        try:
            self._fill()
            self._listen(IDLE if self._seconds is None else LOOK)
            self._give_up_on_the_late()
        except KeyboardInterrupt:
            self._stopped = self._interrupted = True

    def _fill(self) -> None:
        """Start the threads that are missing, or do an item where none can be had."""
        while self._todo and self._threads < self._at_a_time:
            thread = threading.Thread(target=self._run, name="kquant-file", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                self._at_a_time = self._threads  # there are no more
            else:
                self._threads += 1
        if not self._threads:
            self._step()

    def _run(self) -> None:
        while self._step():
            pass

    def _step(self) -> bool:
        """Do one item; return whether this thread may do another."""
        try:
            number = self._todo.popleft()
        except IndexError:
            return False
        leave = self._leaves[number]
        leave.begin()
        self._running.add(number)
        try:
            leave.check()
            ended = _Ended(number, (self._work(self._items[number], leave),))
        except StoppedError:
            ended = _Ended(number)
        except BaseException as error:  # to be raised by the main thread
            ended = _Ended(number, (), error)
        self._events.put(ended)
        return not leave.taken

    def _listen(self, timeout: float) -> None:
        """Take what there is to know, or wait for it."""
        try:
            while True:
                ended = self._events.get(timeout=timeout)
                timeout = 0
                if ended is None or ended.number not in self._running:
                    continue
                self._running.discard(ended.number)
                if ended.results or ended.error is not None:
                    self._done[ended.number] = ended
        except Empty:
            return

    def _give_up_on_the_late(self) -> None:
        """Leave those behind that took too long; others take their places."""
        if self._seconds is None or self._late is None:
            return
        latest = time.monotonic() - self._seconds
        for number in list(self._running):
            leave = self._leaves[number]
            began = leave.began
            if began is not None and began < latest and leave.take():
                self._running.discard(number)
                self._done[number] = _Ended(number, (self._late(self._items[number]),))
                self._threads -= 1

    def _end(self) -> None:
        """End what runs: those who write may finish, the others are told."""
        self._todo.clear()
        for leave in self._leaves:
            leave.take()
        last = time.monotonic() + (WRITING if self._hurry else NOTICING)
        self._listen(0)
        while self._running:
            writing = any(self._leaves[number].committed for number in [*self._running])
            if time.monotonic() > last and (self._hurry or not writing):
                return
            if self._hurry and not writing:
                return
            self._listen(LOOK)
