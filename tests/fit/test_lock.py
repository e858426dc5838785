"""What a palette is asked to be like: locked colours, the guard, weights."""

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kquant
from kquant import Histogram, Palette
from kquant.color.space import get_space

PHOTO = oracle.photo(11)


def patched(height=375, width=373, size=12):
    """A photograph of 0.14 megapixels with a patch of pure red."""
    image = oracle.photo(3, height, width, spread=60).copy()
    image = np.clip(image * 0.5 + 60, 0, 255).astype(np.uint8)
    image[100 : 100 + size, 200 : 200 + size] = 255, 0, 0
    return image


# ---- locked colours


@settings(max_examples=60, deadline=None)
@given(
    locked=st.lists(st.tuples(*3 * [st.integers(0, 255)]), min_size=1, max_size=9),
    free=st.integers(0, 20),
    seed=st.integers(0, 3),
)
def test_locked_colors_are_there_once_and_mapping_stays_exact(locked, free, seed):
    image = oracle.photo(seed, 40, 50)
    distinct = len(set(locked))
    colors = distinct + free
    q = kquant.quantize(image, colors, lock=locked)
    palette = [tuple(c) for c in q.palette]
    assert len(palette) == colors
    assert len(set(palette)) == colors
    assert set(locked) <= set(palette)
    expected = oracle.nearest(image.reshape(-1, 3), np.asarray(q.palette))
    assert np.array_equal(q.indices.ravel(), expected)
    counts = np.bincount(q.indices.ravel(), minlength=colors)
    assert q.palette.counts.tolist() == counts.tolist()


def test_the_rest_is_optimized_around_the_locked():
    lock = ["#ff0000", "#00ff00", (0, 0, 255)]
    q = kquant.quantize(PHOTO, 19, lock=lock)
    free = kquant.quantize(PHOTO, 16).mse
    assert q.mse <= free * 1.02  # three unused entries more must not harm
    naive = Palette([*lock, *kquant.quantize(PHOTO, 16).palette.hex]).map(PHOTO).mse
    assert q.mse <= naive * 1.02


def test_locked_colors_of_the_image_are_not_doubled():
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4] = 255, 0, 0
    q = kquant.quantize(image, 8, lock=["#f00", "#0f0"])
    assert sorted(q.palette.hex) == ["#000000", "#00ff00", "#ff0000"]
    assert q.lossless


def test_as_many_locked_as_colors_is_a_fixed_palette():
    lock = ["#102030", "#a0b0c0", "#ff8000"]
    q = kquant.quantize(PHOTO, 3, lock=lock)
    assert sorted(q.palette.hex) == sorted(lock)
    assert q.mse == pytest.approx(Palette(lock).map(PHOTO).mse)


@pytest.mark.parametrize("space", ["linear", "oklab", "lab"])
def test_locked_colors_are_exact_in_every_space(space):
    q = kquant.quantize(PHOTO, 12, lock=["#fe0102"], space=space)
    assert "#fe0102" in q.palette.hex
    assert len(q.palette) == 12


def test_locked_colors_with_alpha():
    image = np.dstack([PHOTO, PHOTO[..., 0]])
    q = kquant.quantize(image, 9, lock=["#ff000080"])
    assert "#ff000080" in q.palette.hex
    clear = kquant.quantize(image, 9, lock=[(9, 8, 7, 0)])
    assert (9, 8, 7, 0) in list(clear.palette)


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"colors": 1, "lock": ["#000", "#fff"]}, ValueError, "lock must have at most"),
        ({"lock": "#000000"}, TypeError, "lock must be a list"),
        ({"lock": ["#00"]}, ValueError, "lock colour '#00'"),
        ({"lock": []}, ValueError, r"lock must have 1\.\.256 colours, got 0"),
        ({"lock": [(1, 2, 300)]}, ValueError, "lock must be of 0..255"),
        ({"lock": ["#ff000080"]}, ValueError, "lock must be opaque"),
    ],
)
def test_wrong_locks_are_refused(options, error, what):
    with pytest.raises(error, match=what) as caught:
        kquant.quantize(PHOTO, **options)
    assert isinstance(caught.value, kquant.KquantError)


def test_an_opaque_lock_of_an_image_with_alpha_is_refused():
    image = np.dstack([PHOTO, PHOTO[..., 0]])
    with pytest.raises(ValueError, match="lock must have alpha, as the image does"):
        kquant.quantize(image, lock=["#ff0000"])


# ---- the guard


def test_a_red_patch_survives_the_guard_and_is_reported_without():
    image = patched()
    lost = kquant.quantize(image, 8)
    assert np.abs(lost.to_array()[105, 205].astype(int) - (255, 0, 0)).max() > 60
    worst = lost.worst(image)
    left, upper, right, lower = worst.box
    assert left <= 205 < right
    assert upper <= 105 < lower
    assert worst.pixels == (right - left) * (lower - upper)
    assert worst.pixels <= 20 * 20
    assert worst.color[0] > 200
    assert worst.color[1] < 60
    assert worst.distance > 60
    kept = kquant.quantize(image, 8, max_error=40)
    assert len(kept.palette) == 8
    assert np.array_equal(kept.to_array()[105, 205], (255, 0, 0)) or (
        np.linalg.norm(kept.to_array()[105, 205] - np.array([255.0, 0, 0])) <= 40
    )


