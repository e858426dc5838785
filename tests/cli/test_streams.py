"""The command line at its edges: pipes, warnings, odd names, interruptions."""

import errno
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import oracle
import pytest
from PIL import Image

from kquant.cli import main as cli

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHONUNBUFFERED", "PYTHONWARNINGS")  # as users have it
}


def start(*arguments, cwd, environment=(), **streams):
    return subprocess.Popen(
        [sys.executable, "-m", "kquant", *arguments],
        cwd=cwd,
        env=ENVIRONMENT | dict(environment),
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A directory with a picture in it, as the working directory."""
    Image.fromarray(oracle.photo(1)).save(tmp_path / "in.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_one_line(text):
    return (
        text.startswith("kquant: ") and text.endswith(".\n") and text.count("\n") == 1
    )


@posix
@pytest.mark.parametrize("arguments", [["--help"], ["--help-all"], ["--print-man"]])
def test_a_closed_pipe_is_no_trouble(folder, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    process = start(*arguments, cwd=folder, stdout=writer)
    os.close(writer)
    err = process.communicate(timeout=60)[1].decode()
    assert (process.returncode, err) == (0, "")


@posix
@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_all_files_are_done_though_nobody_reads(folder, arguments):
    (folder / "b.png").write_bytes((folder / "in.png").read_bytes())
    reader, writer = os.pipe()
    os.close(reader)
    process = start(
        "in.png", "b.png", *arguments, cwd=folder, stdout=writer, stderr=writer
    )
    os.close(writer)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert sorted(os.listdir()) == ["b-kq.png", "b.png", "in-kq.png", "in.png"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--json"], ["-o", "-"]])
def test_a_full_disk_under_stdout_is_one_line(folder, unbuffered, arguments):
    with open("/dev/full", "wb") as full:
        process = start(
            "in.png", "--quiet", *arguments, cwd=folder, stdout=full,
            environment={"PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
        err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert is_one_line(err)


class Unreadable(io.RawIOBase):
    """What stdin may be: an end of a connection that broke."""

    asked = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        self.asked += 1
        raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def unreadable(monkeypatch):
    raw = Unreadable()
    stdin = io.TextIOWrapper(io.BufferedReader(raw))
    monkeypatch.setattr(sys, "stdin", stdin)
    return raw


def test_a_stdin_that_cannot_be_read_is_one_line(folder, unreadable, capsys):
    assert cli.main(["-", "-o", "a.png"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == (
        "", "kquant: -: cannot be read (Input/output error). Check its mode.\n"
    )  # fmt: skip
    assert os.listdir() == ["in.png"]


def test_stdin_is_left_alone_until_all_else_is_checked(folder, unreadable, capsys):
    for wrong in (["-j", "0"], ["--json"], ["in-kq.png"], ["-k", "0"]):
        assert cli.main(["-", "in.png", *wrong]) == 2
        assert is_one_line(capsys.readouterr().err)
    assert unreadable.asked == 0


@posix
def test_a_picture_can_come_through_a_pipe(folder):
    process = start("/dev/stdin", "-o", "a.png", cwd=folder, stdin=subprocess.PIPE)
    out, err = process.communicate((folder / "in.png").read_bytes(), timeout=60)
    assert (process.returncode, out) == (0, b"")
    assert b"/dev/stdin -> a.png" in err
    assert (folder / "a.png").is_file()


@posix
def test_ctrl_c_while_it_waits_for_input_ends_with_130(folder):
    os.mkfifo("in.fifo")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored
    process = start("in.fifo", cwd=folder)
    signal.signal(signal.SIGINT, before)
    with open("in.fifo", "wb"):  # waits until it opens it
        # Python sees a signal that comes just before it reads only after that.
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert sorted(os.listdir()) == ["in.fifo", "in.png"]


def test_an_interruption_ends_with_130(folder, monkeypatch, capsys):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("kquant.cli.run.convert", interrupt)
    assert cli.main(["in.png"]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([""], 1),
        (["."], 1),
        (["/"], 1),
        ([".."], 1),
        (["x" * 300 + ".png"], 1),
        (["in.png", "-o", "x" * 300 + ".png"], 1),
        (["in.png", "-o", ""], 1),
        (["in.png", "-o", "in.png/a.png"], 1),
        (["in.png", "--extra=\x1b[31m\n\r"], 2),
        (["in.png", "--no\x1b\nsuch"], 2),
        (["in.png", "-o", "\x1b\n.jpg"], 1),
        (["\x9b\n\u202e.png"], 1),
        (["in.png", "-k", "\x1b"], 2),
    ],
)
def test_no_argument_breaks_the_line_or_the_terminal(folder, capsys, arguments, code):
    got = cli.main(arguments)
    out, err = capsys.readouterr()
    assert (got, out) == (code, "")
    assert is_one_line(err)
    assert err.removesuffix("\n").isprintable()
    assert os.listdir() == ["in.png"]


# ---- as a process


@posix
def test_ctrl_c_ends_with_130_and_leaves_nothing(folder):
    noise = np.random.default_rng(0).integers(0, 256, (3000, 3000, 3), np.uint8)
    Image.fromarray(noise).save(folder / "big.bmp")
    process = subprocess.Popen(
        [sys.executable, "-c", "import kquant.cli.main, sys\n"
         "print('ready', flush=True)\nsys.exit(kquant.cli.main.main(['big.bmp']))"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == b"ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert sorted(os.listdir(folder)) == ["big.bmp", "in.png"]
