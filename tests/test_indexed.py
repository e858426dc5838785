"""The result: what it says of itself and what it turns into."""

import copy
import dataclasses
import math
import pickle

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant


@pytest.fixture(scope="module")
def image():
    return oracle.photo(7)


@pytest.fixture(scope="module")
def q(image):
    return kquant.quantize(image, 20)


def test_the_array_is_the_palette_at_the_indices(q):
    array = q.to_array()
    assert array.shape == (*q.indices.shape, 3)
    assert array.dtype == np.uint8
    assert np.array_equal(array, np.asarray(q.palette)[q.indices])
    array[:] = 0  # the caller's own
    assert q.to_array().any()


def test_pillow_sees_the_same_picture(q):
    image = q.to_pillow()
    assert image.mode == "P"
    assert np.array_equal(np.asarray(image), q.indices)
    assert np.array_equal(np.asarray(image.convert("RGB")), q.to_array())
    assert len(image.getpalette()) == 3 * len(q.palette)


def test_the_file_has_the_same_picture(q, tmp_path):
    size = q.save(tmp_path / "a.png")
    assert size == (tmp_path / "a.png").stat().st_size
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), q.indices)
        assert np.array_equal(np.asarray(image.convert("RGB")), q.to_array())


def test_psnr_follows_from_mse(q):
    assert q.psnr == pytest.approx(10 * math.log10(3 * 255**2 / q.mse))
    assert not q.lossless


def test_it_cannot_be_changed(q):
    with pytest.raises(ValueError, match="read-only"):
        q.indices[0, 0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        q.mse = 0


def test_repr_says_size_and_quality(q):
    assert repr(q) == f"IndexedImage(160 x 120, 20 colors, mse {q.mse:.2f})"
    grey = kquant.quantize(np.zeros((2, 3), np.uint8))
    assert repr(grey) == "IndexedImage(3 x 2, 1 colors, lossless)"


@pytest.mark.parametrize("options", [{}, {"dither": True}, {"space": "lab"}])
def test_the_largest_error_is_that_of_a_pixel_in_srgb(image, options):
    q = kquant.quantize(image, 20, **options)
    offsets = image.astype(int) - q.to_array()
    largest = (offsets**2).sum(axis=2).max() ** 0.5
    assert q.max_error_srgb == q.max_error == pytest.approx(largest, rel=1e-12)
    assert q.max_error_in_space is None  # nothing was protected


@pytest.mark.parametrize("ending", ["png", "gif", "webp", "tif", "bmp"])
def test_indices_that_somebody_changed_are_not_saved(tmp_path, ending):
    q = kquant.quantize(oracle.photo(1), 16)
    indices = q.indices.copy()
    indices[0, 0] = 255
    changed = dataclasses.replace(q, indices=indices)
    with pytest.raises(kquant.InvalidValueError, match="indices must be below"):
        changed.save(tmp_path / f"out.{ending}")
    assert not list(tmp_path.iterdir())


def through_pickle(image):
    return pickle.loads(pickle.dumps(image))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, through_pickle])
def test_copies_cannot_be_changed_either(again):
    q = again(kquant.quantize(oracle.photo(1), 16))
    assert not q.indices.flags.writeable
    assert not np.asarray(q.palette).flags.writeable


@pytest.mark.parametrize(
    ("colors", "counts"),
    [
        (np.zeros((0, 3), np.uint8), None),
        (np.zeros((300, 3), np.uint8), None),
        (np.full((4, 3), 0.5), None),
        (np.zeros((4, 3), np.uint8), np.ones(3, np.int64)),
        (np.zeros((4, 3), np.uint8), np.ones(4)),
    ],
)
def test_a_changed_pickle_of_a_palette_is_refused(colors, counts):
    make, _ = kquant.Palette(["#000"]).__reduce__()
    with pytest.raises(kquant.KquantError):
        make(colors, counts, None)
