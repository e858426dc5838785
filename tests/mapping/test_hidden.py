"""The colour under the fully transparent entry."""

import numpy as np
import pytest

import kquant


def disc():
    image = np.zeros((20, 20, 4), np.uint8)
    image[..., :3] = 10, 20, 30
    image[5:15, 5:15] = 200, 100, 50, 255
    image[8:12, 8:12] = 0, 0, 255, 255
    return image


@pytest.mark.parametrize(
    ("how", "color"),
    [("zero", (0, 0, 0)), ("keep", (10, 20, 30)), ("bleed", (200, 100, 50))],
)
def test_hidden_colors(how, color):
    q = kquant.quantize(disc(), 8, transparent_rgb=how)
    assert (*color, 0) in list(q.palette)
    assert q.lossless
    assert len(q.palette) == 3
    same = kquant.quantize(disc(), 8)
    assert np.array_equal(q.indices, same.indices)


def test_bleeding_takes_the_pixels_at_the_edge_by_their_alpha():
    image = np.zeros((1, 4, 4), np.uint8)
    image[0, 0] = 100, 0, 0, 200
    image[0, 3] = 200, 0, 0, 50
    q = kquant.quantize(image, 8, transparent_rgb="bleed")
    assert (120, 0, 0, 0) in list(q.palette)


@pytest.mark.parametrize(("how", "error"), [("no", ValueError), (1, TypeError)])
def test_other_words_for_hidden_colors_are_refused(how, error):
    with pytest.raises(error, match="transparent_rgb must be"):
        kquant.quantize(disc(), transparent_rgb=how)
