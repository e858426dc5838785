"""Errors keep what they say, through inheritance and pickling."""

import pickle

import numpy as np
import oracle
import pytest

import kquant


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (kquant.InvalidValueError, ValueError),
        (kquant.InvalidTypeError, TypeError),
        (kquant.QualityError, ValueError),
        (kquant.ImageFileError, OSError),
        (kquant.OutputExistsError, FileExistsError),
    ],
)
def test_each_is_ours_and_the_builtin_one(ours, builtin):
    assert issubclass(ours, kquant.KquantError)
    assert issubclass(ours, builtin)


def test_file_errors_can_be_pickled():
    error = kquant.OutputExistsError("a.png", "exists", "Choose another name")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kquant.OutputExistsError
    assert str(copy) == str(error) == "a.png: exists. Choose another name."
    assert (copy.path, copy.problem) == ("a.png", "exists")


def copied(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    return copy


@pytest.mark.parametrize(
    "goal", [{"quality": "99-100"}, {"min_psnr": 60}, {"max_mse": 0.5}]
)
def test_a_quality_that_is_not_reached_has_the_best_image(goal):
    image = oracle.photo(1)
    with pytest.raises(kquant.QualityError) as caught:
        kquant.quantize(image, 3, dither=True, **goal)
    error = caught.value
    assert error.best_bytes is None
    assert isinstance(error.best_image, kquant.IndexedImage)
    assert len(error.best_image.palette) == 3
    assert error.best_image.indices.shape == image.shape[:2]
    assert error.best_image.dither == "floyd-steinberg"  # as it was asked for
    copy = copied(error)
    assert copy.best_bytes is None
    assert np.array_equal(copy.best_image.indices, error.best_image.indices)
    assert copy.best_image.palette == error.best_image.palette


@pytest.mark.parametrize("options", [{}, {"palette": "pico8"}, {"dither": True}])
def test_a_size_that_is_not_reached_has_the_best_bytes(tmp_path, options):
    kquant.quantize(oracle.photo(1)).save(tmp_path / "in.png")
    with pytest.raises(kquant.QualityError) as caught:
        kquant.quantize_file(tmp_path / "in.png", max_bytes=99, **options)
    error = caught.value
    assert error.best_image is None
    assert f"has {error.best_bytes:,} bytes, over max_bytes 99" in str(error)
    smallest = kquant.quantize_file(
        tmp_path / "in.png", max_bytes=error.best_bytes, **options
    )
    assert smallest.bytes_after == error.best_bytes
    assert copied(error).best_bytes == error.best_bytes
