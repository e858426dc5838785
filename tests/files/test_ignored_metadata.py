"""Metadata never decide about pixels: damaged ones are a warning, in every format."""

import contextlib
import io
import random
import struct
import zlib

import made
import numpy as np
import oracle
import pytest
from PIL import Image, ImageFile, features

import kquant
from kquant.files.decode import ReadOptions, read_picture

RGB = oracle.photo(1, 30, 40)
PLAIN = made.png(RGB, 8, 2)
random.seed(1)
LONG = bytes(random.randrange(97, 122) for _ in range(1_300_000))
PACKED = zlib.compress(LONG)
PROFILE = made.profile(made.WIDE, 2.2)


def picture(content, **options):
    return read_picture(io.BytesIO(content), ReadOptions(**options))


def wrong(name, data):
    """A chunk whose checksum is not its own."""
    chunk = bytearray(made.chunk(name, data))
    chunk[-1] ^= 1
    return bytes(chunk)


def before_pixels(*chunks, content=PLAIN):
    at = content.index(b"IDAT") - 4
    return content[:at] + b"".join(chunks) + content[at:]


IGN = "metadata are damaged and ignored: "
NO_PROFILE = "its colour profile cannot be used: taken as sRGB"
EXIF = "its EXIF data are damaged: ignored"

