"""What comes through pipes, and Ctrl-C."""

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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["--json"], ["-o", "-"]])
def test_a_full_disk_under_stdout_without_buffer_is_one_line(folder, arguments):
    """The matrix of faults has it with a buffer."""
    with open("/dev/full", "wb") as full:
        process = start(
            "in.png", "--quiet", *arguments, cwd=folder, stdout=full,
            environment={"PYTHONUNBUFFERED": "1"},
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
