"""Images and files in, files out: every form, every fault, nothing lost."""

import contextlib
import errno
import os
import re
import stat
import struct
import threading
import zlib

import numpy as np
import oracle
import pytest
from PIL import Image, features

import kquant
from kquant import image as module
from kquant.image import as_pixels, check_target, encode_png, read_pixels, write_file

RGB = oracle.photo(1, 30, 40)
GREY = RGB[..., 1].copy()
GREY3 = np.repeat(GREY[..., None], 3, axis=2)
OPAQUE = np.full((30, 40, 1), 255, np.uint8)

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are of POSIX")


# ---- arrays


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (RGB, RGB),
        (GREY, GREY3),
        (GREY[..., None], GREY3),
        (np.dstack([GREY, OPAQUE]), GREY3),
        (np.dstack([RGB, OPAQUE]), RGB),
        (GREY > 100, np.where(GREY3 > 100, 255, 0)),
        (RGB.tolist(), None),  # a list has no bytes
        (RGB[::-2, 1:-1:3, ::-1], RGB[::-2, 1:-1:3, ::-1]),
        (RGB.transpose(1, 0, 2), RGB.transpose(1, 0, 2)),
        (np.asfortranarray(RGB), RGB),
        (np.broadcast_to(RGB[:1], (5, 40, 3)), np.repeat(RGB[:1], 5, axis=0)),
    ],
)
def test_arrays_of_any_shape_and_strides(image, expected):
    if expected is None:
        with pytest.raises(TypeError, match="image must be of uint8"):
            as_pixels(image)
        return
    pixels = as_pixels(image)
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, expected)


def test_bytes_are_not_copied():
    for image in (RGB, GREY, np.dstack([RGB, OPAQUE]), RGB[::2, ::-1]):
        assert np.shares_memory(as_pixels(image), image)


def test_read_only_arrays():
    image = RGB.copy()
    image.flags.writeable = False
    assert np.array_equal(as_pixels(image), RGB)


def test_all_16_bit_values_are_rounded():
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    expected = np.rint(values / 257)
    for image in (values, values.astype(">u2"), np.dstack([values] * 3)):
        assert np.array_equal(as_pixels(image)[..., 0], expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_floats_are_rounded(dtype):
    values = (np.arange(256) / 255).astype(dtype).reshape(16, 16)
    assert np.array_equal(as_pixels(values)[..., 0].ravel(), np.arange(256))
    halves = np.array([[0, 0.001, 0.499 / 255, 0.501 / 255, 1]], dtype)
    assert as_pixels(halves)[..., 0].tolist() == [[0, 0, 0, 1, 255]]


@pytest.mark.parametrize(
    ("image", "error", "what"),
    [
        (np.zeros(5, np.uint8), ValueError, r"got shape \(5,\)"),
        (np.zeros((2, 2, 5), np.uint8), ValueError, r"got shape \(2, 2, 5\)"),
        (np.zeros((2, 2, 0), np.uint8), ValueError, r"got shape \(2, 2, 0\)"),
        (np.zeros((2, 2, 2, 3), np.uint8), ValueError, "got shape"),
        (np.zeros((0, 5, 3), np.uint8), ValueError, "no pixels"),
        (np.zeros((5, 0), np.uint8), ValueError, "no pixels"),
        (np.full((2, 2), np.nan), ValueError, "without NaN"),
        (np.full((2, 2), np.inf), ValueError, "within 0..1"),
        (np.full((2, 2), 1.01), ValueError, "within 0..1"),
        (np.full((2, 2), -0.01), ValueError, "within 0..1"),
        (np.zeros((2, 2), np.int32), TypeError, "got int32"),
        (np.zeros((2, 2), np.int8), TypeError, "got int8"),
        (np.zeros((2, 2), complex), TypeError, "got complex128"),
        (np.zeros((2, 2), object), TypeError, "got object"),
        ("in.jpg", TypeError, "got str; quantize_file"),
        (b"in.jpg", TypeError, "got bytes; quantize_file"),
        (None, TypeError, "got object"),
        ([[1], [1, 2]], TypeError, "cannot be made an array"),
    ],
)
def test_what_is_no_image_is_refused(image, error, what):
    for function in (kquant.quantize, kquant.Histogram.from_image):
        with pytest.raises(error, match=what) as caught:
            function(image)
        assert str(caught.value).startswith("image")
        assert isinstance(caught.value, kquant.KquantError)


# ---- Pillow images


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "RGBA", "LA", "PA"]
)
def test_pillow_modes_become_what_pillow_says(mode):
    if mode == "PA":
        image = Image.fromarray(RGB).quantize(16).convert("PA")
    else:
        image = (
            Image.fromarray(RGB).convert("L" if mode == "LA" else "RGB").convert(mode)
        )
    assert image.mode == mode
    assert np.array_equal(as_pixels(image), np.asarray(image.convert("RGB")))


