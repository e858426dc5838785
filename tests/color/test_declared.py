"""What files say of their colours where Pillow passes over it."""

import io
import struct
import warnings

import made
import numpy as np
import pytest
from PIL import Image, features

import kquant
from kquant.color.declared import declared_by, of_tiff
from kquant.color.encoding import Encoding
from kquant.color.tiff import layout_of

PROFILE = made.profile(made.WIDE, 2.2)
P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def box(name, *parts):
    data = b"".join(parts)
    return struct.pack(">I", len(data) + 8) + name + data


def nclx(points, curve):
    return box(b"colr", b"nclx", struct.pack(">HHHB", points, curve, 6, 128))


def avif(*properties, shown=1, linked=((1, (1,)),), wide=False, large=False):
    """As much of an AVIF as says what its values mean."""
    entries = b""
    for item, numbers in linked:
        entries += struct.pack(">I" if wide else ">H", item) + bytes([len(numbers)])
        form = ">H" if large else ">B"
        entries += b"".join(
            struct.pack(form, number | (0x8000 if large else 0x80))
            for number in numbers
        )
    count = struct.pack(">I", len(linked))
    ipma = box(b"ipma", bytes([int(wide), 0, 0, int(large)]), count, entries)
    if wide:
        pitm = box(b"pitm", b"\1\0\0\0", struct.pack(">I", shown))
    else:
        pitm = box(b"pitm", bytes(4), struct.pack(">H", shown))
    iprp = box(b"iprp", box(b"ipco", *properties), ipma)
    return box(b"ftyp", b"avif", bytes(4)) + box(b"meta", bytes(4), pitm, iprp)


def said(form, content):
    notes = []
    file = io.BytesIO(content)
    file.seek(3)
    found = declared_by(form, file, notes)
    assert file.tell() == 3
    return found, notes


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("large", [False, True])
def test_code_points_are_those_of_the_picture_that_is_shown(wide, large):
    both = nclx(9, 16), nclx(12, 13)  # the first is of the gain map
    content = avif(
        *both, shown=7, linked=((3, (1,)), (7, (2,))), wide=wide, large=large
    )
    found, notes = said("AVIF", content)
    assert notes == []
    assert found.encoding.power is None
    assert found.encoding.primaries == P3
    assert not found.deep
    _, notes = said("AVIF", avif(*both, shown=3, linked=((3, (1,)),)))
    assert "high dynamic range (PQ)" in notes[0]


@pytest.mark.parametrize("points", [(1, 13), (2, 2), (1, 1), (1, 6)])
def test_usual_code_points_change_nothing(points):
    found, notes = said("AVIF", avif(nclx(*points)))
    assert not found.encoding
    assert notes == []


@pytest.mark.parametrize("bits", [0, 0x40, 0x60])
def test_an_avif_of_more_bits_is_known(bits):
    found, _ = said("AVIF", avif(box(b"av1C", bytes([0x81, 0, bits, 0]))))
    assert found.deep == bool(bits)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_an_avif_as_pillow_writes_it_is_srgb():
    file = io.BytesIO()
    Image.new("RGB", (9, 9), (200, 10, 30)).save(file, "AVIF")
    found, notes = said("AVIF", file.getvalue())
    assert found.encoding is not None  # so it was found
    assert not found.encoding
    assert notes == []


def jpeg_2000(*boxes):
    return box(b"jP  ", b"\r\n\x87\n") + box(b"jp2h", box(b"ihdr", bytes(14)), *boxes)


@pytest.mark.parametrize("method", [2, 3])
def test_the_profile_of_a_jpeg_2000(method):
    content = jpeg_2000(
        box(b"colr", b"\1\0\0", struct.pack(">I", 16)),
        box(b"colr", bytes([method, 0, 0]), PROFILE),
    )
    assert said("JPEG2000", content)[0].icc == PROFILE


@pytest.mark.parametrize("number", [12, 14, 16, 17, 18, 20, 21])
def test_the_numbered_spaces_of_a_jpeg_2000(number):
    content = jpeg_2000(box(b"colr", b"\1\0\0", struct.pack(">I", number)))
    _, notes = said("JPEG2000", content)
    assert bool(notes) == (number in (14, 20, 21))


