"""How much each pixel counts for the palette."""

import numpy as np
import oracle
import pytest

import kquant
from kquant import Histogram, Palette

PHOTO = oracle.photo(11)


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
