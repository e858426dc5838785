"""Palette files are what they hold, whatever they are called."""

import json
import os
import struct
import threading

import made
import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant.cli import main as cli

COLORS = np.array([[255, 0, 16], [0, 1, 2], [9, 9, 9]], np.uint8)
HEX = ["#ff0010", "#000102", "#090909"]
JASC = b"JASC-PAL\n0100\n"
ROWS = b"255 0 16\n0 1 2\n9 9 9\n"


def riff(count=3, extra=b"", before=b""):
    entries = b"".join(bytes([*color, 5]) for color in COLORS) + extra
    data = struct.pack("<HH", 0x300, count) + entries
    body = b"PAL " + before + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def act(count=3, clear=0xFFFF):
    return COLORS.tobytes().ljust(768, b"\0") + struct.pack(">HH", count, clear)


CONTENTS = {
    "GIMP": b"GIMP Palette\nName: x\n#\n" + ROWS,
    "JASC": b"JASC-PAL\r\n0100\r\n3\r\n" + ROWS,
    "RIFF": riff(),
    "RIFF with another chunk": riff(before=b"plth" + struct.pack("<I", 3) + b"abc\0"),
    "Paint.NET": b"; paint.net Palette File\nFFFF0010\nFF000102\nFF090909\n",
    "PNG": made.png(COLORS[np.newaxis], 8, 2),
    "PNG of a palette": made.png(
        np.arange(3).reshape(1, 3, 1), 8, 3, (b"PLTE", COLORS.tobytes())
    ),
}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("ending", ["gpl", "pal", "hex", "txt", "act", "png", "x", ""])
def test_an_ending_may_lie(tmp_path, kind, ending):
    path = tmp_path / f"a.{ending}".rstrip(".")
    path.write_bytes(CONTENTS[kind])
    assert kquant.Palette.load(path).hex == HEX


@pytest.mark.parametrize("ending", ["gpl", "pal", "hex", "txt"])
def test_lists_of_colours_may_be_called_anything(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(b"#ff0010\n000102\n#090909\n")
    assert kquant.Palette.load(path).hex == HEX


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.pal", b"JASC-PAL\n0100\n9\n" + ROWS, "line 3: expected 3, the number of"),
        ("a.pal", b"JASC-PAL\n0100\n2\n" + ROWS, "line 3: expected 3, the number of"),
        ("a.pal", riff(count=9), "says that it has 9 colours, but has 3"),
        ("a.pal", riff()[:-6], "says that it has 3 colours, but has 1"),
        ("a.pal", riff(count=0), "has 0 colours, not 1..256"),
        ("a.pal", riff()[:18], "has 0 colours, not 1..256"),
        ("a.act", act(count=300), "says that it has 300 colours, but has 256"),
        ("a.pal", JASC + b"1\n1 2 3 999\n", "line 4: expected 4 numbers 0..255"),
        ("a.pal", JASC + b"1\n1 2 3 0\n", "would make every colour transparent"),
        ("a.png", made.png(oracle.photo(1, 30, 40), 8, 2), "has no palette"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(kquant.ImageFileError, match=message):
        kquant.Palette.load(tmp_path / name)


def test_further_bytes_of_riff_are_no_colours(tmp_path):
    (tmp_path / "a.pal").write_bytes(riff(extra=b"\0" * 8))
    assert kquant.Palette.load(tmp_path / "a.pal").hex == HEX


def test_the_fourth_number_of_jasc_is_alpha(tmp_path):
    rows = b"255 0 16 128\n0 1 2\n9 9 9 0\n"
    (tmp_path / "a.pal").write_bytes(b"JASC-PAL\n0100\n3\n" + rows)
    found = kquant.Palette.load(tmp_path / "a.pal")
    assert found.hex == ["#ff001080", "#000102ff", "#09090900"]


def test_the_transparent_entry_of_adobe_is(tmp_path):
    (tmp_path / "a.act").write_bytes(act(clear=1))
    found = kquant.Palette.load(tmp_path / "a.act")
    assert found.hex == ["#ff0010ff", "#00010200", "#090909ff"]


def test_a_picture_of_few_colours_is_a_palette_in_their_order(tmp_path):
    order = np.random.default_rng(2).permutation(1 << 24)[:256]
    colors = np.stack([order >> 16, order >> 8 & 255, order & 255], axis=1)
    picture = colors[np.r_[np.arange(256), np.arange(256)[::-1]]].reshape(16, 32, 3)
    for form in ("png", "tif", "ppm", "bmp"):
        path = tmp_path / f"a.{form}"
        Image.fromarray(picture.astype(np.uint8)).save(path)
        assert np.array_equal(np.asarray(kquant.Palette.load(path)), colors)


def test_a_profile_is_for_the_palette_too(tmp_path):
    image = Image.fromarray(np.arange(3, dtype=np.uint8).reshape(1, 3))
    image.putpalette(COLORS.tobytes())
    wide = made.profile(made.WIDE, 2.2)
    image.save(tmp_path / "a.png", icc_profile=wide)
    Image.fromarray(COLORS[np.newaxis]).save(tmp_path / "b.png", icc_profile=wide)
    found = kquant.Palette.load(tmp_path / "a.png")
    assert found == kquant.Palette.load(tmp_path / "b.png")
    assert found.hex != HEX


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes are of POSIX")
@pytest.mark.parametrize("kind", ["GIMP", "PNG"])
def test_palettes_come_from_pipes(tmp_path, kind):
    os.mkfifo(tmp_path / "a")
    writer = threading.Thread(
        target=(tmp_path / "a").write_bytes, args=(CONTENTS[kind],)
    )
    writer.start()
    assert kquant.Palette.load(tmp_path / "a").hex == HEX
    writer.join()


def damaged(name):
    content = made.png(
        np.arange(3).reshape(1, 3, 1), 8, 3, (b"PLTE", COLORS.tobytes()),
        (b"pHYs", b"abc"),
    )  # fmt: skip
    with open(name, "wb") as file:
        file.write(content)


def test_what_is_ignored_of_a_palette_is_named(tmp_path):
    damaged(tmp_path / "p.png")
    with pytest.warns(kquant.KquantWarning, match=r"p\.png: metadata .* pHYs") as all_:
        kquant.Palette.load(tmp_path / "p.png")
    assert [each.filename for each in all_] == [__file__]


@pytest.mark.parametrize("option", ["--palette", "--lock", "--weights"])
def test_the_command_line_names_it_too(option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    damaged("p.png")
    Image.fromarray(COLORS[np.newaxis]).save("in.png")
    line = (
        "kquant: warning: p.png: metadata are damaged and ignored: pHYs (of 3 bytes)."
    )
    assert cli.main([option, "p.png", "in.png"]) == 0
    assert capsys.readouterr().err.count(line) == 1
    assert cli.main([option, "p.png", "in.png", "-qf", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert json.loads(out.splitlines()[-1])["warnings"] == [line[17:]]
