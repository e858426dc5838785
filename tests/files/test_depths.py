"""Samples of every depth and sign, against what the numbers say."""

import io
import struct

import made
import numpy as np
import pytest
from PIL import Image, features

import kquant
from kquant.color.pixels import as_pixels
from kquant.files.decode import count_pixels_of, read_picture

RANDOM = np.random.default_rng(5)


def picture(content):
    return read_picture(io.BytesIO(content))


def scaled(array, low, high):
    unit = (np.asarray(array, np.float64) - low) / (high - low)
    pixels = np.floor(unit * 255 + 0.5).astype(int)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def samples(bits, channels=1, height=9, width=21):
    array = RANDOM.integers(0, 1 << bits, (height, width, channels), dtype=np.int64)
    array[0, :2] = [[0], [(1 << bits) - 1]]
    return array


# ---- TIFF


@pytest.mark.parametrize(
    ("channels", "bits"),
    [(c, bits) for c in (1, 3) for bits in (2, 3, 5, 6, 7, *range(9, 17))]
    + [(1, 20), (1, 24)],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_any_bits_are_scaled_by_them(bits, channels, order):
    array = samples(bits, channels)
    read = picture(made.tiff(array, bits, order=order))
    assert np.array_equal(read.pixels, scaled(array, 0, (1 << bits) - 1))
    assert read.notes == ()


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize(
    "layout",
    [
        {"compression": 8}, {"compression": 32946, "rows": 4}, {"rows": 2},
        {"compression": 32773}, {"tile": 16}, {"tile": 16, "compression": 8},
        {"planar": True}, {"planar": True, "compression": 8, "rows": 5},
        {"fill": 2}, {"fill": 2, "compression": 8}, {"tile": 16, "planar": True},
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ["<", ">"])
def test_tiffs_of_any_layout(bits, layout, order):
    array = samples(bits, 3, 37, 21)
    read = picture(made.tiff(array, bits, order=order, **layout))
    assert np.array_equal(read.pixels, scaled(array, 0, (1 << bits) - 1))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [16, 32])
def test_predictors_are_undone(order, channels, bits):
    array = samples(16, channels)
    if bits == 16:
        content = made.tiff(array, 16, order=order, compression=8, predictor=2)
        assert np.array_equal(picture(content).pixels, scaled(array, 0, 65535))
    floats = (array / 65535).astype(np.float32)
    content = made.tiff(
        floats, 32, order=order, compression=8, predictor=3, t339=(3,) * channels
    )
    expected = scaled(floats, 0, 1)
    assert np.abs(picture(content).pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("compression", [1, 8])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [16, 32, 64])
def test_floats_are_read_in_their_byte_order(compression, order, bits):
    checks = np.indices((8, 8)).sum(axis=0)[..., None] % 2
    floats = checks.astype(f"f{bits // 8}")
    content = made.tiff(floats, bits, order=order, compression=compression, t339=(3,))
    read = picture(content)
    assert np.array_equal(read.pixels, np.repeat(checks * 255, 3, axis=2))
    assert read.exact


def test_floats_are_scaled_by_the_range_that_the_file_says():
    floats = np.linspace(-2, 6, 30).astype(np.float32).reshape(5, 6, 1)
    content = made.tiff(floats, 32, t339=(3,), t340=(-2.0,), t341=(6.0,))
    read = picture(content)
    assert np.abs(read.pixels.astype(int) - scaled(floats, -2, 6)).max() <= 1
    assert not read.exact


@pytest.mark.parametrize(
    "content",
    [
        made.tiff(np.full((2, 2, 1), 7.5, np.float32), 32, t339=(3,)),
        made.tiff(np.full((2, 2, 1), np.nan, np.float32), 32, t339=(3,)),
        made.tiff(np.full((2, 2, 1), -0.5, np.float32), 32, t339=(3,)),
        made.tiff(np.full((2, 2, 3), 7.5), 64, t339=(3, 3, 3), t341=(7.0,) * 3),
    ],
)
def test_floats_of_no_known_range_are_refused(content):
    with pytest.raises(kquant.ImageFileError, match=r"floats must be within .*NaN"):
        picture(content)


@pytest.mark.parametrize("bits", [8, 12, 16, 32])
@pytest.mark.parametrize("order", ["<", ">"])
def test_signed_samples_are_scaled_by_what_the_file_says_or_refused(bits, order):
    half = 1 << (bits - 1)
    array = np.linspace(-half, half - 1, 40).astype(np.int64).reshape(5, 8, 1)
    plain = made.tiff(array, bits, order=order, t339=(2,))
    with pytest.raises(kquant.ImageFileError, match=rf"signed {bits}-bit .*SMinSample"):
        picture(plain)
    limits = {"t340": (-half,), "t341": (half - 1,)}
    read = picture(made.tiff(array, bits, order=order, t339=(2,), **limits))
    assert np.array_equal(read.pixels, scaled(array, -half, half - 1))


@pytest.mark.parametrize(
    ("top", "bits", "tag"),
    [
        (4095, 16, 281), (1023, 16, 281), (1000, 16, 281), (4095, 16, 341),
        (99999, 32, 281), ((1 << 32) - 1, 32, 341), (1 << 20, 32, 341),
    ],
)  # fmt: skip
def test_the_largest_value_that_the_file_says_is_white(top, bits, tag):
    array = np.linspace(0, top, 50).astype(np.int64).reshape(5, 10, 1)
    read = picture(made.tiff(array, bits, **{f"t{tag}": (top,)}))
    assert np.array_equal(read.pixels, scaled(array, 0, top))


def test_a_largest_value_that_is_not_the_largest_is_a_warning():
    array = samples(16)
    read = picture(made.tiff(array, 16, t281=(4095,)))
    assert np.array_equal(read.pixels, scaled(array, 0, 65535))
    (note,) = read.notes
    assert "0..4095, but they are 0..65535: taken as 0..65535" in note


def test_32_bits_of_no_known_range_are_taken_as_16_or_refused():
    array = samples(16)
    for format_ in (1, 2):
        read = picture(made.tiff(array, 32, t339=(format_,)))
        assert np.array_equal(read.pixels, scaled(array, 0, 65535))
    with pytest.raises(kquant.ImageFileError, match=r"32-bit .*65536, and its file"):
        picture(made.tiff(np.array([[[0], [65536]]]), 32))


@pytest.mark.parametrize("bits", [2, 10, 12, 16])
def test_white_that_is_zero_is_white(bits):
    array = samples(bits)
    top = (1 << bits) - 1
    read = picture(made.tiff(array, bits, photometric=0))
    assert np.array_equal(read.pixels, scaled(top - array, 0, top))


def test_16_bits_of_cmyk_are_rounded():
    array = samples(16, 4)
    read = picture(made.tiff(array, 16, photometric=5))
    inks = scaled(array, 0, 65535).astype(np.uint8)
    ours = Image.frombytes("CMYK", (21, 9), inks.tobytes()).convert("RGB")
    assert np.array_equal(read.pixels, np.asarray(ours))


# ---- bands


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize(
    ("channels", "extra", "said"),
    [
        (4, None, "band 4 of its 4, which the file does not call alpha, was left out"),
        (4, (0,), "band 4 of its 4, which the file does not call alpha, was left out"),
        (4, (2,), None),
        (5, (0, 0), "bands 4 to 5 of its 5, which the file does not call alpha, were"),
        (5, (2, 0), "band 5 of its 5 was left out"),
        (7, None, "bands 4 to 7 of its 7, which the file does not call alpha, were"),
    ],
)
def test_a_band_is_alpha_only_if_the_file_says_so(bits, planar, channels, extra, said):
    array = samples(bits, channels)
    tags = {} if extra is None else {"t338": extra}
    read = picture(made.tiff(array, bits, planar=planar, photometric=2, **tags))
    kept = 4 if extra and extra[0] == 2 else 3
    assert np.array_equal(read.pixels, scaled(array[..., :kept], 0, (1 << bits) - 1))
    assert len(read.notes) == (said is not None)
    assert all(note.startswith(said) for note in read.notes)


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_has_alpha_and_bands_too(bits):
    array = samples(bits, 2)
    read = picture(made.tiff(array, bits, photometric=1, t338=(2,)))
    expected = scaled(array, 0, (1 << bits) - 1)[..., [0, 0, 0, 1]]
    assert np.array_equal(read.pixels, expected)
    read = picture(made.tiff(samples(bits, 6), bits, photometric=1))
    assert read.notes[0].startswith("bands 2 to 6 of its 6")


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_that_alpha_is_multiplied_into_are_divided(bits):
    top = (1 << bits) - 1
    alpha = np.array([[top, top // 2, top // 5, 0]])
    color = np.array([[200, 100, 50]]) * top // 255
    mixed = color[:, None] * alpha[..., None] // top
    array = np.concatenate([mixed, alpha[..., None]], axis=2)
    read = picture(made.tiff(array, bits, t338=(1,)))
    away = np.abs(read.pixels[0, :3, :3].astype(int) - [200, 100, 50])
    assert away.max() <= (2 if bits == 8 else 1)


# ---- PNG


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
@pytest.mark.parametrize("interlaced", [False, True])
def test_16_bits_of_a_png_are_rounded_not_cut(kind, channels, interlaced, tmp_path):
    array = samples(16, channels)
    content = made.png(array, 16, kind, interlaced=interlaced)
    expected = scaled(array, 0, 65535)
    expected = expected[..., [0, 0, 0, 1]] if channels == 2 else expected
    assert np.array_equal(picture(content).pixels, expected)
    (tmp_path / "a.png").write_bytes(content)
    with Image.open(tmp_path / "a.png") as image:
        for _ in range(2):  # as often as one likes
            assert np.array_equal(as_pixels(image), expected)


@pytest.mark.parametrize(
    ("depth", "kind", "key"),
    [
        (1, 0, 1), (2, 0, 1), (2, 0, 3), (4, 0, 5), (8, 0, 77), (16, 0, 500),
        (8, 2, (7, 8, 9)), (16, 2, (257, 300, 65535)),
    ],
)  # fmt: skip
def test_a_transparent_value_is_compared_at_its_own_depth(depth, kind, key, tmp_path):
    channels = 3 if kind == 2 else 1
    array = samples(depth, channels)
    array[3:5] = key
    near = np.clip(np.array(key) + 1, 0, (1 << depth) - 1)
    array[5:7] = near  # of 16 bits, what is the same in 8
    content = made.png(
        array, depth, kind, (b"tRNS", struct.pack(f">{channels}H", *np.atleast_1d(key)))
    )
    clear = (array == key).all(axis=2)
    (tmp_path / "a.png").write_bytes(content)
    with Image.open(tmp_path / "a.png") as image:
        for pixels in (picture(content).pixels, as_pixels(image)):
            assert np.array_equal(pixels[..., 3] == 0, clear)
            assert set(np.unique(pixels[..., 3])) == {0, 255}


# ---- PGM and PPM


@pytest.mark.parametrize("top", [1, 2, 7, 100, 254, 255, 256, 1000, 4095, 65534, 65535])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("plain", [False, True])
def test_pnm_of_any_largest_value(top, channels, plain):
    array = RANDOM.integers(0, top + 1, (4, 6, channels))
    array[0, :2] = [[0], [top]]
    magic = {(1, False): "P5", (1, True): "P2", (3, False): "P6", (3, True): "P3"}
    content = f"{magic[channels, plain]} 6 4 {top}\n".encode()
    if plain:
        content += " ".join(map(str, array.ravel())).encode() + b"\n"
    else:
        content += array.astype(">u2" if top > 255 else "u1").tobytes()
    assert np.array_equal(picture(content).pixels, scaled(array, 0, top))


# ---- lossless


def test_what_16_bits_had_and_8_have_not_is_not_lossless(tmp_path):
    array = np.array([[[0], [1], [65535]]], np.int64)
    for name, content in (
        ("a.png", made.png(array, 16, 0)),
        ("a.tif", made.tiff(array, 16)),
        ("b.png", made.png(np.repeat(array, 3, axis=2), 16, 2)),
        ("a.pgm", b"P5 3 1 65535\n" + array.astype(">u2").tobytes()),
    ):
        (tmp_path / name).write_bytes(content)
        report = kquant.quantize_file(tmp_path / name, tmp_path / "o.png", force=True)
        assert not report.image.lossless, name
        with Image.open(tmp_path / name) as image:
            assert not kquant.quantize(image).lossless
            assert not kquant.Palette(["#000", "#fff"]).map(image).lossless
    even = array // 65535 * 65535
    for content in (made.png(even, 16, 0), made.tiff(even, 16)):
        (tmp_path / "even").write_bytes(content)
        report = kquant.quantize_file(tmp_path / "even", tmp_path / "e.png", force=True)
        assert report.image.lossless
        assert report.notes == ()


@pytest.mark.skipif(not features.check("jpg_2000"), reason="no JPEG 2000 here")
@pytest.mark.parametrize(("bits", "whole"), [(8, True), (12, False)])
def test_jpeg_2000_of_more_than_8_bits_is_not_lossless(bits, whole):
    file = io.BytesIO()
    Image.new("RGB", (9, 9), (1, 2, 3)).save(file, "JPEG2000", no_jp2=True)
    content = bytearray(file.getvalue())
    for channel in range(3):  # what the depth is, in the sizes
        content[42 + 3 * channel] = bits - 1
    assert picture(bytes(content)).exact == whole


def test_wide_pictures_are_unpacked_in_parts():
    array = samples(11, 1, 2, 200_003)
    read = picture(made.tiff(array, 11, compression=8))
    assert np.array_equal(read.pixels, scaled(array, 0, 2047))


def test_a_tiff_of_few_bytes_takes_no_memory_for_many_pixels():
    content = made.tiff(np.zeros((2, 2, 1)), 12, compression=8)
    for tag, value in ((256, 9000), (257, 9000), (278, 3)):
        place = content.index(struct.pack("<HHI", tag, 3, 1)) + 8
        content = content[:place] + struct.pack("<H", value) + content[place + 2 :]
    with pytest.raises(kquant.ImageFileError, match="truncated or damaged"):
        picture(content)


def test_a_tiff_that_cannot_be_read_is_called_by_its_name():
    for content, name in (
        (made.tiff(samples(16, 3), 16, photometric=8), "16-bit Lab"),
        (made.tiff(samples(16), 16, photometric=3), "16-bit palette"),
        (made.tiff(samples(12, 3), 12, t339=(5, 5, 5)), "12-bit RGB"),
    ):
        with pytest.raises(kquant.ImageFileError, match=name):
            picture(content)


def test_memory_is_reckoned_for_files_that_pillow_does_not_open(tmp_path):
    array = np.zeros((30, 50, 3), int)
    (tmp_path / "a.tif").write_bytes(made.tiff(array, 12))
    assert count_pixels_of(tmp_path / "a.tif") == 1500
    stream = io.BytesIO(made.tiff(array, 8))
    assert count_pixels_of(stream) == 1500
    assert stream.tell() == 0
    assert count_pixels_of(io.BytesIO(b"II*\0nothing")) == 0
