"""What a terminal shows, and what a pipe gets."""

import errno
import os
import re
import subprocess
import sys
from collections import Counter

import oracle
import pytest
from PIL import Image

from kquant.cli import console
from kquant.cli import main as cli
from kquant.cli.outcome import Totals

pty = pytest.importorskip("pty", reason="terminals of POSIX")


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(oracle.photo(1)).save(tmp_path / name)
    (tmp_path / "bad.png").write_text("no image")
    return tmp_path


def on_terminal(folder, *arguments, **environment):
    """Run with stderr on a terminal; return what it shows, and the exit code."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kquant", *arguments],
        cwd=folder, stdin=slave, stdout=slave, stderr=slave, close_fds=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment},
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # how Linux says that it is closed
            break
        if not part:
            break
        shown += part
    os.close(master)
    return shown.decode(), process.wait(timeout=60)


NAMES = "-k9", "a.png", "b.png", "c.png", "bad.png"


def test_a_live_line_shows_how_far_it_is(folder):
    shown, code = on_terminal(folder, *NAMES)
    assert code == 1
    line = r"3/4  saved 0\.1 MB  \d+:\d\d left  c\.png"
    assert re.search(rf"\r\x1b\[K{line}\r\x1b\[K", shown)
    assert "\x1b[31mfailed: bad.png: not an image" in shown  # in red
    assert "4 files: 3 written, 1 failed" in shown


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--progress", "never", "--no-color"], {}),
        (["--progress", "never"], {"NO_COLOR": "1"}),
        ([], {"TERM": "dumb"}),
        (["--quiet"], {"NO_COLOR": "1"}),
    ],
)
def test_without_line_and_colours(folder, arguments, environment):
    shown, code = on_terminal(folder, *NAMES, *arguments, **environment)
    assert code == 1
    assert "\x1b" not in shown
    assert "left" not in shown
    assert "failed: bad.png" in shown


def test_one_file_needs_no_line(folder):
    shown, code = on_terminal(folder, "a.png")
    assert code == 0
    assert len(shown.splitlines()) == 3
    assert "\x1b" not in shown


def test_a_pipe_gets_text_alone(folder, capsys, monkeypatch):
    ran = subprocess.run(
        [sys.executable, "-m", "kquant", *NAMES],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.stdout == ""
    assert "\x1b" not in ran.stderr
    assert "\r" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 5
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.chdir(folder)
    assert cli.main(["bad.png"]) == 1
    assert capsys.readouterr().err.startswith("\x1b[31mkquant: bad.png")


def test_an_image_is_not_written_to_a_terminal(folder):
    for arguments in (["a.png", "-o", "-"], ["-"]):
        shown, code = on_terminal(folder, *arguments)
        assert code == 2
        assert "an image is not written to a terminal" in shown
        assert "PNG\r\n" not in shown


def test_verbose_says_more(folder, capsys):
    assert cli.main([str(folder / "a.png"), "-v", "-k", "9"]) == 0
    assert re.search(
        r"quality \d+ of 100, \d+ iterations, converged, palette #",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize(
    ("more", "settings"),
    [
        ([], "dry_run=True"),
        (
            ["--bits", "5,6,5", "--space=lab", "--dither", "--out-dir", "\x1b[1m"],
            "dry_run=True, bits=(5, 6, 5), space=lab, "
            r"dither=floyd-steinberg, out_dir=\x1b[1m",
        ),
    ],
)
def test_verbose_says_what_was_asked_for(folder, monkeypatch, capsys, more, settings):
    monkeypatch.chdir(folder)
    many = ["a.png", "b.png", "-v", "--dry-run", *more]
    assert cli.main(many) == 0
    assert capsys.readouterr().err.splitlines()[0] == f"settings: {settings}"
    assert cli.main([*many, "-q"]) == 0
    assert capsys.readouterr().err == ""


def test_verbose_shows_where_what_nobody_expects_comes_from(folder, monkeypatch):
    def fail(*arguments, **options):
        raise ZeroDivisionError("odd")

    monkeypatch.chdir(folder)
    monkeypatch.setattr("kquant.cli.run.convert", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main(["a.png", "-v"])


def test_a_total_of_nothing_is_no_percentage():
    text = console._total(Totals(Counter(failed=2)))
    assert text.startswith("2 files: 2 failed; ")
    assert "%" not in text


def test_a_report_that_cannot_be_written_on_stops_nothing(folder, monkeypatch, capsys):
    def full(self, row):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(folder)
    monkeypatch.setattr("kquant.cli.report.Report.write", full)
    assert cli.main(["a.png", "b.png", "--json=log.jsonl"]) == 1
    assert capsys.readouterr().err.splitlines()[0] == (
        "kquant: --json: cannot be written (No space left on device)."
    )
    assert {"a-kq.png", "b-kq.png"} <= {*os.listdir()}
