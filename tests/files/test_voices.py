"""What libtiff prints: never as it is, and with the name of the file."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import oracle
import pytest
from PIL import Image, features

import kquant
from kquant.cli import main as cli
from kquant.files.decode import ReadOptions, read_picture

RGB = oracle.photo(1, 60, 80)
pytestmark = pytest.mark.skipif(
    not features.check("libtiff"), reason="this Pillow was built without libtiff"
)


def run(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "kquant", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(kquant.__file__).parent.parent)},
    )  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize(
    "compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "group4"]
)
def test_every_line_is_ours_and_names_its_file(tmp_path, compression, jobs):
    image = Image.fromarray(RGB)
    image = image.convert("1") if compression == "group4" else image
    image.save(tmp_path / "good.tif", compression=compression)
    good = (tmp_path / "good.tif").read_bytes()
    chance = np.random.default_rng(len(good))
    for number in range(8):
        damaged = bytearray(good)
        for at in chance.integers(8, len(good) - 200, 4):
            damaged[at] ^= int(chance.integers(1, 256))
        (tmp_path / f"{number}.tif").write_bytes(damaged)
    names = [f"{number}.tif" for number in range(8)]
    ran = run(tmp_path, "-j", str(jobs), "--dry-run", "-q", "good.tif", *names)
    for line in ran.stderr.splitlines():
        ours = line.startswith(("kquant: warning: ", "failed: "))
        known = any(f" {name}: " in line for name in names)
        assert (ours and known) or line.startswith("9 files: "), line
    assert "good.tif" not in ran.stderr


def test_a_damaged_strip_that_is_decoded_all_the_same_is_damage(tmp_path):
    image = Image.fromarray(RGB).convert("1")
    image.save(tmp_path / "a.tif", compression="group4")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[60:64] = b"\0\0\0\0"
    (tmp_path / "a.tif").write_bytes(content)
    ran = run(tmp_path, "--dry-run", "a.tif")
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("kquant: a.tif: truncated or damaged (")
    ran = run(tmp_path, "--dry-run", "-q", "--allow-truncated", "a.tif")
    assert len(ran.stderr.splitlines()) <= 1


def test_odd_tags_are_no_trouble(tmp_path):
    Image.fromarray(RGB).save(
        tmp_path / "a.tif", compression="tiff_lzw", tiffinfo={65000: "odd", 42113: "-9"}
    )
    ran = run(tmp_path, "-q", "a.tif")
    assert (ran.returncode, ran.stderr) == (0, "")


# ---- Pillow's own limit of pixels


@pytest.mark.parametrize("suffix", ["tif", "gif", "webp"])
def test_as_many_pixels_are_read_as_are_allowed(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(RGB).save(path, **options)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert cli.main([str(path), "--max-pixels", "2G", "-q"]) == 0
    assert Image.MAX_IMAGE_PIXELS == 100
    if suffix == "webp":  # of which Pillow has a limit that is not for one call
        with pytest.raises(kquant.ImageFileError, match="more pixels than Pillow"):
            read_picture(path, ReadOptions(max_pixels=10**9))
        return
    read = read_picture(path, ReadOptions(max_pixels=10**9))
    assert read.pixels.shape == RGB.shape


def test_a_large_strange_tiff_is_read_if_it_is_allowed(tmp_path, monkeypatch):
    import made

    content = made.tiff(np.full((40, 50, 1), 4095), 12, compression=8)
    (tmp_path / "a.tif").write_bytes(content)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(kquant.ImageFileError, match="over the limit of 100 pixels"):
        read_picture(tmp_path / "a.tif")
    read = read_picture(tmp_path / "a.tif", ReadOptions(max_pixels=10**9))
    assert (read.pixels == 255).all()
