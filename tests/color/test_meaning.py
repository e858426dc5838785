"""What a Pillow image means is the same for who opens a file and who names it."""

import io
import re
import subprocess
import sys
import warnings

import made
import numpy as np
import oracle
import pytest
from PIL import Image, ImageOps, features

import kquant
from kquant.color.pixels import as_pixels
from kquant.files.decode import read_picture

RGB = oracle.photo(1, 30, 40)


def encoded(image, name, **options):
    file = io.BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def exif(orientation):
    data = Image.Exif()
    data[274] = orientation
    return data.tobytes()


def both(content, tmp_path):
    """Pixels by the file, by the opened image, and by the image once decoded."""
    path = tmp_path / "a"
    path.write_bytes(content)
    by_file = read_picture(path)
    with Image.open(path) as image, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        opened = as_pixels(image)
        again = as_pixels(image)
        image.load()
        decoded = as_pixels(image)
    ours = [str(c.message) for c in caught if c.category is kquant.KquantWarning]
    assert ours == 3 * list(by_file.notes)
    assert np.array_equal(by_file.pixels, opened)
    assert np.array_equal(opened, again)
    return by_file.pixels, decoded


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("profiled", [False, True])
def test_both_doors_give_the_same_picture(form, orientation, profiled, tmp_path):
    if form in ("WEBP", "AVIF") and not features.check(form.lower()):
        pytest.skip(f"this Pillow was built without {form}")
    options = {"exif": exif(orientation)}
    options |= {"lossless": True} if form == "WEBP" else {}
    if profiled:
        options["icc_profile"] = made.profile(made.WIDE, 2.2)
    content = encoded(Image.fromarray(RGB), form, **options)
    pixels, decoded = both(content, tmp_path)
    assert np.array_equal(pixels, decoded)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))
    assert pixels.shape[:2] == upright.size[::-1]
    if not profiled:
        assert np.array_equal(pixels, np.asarray(upright.convert("RGB")))
    else:
        assert np.abs(pixels.astype(int) - upright.convert("RGB")).max() > 5


def test_all_that_takes_an_image_takes_what_it_means(tmp_path):
    content = encoded(
        Image.fromarray(RGB), "PNG", exif=exif(6),
        icc_profile=made.profile(made.WIDE, 2.2),
    )  # fmt: skip
    (tmp_path / "a.png").write_bytes(content)
    pixels = read_picture(tmp_path / "a.png").pixels
    assert pixels.shape == (40, 30, 3)
    with Image.open(tmp_path / "a.png") as image:
        q = kquant.quantize(image, 9)
        fitted = kquant.Palette.fit(image, 9)
        mapped = fitted.map(image)
        counted = kquant.Histogram.from_image(image)
        assert q.worst(image).box == q.worst(pixels).box
    assert np.array_equal(q.indices, kquant.quantize(pixels, 9).indices)
    assert fitted == kquant.Palette.fit(pixels, 9)
    assert np.array_equal(mapped.indices, fitted.map(pixels).indices)
    assert np.array_equal(counted.colors, kquant.Histogram.from_image(pixels).colors)
    report = kquant.quantize_file(tmp_path / "a.png", colors=9)
    assert np.array_equal(report.image.to_array(), q.to_array())


def test_what_is_upright_already_is_not_turned_again():
    image = Image.open(io.BytesIO(encoded(Image.fromarray(RGB), "PNG", exif=exif(6))))
    upright = ImageOps.exif_transpose(image)
    assert as_pixels(upright).shape == as_pixels(image).shape == (40, 30, 3)


def test_the_image_stays_as_it_is():
    content = made.png(np.arange(9).reshape(3, 3, 1) % 4, 2, 0, (b"tRNS", b"\0\1"))
    image = Image.open(io.BytesIO(content))
    before = dict(image.info)
    first = as_pixels(image)
    assert image.info == before
    assert np.array_equal(as_pixels(image), first)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_is_none_is_named(value):
    content = encoded(Image.fromarray(RGB), "JPEG", exif=exif(value))
    picture = read_picture(io.BytesIO(content))
    assert picture.pixels.shape == RGB.shape
    named = (f"its EXIF orientation, {value}, is none of 1..8: ignored",)
    assert picture.notes == (named if value else ())


def test_a_warning_names_the_line_of_the_caller():
    image = Image.fromarray(RGB)
    image.info["icc_profile"] = b"junk" * 50
    with pytest.warns(kquant.KquantWarning, match="profile cannot be used") as caught:
        kquant.quantize(image, 4)
    assert [c.filename for c in caught] == [__file__]
    assert issubclass(kquant.KquantWarning, UserWarning)


@pytest.mark.parametrize("icc", ["text", (1, 2, 3), 5])
def test_a_profile_that_is_no_bytes_is_a_warning(icc):
    image = Image.fromarray(RGB)
    image.info["icc_profile"] = icc
    with pytest.warns(kquant.KquantWarning, match="profile cannot be used"):
        assert np.array_equal(as_pixels(image), RGB)


def test_a_profile_tag_of_a_tiff_that_is_no_bytes_is_a_warning():
    content = made.tiff(RGB, 8, t34675=(1, 2, 3))
    picture = read_picture(io.BytesIO(content))
    assert np.array_equal(picture.pixels, RGB)
    assert picture.notes == ("its colour profile cannot be used: taken as sRGB",)


def test_decoded_tiffs_are_scaled_by_their_tags():
    array = np.linspace(0, 4095, 40).astype(int).reshape(5, 8, 1)
    for content in (made.tiff(array, 12), made.tiff(array, 16, t281=(4095,))):
        image = Image.open(io.BytesIO(content))
        image.load()
        want = np.floor(array / 4095 * 255 + 0.5)
        assert np.array_equal(as_pixels(image), np.repeat(want, 3, axis=2))


def test_the_engine_works_without_pillow():
    script = (
        "import sys; sys.modules['PIL'] = None\n"
        "import numpy as np\n"
        "import kquant.fit, kquant.color.pixels, kquant.color.histogram\n"
        "from kquant import Histogram\n"
        "print(len(Histogram.from_image(np.zeros((2, 2, 3), np.uint8))))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"1\s*", ran.stdout)
