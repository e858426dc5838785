"""Pixels to entries: the nearest, of a palette that is given."""

import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import kquant
from kquant import Palette

PHOTO = oracle.photo(9)


def forms():
    colors = [(0, 0, 0), (255, 0, 0), (9, 9, 9), (255, 0, 0), (1, 254, 3)]
    image = Image.new("P", (2, 2))
    image.putpalette(bytes(sum(colors, ())))
    return {
        "tuples": colors,
        "hex": [bytes(c).hex() for c in colors],
        "array": np.array(colors),
        "palette": Palette(colors),
        "image": image,
    }


@pytest.mark.parametrize("form", ["tuples", "hex", "array", "palette", "image"])
def test_a_fixed_palette_is_kept_bit_for_bit(form, level):
    palette = forms()[form]
    q = kquant.quantize(PHOTO, palette=palette)
    assert list(q.palette) == forms()["tuples"]
    expected = oracle.nearest(PHOTO.reshape(-1, 3), forms()["tuples"])
    assert np.array_equal(q.indices.ravel(), expected)
    assert not (q.indices == 3).any()  # a repeated entry is never used
    assert q.iterations == 0


def test_palettes_with_and_without_alpha_meet_images_with_and_without():
    clear = np.dstack([PHOTO, PHOTO[..., 0]])
    opaque = Palette(["#000", "#fff"])
    with pytest.warns(kquant.KquantWarning, match="flattened onto white"):
        q = kquant.quantize(clear, palette=opaque)
    assert q.to_array().shape == (*PHOTO.shape[:2], 3)
    q = kquant.quantize(PHOTO, palette=["#00000000", "#808080ff"])
    assert q.to_array().shape == (*PHOTO.shape[:2], 4)
    assert q.palette.hex == ["#00000000", "#808080ff"]
    assert (q.worst(PHOTO).distance, q.mse) > (0, 0)


@pytest.mark.parametrize(
    ("palette", "error"),
    [
        ([], ValueError),
        (np.zeros((257, 3), int), ValueError),
        ([(1, 2)], ValueError),
        ([(0, 0, 256)], ValueError),
        ({"a": 1}, (TypeError, ValueError)),
        (Image.new("RGB", (2, 2)), ValueError),
        (Image.new("P", (2, 2)), ValueError),
    ],
)
def test_wrong_palettes_are_refused(palette, error):
    with pytest.raises(error, match="palette"):
        kquant.quantize(PHOTO, palette=palette)


# ---- fit and map


@given(
    image=hnp.arrays(np.uint8, (9, 8, 3)),
    colors=st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=40),
)
def test_map_gives_the_nearest_and_keeps_the_palette(image, colors):
    palette = Palette(colors)
    q = palette.map(image)
    assert q.palette == palette
    nearest = oracle.nearest(image.reshape(-1, 3), colors)
    assert np.array_equal(q.indices.ravel(), nearest)
    counts = np.bincount(nearest, minlength=len(colors))
    assert q.palette.counts.tolist() == counts.tolist()
    distances = (
        (image.reshape(-1, 3).astype(int) - np.array(colors)[nearest]) ** 2
    ).sum(1)
    assert q.mse == pytest.approx(distances.mean())


# ---- with alpha: exact, whatever the kernel's grid rounds


def with_alpha(kind, seed, n=1500):
    """(1, n, 4) pixels: any, nearly transparent, nearly opaque, or a smooth ramp."""
    chance = np.random.default_rng(seed)
    pixels = chance.integers(0, 256, (1, n, 4), np.uint8)
    if kind == "ramp":
        x = np.arange(n) % 256
        pixels[0] = np.stack([x, 255 - x, np.arange(n) * 255 // n, x // 2 + 90], 1)
    elif kind == "faint":
        pixels[..., 3] //= 16
    elif kind == "faintest":
        pixels[..., 3] %= 2
    elif kind == "dense":
        pixels[..., 3] = 255 - pixels[..., 3] // 64
    return pixels


KINDS = ["random", "faint", "faintest", "dense", "ramp"]


@pytest.mark.parametrize("colors", [2, 3, 16, 64, 256])
@pytest.mark.parametrize("kind", KINDS)
def test_entries_with_alpha_are_the_nearest_exactly(kind, colors, level):
    pixels = with_alpha(kind, colors)
    palette = with_alpha(kind, colors + 1)[0, :colors]
    fitted = kquant.quantize(pixels, colors, effort="fast", threads=1)
    for q in (Palette(palette).map(pixels), fitted):
        expected = oracle.over_both(pixels[0], q.palette).argmin(axis=1)
        assert np.array_equal(q.indices[0], expected)  # ties to the lowest index
        counts = np.bincount(expected, minlength=len(q.palette))
        assert q.palette.counts.tolist() == counts.tolist()


@given(
    image=hnp.arrays(np.uint8, (5, 8, 4)),
    colors=st.lists(st.tuples(*[st.integers(0, 255)] * 4), min_size=1, max_size=40),
)
def test_they_are_for_any_pixels_and_palette(image, colors):
    assume(any(color[3] < 255 for color in colors))  # others get no transparency
    expected = oracle.over_both(image.reshape(-1, 4), colors).argmin(axis=1)
    assert np.array_equal(Palette(colors).map(image).indices.ravel(), expected)


def test_the_smallest_case_that_the_grid_gets_wrong(level):
    palette = Palette([(155, 69, 48, 202), (79, 65, 37, 143)])
    assert palette.map(np.array([[[117, 0, 58, 169]]], np.uint8)).indices == 1


@pytest.mark.parametrize("space", ["srgb", "linear", "oklab", "lab"])
@pytest.mark.parametrize("dither", [False, True, "blue-noise", "bayer"])
def test_an_entry_that_equals_the_pixel_wins(space, dither, level):
    for alpha in (1, 2, 5, 16, 254):
        red, blue = np.mgrid[0:256:17, 0:256:17]
        shown = np.stack([red, 0 * red + 40, blue, 0 * red + alpha], axis=2)
        shown = shown.astype(np.uint8)
        q = Palette(shown.reshape(-1, 4)).map(shown, space=space, dither=dither)
        assert np.array_equal(q.to_array(), shown)
        assert q.lossless


def test_entries_with_alpha_are_the_same_for_any_threads(monkeypatch):
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 100)
    monkeypatch.setattr("kquant.fit.lloyd.THREAD_POINTS", 100)
    image = with_alpha("faint", 5)
    maps = [kquant.quantize(image, 60, threads=n).indices.tobytes() for n in (1, 2, 5)]
    assert len(set(maps)) == 1


def test_mapping_is_the_same_for_any_threads(monkeypatch):
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 100)
    image, palette = oracle.photo(5), Palette.fit(oracle.photo(6), 40)
    maps = [palette.map(image, threads=n).indices.tobytes() for n in (1, 2, 3, 8)]
    assert len(set(maps)) == 1
