"""Colour profiles of files: brought to sRGB, kept, or warned of."""

import functools

import numpy as np
import oracle
import pytest
from PIL import Image, ImageCms

import kquant
from kquant.files.decode import read_picture, read_pixels

RGB = oracle.photo(1, 30, 40)
GREY = RGB[..., 1].copy()
GREY3 = np.repeat(GREY[..., None], 3, axis=2)


@functools.cache  # since a profile holds the time when it was made
def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile():
    """SRGB with red and blue in each other's place, so that we know the answer."""
    profile = srgb_profile()
    tags = profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ")
    return tags.replace(b"????", b"bXYZ")


def grey_profile(gamma):
    """Grey of some power: the smallest ICC profile that says it."""

    def s15(value):
        return round(value * 65536).to_bytes(4, "big", signed=True)

    white = b"XYZ \0\0\0\0" + s15(0.9642) + s15(1.0) + s15(0.8249)
    curve = (
        b"curv\0\0\0\0" + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big")
    )
    text = b"text\0\0\0\0kquant\0\0"
    tags, body, at = b"", b"", 128 + 4 + 12 * 3
    for name, data in ((b"wtpt", white), (b"kTRC", curve + b"\0\0"), (b"cprt", text)):
        tags += (
            name + (at + len(body)).to_bytes(4, "big") + len(data).to_bytes(4, "big")
        )
        body += data
    content = (3).to_bytes(4, "big") + tags + body
    head = (128 + len(content)).to_bytes(4, "big") + b"lcms" + bytes([2, 0x10, 0, 0])
    head += b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28) + s15(0.9642) + s15(1)
    head += s15(0.8249)
    return head.ljust(128, b"\0") + content


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_colours_are_brought_to_srgb_by_the_profile(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(RGB).save(path, icc_profile=swapped_profile(), **options)
    plain = np.asarray(Image.open(path).convert("RGB")).astype(int)
    picture = read_picture(path)
    assert picture.icc is None
    assert np.abs(picture.pixels - plain[..., ::-1]).max() <= 2
    assert picture.notes == ()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16"])
def test_a_profile_of_srgb_changes_no_bit(tmp_path, mode):
    image = Image.fromarray(RGB).convert(mode) if mode != "I;16" else Image.fromarray(
        GREY.astype(np.uint16) * 257
    )  # fmt: skip
    image.save(tmp_path / "a.png")
    image.save(tmp_path / "b.png", icc_profile=srgb_profile())
    assert np.array_equal(
        read_pixels(tmp_path / "a.png"), read_pixels(tmp_path / "b.png")
    )


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_alpha_is_none_of_the_profile_s_business(tmp_path, mode):
    alpha = np.where(np.median(GREY) > GREY, 0, 255).astype(np.uint8)
    image = Image.fromarray(np.dstack([RGB, alpha]))
    if mode == "P":
        image = kquant.quantize(image, 50).to_pillow()
    image.save(tmp_path / "a.png", icc_profile=swapped_profile())
    pixels = read_pixels(tmp_path / "a.png")
    expected = np.asarray(image.convert("RGBA"))
    assert np.array_equal(pixels[..., 3], expected[..., 3])
    seen = expected[..., 3] > 0
    away = pixels[..., :3].astype(int) - expected[..., 2::-1]
    assert np.abs(away[seen]).max() <= 2


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_profiles_give_grey(tmp_path, bits):
    image = Image.fromarray(GREY if bits == 8 else GREY.astype(np.uint16) * 257)
    image.save(tmp_path / "a.png", icc_profile=grey_profile(1.0))
    pixels = read_pixels(tmp_path / "a.png")
    assert np.ptp(pixels, axis=2).max() == 0
    light = GREY / 255  # values are light, so sRGB makes them brighter
    srgb = np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
    )
    assert np.abs(pixels[..., 0] - 255 * srgb).max() < 2.5


@pytest.mark.parametrize("profile", [b"nonsense", srgb_profile()[:300], bytes(5 << 20)])
def test_a_damaged_profile_is_a_warning(tmp_path, profile):
    Image.fromarray(RGB).save(tmp_path / "a.tif", icc_profile=profile)
    picture = read_picture(tmp_path / "a.tif")
    assert np.array_equal(picture.pixels, RGB)
    assert picture.notes == ("its colour profile cannot be used: taken as sRGB",)


def test_a_profile_for_other_values_is_a_warning(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png", icc_profile=swapped_profile())
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, GREY3)
    assert picture.notes == ("its colour profile is for other values: taken as sRGB",)


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_a_profile_is_kept_if_asked(tmp_path, suffix):
    Image.fromarray(RGB).save(tmp_path / "a.png", icc_profile=swapped_profile())
    report = kquant.quantize_file(
        tmp_path / "a.png", tmp_path / f"out.{suffix}", icc="keep", strip=True
    )
    assert np.array_equal(report.image.to_array(), kquant.quantize(RGB).to_array())
    with Image.open(report.target) as image:
        assert image.info["icc_profile"] == swapped_profile()
        assert "srgb" not in image.info
