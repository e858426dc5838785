"""Locked colours: in the palette exactly, and the rest around them."""

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kquant
from kquant import Palette

PHOTO = oracle.photo(11)


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


@pytest.mark.parametrize(
    "option", [{"lock": ["#000"]}, {"weights": [[1]]}, {"max_error": 3}]
)
def test_a_fixed_palette_is_not_shaped(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} would have no effect"):
        kquant.quantize(PHOTO, palette=["#000"], **option)


def test_two_transparent_locks_are_refused():
    image = np.dstack([PHOTO, PHOTO[..., 0]])
    with pytest.raises(ValueError, match="lock must have at most one fully transp"):
        kquant.quantize(image, lock=[(1, 2, 3, 0), (3, 2, 1, 0)])
    q = kquant.quantize(image, 9, lock=[(1, 2, 3, 0), (1, 2, 3, 0)])  # which is one
    assert (1, 2, 3, 0) in list(q.palette)


def test_opaque_locks_with_an_alpha_are_those_without():
    plain = kquant.quantize(PHOTO, 9, lock=["#ff0000", "#123456"])
    assert kquant.quantize(PHOTO, 9, lock=["#ff0000ff", "#123456"]).palette == (
        plain.palette
    )


def test_few_colors_and_too_many_locked_are_searched():
    few = PHOTO // 128 * 255
    colors = len(np.unique(few.reshape(-1, 3), axis=0))
    lock = [(9, 9, i) for i in range(4)]
    q = kquant.quantize(few, colors + 3, lock=lock)  # one less than all would take
    assert len(q.palette) == colors + 3
    assert set(lock) <= set(q.palette)
    assert kquant.quantize(few, colors + 4, lock=lock).lossless