DAMAGED = {
    "zTXt": (
        made.png(RGB, 8, 2, (b"zTXt", b"a\0\0" + PACKED)),
        IGN + "zTXt (too large)",
    ),
    "iTXt": (
        made.png(RGB, 8, 2, (b"iTXt", b"a\0\1\0\0\0" + PACKED)),
        IGN + "iTXt (too large)",
    ),
    "zTXt after": (
        made.png(RGB, 8, 2, after=[(b"zTXt", b"a\0\0" + PACKED)]),
        IGN + "zTXt (too large)",
    ),
    "zTXt of an unknown kind": (
        made.png(RGB, 8, 2, (b"zTXt", b"a\0\7abc")),
        IGN + "zTXt (unknown compression)",
    ),
    "tEXt": (made.png(RGB, 8, 2, (b"tEXt", b"a\0" + LONG)), None),
    "iCCP of 1.3 MB of junk": (
        made.png(RGB, 8, 2, (b"iCCP", b"a\0\0" + PACKED)),
        NO_PROFILE,
    ),
    "iCCP of an unknown kind": (
        made.png(RGB, 8, 2, (b"iCCP", b"a\0\1abc")),
        NO_PROFILE,
    ),
    "iCCP that is not zlib": (made.png(RGB, 8, 2, (b"iCCP", b"a\0\0abc")), NO_PROFILE),
    "iCCP without a name": (made.png(RGB, 8, 2, (b"iCCP", b"abc")), NO_PROFILE),
    "pHYs": (made.png(RGB, 8, 2, (b"pHYs", b"abc")), IGN + "pHYs (of 3 bytes)"),
    "sRGB": (made.png(RGB, 8, 2, (b"sRGB", b"")), IGN + "sRGB (of 0 bytes)"),
    "gAMA": (made.png(RGB, 8, 2, (b"gAMA", b"\0\1")), IGN + "gAMA (of 2 bytes)"),
    "cHRM": (made.png(RGB, 8, 2, (b"cHRM", b"\0\1")), IGN + "cHRM (of 2 bytes)"),
    "acTL": (made.png(RGB, 8, 2, (b"acTL", b"\0\1")), IGN + "acTL (of 2 bytes)"),
    "eXIf of garbage": (made.png(RGB, 8, 2, (b"eXIf", b"garbage")), EXIF),
    "eXIf that ends": (made.png(RGB, 8, 2, (b"eXIf", b"II*\0\x08\0\0\0\7\0")), EXIF),
    "eXIf in text": (
        made.png(RGB, 8, 2, (b"tEXt", b"Raw profile type exif\0\nexif\n 4\nzzzz")),
        EXIF,
    ),
    "checksum of tIME": (
        before_pixels(wrong(b"tIME", b"\7\xe8\1\1\0\0\0")),
        IGN + "tIME (wrong checksum)",
    ),
    "checksum of an unknown chunk": (
        before_pixels(wrong(b"zzZz", b"abc")),
        IGN + "zzZz (wrong checksum)",
    ),
    "checksum of iCCP": (
        before_pixels(wrong(b"iCCP", b"x\0\0" + zlib.compress(PROFILE))),
        NO_PROFILE,
    ),
    "checksum of gAMA": (
        before_pixels(wrong(b"gAMA", struct.pack(">I", 100000))),
        IGN + "gAMA (wrong checksum)",
    ),
    "two": (
        before_pixels(wrong(b"tIME", bytes(7)), made.chunk(b"pHYs", b"ab")),
        IGN + "tIME (wrong checksum), pHYs (of 2 bytes)",
    ),
    "length of tIME": (
        before_pixels(b"\x7f\0\0\0tIME" + bytes(11)),
        IGN + "a chunk without end",
    ),
    "name of tIME": (
        before_pixels(b"\0\0\0\7t\0ME" + bytes(11)),
        IGN + "a chunk without end",
    ),
    "checksum of IDAT": (
        PLAIN[:-13] + bytes([PLAIN[-13] ^ 1]) + PLAIN[-12:],
        "the checksum of its pixels (IDAT) is wrong, but they decode: ignored",
    ),
    "trailing bytes": (PLAIN + b"appended by a download manager" * 9, None),
    "a chunk cut off after the pixels": (
        PLAIN[:-12] + made.chunk(b"tEXt", b"Comment\0" + b"x" * 90)[:40],
        IGN + "tEXt (cut off)",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.parametrize("lenient", [False, True])
def test_a_png_is_read_with_one_warning(name, lenient):
    content, said = DAMAGED[name]
    read = picture(content, allow_truncated=lenient)
    assert np.array_equal(read.pixels, RGB)
    assert read.notes == (() if said is None else (said,))


@pytest.mark.parametrize("cut", [5, 8, 12, 13, 14, 16])
def test_a_png_without_its_end_is_read_with_one_warning(cut):
    read = picture(PLAIN[:-cut])
    assert np.array_equal(read.pixels, RGB)
    assert read.notes == ("its end is missing, but no pixel is: ignored",)


def test_a_good_profile_of_any_size_is_used():
    """Pillow takes none of more than 1 MB."""
    long = PROFILE + bytes(3 << 19)
    long = struct.pack(">I", len(long)) + long[4:]
    extra = (b"iCCP", b"wide\0\0" + zlib.compress(long))
    short = (b"iCCP", b"wide\0\0" + zlib.compress(PROFILE))
    read = picture(made.png(RGB, 8, 2, extra))
    assert np.array_equal(read.pixels, picture(made.png(RGB, 8, 2, short)).pixels)
    assert not np.array_equal(read.pixels, RGB)
    assert read.notes == ()


def test_transparency_is_used_although_its_checksum_is_wrong():
    key = struct.pack(">3H", *RGB[3, 4])
    read = picture(before_pixels(wrong(b"tRNS", key)))
    assert np.array_equal(read.pixels[..., 3] == 0, (RGB[3, 4] == RGB).all(axis=2))
    assert read.notes == ("the checksum of its transparency (tRNS) is wrong: used",)
    read = picture(before_pixels(made.chunk(b"tRNS", b"\0")))
    assert read.notes == ("its transparency (tRNS) is damaged: taken as opaque",)


def test_an_orientation_is_used_although_its_checksum_is_wrong():
    data = Image.Exif()
    data[274] = 6
    read = picture(before_pixels(wrong(b"eXIf", data.tobytes()[6:])))
    assert np.array_equal(read.pixels, np.rot90(RGB, -1))
    assert read.notes == ("the checksum of its EXIF data is wrong: used",)


@pytest.mark.parametrize("content", [PLAIN[:20], PLAIN[:40], PLAIN[:16] + bytes(99)])
def test_what_begins_as_a_png_is_one(content):
    with pytest.raises(kquant.ImageFileError, match="truncated or damaged"):
        picture(content)


# ---- other formats

FORMS = {
    "JPEG": "jpg", "WEBP": "webp", "GIF": None, "TIFF": None, "BMP": None, "PPM": None,
    "JPEG2000": "jpg_2000", "AVIF": "avif",
}  # fmt: skip


def encoded(form, **options):
    if FORMS[form] and not features.check(FORMS[form]):
        pytest.skip(f"this Pillow was built without {form}")
    file = io.BytesIO()
    options |= {"lossless": True} if form == "WEBP" else {}
    Image.fromarray(RGB).save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("tail", [b"\0", b"\r\n", b"junk" * 500, b"PK\3\4" * 9])
def test_bytes_after_the_end_are_no_matter(form, tail):
    content = encoded(form)
    whole = picture(content)
    read = picture(content + tail)
    assert np.array_equal(read.pixels, whole.pixels)
    assert read.notes == whole.notes == ()


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    "junk", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\0\0\0", b"junk"]
)
def test_damaged_exif_is_a_warning(form, junk):
    if form == "TIFF":
        content = made.tiff(RGB, 8, t34665=(1 << 20,), t700=junk)
    else:
        content = encoded(form, exif=junk)
    read = picture(content)
    assert np.array_equal(read.pixels, picture(encoded(form)).pixels)
    assert len(read.notes) <= 1
    if form not in ("TIFF", "JPEG"):
        assert read.notes == (EXIF,)


@pytest.mark.parametrize(
    ("form", "cuts"),
    [("JPEG", (1, 2)), ("GIF", (1, 2, 3)), ("JPEG2000", (1, 2))],
)
def test_an_end_that_is_missing_is_a_warning_at_most(form, cuts):
    content = encoded(form)
    whole = picture(content).pixels
    for cut in cuts:
        read = picture(content[:-cut])
        assert np.array_equal(read.pixels, whole)
        assert set(read.notes) <= {"its end is missing, but no pixel is: ignored"}


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
@pytest.mark.parametrize("quality", [30, 95])
def test_of_a_jpeg_that_lacks_bytes_all_or_nothing_is_read(
    progressive, subsampling, quality
):
    options = {"progressive": progressive, "subsampling": subsampling}
    content = encoded("JPEG", quality=quality, **options)
    whole = picture(content).pixels
    refused = 0
    for cut in range(1, 60):
        try:
            assert np.array_equal(picture(content[:-cut]).pixels, whole), cut
        except kquant.ImageFileError:
            refused += 1
    assert refused > 40


def test_segments_of_a_jpeg_in_the_wrong_number_are_named():
    content = encoded("JPEG", icc_profile=PROFILE)
    at = content.index(b"ICC_PROFILE\0") + 13
    read = picture(content[:at] + b"\7" + content[at + 1 :])
    assert read.notes == (NO_PROFILE,)


@pytest.mark.parametrize("name", [b"EXIF", b"XMP ", b"ICCP"])
def test_a_chunk_of_webp_without_end_is_a_warning(name):
    data = Image.Exif()
    data[274] = 1
    content = bytearray(
        encoded("WEBP", exif=data, xmp=b"<x>" * 20, icc_profile=PROFILE)
    )
    if name == b"ICCP":
        content[content.index(b"ICCP") + 8 : content.index(b"ICCP") + 50] = bytes(42)
        read = picture(bytes(content))
        assert read.notes == (NO_PROFILE,)
        assert np.array_equal(read.pixels, RGB)
        return
    read = picture(bytes(content[: content.index(name) + 12]))
    assert read.notes == ("metadata are damaged and ignored",)
    assert read.pixels.shape == RGB.shape


def test_tags_of_a_tiff_that_are_no_sense_are_no_matter():
    for tags in (
        {"t306": b"\xff" * 40}, {"t34665": (99999,)}, {"t34853": (0,)}, {"t330": (5,)},
        {"t270": b"\0" * 70000}, {"t33723": (1 << 31,)}, {"t282": (0,), "t283": (0,)},
        {"t700": (1, 2)}, {"t34377": (7,)}, {"t296": (77,)},
    ):  # fmt: skip
        read = picture(made.tiff(RGB, 8, **tags))
        assert np.array_equal(read.pixels, RGB), tags
        assert len(read.notes) <= 1


# ---- memory


@pytest.mark.parametrize("lenient", [False, True])
def test_no_memory_is_no_damage(monkeypatch, lenient):
    def fails(self):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fails)
    for form in ("JPEG", "GIF", "BMP"):
        with pytest.raises(kquant.ImageFileError, match="not enough memory"):
            picture(encoded(form), allow_truncated=lenient)


