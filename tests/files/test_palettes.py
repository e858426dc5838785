"""Palettes in files: ours, and those of other programs."""

import numpy as np
import oracle
import pytest
from PIL import Image
from PIL.GimpPaletteFile import GimpPaletteFile

import kquant
from kquant import Palette

PHOTO = oracle.photo(9)
MADE = Palette.fit(PHOTO, 23)


@pytest.mark.parametrize("suffix", [".gpl", ".pal", ".hex", ".txt", ".act"])
def test_what_is_written_is_read(tmp_path, suffix):
    for palette in (MADE, Palette(["#000", "#000", "#fff"]), Palette.fit(PHOTO, 256)):
        path = tmp_path / f"p{len(palette)}{suffix}"
        palette.save(path)
        assert Palette.load(path) == palette
        with pytest.raises(FileExistsError):
            palette.save(path)
        palette.save(path, force=True)


@pytest.mark.parametrize("suffix", [".gpl", ".hex", ".txt"])
def test_alpha_is_kept_where_the_format_has_it(tmp_path, suffix):
    palette = Palette(["#ff000080", "#00000000", "#123456"])
    palette.save(tmp_path / f"a{suffix}")
    assert Palette.load(tmp_path / f"a{suffix}") == palette


@pytest.mark.parametrize("suffix", [".pal", ".act"])
def test_alpha_is_refused_where_the_format_has_none(tmp_path, suffix):
    with pytest.raises(kquant.ImageFileError, match="no alpha"):
        Palette(["#ff000080"]).save(tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


def test_pillow_reads_our_gimp_palettes(tmp_path):
    MADE.save(tmp_path / "a.gpl")
    text = (tmp_path / "a.gpl").read_text()
    assert "\nColumns: " in text
    with open(tmp_path / "a.gpl", "rb") as file:
        data, mode = GimpPaletteFile(file).getpalette()
    assert mode == "RGB"
    assert data == np.asarray(MADE).tobytes()


def test_palettes_of_other_programs(tmp_path):
    """As GIMP, Paint Shop Pro, Paint.NET, Lospec and Photoshop write them."""
    files = {
        "gimp.gpl": b"GIMP Palette\nName: x\nColumns: 4\n#\n255   0 16\tRed\n  0 1 2\n",
        "psp.pal": b"JASC-PAL\r\n0100\r\n2\r\n255 0 16\r\n0 1 2\r\n",
        "pdn.txt": b"; paint.net Palette File\r\n; 2\r\nFFFF0010\r\nFF000102\r\n",
        "lospec.hex": b"ff0010\n000102\n",
        "ps.act": bytes([255, 0, 16, 0, 1, 2]).ljust(768, b"\0") + b"\0\x02\xff\xff",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert Palette.load(tmp_path / name).hex == ["#ff0010", "#000102"], name


def test_indexed_images_are_palettes(tmp_path):
    q = kquant.quantize(PHOTO, 11)
    q.save(tmp_path / "a.png")
    assert Palette.load(tmp_path / "a.png") == q.palette
    with Image.open(tmp_path / "a.png") as image:
        assert Palette(image) == q.palette
    clear = kquant.quantize(np.dstack([PHOTO, PHOTO[..., 0]]), 11)
    clear.save(tmp_path / "b.png")
    assert Palette.load(tmp_path / "b.png") == clear.palette


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.gpl", b"", "line 1: expected 'GIMP Palette'"),
        ("a.gpl", b"GIMP Palette\n300 1 1\n", "line 2: expected 3 numbers 0..255"),
        ("a.gpl", b"GIMP Palette\n\n1 2\n", "line 3: expected 3 numbers"),
        ("a.gpl", b"GIMP Palette\n-1 2 3\n", "line 2: expected 3 numbers"),
        ("a.gpl", b"GIMP Palette\n# none\n", "has 0 colours"),
        ("a.gpl", b"GIMP Palette\n" + 257 * b"1 2 3\n", "has 257 colours"),
        ("a.gpl", b"GIMP Palette\n1 2 \x00\n", "not a text file"),
        ("a.pal", b"RIFF", "line 1: expected 'JASC-PAL'"),
        ("a.pal", b"JASC-PAL\n0100\n3\n1 2 3\n", "line 3: expected 1"),
        ("a.pal", b"JASC-PAL\n0100\n", "line 3: expected 0"),
        ("a.hex", b"ff00\n", "line 1: expected a colour"),
        ("a.hex", b"ff 0 0\n", "line 1: expected a colour"),
        ("a.act", b"123", "has 3 bytes, not 768 or 772"),
        ("a.hex", b"\xff" * (1 << 21), "longer than 1,048,576 bytes"),
        ("a.png", b"no", "not an image"),
    ],
)
def test_damaged_files_say_where(tmp_path, name, content, what):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(kquant.ImageFileError, match=what) as caught:
        Palette.load(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)


def test_files_that_are_not_there_or_have_no_palette(tmp_path):
    with pytest.raises(kquant.ImageFileError, match="no such file"):
        Palette.load(tmp_path / "no.gpl")
    (tmp_path / "dir.gpl").mkdir()
    with pytest.raises(kquant.ImageFileError, match="directory"):
        Palette.load(tmp_path / "dir.gpl")
    Image.fromarray(PHOTO).save(tmp_path / "rgb.png")
    with pytest.raises(kquant.ImageFileError, match="has no palette"):
        Palette.load(tmp_path / "rgb.png")
    with pytest.raises(kquant.ImageFileError, match="cannot write this format"):
        MADE.save(tmp_path / "a.xyz")
