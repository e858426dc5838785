"""Index maps to files: bits, chunks, sizes, formats."""

import os
import struct
import zlib

import numpy as np
import oracle
import pytest

import kquant
from kquant.encode import Content, Writing, encode
from kquant.parallel import Workers

RGB = oracle.photo(1, 30, 40)
GREY = RGB[..., 1].copy()
GREY3 = np.repeat(GREY[..., None], 3, axis=2)
OPAQUE = np.full((30, 40, 1), 255, np.uint8)

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are of POSIX")


def content(q, **more):
    return Content(q.indices, np.asarray(q.palette), **more)


def png(q, strip=False, optimize=None, **more):
    with Workers() as workers:
        return encode("a.png", content(q, **more), Writing(strip, optimize), workers)


@pytest.mark.parametrize(
    ("colors", "bits"),
    [(1, 1), (2, 1), (3, 2), (4, 2), (5, 4), (16, 4), (17, 8), (256, 8)],
)
def test_png_has_as_few_bits_as_it_needs_and_no_spare_entries(colors, bits):
    q = kquant.quantize(oracle.photo(2), colors)
    content = png(q)
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
    assert chunks[b"sRGB"] == b"\0"


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.png.txt", "png"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(kquant.ImageFileError, match=r"End the name in \.png"):
        kquant.quantize(RGB, 2).save(tmp_path / name)
    assert not os.listdir(tmp_path)
