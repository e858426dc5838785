"""Transparency: kept, cut or flattened, and what palettes without it make of it."""

import itertools
import warnings

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant import Palette

CHANCE = np.random.default_rng(5)
DITHERS = [False, "floyd-steinberg", "blue-noise", "bayer"]


@pytest.fixture(scope="module")
def sprite():
    """Opaque, transparent, and every alpha in between, with hidden colours."""
    pixels = CHANCE.integers(0, 256, (32, 48, 4), np.uint8)
    pixels[:8, :, 3], pixels[8:16, :, 3] = 0, 255
    return pixels


def shown_on(pixels, matte):
    """Reference: in fractions, by another way."""
    alpha = pixels[..., 3:].astype(np.int64)
    over = alpha * pixels[..., :3] + (255 - alpha) * np.array(matte)
    return np.rint(over / 255).astype(np.uint8)


def quietly(function, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return function(*arguments, **options)


@pytest.mark.parametrize("matte", ["white", "#000", "#20c040", (7, 99, 200)])
def test_matte_flattens(sprite, matte):
    color = matte if isinstance(matte, tuple) else Palette([matte])[0]
    q = quietly(kquant.quantize, sprite, 256, matte=matte)
    expected = kquant.quantize(shown_on(sprite, color), 256)
    assert np.array_equal(q.to_array(), expected.to_array())
    assert q.mse == expected.mse


def test_flattening_is_what_pillow_does(sprite):
    ground = Image.new("RGBA", (48, 32), (1, 130, 255, 255))
    theirs = Image.alpha_composite(ground, Image.fromarray(sprite)).convert("RGB")
    ours = shown_on(sprite, (1, 130, 255))
    away = np.abs(ours.astype(int) - np.asarray(theirs))
    assert away.max() <= 1  # Pillow rounds in two steps


@pytest.mark.parametrize("threshold", [1, 128, 255])
def test_a_threshold_leaves_no_half_transparency(sprite, threshold, tmp_path):
    q = quietly(kquant.quantize, sprite, 64, alpha_threshold=threshold)
    alpha = q.to_array()[..., 3]
    assert np.array_equal(alpha == 255, sprite[..., 3] >= threshold)
    assert set(np.unique(alpha)) == {0, 255}
    q.save(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        assert np.array_equal(np.asarray(image.convert("RGBA"))[..., 3], alpha)


def test_both_flatten_the_edges_that_stay(sprite):
    q = quietly(kquant.quantize, sprite, 256, alpha_threshold=100, matte="red")
    expected = np.dstack([shown_on(sprite, (255, 0, 0)), np.full((32, 48), 255)])
    expected[sprite[..., 3] < 100] = 0
    same = kquant.quantize(expected.astype(np.uint8), 256)
    assert np.array_equal(q.to_array(), same.to_array())


@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("space", ["srgb", "linear", "oklab", "lab"])
def test_an_opaque_palette_gets_what_is_shown_on_white(sprite, space, dither):
    palette = Palette(["#000", "#f00", "#0f0", "#fff", "#808080"])
    options = {"palette": palette, "space": space, "dither": dither}
    with pytest.warns(kquant.KquantWarning, match="flattened onto white.*matte"):
        q = kquant.quantize(sprite, **options)
    expected = quietly(kquant.quantize, shown_on(sprite, (255,) * 3), **options)
    assert np.array_equal(q.indices, expected.indices)
    assert q.palette == palette
    black = quietly(kquant.quantize, sprite, matte="black", **options)
    expected = quietly(kquant.quantize, shown_on(sprite, (0,) * 3), **options)
    assert np.array_equal(black.indices, expected.indices)


@pytest.mark.parametrize("dither", DITHERS)
@pytest.mark.parametrize("name", ["gameboy", "pico8", "websafe"])
def test_the_palette_of_a_screen_gets_a_transparent_entry(sprite, name, dither):
    opaque = sprite[..., 3] >= 128
    for source in (name, Palette.named(name)):
        with pytest.warns(kquant.KquantWarning, match="entry of their own"):
            q = kquant.quantize(sprite, palette=source, dither=dither)
        assert q.palette[:-1].hex == [h + "ff" for h in Palette.named(name).hex]
        assert q.palette[-1] == (0, 0, 0, 0)
        assert np.array_equal(q.indices == len(q.palette) - 1, ~opaque)
    if not dither:
        plain = kquant.quantize(np.ascontiguousarray(sprite[..., :3]), palette=name)
        assert np.array_equal(q.indices[opaque], plain.indices[opaque])
    flat = quietly(kquant.quantize, sprite, palette=name, matte="white", dither=dither)
    assert flat.palette == Palette.named(name)


@pytest.mark.parametrize("name", ["bw", "spectra6"])
def test_paper_is_the_ground_itself(sprite, name):
    with pytest.warns(kquant.KquantWarning, match="flattened onto white"):
        q = Palette.named(name).map(sprite)
    expected = Palette.named(name).map(shown_on(sprite, (255,) * 3))
    assert np.array_equal(q.indices, expected.indices)


def test_a_threshold_adds_an_entry_to_a_given_palette_if_there_is_room(sprite):
    small = Palette(["#000", "#fff"])
    q = quietly(small.map, sprite, alpha_threshold=128)
    assert q.palette.hex == ["#000000ff", "#ffffffff", "#00000000"]
    full = Palette(CHANCE.integers(0, 256, (256, 3)))
    with pytest.warns(kquant.KquantWarning, match="flattened"):
        assert full.map(sprite, alpha_threshold=128).palette == full


# Ordered dithering mixes two entries, and which of them comes first is by index.
@pytest.mark.parametrize("dither", DITHERS[:2])
def test_the_order_of_the_palette_does_not_count(dither):
    colors = oracle.photo(1)[:40, :40]
    image = np.dstack([colors, CHANCE.integers(0, 256, (40, 40), np.uint8)])
    found = []
    for order in itertools.permutations(["#000000", "#e01b24", "#3584e4", "#f9f06b"]):
        with pytest.warns(kquant.KquantWarning):
            found.append(kquant.quantize(image, palette=order, dither=dither))
    assert all(np.array_equal(found[0].to_array(), q.to_array()) for q in found)


def test_an_opaque_pixel_never_becomes_transparent():
    image = np.zeros((1, 3, 4), np.uint8)
    image[0, 1:] = 255  # white is nearer to nothing than to black
    q = kquant.quantize(image, palette=["#000"], alpha_threshold=128)
    assert q.indices.tolist() == [[1, 0, 0]]
    assert q.palette.counts.tolist() == [2, 1]
    assert q.distinct == 2


def test_opaque_pictures_hear_of_nothing():
    image = oracle.photo(1)
    plain = kquant.quantize(image, 16)
    for options in ({"matte": "white"}, {"alpha_threshold": 128}):
        q = quietly(kquant.quantize, image, 16, **options)
        assert np.array_equal(q.indices, plain.indices)
    assert quietly(kquant.quantize, image, palette="pico8").palette[0] == (0, 0, 0)


def test_palettes_with_alpha_are_used_as_they_are(sprite):
    palette = Palette(["#f00", "#00000000", "#0f08"])
    assert quietly(palette.map, sprite).palette == palette


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"matte": "nope"}, "matte colour 'nope'"),
        ({"matte": "#ff000080"}, "matte must be an opaque colour"),
        ({"matte": 7}, "matte must be a colour"),
        ({"alpha_threshold": 0}, "alpha_threshold must be"),
        ({"alpha_threshold": 256}, "alpha_threshold must be"),
        ({"alpha_threshold": "x"}, "alpha_threshold must be"),
    ],
)
def test_wrong_options_are_refused(sprite, options, message):
    with pytest.raises(kquant.KquantError, match=message):
        kquant.quantize(sprite, **options)


def test_files_say_it_in_a_note(sprite, tmp_path):
    Image.fromarray(sprite).save(tmp_path / "a.png")
    report = kquant.quantize_file(tmp_path / "a.png", palette=["#000", "#fff"])
    (note,) = report.notes
    assert "flattened onto white" in note
    assert report.worst().distance >= 0
    told = kquant.quantize_file(
        tmp_path / "a.png", tmp_path / "b.gif", palette="pico8", alpha_threshold=128
    )
    assert ["hide several colours" in note for note in told.notes] == [True]
