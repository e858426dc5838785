"""Nothing waits for ever: signals and limits of time end whatever a run waits for."""

import json
import os
import pty
import signal
import threading
import time

import numpy as np
import pytest
from PIL import Image
from processes import finish, handled, held, is_complete, png, split, start

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are of POSIX")

STOPS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]

# Seconds in which a run that is told to end does; twice what it promises, since a
# machine with other work may start nothing for a while.
SOON = 2.0


@pytest.fixture
def many(tmp_path):
    """A folder with pictures that take some time."""
    for i in range(12):
        noise = np.random.default_rng(i).integers(0, 256, (200, 300, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{i:02}.png", compress_level=0)
    return tmp_path


def wait_for_the_first(process):
    """Wait until a file is done, as the report says; return its row."""
    row = process.stdout.readline()
    assert b'"written"' in row
    return row


def stop(process, number, times=1):
    """Send a signal some times, and wait for the end; return the code and the rest."""
    began = time.monotonic()
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.05 * (times > 1))
    try:
        out, error = (part.decode() for part in process.communicate(timeout=30))
    finally:
        process.kill()
    assert time.monotonic() - began < SOON
    assert "Traceback" not in error
    return process.returncode, out, error


# ---- batches


@pytest.mark.parametrize(("number", "code"), STOPS)
@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_batch_that_is_stopped_leaves_no_file_incomplete(
    many, number, code, times, in_place
):
    before = held(many)
    options = ["-i"] if in_place else []
    with handled(number, signal.SIG_DFL):
        process = start(*options, *before, "--jobs", "2", "--json", cwd=many, bufsize=0)
    first = wait_for_the_first(process)
    got, rest, error = stop(process, number, times)
    assert got == code
    after = held(many)
    assert not split(after)[0]
    new = {name for name in after if after[name] != before.get(name)}
    assert 1 <= len(new) < len(before)
    assert all(is_complete(after[name]) for name in new)
    allowed = before.keys() | {name.replace(".png", "-kq.png") for name in before}
    assert before.keys() <= after.keys() <= allowed
    # All that was done is reported, and how much was not.
    *rows, summary = map(json.loads, [first.decode(), *rest.splitlines()])
    assert {row["output"] for row in rows if row["status"] == "written"} == new
    assert summary["files"] + summary["not_done"] == len(before)
    assert f"{summary['not_done']} not done" in error


def test_with_nohup_it_goes_on_when_the_terminal_closes(many):
    names = sorted(held(many))[:4]
    with handled(signal.SIGHUP, signal.SIG_IGN):
        process = start(*names, "--jobs", "2", "--json", cwd=many)
    wait_for_the_first(process)
    process.send_signal(signal.SIGHUP)
    assert finish(process)[0] == 0
    assert len(held(many)) == 12 + len(names)


def test_a_batch_goes_on_without_its_terminal(many):
    names = sorted(held(many))[:6]
    ours, theirs = pty.openpty()
    process = start(
        *names, "-j", "2", "--progress", "auto", cwd=many, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    os.read(ours, 1)  # it has begun to write there
    os.close(ours)
    assert process.wait(60) == 0
    process.stdout.close()
    assert len(held(many)) == 12 + len(names)


# ---- at any moment

# Where the signal comes: when Python looks for this module, or writes a file.
AT = """
import os, sys
module, number, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
class Signal:
    def find_spec(self, name, *_):
        if name == module:
            for _ in range(times):
                os.kill(os.getpid(), number)
sys.meta_path.insert(0, Signal())
del sys.argv[1:4]
from kquant.__main__ import main
sys.exit(main())
"""

MODULES = ["kquant.cli.main", "kquant.cli.parse", "numpy", "PIL.Image",
           "kquant.cli.quantize", "kquant.pipeline", "PIL.PngImagePlugin"]  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(("number", "code"), STOPS)
def test_a_signal_in_the_middle_of_an_import_ends_the_process(
    tmp_path, module, number, code
):
    (tmp_path / "in.png").write_bytes(png(1))
    with handled(number, signal.SIG_DFL):
        process = start(module, int(number), 1 + (number != signal.SIGINT), "in.png",
                        cwd=tmp_path, script=AT)  # fmt: skip
    assert finish(process) == (code, "")
    assert held(tmp_path).keys() <= {"in.png"}


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_at_any_time_ends_it_in_order(tmp_path, jobs):
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / name).write_bytes(png(1, 120, 160))
    names = sorted(held(tmp_path))
    began = time.monotonic()
    assert finish(start(*names, "-f", "-q", "-j", jobs, cwd=tmp_path)) == (0, "")
    usual = time.monotonic() - began
    new = {name: held(tmp_path)[name] for name in held(tmp_path) if "-kq" in name}
    assert len(new) == 3
    # Python itself handles Ctrl-C until kquant begins, 40 ms after its start.
    for i in range(12):
        for name in new:
            (tmp_path / name).unlink(missing_ok=True)
        number, code = STOPS[1:][i % 2]
        with handled(number, signal.SIG_DFL):
            process = start(*names, "-q", "-j", jobs, cwd=tmp_path)
        time.sleep(usual * (i + 0.5) / 12)
        got, _, error = stop(process, number)
        assert (got, error) in ((code, ""), (-number, ""), (0, "")) or (
            got == code and "not done" in error
        )
        files = held(tmp_path)
        assert not split(files)[0]
        made = {name: files[name] for name in files if "-kq" in name}
        assert made.items() <= new.items()


# ---- whatever it waits for


@pytest.fixture
def pipe(tmp_path):
    """A folder with a picture, and a pipe into which nobody writes."""
    (tmp_path / "a.png").write_bytes(png(1))
    os.mkfifo(tmp_path / "pipe.png")
    return tmp_path


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(("number", "code"), STOPS)
@pytest.mark.parametrize("times", [1, 3])
def test_it_does_not_wait_for_a_pipe(pipe, jobs, number, code, times):
    with handled(number, signal.SIG_DFL):
        process = start("a.png", "pipe.png", "-j", jobs, "--json", cwd=pipe, bufsize=0)
    wait_for_the_first(process)
    got, rest, error = stop(process, number, times)
    assert got == code
    summary = json.loads(rest)
    assert (summary["written"], summary["not_done"]) == (1, 1)
    assert "1 not done" in error
    assert held(pipe).keys() == {"a.png", "a-kq.png"}


@pytest.mark.parametrize(("number", "code"), STOPS)
def test_it_does_not_wait_for_its_input(tmp_path, number, code):
    reading, writing = os.pipe()
    with handled(number, signal.SIG_DFL):
        process = start("-", "-o", "a.png", "-v", cwd=tmp_path, stdin=reading)
    process.stderr.readline()  # the settings: it has begun
    time.sleep(0.1)
    got, _, _ = stop(process, number)
    assert (got, held(tmp_path)) == (code, {})
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(("number", "code"), STOPS)
def test_it_does_not_wait_for_whoever_reads_its_output(tmp_path, number, code):
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")  # more than a pipe holds
    with handled(number, signal.SIG_DFL):
        process = start("a.png", "-o", "-", "--effort=fast", cwd=tmp_path)
    assert process.stdout.read(1) == b"\x89"
    time.sleep(0.2)
    began = time.monotonic()
    process.send_signal(number)
    assert process.wait(30) == code
    assert time.monotonic() - began < SOON
    process.communicate()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_file_that_takes_too_long_is_passed_over(pipe, jobs):
    (pipe / "z.png").write_bytes(png(2))
    code, error = finish(
        start("a.png", "pipe.png", "z.png", "-j", jobs, "--timeout", "1.5", cwd=pipe)
    )
    assert code == 1
    assert "2 written, 1 failed" in error
    assert error.endswith(
        "failed: pipe.png: took longer than 1.5 s, and was passed over. "
        "Allow it more (--timeout), or look what is wrong with it.\n"
    )
    assert held(pipe).keys() == {"a.png", "a-kq.png", "z.png", "z-kq.png"}


def test_a_pipe_that_somebody_writes_to_is_read(pipe):
    def write():
        (pipe / "pipe.png").write_bytes(png(3))

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    code, error = finish(start("pipe.png", "-o", "b.png", cwd=pipe))
    assert code == 0, error
    assert is_complete((pipe / "b.png").read_bytes())


def test_pipes_in_directories_are_named_and_passed_over(pipe):
    code, error = finish(start("-r", ".", "-j", "2", cwd=pipe))
    assert code == 0
    assert error.startswith(
        "kquant: warning: ./pipe.png is a pipe and was passed over: "
        "to read it, name it.\n"
    )
    assert held(pipe).keys() == {"a.png", "a-kq.png"}


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e9", "soon", ""])
def test_a_time_is_a_number_of_seconds(tmp_path, text):
    code, error = finish(start("a.png", "--timeout", text, cwd=tmp_path))
    assert code == 2
    assert "--timeout must be a number of seconds above 0" in error
