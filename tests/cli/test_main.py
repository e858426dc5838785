"""The command line: files, texts and exit codes."""

import io
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant import Palette
from kquant.cli import main as cli

posix = pytest.mark.skipif(os.name != "posix", reason="signals and modes are of POSIX")

ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PYTHONUNBUFFERED", "PYTHONWARNINGS")  # as users have it
}


def run(*arguments, cwd, **options):
    return subprocess.run(
        [sys.executable, "-m", "kquant", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        encoding="utf-8",
        **options,
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A directory with a picture in it, as the working directory."""
    Image.fromarray(oracle.photo(1)).save(tmp_path / "in.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_one_line(text, *parts):
    assert text.startswith("kquant: ")
    assert text.endswith(".\n")
    assert len(text.splitlines()) == 1
    assert all(part in text for part in parts), text
    return True


# ---- as a process


def test_the_bare_form_writes_an_indexed_png_beside_the_input(folder):
    Image.fromarray(oracle.photo(2)).save(folder / "in.jpg")
    ran = run("in.jpg", cwd=folder)
    assert (ran.returncode, ran.stdout) == (0, "")
    with Image.open(folder / "in-kq.png") as image:
        assert image.mode == "P"
        q = kquant.quantize(Image.open(folder / "in.jpg"))
        assert np.array_equal(np.asarray(image), q.indices)
        assert np.array_equal(np.asarray(image.convert("RGB")), q.to_array())
    before = (folder / "in.jpg").stat().st_size
    after = (folder / "in-kq.png").stat().st_size
    lines = ran.stderr.splitlines()
    assert lines[0] == "in.jpg -> in-kq.png"
    assert lines[1] == (
        f"160 x 120 pixels, {q.distinct:,} colours -> 256, MSE {q.mse:.2f}, "
        f"PSNR {q.psnr:.2f} dB, largest error {q.max_error:.1f}, no dithering"
    )
    assert lines[2].startswith(
        f"{before:,} -> {after:,} bytes ({100 * after / before - 100:+.1f} %"
    )
    assert re.search(r", \d+\.\d{3} s, \d+\.\d Mpx/s$", lines[2])
    assert len(lines) == 3


def test_it_runs_from_the_root_of_the_repository(folder):
    root = Path(__file__).parents[2]
    ran = run(folder / "in.png", "-k", 8, "-o", folder / "out.png", cwd=root)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert (folder / "out.png").is_file()


def test_the_script_is_installed(folder):
    script = Path(sys.executable).with_name(
        "kquant" + (".exe" if os.name == "nt" else "")
    )
    ran = subprocess.run([script, "in.png", "--quiet"], cwd=folder, check=False)
    assert ran.returncode == 0
    assert (folder / "in-kq.png").is_file()


def test_problems_are_one_line_and_a_code(folder):
    ran = run("missing.jpg", cwd=folder)
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert ran.stderr == "kquant: missing.jpg: no such file. Check the name.\n"


@posix
def test_a_closed_pipe_is_no_problem(folder):
    command = [sys.executable, "-m", "kquant", "in.png"]
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ran = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=writer, check=False
        )
    finally:
        os.close(writer)
    assert (ran.returncode, ran.stdout) == (0, b"")
    assert (folder / "in-kq.png").is_file()


@posix
def test_names_that_would_speak_to_the_terminal_are_escaped(folder, capsys):
    assert cli.main(["red\x1b[31m\n.png"]) == 1
    assert is_one_line(capsys.readouterr().err, r"red\x1b[31m\n.png")


@posix
def test_names_that_are_no_unicode(folder):
    name = b"\xff.png"
    os.rename(b"in.png", name)
    ran = run(os.fsdecode(name), cwd=folder)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert b"\xff-kq.png" in os.listdir(os.fsencode(folder))
    assert r"\udcff.png -> \udcff-kq.png" in ran.stderr


# ---- in this process: the rest of the texts and codes


@pytest.mark.parametrize("name", ["a b.png", "-k.png", "bild-ä-画.png", "bench"])
def test_unusual_names(folder, name, capsys):
    os.rename("in.png", name)
    arguments = ["--", name] if name.startswith("-") else [f"./{name}"]
    assert cli.main(arguments) == 0
    assert (folder / (name.removesuffix(".png") + "-kq.png")).is_file()


def test_options_act(folder, capsys):
    assert cli.main(["in.png", "-k", "5", "-o", "five.png"]) == 0
    assert cli.main(["in.png", "--colors=5", "--output", "FIVE2.PNG", "--quiet"]) == 0
    assert (folder / "five.png").read_bytes() == (folder / "FIVE2.PNG").read_bytes()
    with Image.open("five.png") as image:
        assert len(image.getpalette()) == 15
    contents = set()
    for seed in range(6):
        assert (
            cli.main(["in.png", "-k", "40", "-fo", "s.png", "--seed", str(seed)]) == 0
        )
        contents.add((folder / "s.png").read_bytes())
    assert len(contents) > 1
    for threads in ("1", "2", "3"):
        assert cli.main(["in.png", "-o", f"t{threads}.png", "--threads", threads]) == 0
    assert len({(folder / f"t{n}.png").read_bytes() for n in (1, 2, 3)}) == 1


def test_quiet_prints_nothing(folder, capsys):
    assert cli.main(["in.png", "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_lossless_result_says_so(folder, capsys):
    Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save("black.bmp")
    assert cli.main(["black.bmp"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[1] == "3 x 2 pixels, 1 colours -> 1, lossless"


def test_a_file_that_grew_is_called_so(folder, capsys):
    noise = np.random.default_rng(0).integers(0, 256, (50, 50, 3), np.uint8)
    Image.fromarray(noise).save("small.jpg", quality=5)
    assert cli.main(["small.jpg"]) == 0
    assert re.search(r"\(\+\d+\.\d %: the file grew\)", capsys.readouterr().err)
    assert cli.main(["in.png", "-k", "2"]) == 0
    out = capsys.readouterr().err
    assert re.search(r"\(-\d+\.\d %\)", out)
    assert "grew" not in out


def test_an_existing_output_is_kept_without_force(folder, capsys):
    (folder / "in-kq.png").write_bytes(b"precious")
    assert cli.main(["in.png"]) == 15
    assert capsys.readouterr().err == (
        "kquant: in.png: in-kq.png exists. "
        "Use --force to overwrite or -o for another name.\n"
    )
    assert (folder / "in-kq.png").read_bytes() == b"precious"
    assert cli.main(["in.png", "--force"]) == 0
    assert (folder / "in-kq.png").read_bytes() != b"precious"


def test_the_input_can_be_replaced_when_asked(folder, capsys):
    assert cli.main(["in.png", "-o", "in.png"]) == 15
    assert cli.main(["in.png", "-o", "in.png", "-f"]) == 0
    with Image.open("in.png") as image:
        assert image.mode == "P"


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["in.png", "-k", "0"], 2, ["colors must be 1..256, got 0"]),
        (["in.png", "-k", "257"], 2, ["colors must be 1..256, got 257"]),
        (["in.png", "--colors", "many"], 2, ["--colors", "'many'"]),
        (["in.png", "--threads", "0"], 2, ["threads must be at least 1, got 0"]),
        (["in.png", "--effort", "some"], 2, ["--effort", "'some'"]),
        (["in.png", "--seed", "x"], 2, ["--seed", "'x'"]),
        (["in.png", "--nonsense"], 2, ["--nonsense"]),
        ([], 2, ["no FILE was given"]),
        (["missing.png"], 1, ["missing.png: no such file"]),
        (["."], 1, [".: is a directory"]),
        (["text.png"], 1, ["text.png: not an image"]),
        (["cut.png"], 1, ["cut.png: truncated or damaged"]),
        (["in.png", "-o", "a.jpg"], 1, ["a.jpg: cannot write this format"]),
        (["in.png", "-o", "no/a.png"], 1, ["a.png: its directory does not exist"]),
        (["in.png", "-o", "dir.png"], 1, ["dir.png: is a directory"]),
    ],
)
def test_wrong_input_is_one_line_and_writes_nothing(
    folder, capsys, arguments, code, parts
):
    (folder / "text.png").write_text("hello")
    (folder / "cut.png").write_bytes((folder / "in.png").read_bytes()[:5000])
    (folder / "dir.png").mkdir()
    before = sorted(os.listdir())
    assert cli.main(arguments) == code
    captured = capsys.readouterr()
    assert is_one_line(captured.err, *parts)
    assert captured.out == ""
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["palette", "in.png"], ""),
        (["bensh", "in.png"], " (did you mean bench?)"),
        (["benches", "--peers", "in.png"], " (did you mean bench?)"),
        (["in"], " (did you mean in.png?)"),
        (["sunsit", "in.png", "-f"], " (did you mean sunset.jpg?)"),
        (["bencx", "in.png"], " (did you mean bench or benk.jpg?)"),
        (["bensh", "--help"], " (did you mean bench?)"),
        (["pa\x1b\nle", "in.png"], ""),
    ],
)
def test_a_first_word_that_is_no_command_stops_everything(
    folder, capsys, arguments, hint
):
    (folder / "sunset.jpg").touch()
    if "bencx" in arguments:
        (folder / "benk.jpg").touch()
    before = sorted(os.listdir())
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    shown = arguments[0].replace("\x1b", r"\x1b").replace("\n", r"\n")
    assert err == (
        f"kquant: {shown}: no such command or file{hint}. See kquant --help.\n"
    )
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    "first",
    ["palette.png", "./palette", "pal*", "pal[e]tte", "9999", "", "-"],
)
def test_a_first_word_that_may_be_a_file_stops_nothing_else(
    folder, capsys, monkeypatch, first
):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    assert cli.main([first, "in.png", "-k", "4"]) == 1
    assert f"failed: {first}: " in capsys.readouterr().err
    assert (folder / "in-kq.png").is_file()


def test_a_file_without_an_ending_is_no_command(folder, capsys):
    os.rename("in.png", "palette")
    assert cli.main(["palette"]) == 0
    assert (folder / "palette-kq.png").is_file()
    assert cli.main(["-f", "nothing", "palette"]) == 1  # where no command stands
    assert "failed: nothing: no such file" in capsys.readouterr().err
    assert cli.main(["--", "nothing"]) == 1


@posix
@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write")
def test_a_directory_without_permission(folder, capsys):
    (folder / "locked").mkdir(mode=0o500)
    assert cli.main(["in.png", "-o", "locked/a.png"]) == 1
    assert is_one_line(capsys.readouterr().err, "no permission")


def test_no_permission_is_reported(folder, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert cli.main(["in.png"]) == 1
    assert is_one_line(capsys.readouterr().err, "in-kq.png: no permission to write")


def test_too_little_memory_is_reported(folder, capsys, monkeypatch):
    def no_memory(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("kquant.cli.run.convert", no_memory)
    assert cli.main(["in.png"]) == 1
    assert is_one_line(capsys.readouterr().err, "in.png: not enough memory")


def test_help_and_version(capsys):
    assert cli.main(["--help"]) == 0
    text = capsys.readouterr().out
    for option in (
        "-k, --colors N", "-o, --output FILE", "-f, --force", "--effort WORD",
        "--dither[=HOW]", "--palette P", "--lock P", "-Q, --quality MIN-MAX",
        "--max-bytes SIZE", "-q, --quiet", "--help-all", "exit codes", "bench",
    ):  # fmt: skip
        assert option in text
    assert len(text.splitlines()) <= 24  # one screen
    assert max(map(len, text.splitlines())) < 80
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"kquant {kquant.__version__}\n"


# ---- the palette and the dithering


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["--lock", "nocolor"], 2, ["lock colour 'nocolor' is not of the form"]),
        (["--palette", "no.gpl"], 1, ["no.gpl: no such file"]),
        (["--palette", "bad.gpl"], 1, ["bad.gpl: line 2: expected 3 numbers 0..255"]),
        (["--space", "hsv"], 2, ["--space must be one of"]),
        (["--dither=2"], 2, ["--dither must be"]),
        (["--dither=fs"], 2, ["--dither must be floyd-steinberg"]),
        (["--weights", "small.png"], 2, ["weights must have the shape of the image"]),
        (["--weights", "black.png"], 2, ["weights must not all be 0"]),
        (["--transparent-rgb", "no"], 2, ["--transparent-rgb must be one of"]),
        (
            ["-k", "2", "--protect", "20", "--protect-pixels", "1"],
            2,
            ["max_error=20 cannot be kept with 2 colors"],
        ),
        (["--palette", "#000", "--lock", "#fff"], 2, ["lock would have no effect"]),
        (["--lock", "#000,#111,#222", "-k", "2"], 2, ["lock must have at most"]),
    ],
)
def test_wrong_options_are_one_line_and_write_nothing(
    folder, capsys, arguments, code, parts
):
    (folder / "bad.gpl").write_text("GIMP Palette\n300 12 9\n")
    Image.new("L", (3, 3)).save("small.png")
    Image.new("L", (160, 120)).save("black.png")
    before = sorted(os.listdir())
    assert cli.main(["in.png", *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert is_one_line(captured.err, *parts)
    assert sorted(os.listdir()) == before


def start(*arguments, cwd, environment=(), **streams):
    return subprocess.Popen(
        [sys.executable, "-m", "kquant", *arguments],
        cwd=cwd,
        env=ENVIRONMENT | dict(environment),
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams,
    )


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
