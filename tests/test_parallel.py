"""Threads: as many as asked, errors passed on, nothing left behind."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import oracle
import pytest
from conftest import BEST, LEVELS

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
    assert not kquant_threads()


def test_as_many_threads_as_asked_work_at_once():
    with Workers(3) as workers:
        together = threading.Barrier(3, timeout=20)
        workers.run(together.wait, [()] * 3)


def test_the_calling_thread_works_where_no_other_can_be_had(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with Workers(3) as workers:
        idents = workers.run(threading.get_ident, [()] * 9)
    assert idents == [threading.get_ident()] * 9


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
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 1000)
    monkeypatch.setattr("kquant.fit.lloyd.THREAD_POINTS", 1000)
    images = [oracle.photo(seed) for seed in range(6)]
    expected = [kquant.quantize(image, 30, threads=1).indices for image in images]
    with Workers(6) as workers:
        got = workers.run(kquant.quantize, [(image, 30) for image in images])
    for q, indices in zip(got, expected, strict=True):
        assert np.array_equal(q.indices, indices)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_works(monkeypatch):
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 1000)
    image = oracle.photo(1)
    expected = kquant.quantize(image, 16, threads=2).indices
    child = os.fork()
    if child == 0:
        same = np.array_equal(kquant.quantize(image, 16, threads=2).indices, expected)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


FORKS = """
import os, threading, time, numpy, kquant
image = numpy.random.default_rng(0).integers(0, 256, (1100, 1000, 3), numpy.uint8)
stop = threading.Event()

def quantize_on():
    while not stop.is_set():
        kquant.quantize(image, 16, threads=2, effort="fast")

threads = [threading.Thread(target=quantize_on) for _ in range(2)]
for thread in threads:
    thread.start()
children = []
for turn in range(6):  # the first ones while kquant is imported
    time.sleep(0.02 * turn)
    child = os.fork()
    if child == 0:
        kquant.quantize(image[:600], 16, threads=2, effort="fast")
        os._exit(0)
    children.append(child)
end = time.time() + 30
codes = []
for child in children:
    while not (found := os.waitpid(child, os.WNOHANG))[0] and time.time() < end:
        time.sleep(0.01)
    codes.append(found)
    if not found[0]:
        os.kill(child, 9)
stop.set()
print(all(pid and code == 0 for pid, code in codes))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_children_forked_at_any_moment_work():
    assert in_a_process(FORKS) == "True"


OUTLIVES = """
import threading, time, numpy, kquant
image = numpy.random.default_rng(0).integers(0, 256, (1200, 1200, 3), numpy.uint8)

def late():
    time.sleep(0.2)
    print(len(kquant.quantize(image, 16, threads=2, effort="fast").palette))

threading.Thread(target=late).start()
"""


def test_a_thread_that_outlives_the_main_one_finishes():
    assert in_a_process(OUTLIVES) == "16"


def test_a_listener_may_wait_for_another_call():
    image = oracle.photo(2)
    heard = []

    def listen(stage, _):
        heard.append(stage)
        if len(heard) == 1:
            thread = threading.Thread(target=kquant.quantize, args=(image, 8))
            thread.start()
            thread.join(30)
            assert not thread.is_alive()

    kquant.quantize(image, 16, threads=1, progress=listen)


def test_objects_shared_by_threads_give_what_one_thread_gets():
    image, other = oracle.photo(3), oracle.photo(4)
    shared = kquant.Histogram.from_image(image)
    jobs = [
        lambda h: np.asarray(kquant.Palette.fit(h, 16)),
        lambda h: np.asarray(kquant.Palette.fit(h, 9, space="oklab")),
        lambda h: (h + h).counts,
        lambda h: kquant.quantize(other, 12, dither=True).indices,
    ]
    expected = [job(shared) for job in jobs]
    fresh = kquant.Histogram.from_image(image)  # nothing of it has been used yet
    start = threading.Barrier(12, timeout=20)

    def work(i):
        start.wait()
        return jobs[i % len(jobs)](fresh)

    with Workers(12) as workers:
        got = workers.run(work, [(i,) for i in range(12)])
    for i, found in enumerate(got):
        assert np.array_equal(found, expected[i % len(jobs)])


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_may_change_while_it_is_read(channels):
    chance = np.random.default_rng(0)
    few = chance.integers(0, 4, (90, 90, channels), np.uint8)
    many = chance.integers(0, 256, few.shape, np.uint8)
    image, stop = few.copy(), threading.Event()

    def overwrite():
        while not stop.is_set():
            image[:] = many
            image[:] = few

    thread = threading.Thread(target=overwrite)
    thread.start()
    try:
        for _ in range(100):
            q = kquant.quantize(image, 8, threads=1, effort="fast")
            assert q.indices.max() < len(q.palette)
    finally:
        stop.set()
        thread.join()


