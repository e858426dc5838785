"""Threads: as many as asked, errors passed on, nothing left behind."""

import os
import threading

import numpy as np
import oracle
import pytest

import kquant
from kquant import parallel
from kquant.parallel import Workers


def kquant_threads():
    return [t for t in threading.enumerate() if t.name.startswith("kquant")]


def test_results_are_in_order():
    with Workers(3) as workers:
        assert workers.run(pow, [(i, 2) for i in range(20)]) == [
            i**2 for i in range(20)
        ]
        assert kquant_threads()
    assert not kquant_threads()


def test_one_call_needs_no_thread():
    with Workers(8) as workers:
        assert workers.run(threading.get_ident, [()]) == [threading.get_ident()]
        assert not kquant_threads()


def test_no_more_threads_than_asked():
    with Workers(2) as workers:
        idents = workers.run(lambda _: threading.get_ident(), [(i,) for i in range(50)])
    assert len(set(idents)) <= 2


def test_errors_come_through_and_leave_no_thread():
    with pytest.raises(ZeroDivisionError), Workers(2) as workers:
        workers.run(divmod, [(1, 1), (1, 0), (1, 1)])
    assert not kquant_threads()


def test_shares_are_large_enough():
    with Workers(4) as workers:
        shares = [workers.share(work, 100) for work in (0, 99, 199, 250, 10**6)]
    assert shares == [1, 1, 1, 2, 4]


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system has no affinity"
)
def test_the_default_is_what_the_process_may_use():
    assert parallel.allowed_cores() == len(os.sched_getaffinity(0))


def test_many_callers_at_once_get_their_own_results(monkeypatch):
    monkeypatch.setattr("kquant.histogram.THREAD_PIXELS", 1000)
    monkeypatch.setattr("kquant.lloyd.THREAD_POINTS", 1000)
    images = [oracle.photo(seed) for seed in range(6)]
    expected = [kquant.quantize(image, 30, threads=1).indices for image in images]
    with Workers(6) as workers:
        got = workers.run(kquant.quantize, [(image, 30) for image in images])
    for q, indices in zip(got, expected, strict=True):
        assert np.array_equal(q.indices, indices)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_works(monkeypatch):
    monkeypatch.setattr("kquant.histogram.THREAD_PIXELS", 1000)
    image = oracle.photo(1)
    expected = kquant.quantize(image, 16, threads=2).indices
    child = os.fork()
    if child == 0:
        same = np.array_equal(kquant.quantize(image, 16, threads=2).indices, expected)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
