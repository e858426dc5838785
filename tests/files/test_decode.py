"""Image files to arrays: every format, every fault."""

import contextlib
import io
import re
import threading

import numpy as np
import oracle
import pytest
from PIL import Image, ImageCms, ImageFile, features

import kquant
from kquant.files.decode import ReadOptions, read_picture, read_pixels

RGB = oracle.photo(1, 30, 40)
GREY = RGB[..., 1].copy()
OPAQUE = np.full((30, 40, 1), 255, np.uint8)


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
        ("empty.png", b"", "is empty"),
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


# ---- what a call allows


@pytest.mark.parametrize("suffix", ["gif", "tif", "png", "webp"])
def test_the_first_frame_is_taken_if_asked(tmp_path, suffix):
    frames = [Image.fromarray(np.roll(RGB, n, axis=0)).quantize(9) for n in range(3)]
    if suffix in ("webp", "tif"):
        frames = [frame.convert("RGB") for frame in frames]
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"a.{suffix}"
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    picture = read_picture(path, ReadOptions(frames="first"))
    assert np.array_equal(picture.pixels[..., :3], np.asarray(frames[0].convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "ppm"])
def test_what_there_is_of_a_truncated_file_is_taken_if_asked(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(oracle.photo(1)).save(path)
    whole = read_pixels(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(kquant.ImageFileError, match="truncated or damaged"):
        read_picture(path)
    picture = read_picture(path, ReadOptions(allow_truncated=True))
    assert picture.pixels.shape == whole.shape
    there = slice(-40, None) if suffix == "bmp" else slice(40)  # which begins below
    assert np.array_equal(picture.pixels[there], whole[there])
    assert len(picture.notes) == 1
    assert "truncated" in picture.notes[0]


def test_to_allow_it_for_one_call_is_not_to_allow_it_for_others(tmp_path):
    """Pillow has one switch for the whole process."""
    Image.fromarray(oracle.photo(1, 300, 300)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    wrong = []

    def read(lenient):
        for _ in range(10):
            try:
                read_picture(tmp_path / "a.png", ReadOptions(allow_truncated=lenient))
                if not lenient:
                    wrong.append("a strict one read it")
            except kquant.ImageFileError:
                if lenient:
                    wrong.append("a lenient one refused it")

    threads = [threading.Thread(target=read, args=(i % 2 == 0,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_the_switch_of_the_caller_stays_and_does_not_count(tmp_path, monkeypatch):
    Image.fromarray(oracle.photo(1, 300, 300)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(kquant.ImageFileError):
        read_picture(tmp_path / "a.png", ReadOptions())
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_the_limit_of_pixels_is_for_one_call(tmp_path, monkeypatch):
    path = tmp_path / "big.png"
    Image.fromarray(RGB).save(path)  # 1200 pixels
    message = rf"{re.escape(str(path))}: 1,200 pixels is over the limit of 1,199 pixels"
    with pytest.raises(kquant.ImageFileError, match=message):
        read_picture(path, ReadOptions(max_pixels=1199))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert read_picture(path, ReadOptions(max_pixels=1200)).pixels.shape == RGB.shape
    assert Image.MAX_IMAGE_PIXELS == 10


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"icc": "drop"}, ValueError), ({"frames": "all"}, ValueError),
        ({"max_pixels": 0}, ValueError), ({"max_pixels": 1.5}, TypeError),
    ],
)  # fmt: skip
def test_wrong_ways_to_read_are_refused(tmp_path, options, error):
    with pytest.raises(error, match=next(iter(options))):
        kquant.quantize_file(tmp_path / "a.png", **options)


@pytest.mark.parametrize("seekable", [True, False])
def test_streams_are_read(tmp_path, seekable):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    stream = io.BytesIO(content)
    if not seekable:
        stream.seek = None
    out = io.BytesIO()
    report = kquant.quantize_file(stream, out, colors=20)
    assert report.bytes_before == len(content)
    assert np.array_equal(
        np.asarray(Image.open(out).convert("RGB")), report.image.to_array()
    )


def test_resolution_is_kept_where_it_makes_sense(tmp_path):
    for name, dpi, kept in (
        ("a.png", (300, 150), (300, 150)), ("a.jpg", (72, 72), (72, 72)),
        ("b.png", None, None),
    ):  # fmt: skip
        options = {} if dpi is None else {"dpi": dpi}
        Image.fromarray(RGB).save(tmp_path / name, **options)
        found = read_picture(tmp_path / name).dpi
        assert found == (None if kept is None else pytest.approx(kept, rel=1e-3))
    report = kquant.quantize_file(tmp_path / "a.png", tmp_path / "out.png")
    with Image.open(report.target) as image:
        assert image.info["dpi"] == pytest.approx((300, 150), rel=1e-3)


# ---- every mode, and colour profiles


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("1", "png"), ("L", "png"), ("LA", "png"), ("P", "png"), ("RGB", "png"),
        ("RGBA", "png"), ("I;16", "png"), ("PA", "tif"), ("CMYK", "tif"),
        ("CMYK", "jpg"), ("YCbCr", "jpg"), ("LAB", "tif"), ("F", "tif"),
        ("I", "tif"), ("1", "tif"), ("P", "gif"), ("P", "bmp"), ("L", "ppm"),
    ],
)  # fmt: skip
def test_every_mode_that_files_have(tmp_path, mode, suffix):
    image = Image.fromarray(RGB)
    if mode == "F":
        image = Image.fromarray((RGB[..., 0] / 255).astype(np.float32))
    elif mode in ("I", "I;16"):
        image = Image.fromarray(RGB[..., 0].astype(np.uint16) * 257)
        image = image.convert("I") if mode == "I" else image
    elif mode == "LAB":
        image = to_lab(image)
    elif mode in ("LA", "PA"):
        image = image.convert("RGBA").convert(mode)
    else:
        image = image.convert(mode)
    image.save(tmp_path / f"a.{suffix}", **({"quality": 95} if suffix == "jpg" else {}))
    pixels = read_pixels(tmp_path / f"a.{suffix}")
    expected = {
        "1": lambda: np.asarray(image.convert("RGB")),
        "CMYK": lambda: np.asarray(image.convert("RGB")),
        "LAB": lambda: RGB,
        "RGB": lambda: RGB,
        "RGBA": lambda: RGB,
        "YCbCr": lambda: RGB,
    }.get(mode, lambda: None)()
    if expected is None and mode in ("P", "PA"):
        expected = np.asarray(image.convert("RGB"))
    if expected is None:
        grey = GREY if mode in ("L", "LA") else RGB[..., 0]
        if mode in ("L", "LA"):
            grey = np.asarray(Image.fromarray(RGB).convert("L"))
        expected = np.repeat(grey[..., None], 3, axis=2)
    close = 3 if mode == "LAB" else 40 if suffix == "jpg" else 0
    assert pixels.shape == RGB.shape
    assert np.abs(pixels.astype(int) - expected).max() <= close
    report = kquant.quantize_file(tmp_path / f"a.{suffix}", tmp_path / "out.png")
    if mode in ("1", "L", "LA", "I", "I;16", "F"):  # grey stays grey
        assert np.ptp(np.asarray(report.image.palette), axis=1).max() == 0


def to_lab(image):
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    return ImageCms.applyTransform(image, transform)


def test_a_stream_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("kquant.files.decode.MOST_BYTES", 1000)

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return bytes(size)

    with pytest.raises(kquant.ImageFileError, match="more than 1,000 bytes"):
        read_picture(Endless())


def test_too_little_memory_is_said(tmp_path, monkeypatch):
    def no_memory(self):
        raise MemoryError

    Image.fromarray(RGB).save(tmp_path / "a.png")
    monkeypatch.setattr(ImageFile.ImageFile, "load", no_memory)
    with pytest.raises(kquant.ImageFileError, match="not enough memory to decode it"):
        read_picture(tmp_path / "a.png")