# ---- the environment


def in_a_process(code, **environment):
    """Run code with environment variables set; return what it printed."""
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


LEVEL = "from kquant import _kernel, parallel; print(_kernel.level())"
TRY = """
import numpy, kquant
try:
    print(len(kquant.quantize(numpy.zeros((2, 2), "u1")).palette))
except kquant.InvalidValueError as error:
    print(error)
"""


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_can_be_forced(name):
    assert in_a_process(LEVEL, KQUANT_SIMD=name) == name


def test_without_a_wish_the_best_level_runs():
    assert in_a_process(LEVEL, KQUANT_SIMD="") == BEST


@pytest.mark.parametrize("name", ["v5", "avx2", *sorted({"v3", "v4"} - set(LEVELS))])
def test_levels_that_are_not_there_are_refused(name):
    message = in_a_process(TRY, KQUANT_SIMD=name)
    assert message == (
        "KQUANT_SIMD must be one of base, v3, v4; "
        f"this machine has {', '.join(LEVELS)}, got {name}"
    )


def test_the_environment_limits_threads(monkeypatch):
    monkeypatch.setenv("KQUANT_THREADS", "3")
    with Workers() as workers:
        assert workers.share(10**6, 1) == 3
    with Workers(2) as workers:  # an argument is nearer than the environment
        assert workers.share(10**6, 1) == 2
    for wrong in ("0", "-1", "many", "1.5"):
        monkeypatch.setenv("KQUANT_THREADS", wrong)
        with pytest.raises(ValueError, match="KQUANT_THREADS must be"):
            Workers()


# ---- progress, and the end of long calls


@pytest.mark.parametrize("effort", ["fast", "balanced", "best"])
def test_progress_names_the_stages_and_never_goes_back(effort, monkeypatch):
    monkeypatch.setattr("kquant.color.counting.TABLE_PIXELS", 1000)
    monkeypatch.setattr("kquant.color.counting.STEP_PIXELS", 1000)
    heard = []
    image = oracle.photo(1, 60, 80)
    q = kquant.quantize(
        image, 40, effort=effort, progress=lambda *said: heard.append(said)
    )
    assert [stage for stage, _ in itertools.groupby(heard, key=lambda s: s[0])] == [
        "histogram", "palette", "index"
    ]  # fmt: skip
    for stage in ("histogram", "palette", "index"):
        fractions = [fraction for name, fraction in heard if name == stage]
        assert fractions == sorted(fractions)
        assert (fractions[0], fractions[-1]) == (0, 1)
    assert len(heard) > 8
    silent = kquant.quantize(image, 40, effort=effort)
    assert np.array_equal(q.indices, silent.indices)


def test_progress_of_map_and_fit():
    heard = set()
    palette = kquant.Palette.fit(oracle.photo(1), 9, progress=lambda s, f: heard.add(s))
    assert heard == {"histogram", "palette"}
    palette.map(oracle.photo(1), progress=lambda s, f: heard.add(s))
    assert heard == {"histogram", "palette", "index"}


def test_what_is_no_listener_is_refused():
    with pytest.raises(TypeError, match="progress must be callable or None, got int"):
        kquant.quantize(oracle.photo(1), progress=7)


class EnoughError(Exception):
    pass


@pytest.fixture(scope="module")
def noise():
    """Twelve megapixels of noise: millions of colours, seconds of work."""
    return np.random.default_rng(0).integers(0, 256, (3000, 4000, 3), np.uint8)


@pytest.mark.parametrize("stage", ["histogram", "palette", "index"])
def test_raising_from_progress_ends_the_call(stage, noise):
    def listen(name, fraction):
        if name == stage and fraction > 0:
            raise EnoughError

    with pytest.raises(EnoughError):
        kquant.quantize(noise[:1100], 16, effort="fast", progress=listen)
    assert not kquant_threads()


def quantize_for_long(image):
    for _ in range(20):
        kquant.quantize(image, 256, effort="best", threads=2)


@pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")
@pytest.mark.parametrize("delay", [0.05, 0.3, 1.0])
def test_ctrl_c_stops_a_long_call_soon_and_leaves_no_thread(delay, noise):
    def interrupt():
        interrupt.at = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(delay, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        quantize_for_long(noise)
    late = time.perf_counter() - interrupt.at
    timer.join()
    assert not kquant_threads()
    assert late < 3  # a busy machine; the figure in the docs is measured alone
