"""Several files at a time, within some memory and some time."""

import threading
import time

import pytest

from kquant.cli.pool import (
    Budget,
    Leave,
    Pool,
    StoppedError,
    half_of_memory,
    memory_for,
)


@pytest.mark.parametrize("at_a_time", [1, 3])
def test_results_come_in_the_order_of_the_jobs(at_a_time):
    def work(item, leave):
        time.sleep(0.02 * (item == 0))
        return item

    assert list(Pool(range(20), work, at_a_time).results()) == [*range(20)]


def test_memory_is_shared_out():
    budget, lock = Budget(100), threading.Lock()
    used, most = [0], [0]

    def work(size, leave):
        def use():
            with lock:
                used[0] += min(size, 100)
                most[0] = max(most[0], used[0])
            time.sleep(0.01)
            with lock:
                used[0] -= min(size, 100)
            return size

        return budget.run(size, use, leave)

    sizes = [30, 60, 1000, 30, 40, 99, 1, 100]  # one needs more than there is
    assert list(Pool(sizes, work, 8).results()) == sizes
    assert most[0] <= 100
    assert half_of_memory() > 1 << 26
    assert memory_for(12_000_000) < 400_000_000


def test_an_early_end_stops_what_runs():
    ran = []

    def work(item, leave):
        ran.append(item)
        while item:
            leave.check()
            time.sleep(0.001)
        return item

    generator = Pool(range(50), work, 2).results()
    assert next(generator) == 0
    began = time.monotonic()
    generator.close()
    assert time.monotonic() - began < 1
    assert len(ran) < 10


def test_what_is_finished_is_given_when_it_is_stopped():
    finished = threading.Event()

    def work(item, leave):
        if item == 1:
            finished.wait(10)
            pool.stop(hurry=True)
        elif item == 2:
            finished.set()
            return "finished behind one that is not"
        while item:
            leave.check()
            time.sleep(0.001)
        return "finished"

    pool = Pool(range(9), work, 2)
    assert list(pool.results()) == ["finished", "finished behind one that is not"]


def test_whoever_writes_is_waited_for_and_nobody_else_begins_to():
    writing, wrote = threading.Event(), []

    def work(item, leave):
        if item == 0:
            leave.commit()
            writing.set()
            time.sleep(0.1)
        else:
            writing.wait(10)
            pool.stop(hurry=True)
            time.sleep(0.05)
            leave.commit()
        wrote.append(item)
        return item

    pool = Pool(range(2), work, 2)
    assert list(pool.results()) == [0]
    time.sleep(0.1)
    assert wrote == [0]


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_one_that_takes_too_long_is_passed_over_and_never_writes(at_a_time):
    free, wrote = threading.Event(), []

    def work(item, leave):
        if item in ("hangs", "hangs too"):
            free.wait(10)
        leave.commit()
        wrote.append(item)
        return item

    items = ["a", "hangs", "b", "hangs too", "c"]
    pool = Pool(items, work, at_a_time, 0.15, lambda item: f"{item}: late")
    began = time.monotonic()
    assert [*pool.results()] == ["a", "hangs: late", "b", "hangs too: late", "c"]
    assert time.monotonic() - began < 2
    free.set()
    time.sleep(0.05)
    assert wrote == ["a", "b", "c"]


def test_the_time_counts_from_when_there_is_memory():
    budget = Budget(10)

    def work(item, leave):
        return budget.run(10, lambda: time.sleep(0.1), leave)

    pool = Pool(range(5), work, 5, 0.3, lambda item: "late")
    assert [*pool.results()] == [None] * 5


def test_one_that_never_ends_holds_no_memory_after_its_time():
    budget, free = Budget(10), threading.Event()

    def work(item, leave):
        return budget.run(10, lambda: item and free.wait(10), leave)

    pool = Pool([1, 0], work, 2, 0.1, lambda item: "late")
    assert [*pool.results()] == ["late", 0]
    free.set()


def test_who_waits_for_memory_can_be_stopped():
    budget, leave = Budget(1), Leave()
    budget._parts[Leave()] = 1
    threading.Timer(0.05, leave.take).start()
    with pytest.raises(StoppedError):
        budget.run(1, print, leave)


def test_where_no_thread_can_be_had_the_caller_does_the_work(monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    names = []

    def work(item, leave):
        names.append(threading.current_thread())
        return item

    assert [*Pool(range(3), work, 2).results()] == [0, 1, 2]
    assert set(names) == {threading.current_thread()}


def test_an_error_that_nobody_expects_is_raised():
    def work(item, leave):
        return 1 // item

    results = Pool([1, 0, 1], work, 1).results()
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
