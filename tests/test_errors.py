"""Errors keep what they say, through inheritance and pickling."""

import pickle

import pytest

import kquant


@pytest.mark.parametrize(
    ("ours", "builtin"),
    [
        (kquant.InvalidValueError, ValueError),
        (kquant.InvalidTypeError, TypeError),
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
