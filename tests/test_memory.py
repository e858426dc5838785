"""Memory that is short is named as that, and changes no picture."""

import io
import zlib

import made
import numpy as np
import oracle
import pytest
from PIL import Image, ImageCms, ImageFile

import kquant
from kquant.color.pixels import taken
from kquant.errors import IgnoringDamage, NamingMemory, is_memory
from kquant.files.decode import read_picture
from kquant.parallel import Workers

RGB = oracle.photo(2, 20, 30)
SHORT = [
    MemoryError(),
    OSError("out of memory when reading image file"),
    RuntimeError("Failed to decode image: Out of memory"),
    ValueError("encoding error 1"),
    zlib.error("Error -4 while decompressing data"),
    SystemError("error return without exception set"),
    SystemError("<ufunc 'add'> returned NULL without setting an exception"),
]
OTHERS = [OSError("broken data stream"), ValueError("encoding error 5: too large")]


@pytest.mark.parametrize("error", SHORT, ids=repr)
def test_what_libraries_say_is_understood(error):
    assert is_memory(error)
    with pytest.raises(MemoryError), NamingMemory():
        raise error
    with pytest.raises(type(error)), IgnoringDamage():
        raise error
    if isinstance(error, SystemError):
        with pytest.raises(MemoryError, match="not enough memory"), Workers(1):
            raise error


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_other_errors_are_what_they_were(error):
    assert not is_memory(error)
    with pytest.raises(type(error)), NamingMemory():
        raise error
    with IgnoringDamage():
        raise error


def fails(times, error):
    """Make a function that fails some times, and then does what it did before."""
    left = [times]

    def wrap(function):
        def wrapped(*arguments, **options):
            if left[0]:
                left[0] -= 1
                raise error
            return function(*arguments, **options)

        return wrapped

    return wrap


def png(**options):
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "PNG", **options)
    file.seek(0)
    return file


def test_a_profile_is_not_left_out_for_lack_of_memory(monkeypatch):
    file = png(icc_profile=made.profile(made.WIDE, 2.2))
    expected = read_picture(file).pixels
    file.seek(0)
    assert not np.array_equal(expected, RGB)
    once = fails(1, ImageCms.PyCMSError("cannot build transform"))
    monkeypatch.setattr(ImageCms, "buildTransform", once(ImageCms.buildTransform))
    read = read_picture(file)
    assert np.array_equal(read.pixels, expected)
    assert read.notes == ()


def test_metadata_are_not_left_out_for_lack_of_memory(monkeypatch):
    import kquant.files.metadata as metadata

    short = fails(1, MemoryError())
    readers = {key: short(reader) for key, reader in metadata.READERS.items()}
    monkeypatch.setattr(metadata, "READERS", readers)
    with pytest.raises(MemoryError):
        read_picture(png())


def test_a_decoder_that_fails_once_is_asked_again(monkeypatch):
    once = fails(1, OSError("broken data stream when reading image file"))
    monkeypatch.setattr(ImageFile.ImageFile, "load", once(ImageFile.ImageFile.load))
    assert np.array_equal(read_picture(png()).pixels, RGB)


@pytest.mark.parametrize(
    ("times", "error", "expected"),
    [
        (1, RuntimeError("encoder error"), None),
        (2, ValueError("encoding error 1"), MemoryError),
        (2, RuntimeError("encoder error"), kquant.ImageFileError),
    ],
)
@pytest.mark.parametrize("suffix", ["webp", "gif", "tif"])
def test_encoders_too(monkeypatch, tmp_path, suffix, times, error, expected):
    q, target = kquant.quantize(RGB, 9), tmp_path / f"a.{suffix}"
    monkeypatch.setattr(Image.Image, "save", fails(times, error)(Image.Image.save))
    if expected is None:
        q.save(target)
        with Image.open(target) as image:
            assert np.array_equal(np.asarray(image.convert("RGB")), q.to_array())
        return
    with pytest.raises(expected):
        q.save(target)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (7,), (300, 500), (1, 70_000)])
@pytest.mark.parametrize("entry", [(), (3,), (4,)])
def test_taken_is_what_indexing_gives(shape, entry):
    chance = np.random.default_rng(1)
    table = chance.integers(0, 256, (200, *entry), np.uint8)
    indices = chance.integers(0, 200, shape, np.uint8)
    assert np.array_equal(taken(table, indices), table[indices])


# ---- damage behind a Pillow image that is not decoded yet


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "TIFF", "BMP"])
def test_a_pillow_image_of_a_damaged_file_is_an_argument_that_is_wrong(form):
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, form)
    cut = io.BytesIO(file.getvalue()[: len(file.getvalue()) // 2])
    if form == "TIFF":
        cut = io.BytesIO(file.getvalue()[:-200])
    try:
        image = Image.open(cut)
    except OSError:
        pytest.skip("Pillow does not open that")
    with pytest.raises(kquant.InvalidValueError, match="cannot be decoded by Pillow"):
        kquant.quantize(image, 4)


def test_nor_is_one_whose_file_is_closed_anything_else(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        pass
    with pytest.raises(kquant.InvalidValueError, match="or closed"):
        kquant.quantize(image, 4)
