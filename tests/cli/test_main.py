"""The command line: files, texts and exit codes."""

import io
import os
import re
import struct
import subprocess
import sys
import warnings
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


@posix
def test_names_that_are_no_unicode(folder):
    name = b"\xff.png"
    os.rename(b"in.png", name)
    ran = run(os.fsdecode(name), cwd=folder)
    assert (ran.returncode, ran.stdout) == (0, "")
    assert b"\xff-kq.png" in os.listdir(os.fsencode(folder))
    assert r"\udcff.png -> \udcff-kq.png" in ran.stderr


# ---- in this process: the rest of the texts and codes


@pytest.mark.parametrize("name", ["a b.png", "bild-ä-画.png", "bench"])
def test_unusual_names(folder, name, capsys):
    os.rename("in.png", name)
    assert cli.main([f"./{name}"]) == 0
    assert (folder / (name.removesuffix(".png") + "-kq.png")).is_file()


@pytest.mark.parametrize("name", ["--quiet.png", "-h.png", " .png", "bench"])
def test_after_two_dashes_anything_is_a_name(folder, capsys, name):
    os.rename("in.png", name)
    assert cli.main(["--", name]) == 0
    assert (folder / (name.removesuffix(".png") + "-kq.png")).is_file()


def test_a_count_may_come_first_as_in_pngquant(folder, capsys):
    for arguments in (["16", "--", "in.png"], ["--nofs", "16", "in.png"]):
        assert cli.main(["--force", *arguments]) == 0
        assert len(Palette.load("in-kq.png")) == 16
    os.rename("in.png", "16")  # a file of that name is a file
    assert cli.main(["16"]) == 0
    assert len(Palette.load("16-kq.png")) == 256


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


def header(width, height):
    """PNG file that promises a size."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    parts += [(b"IDAT", b"x")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )  # fmt: skip


@pytest.fixture(params=[(10000, 9500), (20000, 20000)])
def big(folder, request):
    """A file of more pixels than Pillow warns of, or than it refuses by itself."""
    (folder / "big.png").write_bytes(header(*request.param))
    return "big.png"


@pytest.mark.parametrize("action", ["default", "error", "always"])
def test_warnings_of_python_do_not_matter(big, action, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        assert cli.main([big]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert is_one_line(err, "pixels")


def test_nor_do_they_if_they_are_errors_from_the_start(big, folder):
    ran = run(big, cwd=folder, env=os.environ | {"PYTHONWARNINGS": "error"})
    assert (ran.returncode, ran.stdout) == (1, "")
    assert is_one_line(ran.stderr, "pixels")
