"""The command line at its edges: pipes, warnings, odd names, interruptions."""

import errno
import io
import os
import signal
import struct
import subprocess
import sys
import time
import zlib

import oracle
import pytest
from PIL import Image

import kquant
from kquant import Palette
from kquant.cli import main as cli
from kquant.settings import FIELDS

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


def header(width, height):
    """PNG file that promises a size."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    parts += [(b"IDAT", b"x")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )  # fmt: skip


@pytest.mark.parametrize("action", ["", "error", "always"])
@pytest.mark.parametrize("size", [(10000, 9500), (20000, 20000)])
def test_warnings_of_python_do_not_matter(folder, action, size):
    (folder / "big.png").write_bytes(header(*size))
    process = start("big.png", cwd=folder, environment={"PYTHONWARNINGS": action})
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert is_one_line(err.decode())
    assert b"pixels" in err


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


OPTIONS = {
    "-k 7": {"colors": 7}, "-f": {"force": True}, "--seed -3": {"seed": -3},
    "--effort best": {"effort": "best"}, "--threads 2": {"threads": 2},
    "--space lab": {"space": "lab"}, "--dither": {"dither": "floyd-steinberg"},
    "--dither 0.5": {"dither": 0.5}, "--dither=bayer:0.5": {"dither": "bayer:0.5"},
    "--lock #123": {"lock": Palette(["#123"])},
    "--palette #123,456": {"palette": Palette(["#123", "456"])},
    "--protect": {"max_error": 40}, "--protect 9": {"max_error": 9},
    "--protect-pixels 3 --protect=1": {"protect_pixels": 3, "max_error": 1},
    "--transparent-rgb keep": {"transparent_rgb": "keep"},
    "-Q 60-80": {"quality": "60-80"}, "--quality=-80": {"quality": "-80"},
    "--min-psnr 30": {"min_psnr": 30}, "--max-mse 9": {"max_mse": 9},
    "--max-bytes 1.5k": {"max_bytes": 1500}, "--bits 5,6,5": {"bits": (5, 6, 5)},
    "--order hue": {"order": "hue"}, "--transparent-index last":
    {"transparent_index": "last"}, "--icc keep": {"icc": "keep"},
    "--frames first": {"frames": "first"}, "--max-pixels 2M": {"max_pixels": 2000000},
    "--allow-truncated": {"allow_truncated": True}, "--strip": {"strip": True},
    "--skip-if-larger": {"min_saving": 0}, "--min-saving 5": {"min_saving": 5},
    "--depth 8": {"depth": 8}, "--palette-png": {"palette_png": True},
    "--keep-metadata": {"metadata": "keep"},
    "--preserve": {"preserve": True}, "--dry-run": {"dry_run": True},
    # as pngquant has them
    "-s 1": {"effort": "best"}, "--speed 4": {"effort": "balanced"},
    "--speed=11": {"effort": "fast"}, "--nofs": {"dither": False},
    "--ordered": {"dither": "bayer"}, "--floyd": {"dither": 1},
    "--floyd=0.5": {"dither": 0.5}, "--posterize 3": {"bits": (5, 5, 5)},
    "--map #fff": {"palette": Palette(["#fff"])},
    "--transbug": {"transparent_index": "last"},
}  # fmt: skip


@pytest.mark.parametrize("arguments", OPTIONS)
def test_every_option_reaches_the_library(folder, monkeypatch, arguments):
    asked = {}

    def spy(source, target, settings):
        asked.update(source=source, target=target, **settings.given)
        raise kquant.ImageFileError(source, "stop", "Here")

    monkeypatch.setattr("kquant.cli.run.convert", spy)
    assert cli.main(["in.png", *arguments.split()]) == 1
    default = {"source": "in.png", "target": "in-kq.png"}
    del asked["progress"]
    wanted = OPTIONS[arguments].items()
    changed = {key: v for key, v in wanted if v is not FIELDS[key].default}
    assert asked == default | changed


def test_a_count_may_come_first_as_in_pngquant(folder, capsys):
    for arguments in (["16", "--", "in.png"], ["--nofs", "16", "in.png"]):
        assert cli.main(["--force", *arguments]) == 0
        assert len(Palette.load("in-kq.png")) == 16
    os.rename("in.png", "16")  # a file of that name is a file
    assert cli.main(["16"]) == 0
    assert len(Palette.load("16-kq.png")) == 256


@pytest.mark.parametrize("name", ["--quiet.png", "-h.png", " .png", "bench"])
def test_after_two_dashes_anything_is_a_name(folder, capsys, name):
    os.rename("in.png", name)
    assert cli.main(["--", name]) == 0
    assert (folder / (name.removesuffix(".png") + "-kq.png")).is_file()
