"""What people type first gets an answer that helps, and nothing is written."""

import os

import oracle
import pytest
from PIL import Image

from kquant import Palette
from kquant.cli import main as cli


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(oracle.photo(1, 20, 30)).save("in.png")
    (tmp_path / "there").mkdir()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("in.png out.png", "out.png does not exist: to write it, use -o out.png"),
        ("in.png out.webp", "to write it, use -o out.webp"),
        ("in.png -o there", "-o names a file, not a directory: use --out-dir there"),
        ("in.png -o new/", "use --out-dir new/"),
        ("in.png 16", "16 is no file: a number of colours comes before the files, or"),
        ("https://example.org/a.png", "is an address, not a file: download it first"),
        ("--dither fs in.png", "--dither must be floyd-steinberg, blue-noise or bayer"),
        ("--dither atkinson in.png", "got 'atkinson'"),
        ("--palette nope in.png", "bw, bwr, bwry, acep7, spectra6, gameboy"),
        ("--palette rad,blue in.png", "'rad' is not of the form #rgb"),
        ("--colours 16 in.png", "unknown option --colours (did you mean --colors?)"),
        ("--qualty 5 in.png", "did you mean --quality?"),
    ],
)
def test_a_wrong_word_is_answered(line, answer, capsys):
    assert cli.main(line.split()) == 2
    out, error = capsys.readouterr()
    assert answer in error
    assert (out, error.count("\n")) == ("", 1)
    assert sorted(os.listdir()) == ["in.png", "there"]


def test_names_of_css_are_colors(capsys):
    assert Palette(["red", "RebeccaPurple", "#fff"]).hex == [
        "#ff0000", "#663399", "#ffffff",
    ]  # fmt: skip
    assert cli.main(["--palette", "red,blue,tan", "in.png", "-q"]) == 0
    assert Palette.load("in-kq.png").hex == ["#ff0000", "#0000ff", "#d2b48c"]


def test_dither_without_a_value_takes_no_file(capsys):
    os.rename("in.png", "photo")
    assert cli.main(["--dither", "photo", "-o", "out.png", "-q"]) == 0
