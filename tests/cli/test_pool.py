"""Several files at a time, within some memory."""

import threading
import time

from kquant.cli.inputs import Job
from kquant.cli.pool import Budget, half_of_memory, memory_for, run_all


def test_results_come_in_the_order_of_the_jobs():
    def work(job):
        time.sleep(0.02 * (job.source == "0"))
        return job.source

    many = [Job(str(i), "") for i in range(20)]
    for at_a_time in (1, 3):
        found = list(run_all(many, work, at_a_time, threading.Event()))
        assert found == [str(i) for i in range(20)]


def test_memory_is_shared_out():
    budget, lock = Budget(100), threading.Lock()
    used, most = [0], [0]

    def work(job):
        size = int(job.source)

        def use():
            with lock:
                used[0] += min(size, 100)
                most[0] = max(most[0], used[0])
            time.sleep(0.01)
            with lock:
                used[0] -= min(size, 100)
            return size

        return budget.run(size, use)

    sizes = [30, 60, 1000, 30, 40, 99, 1, 100]  # one needs more than there is
    many = [Job(str(size), "") for size in sizes]
    assert list(run_all(many, work, 8, threading.Event())) == sizes
    assert most[0] <= 100
    assert half_of_memory() > 1 << 26
    assert memory_for(12_000_000) < 400_000_000


def test_an_early_end_stops_what_runs():
    stop, ran = threading.Event(), []

    def work(job):
        ran.append(job.source)
        stop.wait(5)

    many = [Job(str(i), "") for i in range(50)]
    began = time.monotonic()
    generator = run_all(
        many, lambda job: work(job) if job.source != "0" else 0, 2, stop
    )
    assert next(generator) == 0
    generator.close()
    assert time.monotonic() - began < 4
    assert len(ran) < 10
