"""Image files to arrays: every format, every fault."""

import contextlib
import os

import numpy as np
import oracle
import pytest
from PIL import Image, features

import kquant
from kquant.decode import read_pixels

RGB = oracle.photo(1, 30, 40)
GREY = RGB[..., 1].copy()
GREY3 = np.repeat(GREY[..., None], 3, axis=2)
OPAQUE = np.full((30, 40, 1), 255, np.uint8)

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are of POSIX")


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("png", "zlib"), ("bmp", None), ("tif", None), ("ppm", None), ("gif", None),
        ("webp", "webp"), ("jp2", "jpg_2000"), ("jpg", "jpg"), ("avif", "avif"),
    ],
)  # fmt: skip
def test_formats(tmp_path, suffix, codec):
    if codec and not features.check(codec):
        pytest.skip(f"this Pillow was built without {codec}")
    image = Image.fromarray(RGB)
    lossless = {"webp": {"lossless": True}}.get(suffix, {})
    image.save(tmp_path / f"a.{suffix}", **lossless)
    pixels = read_pixels(tmp_path / f"a.{suffix}")
    if suffix in ("jpg", "avif", "gif"):
        assert np.abs(pixels.astype(int) - RGB).mean() < 20
    else:
        assert np.array_equal(pixels, RGB)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.swapaxes(0, 1)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, -1)[:, ::-1][::-1, ::-1].copy()),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_orientation_is_applied(tmp_path, orientation, turn):
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    expected = turn(RGB)
    if orientation == 7:  # mirrored at the other diagonal
        expected = RGB[::-1, ::-1].swapaxes(0, 1)
    assert np.array_equal(read_pixels(tmp_path / "a.png"), expected)


def test_16_bit_grey_files(tmp_path):
    values = (np.arange(2400, dtype=np.uint16) * 27).reshape(40, 60)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(
        read_pixels(tmp_path / "a.png")[..., 0], np.rint(values / 257)
    )


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_files_of_several_frames_are_refused(tmp_path, suffix):
    frames = [Image.fromarray(oracle.photo(i, 8, 8)) for i in range(3)]
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(kquant.ImageFileError, match="3 frames"):
        read_pixels(path)


def test_the_first_picture_of_a_camera_file_is_taken(tmp_path):
    frames = [Image.fromarray(oracle.photo(i, 16, 16)) for i in range(2)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    pixels = read_pixels(tmp_path / "a.jpg").astype(int)
    assert np.abs(pixels - oracle.photo(0, 16, 16)).mean() < 20


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_truncated_files_are_refused_wherever_they_end(tmp_path, suffix):
    Image.fromarray(RGB).save(tmp_path / f"whole.{suffix}")
    content = (tmp_path / f"whole.{suffix}").read_bytes()
    whole = read_pixels(tmp_path / f"whole.{suffix}")
    path = tmp_path / f"cut.{suffix}"
    refused = []
    for length in range(0, len(content), 1 + len(content) // 150):
        path.write_bytes(content[:length])
        try:
            assert np.array_equal(read_pixels(path), whole)
        except kquant.ImageFileError as error:
            refused.append(str(error))
    assert len(refused) >= 130
    assert all(message.startswith(f"{path}: ") for message in refused)


@pytest.mark.parametrize("place", range(20, 1500, 97))
def test_damaged_files_are_refused_or_read(tmp_path, place):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    content = bytearray((tmp_path / "a.png").read_bytes())
    content[place % len(content)] ^= 0x55
    (tmp_path / "a.png").write_bytes(content)
    with contextlib.suppress(kquant.ImageFileError):  # and nothing else
        assert read_pixels(tmp_path / "a.png").shape == RGB.shape


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("missing.png", None, "no such file"),
        ("empty.png", b"", "not an image kquant reads"),
        ("text.png", b"hello", "not an image kquant reads"),
        ("a.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
    ],
)
def test_what_is_no_image_file_is_refused(tmp_path, name, content, what):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(kquant.ImageFileError, match=what) as caught:
        read_pixels(tmp_path / name)
    assert caught.value.path == str(tmp_path / name)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(kquant.ImageFileError, match="is a directory"):
        read_pixels(tmp_path)


def test_transparent_files_keep_their_alpha(tmp_path):
    Image.fromarray(np.dstack([RGB, OPAQUE - 1])).save(tmp_path / "a.png")
    report = kquant.quantize_file(tmp_path / "a.png", colors=20)
    written = np.asarray(Image.open(report.target).convert("RGBA"))
    assert (written[..., 3] == 254).all()
    assert np.array_equal(written, report.image.to_array())


@pytest.mark.parametrize("limit", [400, 1000])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_the_limit_of_pillow_is_kept(tmp_path, monkeypatch, limit):
    Image.fromarray(RGB).save(tmp_path / "a.png")  # 1200 pixels
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(kquant.ImageFileError, match="pixels"):
        read_pixels(tmp_path / "a.png")
