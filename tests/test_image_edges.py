"""Images and files at their edges: rare modes, damaged bytes, awkward names."""

import errno
import io
import os
import stat
import warnings

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

import kquant
from kquant import ImageFileError
from kquant.image import as_pillow, as_pixels, read_pixels, write_file

RGB = oracle.photo(1, 24, 20)
GREY = np.ascontiguousarray(RGB[:, :, 1])
UINT16 = np.arange(65536, dtype=np.uint16).reshape(256, 256)
SCALED = np.repeat(np.rint(UINT16 / 257).astype(np.uint8)[:, :, np.newaxis], 3, axis=2)
OLD, NEW = b"what somebody had", b"what we made"

posix = pytest.mark.skipif(os.name != "posix", reason="modes are a thing of POSIX")


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


def names(folder):
    return sorted(path.name for path in folder.iterdir())


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
            assert got.startswith(("not an image", "truncated", "2 frames")), length
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
        with pytest.raises(ImageFileError, match=r"pixels.*Scale it down"):
            read_pixels(tmp_path / "a.png")


@pytest.mark.parametrize("limit", [RGB.shape[0] * RGB.shape[1], None])
def test_as_many_pixels_as_the_limit_are_read(tmp_path, monkeypatch, limit):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    assert np.array_equal(read_pixels(tmp_path / "a.png"), RGB)


# ---- writing


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o666])
def test_a_replaced_file_keeps_its_mode_all_the_way(tmp_path, monkeypatch, mode):
    target = tmp_path / "a.png"
    target.write_bytes(OLD)
    target.chmod(mode)
    modes, fsync = [], os.fsync

    def spy(handle):
        modes.append(os.fstat(handle).st_mode)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    write_file(target, NEW, force=True)
    assert target.read_bytes() == NEW
    assert stat.S_IMODE(target.stat().st_mode) == mode
    written = [stat.S_IMODE(m) for m in modes if stat.S_ISREG(m)]
    assert written == [mode]  # nobody else could read it meanwhile


@posix
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_names_changes(tmp_path, there):
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real.png", tmp_path / "link.png"
    if there:
        real.write_bytes(OLD)
    link.symlink_to(real)
    with pytest.raises(kquant.OutputExistsError):
        write_file(link, NEW, force=False)
    assert real.exists() == there
    write_file(link, NEW, force=True)
    assert link.is_symlink()
    assert real.read_bytes() == NEW
    assert names(tmp_path / "elsewhere") == ["real.png"]


@pytest.mark.parametrize("call", ["link", "replace"])
def test_an_interruption_at_the_last_step_leaves_nothing(tmp_path, monkeypatch, call):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if call == "replace":
            patch.setattr(os, "link", failing(errno.EPERM))
        patch.setattr(os, call, interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_file(tmp_path / "a.png", NEW, force=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("length", [242, 255])
def test_a_name_as_long_as_the_system_takes_is_written(tmp_path, length):
    target = tmp_path / ("x" * (length - 4) + ".png")
    try:
        target.write_bytes(OLD)
    except OSError:
        pytest.skip("this file system takes no names that long")
    write_file(target, NEW, force=True)
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "x" * 300 + "/a.png"])
def test_a_name_that_is_too_long_is_our_error(tmp_path, name):
    with pytest.raises(ImageFileError):
        write_file(tmp_path / name, NEW, force=False)
    with pytest.raises(ImageFileError):
        kquant.quantize_file(tmp_path / name)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["none/a.png", "file/a.png", "folder.png", "a.jpg"])
def test_a_target_is_refused_before_the_source_is_read(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(ImageFileError) as caught:
        kquant.quantize_file(tmp_path / "no source", tmp_path / name)
    assert caught.value.path == str(tmp_path / name)
