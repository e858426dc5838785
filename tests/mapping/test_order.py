"""Orders of a palette."""

import colorsys
import itertools

import numpy as np
import oracle
import pytest
from coloraide import Color

import kquant

PHOTO = oracle.photo(3)
SPRITE = np.dstack([PHOTO, np.where(PHOTO[..., 0] < 90, 0, 255).astype(np.uint8)])


@pytest.mark.parametrize("order", ["frequency", "lightness", "hue", "size"])
@pytest.mark.parametrize("dither", [False, True])
def test_an_order_changes_nothing_but_the_order(order, dither):
    plain = kquant.quantize(PHOTO, 40, dither=dither)
    q = kquant.quantize(PHOTO, 40, dither=dither, order=order)
    assert np.array_equal(q.to_array(), plain.to_array())
    assert sorted(q.palette.hex) == sorted(plain.palette.hex)
    assert q.palette.counts.tolist() == np.bincount(q.indices.ravel()).tolist()
    assert (q.mse, q.dither, q.lossless) == (plain.mse, plain.dither, plain.lossless)


def test_each_order_is_what_it_says():
    counts = kquant.quantize(PHOTO, 40, dither=True, order="frequency").palette.counts
    assert all(a >= b for a, b in itertools.pairwise(counts))
    light = kquant.quantize(PHOTO, 40, order="lightness").palette
    shades = [Color(name).convert("oklab")["l"] for name in light.hex]
    assert np.diff(shades).min() > -1e-4
    by_hue = np.asarray(kquant.quantize(PHOTO, 40, order="hue").palette)
    spread = np.ptp(by_hue.astype(int), axis=1)
    greys = int((spread < 8).sum())
    assert (spread[:greys] < 8).all()
    hues = [colorsys.rgb_to_hsv(*color)[0] for color in by_hue[greys:] / 255]
    assert hues == sorted(hues)


def test_size_makes_the_file_no_larger_than_other_orders(tmp_path):
    sizes = {
        order: kquant.quantize(PHOTO, 200, order=order).save(tmp_path / f"{order}.png")
        for order in ("frequency", "lightness", "hue", "size")
    }
    assert sizes["size"] == min(sizes.values())


@pytest.mark.parametrize(("where", "place"), [("first", 0), ("last", -1)])
def test_the_transparent_entry_goes_where_it_is_wanted(where, place):
    q = kquant.quantize(SPRITE, 20, transparent_index=where)
    alpha = np.asarray(q.palette)[:, 3]
    assert alpha[place] == 0
    assert (alpha == 0).sum() == 1
    assert np.array_equal(q.to_array(), kquant.quantize(SPRITE, 20).to_array())
    opaque = kquant.quantize(PHOTO, 20, transparent_index=where)
    assert opaque.palette == kquant.quantize(PHOTO, 20).palette


@pytest.mark.parametrize(
    "options",
    [
        {"order": "size!"}, {"transparent_index": "middle"},
        {"order": "hue", "palette": ["#fff"]},
        {"transparent_index": "last", "palette": ["#fff"]},
    ],
)  # fmt: skip
def test_wrong_orders_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        kquant.quantize(PHOTO, 5, **options)