def test_pillow_modes_of_16_and_32_bits():
    values = np.arange(0, 65536, 13, dtype=np.uint16)[:5000].reshape(50, 100)
    expected = np.rint(values / 257)
    for image in (
        Image.fromarray(values),
        Image.fromarray(values).convert("I"),
        Image.fromarray((values / 65535).astype(np.float32)),
    ):
        assert np.array_equal(as_pixels(image)[..., 2], expected), image.mode


@pytest.mark.parametrize(
    ("image", "what"),
    [
        (Image.new("RGB", (0, 4)), "no pixels: 0 x 4"),
        (Image.new("I", (2, 2), -1), "mode I must hold 0..65535, got -1"),
        (Image.new("I", (2, 2), 65536), "mode I must hold 0..65535"),
        (Image.new("F", (2, 2), 255), "within 0..1"),
    ],
)
def test_pillow_images_that_cannot_be_taken(image, what):
    with pytest.raises(ValueError, match=what) as caught:
        kquant.quantize(image)
    assert str(caught.value).startswith("image")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_alpha_of_pillow_images_becomes_what_pillow_says(mode):
    image = Image.fromarray(np.dstack([RGB, OPAQUE - 1]), "RGBA")
    if mode == "PA":
        image = image.convert("P").convert("PA")
        image.putpixel((0, 0), (3, 128))
    image = image.convert(mode)
    assert np.array_equal(as_pixels(image), np.asarray(image.convert("RGBA")))


def test_alpha_of_arrays_is_kept():
    assert np.array_equal(as_pixels(np.dstack([RGB, OPAQUE - 1]))[..., :3], RGB)
    pixels = as_pixels(np.dstack([GREY, OPAQUE - 1]))
    assert np.array_equal(pixels, np.dstack([GREY, GREY, GREY, OPAQUE - 1]))


def test_a_transparent_color_of_a_palette_is_seen():
    image = Image.fromarray(RGB).quantize(8)
    image.info["transparency"] = 0
    alpha = np.where(np.asarray(image) == 0, 0, 255)
    assert np.array_equal(as_pixels(image)[..., 3], alpha)


# ---- reading


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


# ---- writing


@pytest.mark.parametrize(
    ("colors", "bits"),
    [(1, 1), (2, 1), (3, 2), (4, 2), (5, 4), (16, 4), (17, 8), (256, 8)],
)
def test_png_has_as_few_bits_as_it_needs_and_no_spare_entries(colors, bits):
    q = kquant.quantize(oracle.photo(2), colors)
    content = encode_png(q.to_pillow())
    chunks, at = {}, 8
    while at < len(content):
        length, name = struct.unpack(">I4s", content[at : at + 8])
        chunks[name] = content[at + 8 : at + 8 + length]
        assert (
            zlib.crc32(name + chunks[name])
            == struct.unpack(">I", content[at + 8 + length : at + 12 + length])[0]
        )
        at += 12 + length
    width, height, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (height, width) == q.indices.shape
    assert (depth, kind) == (bits, 3)
    assert chunks[b"PLTE"] == np.asarray(q.palette).tobytes()