def bmp(kind, *numbers, size=124):
    head = struct.pack("<I", size) + bytes(52) + kind + struct.pack("<12I", *numbers)
    return b"BM" + bytes(12) + head.ljust(124, b"\0") + bytes(9)


@pytest.mark.parametrize("kind", [b"BGRs", b" niW", b"\1\0\0\0"])
def test_a_bmp_of_srgb_is_that(kind):
    assert said("BMP", bmp(kind, *[7] * 12)) == (declared_by(None, None, []), [])


def test_what_a_bmp_says():
    assert not said("BMP", bmp(bytes(4), *[0] * 12))[0].encoding
    usual = [0] * 9 + [round(2.2 * 65536)] * 3
    assert not said("BMP", bmp(bytes(4), *usual))[0].encoding
    other = [0] * 9 + [round(1.8 * 65536)] * 3
    assert said("BMP", bmp(bytes(4), *other))[0].encoding.power == pytest.approx(
        1.8, 1e-3
    )
    inverse = [0] * 9 + [round(65536 / 1.8)] * 3
    assert said("BMP", bmp(bytes(4), *inverse))[0].encoding.power == pytest.approx(
        1.8, 1e-3
    )
    unequal = [0] * 9 + [65536, 2 * 65536, 65536]
    assert "another for each colour" in said("BMP", bmp(bytes(4), *unequal))[1][0]
    assert "in another file" in said("BMP", bmp(b"KNIL", *[0] * 12))[1][0]
    assert said("BMP", bmp(b"KNIL", *[0] * 12, size=40)) == said("BMP", b"")


@pytest.mark.parametrize("form", ["BMP", "GIF", "JPEG2000", "AVIF"])
def test_what_is_damaged_says_nothing(form):
    whole = {
        "BMP": bmp(b"DEBM", *[0] * 12),
        "GIF": b"GIF89a" + bytes(7) + b"\x21\xff\x0bICCRGBG1012\x03abc\0",
        "JPEG2000": jpeg_2000(box(b"colr", b"\2\0\0", PROFILE)),
        "AVIF": avif(nclx(12, 13), box(b"av1C", bytes(4)), linked=((1, (1, 2)),)),
    }[form]
    chance = np.random.default_rng(5)
    for size in range(len(whole)):
        said(form, whole[:size])
    for _ in range(300):
        content = bytearray(whole)
        for at in chance.integers(0, len(whole), 4):
            content[at] = chance.integers(256)
        said(form, bytes(content))


def layout(**tags):
    known = {256: 3, 257: 3, 258: (8, 8, 8), 262: 2, 277: 3}
    return layout_of({**known, **{int(t[1:]): v for t, v in tags.items()}}, "<")


def test_what_a_tiff_says():
    notes = []
    assert of_tiff(layout(), notes) is None
    assert of_tiff(layout(t318=P3[:2], t319=P3[2:]), notes).primaries == P3
    srgb = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
    assert of_tiff(layout(t319=srgb), notes) == Encoding()
    curve = tuple(round(65535 * (i / 255) ** 2.2) for i in range(256))
    assert of_tiff(layout(t301=curve), notes) == Encoding()
    assert of_tiff(layout(t301=3 * curve), notes) == Encoding()
    assert notes == []
    assert of_tiff(layout(t301=tuple(range(0, 65536, 257))), notes) == Encoding()
    assert notes == ["its transfer function is not applied: taken as that of sRGB"]


def test_a_palette_means_what_its_file_says(tmp_path):
    colors = np.array([[200, 30, 30], [30, 200, 30], [9, 9, 200]], np.uint8)
    index = np.arange(3).reshape(1, 3, 1)
    chunks = (b"PLTE", colors.tobytes()), (b"cICP", bytes([12, 13, 0, 1]))
    (tmp_path / "p.png").write_bytes(made.png(index, 8, 3, *chunks[::-1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        palette = np.asarray(kquant.Palette.load(tmp_path / "p.png"))
    with Image.open(tmp_path / "p.png") as image:
        shown = kquant.quantize(image)
    assert sorted(palette.tolist()) == sorted(np.asarray(shown.palette).tolist())
    assert palette[0].tolist() != colors[0].tolist()
