"""Grey pictures as grey PNG, depths that are asked for, and small BMP files."""

import io
import struct
import zlib

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant.files.content import Content
from kquant.files.encode import shows

Y, X = np.mgrid[0:384, 0:384]
WAVES = 128 + 60 * np.sin(X / 31) + 50 * np.cos(Y / 23) + 12 * np.sin((X + Y) / 5)
NOISE = WAVES + np.random.default_rng(0).normal(0, 3, WAVES.shape)
SMOOTH, NOISY = (np.clip(np.rint(v), 0, 255).astype(np.uint8) for v in (WAVES, NOISE))
DISC = np.where((X - 190) ** 2 + (Y - 190) ** 2 < 20_000, 255, 0).astype(np.uint8)


def saved(tmp_path, q, name="a.png", **options):
    q.save(tmp_path / name, force=True, **options)
    return (tmp_path / name).read_bytes()


def header(png):
    """Width, height, bits and colour type, and the chunks by name."""
    found, at = {}, 8
    while at < len(png):
        length, name = struct.unpack(">I4s", png[at : at + 8])
        found[name] = found.get(name, b"") + png[at + 8 : at + 8 + length]
        at += 12 + length
    return struct.unpack(">IIBB", found[b"IHDR"][:10]), found


def unfiltered(png):
    """Decode a PNG of one channel by hand, as the standard says."""
    (width, height, bits, _), found = header(png)
    data = zlib.decompress(found[b"IDAT"])
    wide = -(-width * bits // 8)
    above, rows = bytearray(wide), []
    for y in range(height):
        row = bytearray(data[y * (wide + 1) : (y + 1) * (wide + 1)])
        kind, row = row[0], row[1:]
        for x in range(wide):
            a, b = row[x - 1] if x else 0, above[x]
            c = above[x - 1] if x else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            row[x] = (row[x] + [0, a, b, (a + b) // 2, paeth][kind]) % 256
        rows.append(above := row)
    values = np.unpackbits(np.array(rows, np.uint8), axis=1)[:, : width * bits]
    weights = 1 << np.arange(bits)[::-1]
    return values.reshape(height, width, bits) @ weights


def by_pillow(grey):
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG", optimize=True)
    return len(file.getvalue())


@pytest.mark.parametrize("colors", [256, 64])
@pytest.mark.parametrize("picture", [SMOOTH, NOISY], ids=["smooth", "noisy"])
@pytest.mark.parametrize("order", [None, "size", "lightness"])
def test_grey_pictures_are_hardly_larger_than_grey_png_of_pillow(
    tmp_path, picture, colors, order
):
    q = kquant.quantize(picture, colors, order=order)
    png = saved(tmp_path, q)
    back = q.to_array()[..., 0]
    assert len(png) <= 1.002 * by_pillow(back) + 13
    assert header(png)[0][2:] == (8, 0)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), back)
    assert shows(png, Content(q.indices, np.asarray(q.palette)))


def test_all_filters_decode_as_the_standard_says(tmp_path, monkeypatch):
    seen = set()
    for number in range(1, 6):
        monkeypatch.setattr(
            "kquant.files.png._Layout.estimate",
            lambda self, *_, number=number: 1 + abs(self.filter - number),
        )
        picture = NOISY[:70, :91] if number == 5 else SMOOTH[:70, :91]
        q = kquant.quantize(picture, 200)
        png = saved(tmp_path, q)
        rows = zlib.decompress(header(png)[1][b"IDAT"])
        seen |= set(rows[:: 1 + 91])
        assert np.array_equal(unfiltered(png), q.to_array()[..., 0])
    assert seen >= {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("levels", "bits"),
    [([0, 255], 1), ([255], 1), ([0, 85, 255], 2), ([17, 34, 255, 0, 51], 4),
     ([1, 255], 8), ([0, 128], 8)],
)  # fmt: skip
def test_levels_that_fit_fewer_bits_get_them(tmp_path, levels, bits):
    picture = np.random.default_rng(1).choice(np.uint8(levels), (50, 301))
    q = kquant.quantize(picture)
    png = saved(tmp_path, q)
    (_, _, got, color_type), found = header(png)
    if color_type == 0:
        assert got == bits
        assert b"PLTE" not in found
        assert np.array_equal(unfiltered(png) * (255 // (2**bits - 1)), picture)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png)).convert("L")), picture)
    assert len(png) <= len(saved(tmp_path, q, palette_png=True))


@pytest.mark.parametrize("hidden", ["keep", "bleed"])
def test_a_hidden_colour_that_was_asked_for_stays(tmp_path, hidden):
    q = kquant.quantize(
        np.dstack([SMOOTH, SMOOTH, SMOOTH, DISC]), 100, transparent_rgb=hidden
    )
    seen = Image.open(io.BytesIO(saved(tmp_path, q))).convert("RGBA")
    assert np.array_equal(np.asarray(seen), q.to_array())


@pytest.mark.parametrize("low", [0, 40])
def test_one_transparent_entry_becomes_a_key(tmp_path, low):
    grey = np.maximum(SMOOTH, low)
    image = np.dstack([grey, grey, grey, DISC])
    q = kquant.quantize(image, 100)
    png = saved(tmp_path, q)
    (_, _, bits, color_type), found = header(png)
    assert len(png) < len(saved(tmp_path, q, palette_png=True))
    assert (bits, color_type) == (8, 0)
    (key,) = struct.unpack(">H", found[b"tRNS"])
    samples = unfiltered(png)
    assert np.array_equal(samples == key, DISC == 0)
    seen = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
    shown = q.to_array()
    assert np.array_equal(seen[DISC > 0], shown[DISC > 0])
    assert np.array_equal(seen[..., 3], shown[..., 3])
    assert shows(png, Content(q.indices, np.asarray(q.palette)))


@pytest.mark.parametrize("levels", [[0, 255], [85, 170], [0, 85, 170], [17, 238, 51]])
def test_keys_of_few_bits_are_read_by_pillow(tmp_path, levels):
    """It compares keys of 2 and 4 bits after scaling the samples, and not the key."""
    rng = np.random.default_rng(2)
    grey = rng.choice(np.uint8(levels), (64, 64))
    alpha = rng.choice(np.uint8([0, 255]), (64, 64))
    q = kquant.quantize(np.dstack([grey, grey, grey, alpha]))
    seen = np.asarray(Image.open(io.BytesIO(saved(tmp_path, q))).convert("RGBA"))
    assert np.array_equal(seen[..., 3], alpha)
    assert np.array_equal(seen[alpha > 0, 0], grey[alpha > 0])


def test_what_is_to_have_a_palette_has_it(tmp_path):
    q = kquant.quantize(SMOOTH, 256)
    assert header(saved(tmp_path, q, palette_png=True))[0][3] == 3
    fixed = kquant.quantize(SMOOTH, palette=["#000", "#888", "#fff", "#777"])
    _, found = header(saved(tmp_path, fixed))
    assert found[b"PLTE"] == np.asarray(fixed.palette).tobytes()
    image = np.dstack([SMOOTH, SMOOTH, SMOOTH, DISC])
    first = kquant.quantize(image, 100, transparent_index="first")
    (_, _, _, color_type), found = header(saved(tmp_path, first))
    assert (color_type, found[b"tRNS"]) == (3, b"\0")
    nearly = np.dstack([SMOOTH, SMOOTH, SMOOTH, np.maximum(DISC, 9)])
    assert header(saved(tmp_path, kquant.quantize(nearly, 100)))[0][3] == 3


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("part", [1 << 21, 30_000])
def test_grey_files_do_not_depend_on_threads(tmp_path, monkeypatch, threads, part):
    monkeypatch.setattr("kquant.files.png.PART", part)
    for picture in (NOISY, np.tile(SMOOTH, (2, 2))):
        q = kquant.quantize(picture, 200)
        png = saved(tmp_path, q, threads=threads)
        assert png == saved(tmp_path, q, threads=1)
        assert np.array_equal(
            np.asarray(Image.open(io.BytesIO(png)).convert("RGB")), q.to_array()
        )


def test_oxipng_keeps_what_was_asked_for(tmp_path):
    pytest.importorskip("oxipng", reason="an extra: kquant[optimize]")
    q = kquant.quantize(SMOOTH, 4)
    options = {"optimize": 2, "palette_png": True, "depth": 8}
    assert header(saved(tmp_path, q, **options))[0][2:] == (8, 3)
    assert len(saved(tmp_path, q, optimize=2)) <= len(saved(tmp_path, q))


# ---- depths


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("colored", [True, False])
def test_depths_that_are_asked_for(tmp_path, depth, colored):
    picture = oracle.photo(1, 60, 81) if colored else SMOOTH[:60, :81]
    q = kquant.quantize(picture, 2)
    png = saved(tmp_path, q, depth=depth)
    assert header(png)[0][2] == depth
    seen = Image.open(io.BytesIO(png)).convert("RGB")
    assert np.array_equal(np.asarray(seen), q.to_array())
    many = kquant.quantize(picture, 17)
    if depth < 8:
        with pytest.raises(ValueError, match=rf"at most {2**depth} .* or depth=8"):
            many.save(tmp_path / "b.png", depth=depth)
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize("depth", [0, 3, 16, "8", True, 8.0])
def test_other_depths_are_refused(tmp_path, depth):
    with pytest.raises((ValueError, TypeError), match="depth must be 1, 2, 4 or 8"):
        kquant.quantize(SMOOTH, 2).save(tmp_path / "a.png", depth=depth)
    with pytest.raises((ValueError, TypeError), match="depth must be 1, 2, 4 or 8"):
        kquant.quantize_file("no.png", depth=depth)


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.bmp", "a.webp"])
def test_formats_without_a_depth_say_so(tmp_path, name):
    q = kquant.quantize(SMOOTH, 2)
    with pytest.raises(kquant.ImageFileError, match=r"2 bits a pixel.*\.png, or leave"):
        q.save(tmp_path / name, depth=2)
    q.save(tmp_path / name, depth=8)


# ---- BMP


@pytest.mark.parametrize("width", [1, 7, 8, 9, 33])
@pytest.mark.parametrize("colors", [1, 2, 3, 16, 17, 256])
def test_bmp_has_as_few_bits_as_it_can(tmp_path, colors, width):
    q = kquant.Palette.fit(oracle.photo(1, 40, 50), colors).map(
        oracle.photo(1, 40, 50)[:, :width]
    )
    content = saved(tmp_path, q, "a.bmp")
    bits = 1 if colors <= 2 else 4 if colors <= 16 else 8
    assert struct.unpack_from("<H", content, 28) == (bits,)
    assert struct.unpack_from("<I", content, 2) == (len(content),)
    row = -(-width * bits // 32) * 4
    assert len(content) == 54 + 4 * len(q.palette) + 40 * row
    with Image.open(io.BytesIO(content)) as image:
        assert np.array_equal(np.asarray(image.convert("RGB")), q.to_array())
    if bits == 8:
        file = io.BytesIO()
        q.to_pillow().save(file, "BMP")
        assert content == file.getvalue()


def test_bmp_of_more_bits_on_demand(tmp_path):
    q = kquant.quantize(oracle.photo(1, 40, 50), 2)
    for depth in (1, 4, 8):
        content = saved(tmp_path, q, "a.bmp", depth=depth)
        assert struct.unpack_from("<H", content, 28) == (depth,)
        assert shows(content, Content(q.indices, np.asarray(q.palette)))
