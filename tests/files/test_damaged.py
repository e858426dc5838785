"""Images and files at their edges: rare modes, damaged bytes."""

import io
import warnings

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

import kquant
from kquant import ImageFileError
from kquant.color.pixels import as_pixels
from kquant.files.content import as_pillow
from kquant.files.decode import read_pixels

RGB = oracle.photo(1, 24, 20)
GREY = np.ascontiguousarray(RGB[:, :, 1])
UINT16 = np.arange(65536, dtype=np.uint16).reshape(256, 256)
SCALED = np.repeat(np.rint(UINT16 / 257).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)


# ---- images


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
    view = RGB[start[0] :: step[0], start[1] :: step[1]].transpose(*axes, 2)
    assert np.array_equal(as_pixels(view), np.array(view.tolist()))
    q = kquant.quantize(view, 9)
    assert np.array_equal(q.to_array(), kquant.quantize(view.copy(), 9).to_array())


# ---- damaged files

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
