"""Images of every form to arrays and back."""

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import kquant
from kquant.color.pixels import as_pixels
from kquant.files.content import as_pillow

RGB = oracle.photo(1, 30, 40)
GREY = RGB[..., 1].copy()
GREY3 = np.repeat(GREY[..., None], 3, axis=2)
OPAQUE = np.full((30, 40, 1), 255, np.uint8)
UINT16 = np.arange(65536, dtype=np.uint16).reshape(256, 256)
SCALED = np.repeat(np.rint(UINT16 / 257).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)


# ---- arrays


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (RGB, RGB),
        (GREY, GREY3),
        (GREY[..., None], GREY3),
        (np.dstack([GREY, OPAQUE])[..., [0, 0, 0, 1]], GREY3),
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
    pixels = as_pixels(np.dstack([GREY, OPAQUE - 1])[..., [0, 0, 0, 1]])
    assert np.array_equal(pixels, np.dstack([GREY, GREY, GREY, OPAQUE - 1]))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, float])
def test_two_channels_may_be_anything(dtype):
    array = np.dstack([GREY, OPAQUE - 1]).astype(dtype)
    with pytest.raises(kquant.InvalidValueError, match="grey with alpha or two bands"):
        kquant.quantize(array / 255 if dtype is float else array, 8)
    image = Image.fromarray(np.dstack([GREY, OPAQUE - 1]))  # of mode LA: it is said
    assert as_pixels(image).shape == (30, 40, 4)


@pytest.mark.parametrize("rows", [1, 5, 8, 500])
@pytest.mark.parametrize("channels", [3, 4])
def test_a_list_of_colors_is_no_picture_to_fit_a_palette_to(rows, channels):
    colors = np.arange(rows * channels, dtype=np.uint8).reshape(rows, channels)
    with pytest.raises(kquant.InvalidValueError, match="list of colours"):
        kquant.Palette.fit(colors, 8)


def test_a_transparent_color_of_a_palette_is_seen():
    image = Image.fromarray(RGB).quantize(8)
    image.info["transparency"] = 0
    alpha = np.where(np.asarray(image) == 0, 0, 255)
    assert np.array_equal(as_pixels(image)[..., 3], alpha)


# ---- rare modes, any strides


@pytest.mark.parametrize(
    ("mode", "raw"),
    [("I", np.int32), ("I;16", "<u2"), ("I;16L", "<u2"), ("I;16B", ">u2")],
)
@pytest.mark.parametrize("transparent", [None, 65535])
def test_all_16_bit_values_are_scaled_not_clipped(mode, raw, transparent):
    image = Image.frombytes(mode, (256, 256), UINT16.astype(raw).tobytes())
    image = image.crop((0, 0, 256, 255))  # so that no pixel has 65535
    if transparent is not None:
        image.info["transparency"] = transparent
    assert np.array_equal(as_pixels(image), SCALED[:255])


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_modes_give_their_colours(mode):
    image = Image.fromarray(GREY if mode == "La" else RGB)
    image = image.convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    expected = np.repeat(GREY[:, :, np.newaxis], 3, axis=2) if mode == "La" else RGB
    assert np.array_equal(as_pixels(image), expected)


@pytest.mark.parametrize(
    ("mode", "color", "value", "alpha"),
    [
        ("La", (9, 254), None, 254),
        ("RGBa", (9, 9, 9, 254), None, 254),
        ("PA", (9, 0), None, 0),
        ("P", 1, 1, 0),
        ("P", 1, b"\xff\xfe", 254),
        ("L", 7, 7, 0),
        ("RGB", (1, 2, 3), (1, 2, 3), 0),
        ("I;16", 7, 7, 0),
        ("I", 700, 700, 0),
    ],
)
def test_transparency_of_any_mode_is_seen(mode, color, value, alpha):
    image = Image.new(mode, (3, 2), color)
    if value is not None:
        image.info["transparency"] = value
    pixels = as_pixels(image)
    assert pixels.shape == (2, 3, 4)
    assert (pixels[..., 3] == alpha).all()


@pytest.mark.parametrize("form", ["L", "P", "RGB"])
def test_a_transparent_colour_that_no_pixel_has_is_no_matter(form):
    image = as_pillow(GREY, RGB.reshape(-1, 3)[:256])
    image = image if form == "P" else Image.fromarray({"L": GREY, "RGB": RGB}[form])
    expected = as_pixels(image)
    unused = next(v for v in range(256) if v not in GREY)
    assert (1, 2, 3) not in oracle.count(RGB)
    image.info["transparency"] = (1, 2, 3) if form == "RGB" else unused
    assert np.array_equal(as_pixels(image), expected)


@given(
    start=st.tuples(st.integers(0, 19), st.integers(0, 19)),
    step=st.tuples(*2 * [st.integers(-5, 5).filter(bool)]),
    axes=st.permutations([0, 1]),
)
def test_any_strides_give_what_a_copy_gives(start, step, axes):
    part = RGB[:24, :20]
    view = part[start[0] :: step[0], start[1] :: step[1]].transpose(*axes, 2)
    assert np.array_equal(as_pixels(view), np.array(view.tolist()))
    q = kquant.quantize(view, 9)
    assert np.array_equal(q.to_array(), kquant.quantize(view.copy(), 9).to_array())