def test_memory_that_was_short_once_is_no_damage(monkeypatch):
    before, failed = ImageFile.ImageFile.load, []

    def fails_once(self):
        if not failed:
            failed.append(True)
            raise OSError("broken data stream when reading image file")
        return before(self)

    monkeypatch.setattr(ImageFile.ImageFile, "load", fails_once)
    read = picture(encoded("BMP"), allow_truncated=True)
    assert np.array_equal(read.pixels, RGB)
    assert read.notes == ()


def test_a_decoder_without_memory_leaves_no_black_picture(monkeypatch):
    from kquant import checks

    def fails(self):
        raise OSError("broken data stream when reading image file")

    def nothing(size):
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", fails)
    monkeypatch.setattr(checks, "bytearray", nothing, raising=False)
    with pytest.raises(kquant.ImageFileError, match="not enough memory"):
        picture(encoded("BMP"), allow_truncated=True)


# ---- anything may be damaged


@pytest.mark.parametrize("seed", range(40))
def test_mutated_pngs_raise_nothing_but_our_error(seed):
    chance = random.Random(seed)
    content = made.png(
        RGB, 8, 2, (b"gAMA", bytes(4)), (b"iCCP", b"a\0\0" + zlib.compress(PROFILE)),
        (b"cICP", b"\1\1\0\1"), (b"eXIf", b"II*\0\x08\0\0\0\1\0"), (b"tEXt", b"a\0b"),
        (b"tRNS", bytes(6)),
    )  # fmt: skip
    for _ in range(25):
        damaged = bytearray(content)
        for _ in range(chance.randrange(1, 5)):
            damaged[chance.randrange(8, len(damaged))] = chance.randrange(256)
        if chance.random() < 0.3:
            damaged = damaged[: chance.randrange(len(damaged))]
        for lenient in (False, True):
            with contextlib.suppress(kquant.ImageFileError):
                picture(bytes(damaged), allow_truncated=lenient)


@pytest.mark.parametrize("seed", range(40))
def test_mutated_tiffs_raise_nothing_but_our_error(seed):
    chance = random.Random(seed)
    array = np.random.default_rng(seed).integers(0, 4096, (20, 30, 3))
    forms = [
        made.tiff(array, 12, compression=8, rows=7), made.tiff(array, 16, tile=16),
        made.tiff(array[..., :1] / 4096.0, 64, t339=(3,), compression=8, predictor=3),
        made.tiff(array, 16, compression=8, predictor=2, planar=True, t338=(2,)),
    ]  # fmt: skip
    for content in forms:
        for _ in range(8):
            damaged = bytearray(content)
            for _ in range(chance.randrange(1, 4)):
                at = chance.randrange(len(damaged) - 250, len(damaged))
                damaged[at] = chance.choice([0, 1, 2, 255, chance.randrange(256)])
            with contextlib.suppress(kquant.ImageFileError):
                picture(bytes(damaged), max_pixels=10**6)
