"""No colour that matters ends far from its entry."""

import numpy as np
import oracle
import pytest

import kquant
from kquant import Histogram
from kquant.color.space import get_space

PHOTO = oracle.photo(11)


def patched(height=375, width=373, size=12):
    """A photograph of 0.14 megapixels with a patch of pure red."""
    image = oracle.photo(3, height, width, spread=60).copy()
    image = np.clip(image * 0.5 + 60, 0, 255).astype(np.uint8)
    image[100 : 100 + size, 200 : 200 + size] = 255, 0, 0
    return image


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
