"""Damaged files, cut and changed everywhere, and the limit of pixels."""

import io
import warnings

import numpy as np
import oracle
import pytest
from PIL import Image, features

from kquant import ImageFileError
from kquant.files.decode import read_pixels

RGB = oracle.photo(1, 24, 20)


FORMS = {
    "PNG": {}, "JPEG": {}, "GIF": {}, "BMP": {}, "PPM": {}, "TIFF": {},
    "WEBP": {}, "AVIF": {}, "JPEG of lines": {"progressive": True},
    "TIFF of pages": {"save_all": True}, "GIF of frames": {"save_all": True},
    "MPO": {"save_all": True},
}  # fmt: skip

BUILT = [f for f in FORMS if f not in ("AVIF", "WEBP") or features.check(f.lower())]


@pytest.fixture(params=BUILT)
def form(request):
    return request.param


@pytest.fixture
def content(form):
    file = io.BytesIO()
    options = dict(FORMS[form])
    if "save_all" in options:
        options["append_images"] = [Image.fromarray(RGB[::-1])]
    Image.fromarray(RGB).save(file, form.split()[0], **options)
    return file.getvalue()


def outcome(path):
    """Give the picture, or what we say is wrong; whatever else is raised comes out."""
    try:
        return read_pixels(path)
    except ImageFileError as error:
        return error.problem


@pytest.mark.filterwarnings("ignore")
def test_a_truncated_file_is_refused_or_whole(tmp_path, form, content):
    path = tmp_path / "a"
    path.write_bytes(content)
    whole = outcome(path)
    exact = form in ("PNG", "JPEG", "JPEG of lines")
    for length in range(0, len(content), 1 if exact else 13):
        path.write_bytes(content[:length])
        got = outcome(path)
        if isinstance(got, str):
            known = "is empty", "not an image", "truncated", "2 frames"
            assert got.startswith(known), length
        else:
            assert isinstance(whole, str) or np.array_equal(got, whole), length


@pytest.mark.parametrize("action", ["ignore", "error"])
def test_damaged_bytes_raise_nothing_but_our_error(
    tmp_path, monkeypatch, content, action
):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10**6)
    chance = np.random.default_rng(len(content))
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        for _ in range(100):
            damaged = bytearray(content)
            limit = min(len(content), chance.choice([60, 300, 10**6]))
            for at in chance.integers(0, limit, chance.integers(1, 4)):
                damaged[at] = chance.choice([0, 1, 255, chance.integers(256)])
            (tmp_path / "a").write_bytes(damaged)
            assert outcome(tmp_path / "a") is not None


@pytest.mark.parametrize("action", ["ignore", "error"])
@pytest.mark.parametrize("limit", [100, RGB.shape[0] * RGB.shape[1] - 1])
def test_more_pixels_than_the_limit_are_refused(tmp_path, monkeypatch, limit, action):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter(action)
        with pytest.raises(ImageFileError, match=r"pixels.*allow more"):
            read_pixels(tmp_path / "a.png")


@pytest.mark.parametrize("limit", [RGB.shape[0] * RGB.shape[1], None])
def test_as_many_pixels_as_the_limit_are_read(tmp_path, monkeypatch, limit):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert np.array_equal(read_pixels(tmp_path / "a.png"), RGB)