@pytest.mark.parametrize("space", ["srgb", "oklab"])
@pytest.mark.parametrize(("limit", "pixels"), [(30, 5), (45, 1), (60, 20)])
def test_the_promise_holds_for_every_protected_color(limit, pixels, space):
    image = patched()
    q = kquant.quantize(image, 64, max_error=limit, protect_pixels=pixels, space=space)
    histogram = Histogram.from_image(image)
    protected = histogram.colors[histogram.counts >= pixels]
    measured = get_space(space)
    at = measured.entries(protected).astype(int)
    entries = measured.entries(np.asarray(q.palette)).astype(int)
    offsets = (at - entries[oracle.nearest(at, entries)]) / 64
    assert np.sqrt((offsets**2).sum(axis=1)).max() <= limit


def test_a_promise_that_cannot_be_kept_says_how_many_colors_would_do():
    image = np.zeros((10, 40, 3), np.uint8)
    for i in range(8):
        image[:, 5 * i : 5 * i + 5] = 255 * (i & 1), 255 * (i >> 1 & 1), 255 * (i >> 2)
    with pytest.raises(ValueError, match=r"max_error=10 .* 4 colors: 8 would do"):
        kquant.quantize(image, 4, max_error=10)
    assert kquant.quantize(image, 8, max_error=10).lossless


def test_the_guard_counts_pixels_not_weights():
    image = patched()
    weights = np.ones(image.shape[:2])
    weights[100:112, 200:212] = 0
    q = kquant.quantize(image, 8, max_error=40, weights=weights)
    off = q.to_array()[105, 205].astype(float) - (255, 0, 0)
    assert np.linalg.norm(off) <= 40


@pytest.mark.parametrize(
    ("options", "error", "what"),
    [
        ({"max_error": -1}, ValueError, "max_error must be"),
        ({"max_error": float("nan")}, ValueError, "max_error must be"),
        ({"max_error": "9"}, TypeError, "max_error must be"),
        ({"max_error": 9, "protect_pixels": 0}, ValueError, "protect_pixels must be"),
        ({"max_error": 9, "protect_pixels": 1.5}, TypeError, "protect_pixels must be"),
        ({"protect_pixels": 9}, ValueError, "protect_pixels says"),
    ],
)
def test_wrong_guards_are_refused(options, error, what):
    with pytest.raises(error, match=what):
        kquant.quantize(PHOTO, **options)


# ---- weights


def test_integer_weights_are_repetition():
    chance = np.random.default_rng(5)
    weights = chance.integers(0, 4, PHOTO.shape[:2])
    repeated = np.repeat(PHOTO.reshape(-1, 3), weights.ravel(), axis=0)
    for options in ({}, {"space": "oklab"}, {"effort": "fast"}):
        weighted = Palette.fit(PHOTO, 30, weights=weights, **options)
        assert weighted == Palette.fit(repeated[np.newaxis], 30, **options)
        q = kquant.quantize(PHOTO, 30, weights=weights, **options)
        assert q.palette == weighted
        assert q.palette.counts.sum() == weights.size


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float32])
def test_weights_of_any_type(kind):
    weights = (np.arange(PHOTO[..., 0].size).reshape(PHOTO.shape[:2]) % 2).astype(kind)
    expected = Palette.fit(PHOTO.reshape(-1, 3)[1::2][np.newaxis], 12)
    assert kquant.quantize(PHOTO, 12, weights=weights).palette == expected


def test_only_proportions_matter():
    weights = np.random.default_rng(1).random(PHOTO.shape[:2])
    a = kquant.quantize(PHOTO, 12, weights=weights)
    b = kquant.quantize(PHOTO, 12, weights=weights * 2.0**30)
    assert a.palette == b.palette


def test_weights_with_alpha():
    image = np.dstack([PHOTO, PHOTO[..., 1]])
    weights = np.zeros(PHOTO.shape[:2], int)
    weights[:40] = 1
    q = kquant.quantize(image, 12, weights=weights)
    assert q.palette == Palette.fit(image[:40], 12)


@pytest.mark.parametrize(
    ("weights", "error", "what"),
    [
        (np.ones((3, 3)), ValueError, "shape of the image"),
        (np.zeros(PHOTO.shape[:2]), ValueError, "not all be 0"),
        (np.full(PHOTO.shape[:2], np.nan), ValueError, "finite"),
        (np.full(PHOTO.shape[:2], np.inf), ValueError, "finite"),
        (np.full(PHOTO.shape[:2], -1), ValueError, "negative"),
        (np.full(PHOTO.shape[:2], 2**60), ValueError, "add up to at most"),
        (np.full(PHOTO.shape[:2], "a"), TypeError, "numbers"),
        (np.ones(PHOTO.shape[:2], complex), TypeError, "numbers"),
        ([[1], [1, 2]], TypeError, "array"),
    ],
)
def test_wrong_weights_are_refused(weights, error, what):
    for function in (kquant.quantize, Palette.fit):
        with pytest.raises(error, match=f"weights.*{what}"):
            function(PHOTO, weights=weights)


def test_a_histogram_takes_no_weights():
    with pytest.raises(ValueError, match="weights are for images"):
        Palette.fit(Histogram.from_image(PHOTO), weights=np.ones(PHOTO.shape[:2]))


@pytest.mark.parametrize(
    "option", [{"lock": ["#000"]}, {"weights": [[1]]}, {"max_error": 3}]
)
def test_a_fixed_palette_is_not_shaped(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} would have no effect"):
        kquant.quantize(PHOTO, palette=["#000"], **option)