@posix
def test_a_new_file_has_the_usual_mode(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a.png", b"x", force=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


@posix
def test_a_replaced_file_keeps_its_mode(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    (tmp_path / "a.png").chmod(0o604)
    write_file(tmp_path / "a.png", b"new", force=True)
    assert (tmp_path / "a.png").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o604


def test_an_existing_file_is_not_replaced_unasked(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    q = kquant.quantize(RGB, 2)
    for write in (
        lambda: write_file(tmp_path / "a.png", b"new", force=False),
        lambda: check_target(tmp_path / "a.png", force=False),
        lambda: q.save(tmp_path / "a.png"),
    ):
        with pytest.raises(kquant.OutputExistsError, match="exists"):
            write()
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


@posix
def test_a_symlink_stays_and_what_it_names_changes(tmp_path):
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("real.png")
    with pytest.raises(kquant.OutputExistsError):
        write_file(tmp_path / "link.png", b"new", force=False)
    write_file(tmp_path / "link.png", b"new", force=True)
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes() == b"new"


@posix
def test_special_files_are_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(kquant.ImageFileError, match="not a regular file"):
        write_file(tmp_path / "a.png", b"new", force=True)
    assert stat.S_ISFIFO((tmp_path / "a.png").stat().st_mode)


@pytest.mark.parametrize("force", [False, True])
def test_places_where_nothing_can_be_written(tmp_path, force):
    with pytest.raises(kquant.ImageFileError, match="is a directory"):
        write_file(tmp_path, b"x", force=force)
    with pytest.raises(kquant.ImageFileError, match="does not exist"):
        write_file(tmp_path / "no" / "a.png", b"x", force=force)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt", "png"])
def test_only_png_can_be_written(tmp_path, name):
    with pytest.raises(kquant.ImageFileError, match=r"End the name in \.png"):
        kquant.quantize(RGB, 2).save(tmp_path / name)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("function", ["fsync", "replace", "link", "open"])
@pytest.mark.parametrize("force", [False, True])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, function, force):
    if force:
        (tmp_path / "a.png").write_bytes(b"old")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, full)
    if function == "link" or (function == "replace" and not force):
        monkeypatch.setattr(os, "replace", full)
        monkeypatch.setattr(os, "link", full)
    with pytest.raises(kquant.ImageFileError, match="No space left"):
        write_file(tmp_path / "a.png", b"new", force=force)
    monkeypatch.undo()
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({"a.png": b"old"} if force else {})


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.png", b"new", force=False)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch, links):
    sync = os.fsync

    def appear(handle):
        (tmp_path / "a.png").write_bytes(b"theirs")
        sync(handle)

    monkeypatch.setattr(os, "fsync", appear)
    if not links:
        monkeypatch.setattr(os, "link", without_links)
    with pytest.raises(kquant.OutputExistsError):
        write_file(tmp_path / "a.png", b"ours", force=False)
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"theirs"


def without_links(source, target):
    raise OSError(errno.EPERM, "Operation not permitted")


def test_disks_without_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", without_links)
    write_file(tmp_path / "a.png", b"new", force=False)
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"new"


def test_of_many_writers_of_one_name_one_wins(tmp_path):
    outcomes = []

    def write(i):
        try:
            write_file(tmp_path / "a.png", bytes([i]) * 10**5, force=False)
            outcomes.append(i)
        except kquant.OutputExistsError:
            pass

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = outcomes
    assert (tmp_path / "a.png").read_bytes() == bytes([winner]) * 10**5
    assert os.listdir(tmp_path) == ["a.png"]


def test_the_module_is_the_only_one_that_knows_pillow():
    folder = os.path.dirname(module.__file__)
    knowing = set()
    for name in os.listdir(folder):
        if name.endswith(".py"):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                if re.search("^(from|import) PIL", file.read(), re.MULTILINE):
                    knowing.add(name)
    assert knowing == {"image.py"}
