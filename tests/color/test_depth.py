"""Entries of fewer bits, as hardware has them."""

import numpy as np
import oracle
import pytest

import kquant
from kquant.color.depth import check_bits, on_levels, rounded_colors

PHOTO = oracle.photo(3)
SPRITE = np.dstack([PHOTO, np.where(PHOTO[..., 0] < 90, 0, 255).astype(np.uint8)])


@pytest.mark.parametrize("bits", [1, 3, 5, (5, 6, 5), (4, 4, 4, 4), [8, 8, 1]])
def test_entries_have_so_many_bits(bits):
    depth = check_bits(bits)
    for image in (PHOTO, SPRITE):
        q = kquant.quantize(image, 30, bits=bits)
        colors = np.asarray(q.palette)
        for channel in range(colors.shape[1]):
            levels = {
                round(255 * level / (2 ** depth[channel] - 1))
                for level in range(2 ** depth[channel])
            }
            assert set(colors[:, channel].tolist()) <= levels
        assert len(np.unique(colors, axis=0)) == len(colors) <= 30
        if image is PHOTO:
            nearest = oracle.nearest(PHOTO.reshape(-1, 3), colors)
            assert np.array_equal(q.indices.ravel(), nearest)


def test_rounding_is_to_the_nearest_level():
    values = np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1)
    for bits in range(1, 9):
        levels = np.rint(255 * np.arange(2**bits) / (2**bits - 1))
        rounded = rounded_colors(values, (bits,) * 3 + (8,))
        assert rounded[:, 0].tolist() == levels.tolist()
        for value in values[:, 0]:
            one = rounded_colors(np.array([[value] * 3], np.uint8), (bits,) * 3 + (8,))
            assert abs(int(one[0, 0]) - int(value)) <= np.abs(levels - value).min() + 1


@pytest.mark.parametrize(
    ("bits", "error"),
    [
        (0, ValueError), (9, ValueError), ((5, 6), ValueError), (True, TypeError),
        ((5, 6, 5, 9), ValueError), ("5", TypeError), (5.0, TypeError),
    ],
)  # fmt: skip
def test_wrong_bits_are_refused(bits, error):
    with pytest.raises(error, match="bits"):
        kquant.quantize(PHOTO, 5, bits=bits)
    for other in ({"lock": ["#fff"]}, {"max_error": 9}, {"palette": ["#fff"]}):
        with pytest.raises(ValueError, match="bits"):
            kquant.quantize(PHOTO, 5, bits=5, **other)


def test_what_becomes_transparent_is_one_entry():
    image = np.zeros((1, 8, 4), np.uint8)
    image[0, :, 3] = [0, 20, 40, 60, 255, 255, 255, 255]
    image[0, :, 0] = np.arange(8) * 30
    q = kquant.quantize(image, bits=(8, 8, 8, 1))
    assert q.palette.hex == [
        "#00000000",
        *(f"#{30 * i:02x}0000ff" for i in range(4, 8)),
    ]
    assert q.indices.tolist() == [[0, 0, 0, 0, 1, 2, 3, 4]]


@pytest.mark.parametrize(
    "bits", [(8, 8, 8, 1), (5, 5, 5, 1), (4, 4, 4, 4), (8, 8, 8, 2)]
)
@pytest.mark.parametrize("space", ["srgb", "oklab"])
def test_entries_that_fewer_bits_set_free_are_used_again(bits, space):
    for seed in range(10):
        chance = np.random.default_rng(seed)
        image = chance.integers(0, 256, (1, 20 + 40 * seed, 4), np.uint8)
        image[..., 3] //= 1 + seed % 2
        k = int(chance.integers(2, 60))
        q = kquant.quantize(image, k, bits=bits, space=space, effort="fast")
        there = np.unique(on_levels(image[0], bits), axis=0)
        assert len(q.palette) == min(k, len(there))
        assert len(np.unique(q.palette, axis=0)) == len(q.palette)
        assert np.array_equal(on_levels(np.asarray(q.palette), bits), q.palette)
