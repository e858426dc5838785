"""Gamma, primaries and coding points of PNG, against coloraide and the standards."""

import io
import re
import struct

import made
import numpy as np
import pytest
from coloraide import Color as Base
from coloraide.spaces.rec2020_oetf import Rec2020OETF
from PIL import Image

from kquant.color.encoding import PRIMARIES, SRGB, conversion, srgb_light, srgb_values
from kquant.color.pixels import as_pixels
from kquant.files.decode import read_picture

RANDOM = np.random.default_rng(8)
COLORS = RANDOM.integers(0, 256, (6, 7, 3))
P3, BT2020 = PRIMARIES[12], PRIMARIES[9]


class Color(Base):
    pass


Color.register(Rec2020OETF(), overwrite=True)


def chunk_of(points):
    return struct.pack(">8I", *(round(p * 100000) for p in points))


def gamma(value):
    return b"gAMA", struct.pack(">I", round(value * 100000))


def picture(content):
    return read_picture(io.BytesIO(content))


def by_coloraide(space, unit):
    """sRGB, 0..255, of colours whose light is in a linear space of coloraide."""
    out = [
        Color(space, list(color)).convert("srgb-linear").coords(nans=False)
        for color in unit.reshape(-1, 3)
    ]
    light = np.clip(np.array(out).reshape(unit.shape), 0, 1)
    return 255 * srgb_values(light)


@pytest.mark.parametrize("value", [0.2, 0.35, 0.43, 0.5, 0.6, 1.0, 1.8, 2.5])
@pytest.mark.parametrize(("depth", "kind"), [(8, 0), (8, 2), (8, 6), (16, 0), (16, 2),
                                             (16, 6), (8, 4), (16, 4)])  # fmt: skip
def test_gamma_is_converted(value, depth, kind):
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[kind]
    top = (1 << depth) - 1
    array = RANDOM.integers(0, top + 1, (6, 7, channels))
    read = picture(made.png(array, depth, kind, gamma(value)))
    colors = channels - (kind > 2)
    light = (array[..., :colors] / top) ** (1 / value)
    want = 255 * srgb_values(light)
    assert np.abs(read.pixels[..., :3] - want).max() <= 0.5001
    if kind > 2:
        alpha = np.floor(array[..., -1] / top * 255 + 0.5)
        assert np.array_equal(read.pixels[..., 3], alpha)
    assert read.notes == ()


@pytest.mark.parametrize("value", [0.45455, 0.4545, 0.45, 0.46])
def test_the_gamma_that_stands_for_srgb_changes_no_bit(value):
    read = picture(made.png(COLORS, 8, 2, gamma(value)))
    changed = not np.array_equal(read.pixels, COLORS)
    assert changed == (abs(value - 0.45455) > 0.005)


@pytest.mark.parametrize(
    "better",
    [(b"sRGB", b"\0"), (b"cICP", bytes([1, 13, 0, 1]))],
)
def test_what_is_better_comes_before_gamma(better):
    extra = [gamma(1.0), (b"cHRM", chunk_of(P3)), better]
    read = picture(made.png(COLORS, 8, 2, *extra))
    assert np.array_equal(read.pixels, COLORS)
    assert read.notes == ()


def test_a_palette_has_gamma_too():
    table = bytes(range(48))
    content = made.png(
        RANDOM.integers(0, 16, (5, 5, 1)), 8, 3, gamma(1.0), (b"PLTE", table)
    )
    index = np.asarray(Image.open(io.BytesIO(content)))
    light = np.frombuffer(table, np.uint8).reshape(-1, 3)[index] / 255
    assert np.abs(picture(content).pixels - 255 * srgb_values(light)).max() <= 0.5001


@pytest.mark.parametrize("depth", [8, 16])
def test_primaries_are_converted(depth):
    array = COLORS * (257 if depth == 16 else 1)
    read = picture(made.png(array, depth, 2, gamma(0.45455), (b"cHRM", chunk_of(P3))))
    want = by_coloraide("display-p3-linear", srgb_light(COLORS / 255))
    assert np.abs(read.pixels - want).max() <= 0.6
    read = picture(made.png(array, depth, 2, gamma(0.45455), (b"cHRM", chunk_of(SRGB))))
    assert np.array_equal(read.pixels, COLORS)


@pytest.mark.parametrize(
    ("code", "space", "power"),
    [
        ((12, 13, 0, 1), "display-p3-linear", None),
        ((9, 8, 0, 1), "rec2020-linear", 1.0),
        ((9, 13, 0, 1), "rec2020-linear", None),
        ((12, 4, 0, 1), "display-p3-linear", 2.2),
        ((1, 4, 0, 1), "srgb-linear", 2.2),
        ((1, 1, 0, 1), "srgb-linear", None),
        ((1, 13, 0, 1), "srgb-linear", None),
    ],
)
def test_coding_points_are_converted(code, space, power, tmp_path):
    content = made.png(COLORS, 8, 2, (b"cICP", bytes(code)), gamma(0.7))
    read = picture(content)
    unit = COLORS / 255
    light = srgb_light(unit) if power is None else unit**power
    assert np.abs(read.pixels - by_coloraide(space, light)).max() <= 0.6
    assert read.notes == ()
    (tmp_path / "a.png").write_bytes(content)
    with Image.open(tmp_path / "a.png") as image:
        for _ in range(2):
            assert np.array_equal(as_pixels(image), read.pixels)


def test_values_of_video_are_stretched():
    array = np.array([[[16, 16, 16], [235, 235, 235], [126, 100, 0]]])
    read = picture(made.png(array, 8, 2, (b"cICP", bytes([1, 13, 0, 0]))))
    assert read.pixels.tolist() == [[[0] * 3, [255] * 3, [128, 98, 0]]]
    read = picture(made.png(array * 256, 16, 2, (b"cICP", bytes([1, 13, 0, 0]))))
    assert read.pixels.tolist() == [[[0] * 3, [255] * 3, [128, 98, 0]]]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ((9, 16, 0, 1), r"high dynamic range \(PQ\), which is not converted"),
        ((9, 18, 0, 1), r"high dynamic range \(HLG\), which is not converted"),
        ((99, 13, 0, 1), r"colours \(cICP 99, 13\) are not known"),
        ((1, 77, 0, 1), r"colours \(cICP 1, 77\) are not known"),
    ],
)
def test_what_cannot_be_converted_is_named(code, said):
    read = picture(made.png(COLORS, 8, 2, (b"cICP", bytes(code))))
    assert np.array_equal(read.pixels, COLORS)
    (note,) = read.notes
    assert re.search(said, note)


@pytest.mark.parametrize(
    "extra",
    [
        (gamma(0),),
        (b"cHRM", chunk_of((0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3))),
        (b"cHRM", bytes(32)),
        (b"cHRM", b"\xff" * 32),
    ],
)
def test_numbers_that_mean_nothing_are_named(extra):
    extra = extra if isinstance(extra[0], tuple) else (extra,)
    read = picture(made.png(COLORS, 8, 2, *extra))
    assert np.array_equal(read.pixels, COLORS)
    assert len(read.notes) == 1


def test_white_stays_white():
    for primaries in PRIMARIES.values():
        white = conversion(primaries) @ np.ones(3)
        assert np.abs(white - 1).max() < 2e-3
