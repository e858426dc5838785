"""Index maps to PNG: bits, chunks, sizes, and oxipng."""

import io
import struct
import zlib

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant.files import content as module
from kquant.files.content import Content, WriteOptions, check_optimize
from kquant.files.encode import encode
from kquant.parallel import Workers

PHOTO = oracle.photo(1, 120, 160)
SPRITE = np.dstack(
    [PHOTO, np.linspace(0, 255, 160).astype(np.uint8)[None].repeat(120, 0)]
)


def content(q, **more):
    return Content(q.indices, np.asarray(q.palette), **more)


def encoded(q, name="a.png", *, strip=False, optimize=None, threads=None, **more):
    with Workers(threads) as workers:
        return encode(name, content(q, **more), WriteOptions(strip, optimize), workers)


def chunks(png):
    """Chunks of a PNG by name, each with the right checksum."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = {}, 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        data = png[at + 8 : at + 8 + length]
        assert zlib.crc32(name + data) == int.from_bytes(png[at + 8 + length :][:4])
        found[name] = data
        at += 12 + length
    return found


def by_hand(q):
    """Size of the PNG with unfiltered rows at zlib level 9, and no other chunk."""
    bits = next(b for b in (1, 2, 4, 8) if len(q.palette) <= 1 << b)
    levels = np.unpackbits(q.indices[..., None], axis=2)[..., 8 - bits :]
    rows = np.packbits(levels.reshape(len(levels), -1), axis=1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows), 9)
    return 8 + 25 + 12 + 3 * len(q.palette) + 12 + len(data) + 12


def by_pillow(q):
    file = io.BytesIO()
    q.to_pillow().save(file, "PNG", optimize=True)
    return len(file.getvalue())


@pytest.mark.parametrize(
    ("colors", "bits"),
    [(1, 1), (2, 1), (3, 2), (4, 2), (5, 4), (16, 4), (17, 8), (256, 8)],
)
@pytest.mark.parametrize("width", [1, 3, 160])
def test_png_has_as_few_bits_as_it_needs_and_no_spare_entries(colors, bits, width):
    q = kquant.Palette.fit(PHOTO, colors).map(PHOTO[:, :width])
    png = encoded(q)
    found = chunks(png)
    assert found[b"IHDR"] == struct.pack(">IIBBBBB", width, 120, bits, 3, 0, 0, 0)
    assert found[b"PLTE"] == np.asarray(q.palette).tobytes()
    assert found[b"sRGB"] == b"\0"
    assert list(found) == [b"IHDR", b"sRGB", b"PLTE", b"IDAT", b"IEND"]
    image = Image.open(io.BytesIO(png))
    assert np.array_equal(np.asarray(image), q.indices)
    assert np.array_equal(np.asarray(image.convert("RGB")), q.to_array())


@pytest.mark.parametrize("colors", [16, 64, 256])
@pytest.mark.parametrize("dither", [False, True])
def test_png_is_hardly_larger_than_the_smaller_of_two_others(colors, dither):
    """On photographs it is smaller; the tag that says sRGB takes 13 bytes."""
    q = kquant.quantize(oracle.photo(5, 300, 400), colors, dither=dither)
    assert len(encoded(q)) <= min(by_hand(q), by_pillow(q)) + 13


def test_rows_have_no_filter_which_pillow_gives_those_of_4_bits():
    q = kquant.quantize(oracle.photo(5, 300, 400), 16, dither=True)
    rows = zlib.decompress(chunks(encoded(q))[b"IDAT"])
    assert set(rows[:: 1 + 200]) == {0}
    assert len(encoded(q)) < 0.95 * by_pillow(q)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_large_pictures_are_compressed_in_parts_by_threads(monkeypatch, threads):
    q = kquant.quantize(oracle.photo(3, 400, 300), 200)
    monkeypatch.setattr("kquant.files.png.PART", 20_000)
    png = encoded(q, threads=threads)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), q.indices)
    assert png == encoded(q, threads=1)
    assert len(png) < 1.02 * by_hand(q)


def test_alpha_is_trimmed_after_the_last_entry_that_is_not_opaque():
    palette = ["#112233ff", "#445566", "#77889980", "#aabbcc", "#ddeeffff"]
    q = kquant.Palette(palette).map(SPRITE)
    assert chunks(encoded(q))[b"tRNS"] == bytes([255, 255, 128])
    opaque = kquant.Palette(["#112233ff", "#445566"]).map(SPRITE, matte="white")
    assert b"tRNS" not in chunks(encoded(opaque))


def test_resolution_and_profile_are_written_and_stripped():
    q = kquant.quantize(PHOTO, 8)
    found = chunks(encoded(q, dpi=(72.0, 300.0)))
    assert found[b"pHYs"] == struct.pack(">IIB", 2835, 11811, 1)
    assert list(chunks(encoded(q, dpi=(72, 72), strip=True))) == [
        b"IHDR", b"PLTE", b"IDAT", b"IEND",
    ]  # fmt: skip
    found = chunks(encoded(q, icc=b"profile", strip=True))
    assert found[b"iCCP"] == b"ICC profile\0\0" + zlib.compress(b"profile", 9)
    assert b"sRGB" not in found


@pytest.mark.parametrize("colors", [16, 256])
def test_oxipng_makes_it_smaller_and_changes_no_colour(colors):
    oxipng = pytest.importorskip("oxipng", reason="an extra: kquant[optimize]")
    q = kquant.quantize(oracle.photo(5, 300, 400), colors)
    png = encoded(q, optimize=2)
    plain = encoded(q)
    assert len(png) <= min(len(oxipng.optimize_from_memory(plain, level=2)), len(plain))
    image = Image.open(io.BytesIO(png))
    assert np.array_equal(np.asarray(image.convert("RGB")), q.to_array())


def test_oxipng_leaves_a_fixed_palette_as_it_is():
    pytest.importorskip("oxipng", reason="an extra: kquant[optimize]")
    palette = kquant.Palette(["#ffffff", "#123456", "#000000", "#fedcba"])
    q = palette.map(np.zeros((50, 50, 3), np.uint8))
    found = chunks(encoded(q, optimize=6, fixed=True))
    assert found[b"PLTE"] == np.asarray(palette).tobytes()


@pytest.mark.parametrize(
    ("level", "error"), [(7, ValueError), (-1, ValueError), (True, TypeError)]
)
def test_other_levels_are_refused(level, error):
    with pytest.raises(error, match=r"optimize must be a level 0\.\.6"):
        check_optimize(level)


def test_without_oxipng_there_is_a_hint(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="optimize needs pyoxipng: install it with"):
        kquant.quantize(PHOTO, 4).save("a.png", optimize=2)


@pytest.mark.parametrize("level", [0, np.int64(2)])
def test_levels_reach_oxipng_through_every_call(tmp_path, level):
    pytest.importorskip("oxipng", reason="an extra: kquant[optimize]")
    assert check_optimize(level) == level
    q = kquant.quantize(PHOTO, 16)
    q.save(tmp_path / "a.png", optimize=level)
    expected = encoded(q, optimize=int(level), strip=True)
    Image.fromarray(PHOTO).save(tmp_path / "in.png")
    report = kquant.quantize_file(
        tmp_path / "in.png", colors=16, optimize=level, strip=True
    )
    assert report.target.read_bytes() == expected
    assert report.bytes_after <= (tmp_path / "a.png").stat().st_size
