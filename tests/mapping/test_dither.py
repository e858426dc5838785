"""Dithering: right means, clean flats, the same for any threads and levels."""

import functools

import numpy as np
import oracle
import pytest

import kquant
from kquant import Palette, _kernel
from kquant.mapping.dither import KINDS, Dither
from kquant.mapping.ordered import bayer_thresholds, blue_noise_thresholds

PHOTO = oracle.photo(21)
BLACK_WHITE = Palette(["#000", "#fff"])


def ramp(height=64, width=256):
    """From black to white, in light that is linear in the values."""
    return np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))


def blurred(array, size=8):
    """Means of squares of pixels."""
    height, width = (n // size * size for n in array.shape[:2])
    parts = array[:height, :width].astype(float)
    return parts.reshape(height // size, size, width // size, size, -1).mean(
        axis=(1, 3)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_means_are_right_where_the_nearest_entry_bands(kind, level):
    image = ramp()
    q = kquant.quantize(image, palette=BLACK_WHITE, dither=f"{kind}:1")
    plain = kquant.quantize(image, palette=BLACK_WHITE)
    errors = [np.abs(blurred(r.to_array()) - blurred(image)).mean() for r in (q, plain)]
    assert errors[0] < 8
    assert errors[1] > 60
    # Over the whole picture the mean is kept but for what is left at the edges.
    assert abs(q.to_array().mean() - image.mean()) < 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", ["srgb", "oklab"])
def test_means_of_photographs_come_closer(kind, space):
    image = oracle.photo(4, 240, 320, spread=8)
    palette = kquant.quantize(image, 12, space=space).palette
    dithered = palette.map(image, dither=f"{kind}:1", space=space)
    plain = palette.map(image, space=space)
    errors = [
        ((blurred(r.to_array()) - blurred(image)) ** 2).mean()
        for r in (dithered, plain)
    ]
    assert errors[0] < errors[1]
    assert dithered.mse > plain.mse


@pytest.mark.parametrize("kind", KINDS)
def test_flat_areas_with_an_entry_of_their_own_stay_clean(kind):
    """A logo: specks would come from errors of soft edges."""
    y, x = np.mgrid[0:80, 0:120]
    disc = np.clip(30 - np.hypot(y - 40, x - 60), 0, 1)[..., np.newaxis]
    image = (
        (disc * (200, 30, 60) + (1 - disc) * (250, 250, 245)).round().astype(np.uint8)
    )
    q = kquant.quantize(image, 4, dither=f"{kind}:1")
    for color in ((200, 30, 60), (250, 250, 245)):
        flat = (image == color).all(axis=2)
        assert flat.sum() > 1000
        assert len(np.unique(q.indices[flat])) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("space", ["srgb", "lab"])
def test_a_lossless_palette_is_not_dithered(kind, space):
    image = (oracle.photo(2) // 86) * 86
    q = kquant.quantize(image, 256, dither=kind, space=space)
    assert q.lossless


@pytest.mark.parametrize("kind", KINDS)
def test_every_index_is_below_the_length_and_counts_are_those_of_the_map(kind):
    q = kquant.quantize(PHOTO, 37, dither=kind)
    counts = np.bincount(q.indices.ravel(), minlength=37)
    assert q.palette.counts.tolist() == counts.tolist()
    distances = ((PHOTO.astype(int) - q.to_array()) ** 2).sum(axis=2)
    assert q.mse == pytest.approx(distances.mean())
    assert q.max_error == pytest.approx(distances.max() ** 0.5)
    assert q.dither == kind
    assert q.palette == kquant.quantize(PHOTO, 37).palette


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("space", ["srgb", "oklab"])
def test_threads_and_levels_do_not_matter(kind, alpha, space, level, monkeypatch):
    image = np.dstack([PHOTO, PHOTO[..., 0]]) if alpha else PHOTO
    one = kquant.quantize(image, 20, dither=kind, space=space, threads=1)
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 500)
    for module in ("diffuse", "ordered"):
        monkeypatch.setattr(f"kquant.mapping.{module}.THREAD_COLORS", 100)
    _kernel.use_level("base")
    many = kquant.quantize(image, 20, dither=kind, space=space, threads=3)
    assert np.array_equal(one.indices, many.indices)


def diffuse(image, palette, strength):
    """Floyd and Steinberg's error diffusion, serpentine, in plain Python integers.

    Errors are kept in sixteenths of the grid; colours within half a step of their
    entry get it and pass nothing on.
    """
    one = 64
    entries = palette.astype(int) * one
    height, width, _ = image.shape
    plain = oracle.nearest(image.reshape(-1, 3).astype(int) * one, entries)
    plain = plain.reshape(height, width)
    errors = np.zeros((height + 1, width + 2, 3), int)
    indices = np.zeros((height, width), int)
    for y in range(height):
        step = -1 if y % 2 else 1
        carry = np.zeros(3, int)
        for x in range(width)[::step]:
            at = image[y, x].astype(int) * one
            nearest = plain[y, x]
            if ((at - entries[nearest]) ** 2).sum() <= one * one // 4:
                error = np.zeros(3, int)
            else:
                at = np.clip(at + ((errors[y, x + 1] + carry + 8) >> 4), 0, 255 * one)
                nearest = oracle.nearest([at], entries)[0]
                error = ((at - entries[nearest]) * strength + 128) >> 8
            indices[y, x] = nearest
            carry = 7 * error
            errors[y + 1, x + 1 - step] += 3 * error
            errors[y + 1, x + 1] += 5 * error
            errors[y + 1, x + 1 + step] += error
    return indices


@functools.cache  # one answer, which every level is compared with
def diffused(colors, strength):
    """Return a picture, a palette for it, and the indices that `diffuse` gives."""
    image = oracle.photo(colors, 33, 41, spread=80)
    palette = kquant.quantize(image, colors).palette
    return image, palette, diffuse(image, np.asarray(palette), round(strength * 256))


@pytest.mark.parametrize("colors", [2, 9, 60, 256])
@pytest.mark.parametrize("strength", [1, 0.8, 0.25])
def test_diffusion_is_that_of_floyd_and_steinberg(colors, strength, level):
    image, palette, expected = diffused(colors, strength)
    q = palette.map(image, dither=strength)
    assert np.array_equal(q.indices, expected)


@functools.cache
def diffused_in_bands():
    """Return a picture, a palette for it, and indices: bands of 64 rows, led in."""
    image = oracle.photo(3, 333, 21, spread=80)
    palette = kquant.quantize(image, 12).palette
    bands = []
    for top in range(0, 333, 64):
        lead = 4 if top else 0
        part = image[top - lead : top + 64]
        bands.append(diffuse(part, np.asarray(palette), 256)[lead:])
    return image, palette, np.concatenate(bands)


def test_bands_start_some_rows_early(level):
    """A band of 64 rows is what diffusion from four rows above it gives."""
    image, palette, expected = diffused_in_bands()
    assert np.array_equal(palette.map(image, dither=1).indices, expected)


def test_strength_scales_what_is_added():
    image = oracle.photo(5, 200, 300)
    palette = kquant.quantize(image, 16).palette
    for kind in KINDS:
        errors = [palette.map(image, dither=f"{kind}:{s}").mse for s in (0.2, 0.6, 1)]
        assert palette.map(image).mse < errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("kind", ["blue-noise", "bayer"])
def test_by_position_nothing_changes_but_what_changes(kind):
    palette = kquant.quantize(PHOTO, 16).palette
    other = PHOTO.copy()
    other[50:60, 50:60] = 255 - other[50:60, 50:60]
    a, b = (palette.map(i, dither=kind).indices for i in (PHOTO, other))
    changed = a != b
    changed[50:60, 50:60] = False
    assert not changed.any()


@pytest.mark.parametrize("kind", ["blue-noise", "bayer"])
def test_a_mix_of_two_has_the_share_of_each(kind):
    for value in (13, 64, 100, 128, 200, 250):
        image = np.full((64, 64), value, np.uint8)
        q = kquant.quantize(image, palette=BLACK_WHITE, dither=kind)
        assert abs(q.indices.mean() - value / 255) <= 1 / 64


def test_blue_noise_has_no_low_frequencies():
    thresholds = blue_noise_thresholds().astype(float)
    assert (
        np.bincount(thresholds.astype(int).ravel(), minlength=256).tolist()
        == [16] * 256
    )
    power = np.abs(np.fft.fft2(thresholds - thresholds.mean())) ** 2
    frequency = np.minimum(np.arange(64), 64 - np.arange(64))
    away = np.hypot(frequency[:, None], frequency)
    low = power[(away > 0) & (away < 8)].mean()
    assert low < power[away > 20].mean() / 20


def test_bayer_has_every_threshold_once():
    assert sorted(bayer_thresholds().ravel().tolist()) == list(range(2, 256, 4))


def test_alpha_is_dithered_too():
    alpha = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    image = np.dstack([np.full((64, 256, 3), 90, np.uint8), alpha])
    palette = Palette(["#5a5a5a00", "#5a5a5aff"])
    for kind in KINDS:
        q = palette.map(image, dither=f"{kind}:1")
        means = blurred(q.to_array()[..., 3])[..., 0].mean(axis=0)
        assert np.abs(means - blurred(alpha)[..., 0].mean(axis=0)).max() < 24


@pytest.mark.parametrize(
    ("given", "kind", "strength", "name"),
    [
        (False, "none", 0, "none"),
        (0, "none", 0, "none"),
        ("bayer:0", "none", 0, "none"),
        (True, "floyd-steinberg", KINDS["floyd-steinberg"].strength, "floyd-steinberg"),
        (0.5, "floyd-steinberg", 0.5, "floyd-steinberg:0.5"),
        (1, "floyd-steinberg", 1, "floyd-steinberg:1"),
        (np.float32(0.25), "floyd-steinberg", 0.25, "floyd-steinberg:0.25"),
        ("blue-noise", "blue-noise", 1, "blue-noise"),
        ("bayer:.5", "bayer", 0.5, "bayer:0.5"),
    ],
)
def test_forms_of_the_argument(given, kind, strength, name):
    assert Dither.parse(given) == Dither(kind, strength)
    assert str(Dither.parse(given)) == name


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (2, ValueError),
        (-0.1, ValueError),
        (float("nan"), ValueError),
        ("fs", ValueError),
        ("none", ValueError),
        ("bayer:2", ValueError),
        ("bayer:", ValueError),
        ("bayer:x", ValueError),
        (None, TypeError),
        ([1], TypeError),
    ],
)
def test_other_forms_are_refused(given, error):
    for call in (lambda: kquant.quantize(PHOTO, dither=given),
                 lambda: BLACK_WHITE.map(PHOTO, dither=given)):  # fmt: skip
        with pytest.raises(error, match="dither must be"):
            call()


def test_progress_and_cancelling():
    def stop(stage, fraction):
        if stage == "index" and fraction > 0:
            raise StopIteration

    with pytest.raises(StopIteration):
        kquant.quantize(PHOTO, 8, dither=True, progress=stop)
