"""Index maps to files of every format, decoded by Pillow."""

import io
import itertools
import os

import numpy as np
import oracle
import pytest
from PIL import Image, features

import kquant
from kquant.files.content import Content, WriteOptions
from kquant.files.encode import encode, shows
from kquant.parallel import Workers

PHOTO = oracle.photo(1, 120, 160)
SPRITE = np.dstack(
    [PHOTO, np.linspace(0, 255, 160).astype(np.uint8)[None].repeat(120, 0)]
)


def content(q, **more):
    return Content(q.indices, np.asarray(q.palette), **more)


def encoded(q, name="a.png", *, strip=False, optimize=None, threads=None, **more):
    with Workers(threads) as workers:
        return encode(name, content(q, **more), WriteOptions(strip, optimize), workers)


@pytest.mark.parametrize(
    "name", ["a.png", "a.gif", "a.webp", "a.tif", "a.TIFF", "a.bmp"]
)
@pytest.mark.parametrize("colors", [1, 2, 7, 16, 17, 256])
def test_every_format_shows_the_same(tmp_path, name, colors):
    if name.endswith("webp") and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    q = kquant.quantize(PHOTO, colors)
    size = q.save(tmp_path / name)
    assert size == os.path.getsize(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        assert image.mode == ("RGB" if name.endswith("webp") else "P")
        assert np.array_equal(np.asarray(image.convert("RGB")), q.to_array())
        if image.mode == "P":
            assert np.array_equal(np.asarray(image), q.indices)


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_alpha_where_the_format_has_it(tmp_path, name):
    if name.endswith("webp") and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    q = kquant.quantize(SPRITE, 30)
    q.save(tmp_path / name)
    with Image.open(tmp_path / name) as image:
        written = np.asarray(image.convert("RGBA"))
    assert np.array_equal(written, q.to_array())


def test_gif_has_one_transparent_colour(tmp_path):
    clear = SPRITE.copy()
    clear[..., 3] = np.where(clear[..., 3] < 128, 0, 255)
    q = kquant.quantize(clear, 30)
    q.save(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        written = np.asarray(image.convert("RGBA"))
    assert np.array_equal(written[..., 3], clear[..., 3])
    assert np.array_equal(written[clear[..., 3] > 0], q.to_array()[clear[..., 3] > 0])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a.gif", "one fully transparent"),
        ("a.tif", "no transp"),
        ("a.bmp", "no transp"),
    ],
)
def test_alpha_is_not_lost_silently(tmp_path, name, what):
    with pytest.raises(kquant.ImageFileError, match=rf"{what}.*\.png or \.webp"):
        kquant.quantize(SPRITE, 30).save(tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt", "png"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(kquant.ImageFileError, match=r"End the name in \.png"):
        kquant.quantize(PHOTO, 2).save(tmp_path / name)
    assert not os.listdir(tmp_path)


def test_what_shows_another_picture_is_found_out():
    q = kquant.quantize(SPRITE, 9)
    png = encoded(q)
    assert shows(png, content(q))
    for place, channel in itertools.product((0, 8), (0, 3)):
        colors = np.asarray(q.palette).copy()
        colors[place, channel] ^= 1
        if (np.asarray(q.palette)[place, 3] or colors[place, 3]) and q.palette.counts[
            place
        ]:
            assert not shows(png, Content(q.indices, colors))
    indices = q.indices.copy()
    indices[-1, -1] ^= 1
    assert not shows(png, Content(indices, np.asarray(q.palette)))


def test_tiff_has_the_resolution_and_the_profile():
    q = kquant.quantize(PHOTO, 8)
    tiff = encoded(q, "a.tif", dpi=(72.0, 300.0), icc=b"profile")
    with Image.open(io.BytesIO(tiff)) as image:
        assert image.info["dpi"] == (72, 300)
        assert image.info["icc_profile"] == b"profile"
    tiff = encoded(q, "a.tif", dpi=(72.0, 300.0), strip=True)
    with Image.open(io.BytesIO(tiff)) as image:
        assert image.info["dpi"] == (1, 1)  # as Pillow writes none


@pytest.mark.parametrize(("ending", "most"), [(".gif", 65_535), (".webp", 16_383)])
def test_a_side_that_the_format_cannot_hold_is_refused(tmp_path, ending, most):
    if ending == ".webp" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    for shape in ((1, most + 1), (most + 1, 1)):
        long = kquant.quantize(np.zeros((*shape, 3), np.uint8), 2)
        with pytest.raises(kquant.ImageFileError, match=rf"at most {most:,} on a side"):
            long.save(tmp_path / f"a{ending}")
        assert not list(tmp_path.iterdir())
    kquant.quantize(np.zeros((1, most, 3), np.uint8), 2).save(tmp_path / f"a{ending}")
