"""Arrays that are laid out in another way: refused with the cure, nothing guessed."""

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant import Histogram, Palette

RGB = oracle.photo(5, 20, 30)
DOORS = {
    "quantize": lambda image: kquant.quantize(image, 4),
    "fit": lambda image: Palette.fit(image, 4),
    "histogram": Histogram.from_image,
    "map": lambda image: Palette(["#000", "#fff"]).map(image),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("image", "error", "cure"),
    [
        (RGB.reshape(-1, 3), ValueError, r"image\[:, np\.newaxis\]"),
        (np.dstack([RGB, RGB[..., :1]]).reshape(-1, 4), ValueError, "list of colours"),
        (RGB.reshape(-1, 3) / 255, ValueError, "list of colours"),
        (np.moveaxis(RGB, -1, 0), ValueError, r"np\.moveaxis\(image, 0, -1\)"),
        (RGB[np.newaxis, ..., 0], ValueError, "bands first"),
        (np.ma.masked_less(RGB, 40), TypeError, r"image\.filled\(0\)"),
        (RGB.astype(float), ValueError, "divide by 255"),
        (np.full((4, 5), np.nan), ValueError, "nan_to_num"),
        (RGB.astype(float) * 9, ValueError, "divide by its maximum"),
    ],
)
def test_other_layouts_are_refused_with_the_cure(door, image, error, cure):
    with pytest.raises(error, match=cure) as caught:
        DOORS[door](image)
    assert isinstance(caught.value, kquant.KquantError)


def test_the_cures_work():
    colors = RGB.reshape(-1, 3)
    expected = Histogram.from_image(RGB)
    assert Histogram.from_image(colors[:, np.newaxis]) == expected
    assert Histogram.from_image(np.moveaxis(np.moveaxis(RGB, -1, 0), 0, -1)) == expected
    narrow = colors[..., np.newaxis]
    assert kquant.quantize(narrow, 9).indices.shape == (600, 3)
    masked = np.ma.masked_less(RGB[..., 0], 40)
    weights = ~np.ma.getmaskarray(masked)
    assert len(kquant.quantize(masked.filled(0), 5, weights=weights).palette) == 5


@pytest.mark.parametrize(
    "shape", [(1, 3), (4, 3), (7, 4), (3, 4), (3, 3, 3), (4, 9, 4)]
)
def test_small_pictures_are_pictures(shape):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    assert kquant.quantize(image, 4).indices.shape == shape[:2]


def test_flat_palettes_are_refused_with_the_cure():
    flat = Image.fromarray(RGB).quantize(8).getpalette()
    for given in (flat, np.array(flat)):
        with pytest.raises(ValueError, match=r"np\.reshape\(palette, \(-1, 3\)\)"):
            kquant.quantize(RGB, palette=given)
    assert len(kquant.quantize(RGB, palette=np.reshape(flat, (-1, 3))).palette) >= 8


@pytest.mark.parametrize("name", ["NONE", "FLOYDSTEINBERG", "ORDERED"])
def test_dithers_of_pillow_are_refused_with_what_they_are_here(name):
    with pytest.raises(TypeError, match="dither=True is its FLOYDSTEINBERG"):
        kquant.quantize(RGB, 4, dither=Image.Dither[name])


def test_numpy_sees_the_picture():
    for image in (RGB, np.dstack([RGB, RGB[..., 0]])):
        q = kquant.quantize(image, 7)
        assert np.array_equal(np.asarray(q), q.to_array())
        assert np.asarray(q, dtype=np.float32).dtype == np.float32
        assert np.array_equal(np.array(q), q.to_array())
        with pytest.raises(ValueError, match="without a copy"):
            np.asarray(q, copy=False)
