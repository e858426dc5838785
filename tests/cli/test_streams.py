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


# ---- all of what goes to stdout, or an error


def limited():
    """Let no file of a process become longer than a kilobyte; called in the child."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


@posix
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    "arguments", [["in.png", "-o", "-"], ["--help-all"], ["--json", "in.png", "-k9"]]
)
def test_stdout_that_is_cut_short_is_an_error(folder, arguments, buffered):
    environment = {} if buffered else {"PYTHONUNBUFFERED": "1"}
    with open("so", "wb") as out:
        process = start(
            *arguments, cwd=folder, stdout=out, preexec_fn=limited,
            environment=environment,
        )  # fmt: skip
        err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert "standard output: cannot be written (File too large)" in err
    assert "Traceback" not in err
    assert os.path.getsize("so") <= 1024


@posix
def test_a_picture_whose_reader_leaves_is_an_error(folder):
    reader, writer = os.pipe()
    Image.fromarray(
        np.random.default_rng(1).integers(0, 256, (600, 600, 3), np.uint8)
    ).save("noise.png")
    process = start("-q", "noise.png", "-o", "-", cwd=folder, stdout=writer)
    os.close(writer)
    assert os.read(reader, 100)  # it has begun, and the pipe holds less than all
    os.close(reader)
    err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert is_one_line(err)
    assert "nobody read it to the end" in err


@posix
def test_a_stdout_that_takes_no_more_just_now_gets_all_of_it(folder):
    """Somebody else has made the pipe or socket one that does not wait."""
    noise = np.random.default_rng(1).integers(0, 256, (600, 600, 3), np.uint8)
    Image.fromarray(noise).save("noise.png")
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    process = start("-q", "noise.png", "-o", "-", cwd=folder, stdout=writer)
    os.close(writer)
    content = bytearray()
    while part := os.read(reader, 1 << 12):
        content += part
        time.sleep(0.001)
    os.close(reader)
    assert process.wait(60) == 0
    process.stderr.close()
    Image.open(io.BytesIO(content)).load()
    assert len(content) > 1 << 17


@posix
def test_a_report_does_not_share_a_file_with_a_result(folder):
    with open("a.png", "wb") as out:
        process = start("-f", "in.png", "--json", "-o", "a.png", cwd=folder, stdout=out)
        err = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 2
    assert "would have one name, a.png" in err
    assert os.path.getsize("a.png") == 0


@posix
def test_a_report_that_fails_when_it_is_closed_is_said(folder, monkeypatch, capsys):
    from kquant.cli.report import Report

    close = Report.close

    def fail(self):
        close(self)
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(Report, "close", fail)
    assert cli.main(["-q", "in.png", "--json=rep"]) == 1
    err = capsys.readouterr().err
    assert err == f"kquant: --json: cannot be written ({os.strerror(errno.EDQUOT)}).\n"
    assert os.path.exists("in-kq.png")


@posix
def test_a_deleted_working_directory_is_named(folder):
    (folder / "gone").mkdir()
    script = (
        "import os, sys\nfrom kquant.cli.main import main\n"
        "os.rmdir(os.getcwd())\nsys.exit(main(['a.png']))"
    )
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=folder / "gone", capture_output=True
    )
    assert process.returncode == 1
    assert process.stderr == (
        b"kquant: a.png: the working directory was deleted. Change to another one.\n"
    )
