"""Colours in every form, for palettes and locks."""

import numpy as np
import pytest
from PIL import Image

import kquant
from kquant import Palette

COLORS = [(255, 136, 0), (0, 0, 255), (1, 2, 3)]


@pytest.mark.parametrize(
    "form",
    [
        ["#ff8800", "#0000ff", "#010203"],
        ["ff8800", "00F", "#010203"],
        ["#f80", (0, 0, 255), [1, 2, 3]],
        COLORS,
        np.array(COLORS),
        np.array(COLORS, np.uint8)[::-1][::-1],
        iter(COLORS),
        Palette(COLORS),
    ],
)
def test_every_form_gives_the_same(form):
    palette = Palette(form)
    assert list(palette) == COLORS
    assert palette == Palette(COLORS)
    assert palette.counts is None


@pytest.mark.parametrize(
    ("colors", "error", "what"),
    [
        ([], ValueError, r"palette must have 1\.\.256 colours, got 0"),
        (np.zeros((0, 3), np.uint8), ValueError, "1..256 colours, got 0"),
        (np.zeros((257, 3), np.uint8), ValueError, "1..256 colours, got 257"),
        (np.zeros((4, 5), np.uint8), ValueError, "palette must be"),
        (np.zeros(3, np.uint8), ValueError, "palette must be"),
        ([(1, 2, 256)], ValueError, r"got \(1, 2, 256\) at index 0"),
        ([(1, 2, 3), (-1, 2, 3)], ValueError, r"got \(-1, 2, 3\) at index 1"),
        ([(1, 2, 3), (1, 2)], TypeError, "palette must be"),
        ([(0.5, 1, 1)], TypeError, "integers, got float64"),
        (["#12345"], ValueError, "'#12345' is not of the form"),
        (["#gggggg"], ValueError, "'#gggggg' is not of the form"),
        (["rod"], ValueError, "'rod' is not of the form"),
        (["# 12 34"], ValueError, "is not of the form"),
        ("#ff0000", TypeError, "got one string"),
        (None, TypeError, "palette must be"),
        (7, TypeError, "palette must be"),
    ],
)
def test_what_is_no_palette_is_refused(colors, error, what):
    with pytest.raises(error, match=what) as caught:
        Palette(colors)
    assert isinstance(caught.value, kquant.KquantError)


def test_images_with_a_palette_of_any_kind():
    colors = np.array([*COLORS, (9, 8, 7)], np.uint8)
    image = Image.new("P", (2, 2))
    image.putpalette(colors.tobytes())
    assert Palette(image) == Palette(colors)
    image.info["transparency"] = 1
    assert np.asarray(Palette(image))[:, 3].tolist() == [255, 0, 255, 255]
    image.info["transparency"] = b"\x05\x06"
    assert np.asarray(Palette(image))[:, 3].tolist() == [5, 6, 255, 255]
    clear = np.dstack([colors[np.newaxis], [[[1], [2], [3], [4]]]])[0].astype(np.uint8)
    image = Image.new("P", (2, 2))
    image.putpalette(clear.tobytes(), "RGBA")
    assert Palette(image) == Palette(clear)
    image.putpalette(b"")
    with pytest.raises(ValueError, match="must have colours, got an empty palette"):
        Palette(image)
