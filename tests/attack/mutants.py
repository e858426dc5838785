"""Damaged image files by the thousand: rendered, cut at their structure, and changed.

A mutant is named by its format and two numbers, and is the same on every run.
"""

import io
import struct
import zlib
from functools import cache

import made
import numpy as np
import oracle
from PIL import Image, features

FORMATS = ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP", "PPM", "AVIF"]
BUILT = [f for f in FORMATS if f not in ("WEBP", "AVIF") or features.check(f.lower())]

# What makes counts overflow, sizes disagree, and offsets point outside.
NUMBERS = (
    *(0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 32, 64, 127, 128, 255, 256, 257, 1000),
    *(2**15 - 1, 2**15, 2**16 - 1, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1),
)


def mutant(form, seed, number):
    """Give the bytes of a mutant."""
    chance = np.random.default_rng([FORMATS.index(form), seed, number])
    whole = originals(form)
    pieces = list(SPLIT[form](whole[chance.integers(len(whole))]))
    for _ in range(chance.choice([1, 1, 1, 2, 3, 6])):
        # What moves the rest of a file with offsets most often only breaks it.
        few = form in ("TIFF", "BMP") and chance.random() < 0.75
        actions = IN_PLACE if few else ACTIONS
        action = actions[chance.integers(len(actions))]
        action(pieces, chance, form)
    if chance.random() < 0.75:
        content = MEND.get(form, b"".join)(pieces)
    else:
        content = b"".join(pieces)
    if chance.random() < 0.15:
        content = content[: chance.integers(len(content) + 1)]
    return content


# Originals ---------------------------------------------------------------------------


@cache
def originals(form):
    """Give whole files of a format, of as many of its kinds as are easily made."""
    return tuple(RENDER[form]())


RGB = oracle.photo(1, 18, 23)
ALPHA = np.dstack([RGB, np.arange(18 * 23).reshape(18, 23) % 256]).astype(np.uint8)
RGB_IMAGE, ALPHA_IMAGE = Image.fromarray(RGB), Image.fromarray(ALPHA)
EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"


def _saved(image, form, **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def _pngs():
    wide = made.profile(made.WIDE, 2.2)
    for mode in ("RGB", "RGBA", "L", "LA", "P", "1"):
        yield _saved(ALPHA_IMAGE.convert(mode), "PNG", icc_profile=wide, dpi=(72, 72))
    yield _saved(RGB_IMAGE.quantize(16), "PNG", transparency=3, exif=EXIF)
    deep = RGB.astype(np.uint16) * 257
    keyed = (b"tRNS", struct.pack(">3H", *deep[0, 0]))
    yield made.png(deep, 16, 2, (b"gAMA", struct.pack(">I", 100000)), keyed)
    yield made.png(ALPHA, 8, 6, (b"cICP", bytes([9, 16, 0, 1])), interlaced=True)
    yield made.png(RGB[..., :1] >> 6, 2, 0, (b"tEXt", b"Comment\0of two bits"))
    yield _saved(RGB_IMAGE, "PNG", save_all=True, append_images=[RGB_IMAGE.rotate(180)])


def _jpegs():
    wide = made.profile(made.WIDE, 2.2)
    yield _saved(RGB_IMAGE, "JPEG", icc_profile=wide, exif=EXIF)
    yield _saved(RGB_IMAGE, "JPEG", progressive=True, subsampling=0, dpi=(72, 72))
    yield _saved(RGB_IMAGE.convert("L"), "JPEG", comment=b"grey", optimize=True)
    yield _saved(RGB_IMAGE.convert("CMYK"), "JPEG", restart_marker_rows=1)
    yield _saved(RGB_IMAGE, "MPO", save_all=True, append_images=[RGB_IMAGE])


def _tiffs():
    for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "zstd", "lzma"):
        if features.check("libtiff"):
            yield _saved(RGB_IMAGE, "TIFF", compression=kind)
    if features.check("libtiff"):
        for kind in ("group3", "group4"):
            yield _saved(RGB_IMAGE.convert("1"), "TIFF", compression=kind)
    yield _saved(RGB_IMAGE.quantize(9), "TIFF", dpi=(72, 72))
    yield _saved(RGB_IMAGE, "TIFF", save_all=True, append_images=[RGB_IMAGE])
    deep = RGB.astype(np.int64) * 257
    for order in "<>":
        yield made.tiff(RGB, 8, order=order, rows=5)
        yield made.tiff(RGB, 8, order=order, tile=16, compression=8)
        yield made.tiff(deep, 16, order=order, planar=True, rows=7)
        yield made.tiff(deep, 16, order=order, predictor=2, compression=8)
        yield made.tiff(ALPHA, 8, order=order, t338=(2,), t274=(6,), compression=32773)
        yield made.tiff(deep[..., :1] >> 4, 12, order=order)
        yield made.tiff(deep[..., :1] - 2**15, 16, order=order, t339=(2,))
        yield made.tiff(RGB / 255, 32, order=order, t339=(3, 3, 3), tile=16)
        yield made.tiff(RGB / 255, 32, order=order, predictor=3, compression=8,
                        t339=(3, 3, 3))  # fmt: skip
        yield made.tiff(RGB[..., :1], 8, order=order, fill=2, t33550=(1.0, 1.0, 0.0),
                        t42113=b"0\0")  # fmt: skip


def _gifs():
    for colors in (2, 16, 256):
        yield _saved(RGB_IMAGE.quantize(colors), "GIF", comment=b"of a GIF")
    yield _saved(RGB_IMAGE.quantize(7), "GIF", transparency=2, interlace=True)
    turned = [RGB_IMAGE.rotate(a) for a in (90, 180)]
    yield _saved(RGB_IMAGE, "GIF", save_all=True, append_images=turned, loop=0)


def _webps():
    for options in ({}, {"lossless": True}, {"exif": EXIF, "quality": 20}):
        yield _saved(RGB_IMAGE, "WEBP", **options)
        yield _saved(ALPHA_IMAGE, "WEBP", **options)
    wide = made.profile(made.WIDE, 2.2)
    yield _saved(RGB_IMAGE, "WEBP", icc_profile=wide)
    yield _saved(RGB_IMAGE, "WEBP", save_all=True, append_images=[RGB_IMAGE.rotate(9)])


def _bmps():
    for mode in ("RGB", "P", "L", "1", "RGBA"):
        yield _saved(ALPHA_IMAGE.convert(mode), "BMP", dpi=(72, 72))
    # Eight bits in runs: a run, literal bytes, an end of line, a move, and the end.
    rows = b"\x05\x01\0\x03\x02\x03\x04\0\0\0\0\2\1\1\x03\x05\0\1"
    colors = bytes(range(64))
    head = struct.pack("<IiiHHIIiiII", 40, 8, 4, 1, 8, 1, len(rows), 2835, 2835, 16, 0)
    start = struct.pack("<2sIHHI", b"BM", 54 + 64 + len(rows), 0, 0, 54 + 64)
    yield start + head + colors + rows


def _ppms():
    for mode in ("RGB", "L", "1"):
        yield _saved(RGB_IMAGE.convert(mode), "PPM")
    deep = RGB.astype(">u2") * 257
    yield b"P6\n# deep\n23 18\n65535\n" + deep.tobytes()
    words = " ".join(map(str, RGB.ravel())).encode()
    yield b"P3 23 18 255\n" + words
    yield b"P1 8 4\n" + b"0 1 1 0 1 0 0 1\n" * 4
    yield b"Pf\n23 18\n-1.0\n" + (RGB[..., 0] / 255).astype("<f4").tobytes()
    head = b"WIDTH 23\nHEIGHT 18\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n"
    yield b"P7\n" + head + ALPHA.tobytes()


def _avifs():
    wide = made.profile(made.WIDE, 2.2)
    yield _saved(RGB_IMAGE, "AVIF", speed=10)
    yield _saved(ALPHA_IMAGE, "AVIF", speed=10, exif=EXIF)
    yield _saved(RGB_IMAGE, "AVIF", speed=10, icc_profile=wide, subsampling="4:4:4")
    yield _saved(RGB_IMAGE, "AVIF", speed=10, save_all=True, append_images=[RGB_IMAGE])


RENDER = {
    "PNG": _pngs, "JPEG": _jpegs, "TIFF": _tiffs, "GIF": _gifs, "WEBP": _webps,
    "BMP": _bmps, "PPM": _ppms, "AVIF": _avifs,
}  # fmt: skip


# Pieces: together they are the file ---------------------------------------------------


def _png_pieces(content):
    yield content[:8]
    at = 8
    while at < len(content):
        size = 12 + int.from_bytes(content[at : at + 4], "big")
        yield content[at : at + size]
        at += size


def _mended_png(pieces):
    """Join them with lengths and checksums that are right."""
    parts = []
    for piece in pieces:
        if len(piece) >= 12 and not piece.startswith(b"\x89PNG"):
            piece = made.chunk(piece[4:8], piece[8:-4])
        parts.append(piece)
    return b"".join(parts)


def _jpeg_pieces(content):
    at = begun = 0
    while at < len(content):
        mark = content[at + 1] if content[at] == 0xFF and at + 1 < len(content) else 0
        if mark == 0 or 0xD0 <= mark <= 0xD7:  # data of a scan
            at += 1
            continue
        if begun < at:
            yield content[begun:at]
        size = 2
        if mark not in (0xD8, 0xD9, 0xFF, 0x01):
            size += int.from_bytes(content[at + 2 : at + 4], "big")
        yield content[at : at + size]
        at = begun = at + size
    yield content[begun:]


def _mended_jpeg(pieces):
    parts = []
    for piece in pieces:
        marked = len(piece) >= 4 and piece[0] == 0xFF and 0xC0 <= piece[1] <= 0xFE
        if marked and not 0xD0 <= piece[1] <= 0xD9:
            size = min(len(piece) - 2, 0xFFFF)
            piece = piece[:2] + struct.pack(">H", size) + piece[4:]
        parts.append(piece)
    return b"".join(parts)


def _tiff_pieces(content):
    """Give the header, what is before the first directory, its entries, the rest."""
    order = "little" if content[:2] == b"II" else "big"
    start = int.from_bytes(content[4:8], order)
    count = int.from_bytes(content[start : start + 2], order)
    yield content[:8]
    yield content[8:start]
    yield content[start : start + 2]
    for at in range(start + 2, start + 2 + 12 * count, 12):
        yield content[at : at + 12]
    yield content[start + 2 + 12 * count :]


def _gif_pieces(content):
    yield content[:13]
    at = 13
    if content[10] & 128:
        size = 3 << (content[10] & 7) + 1
        yield content[at : at + size]
        at += size
    while at < len(content):
        begun = at
        if content[at] == 0x2C:
            flags = content[at + 9]
            at += 11 + (3 << (flags & 7) + 1 if flags & 128 else 0)
        elif content[at] == 0x21:
            at += 2
        else:
            break
        while content[at]:
            at += 1 + content[at]
        at += 1
        yield content[begun:at]
    yield content[at:]


def _webp_pieces(content):
    yield content[:12]
    at = 12
    while at < len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        yield content[at : at + 8 + size + size % 2]
        at += 8 + size + size % 2


def _mended_webp(pieces):
    parts = []
    for piece in pieces[1:]:
        if len(piece) >= 8:
            piece = piece[:4] + struct.pack("<I", len(piece) - 8) + piece[8:]
            piece += bytes(len(piece) % 2)
        parts.append(piece)
    size = 4 + sum(map(len, parts))
    head = pieces[0][:12].ljust(12, b"\0") if pieces else bytes(12)
    return head[:4] + struct.pack("<I", size) + head[8:] + b"".join(parts)


def _avif_pieces(content):
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big") or len(content)
        if content[at + 4 : at + 8] == b"meta":  # its boxes are pieces too
            yield content[at : at + 12]
            at += 12
            continue
        yield content[at : at + size]
        at += size


def _fixed_pieces(content):
    """Give the fields of a header, in fours, and what is behind it."""
    for at in range(0, min(64, len(content)), 4):
        yield content[at : at + 4]
    yield content[64:]


SPLIT = {
    "PNG": _png_pieces, "JPEG": _jpeg_pieces, "TIFF": _tiff_pieces,
    "GIF": _gif_pieces, "WEBP": _webp_pieces, "BMP": _fixed_pieces,
    "PPM": lambda content: content.splitlines(keepends=True), "AVIF": _avif_pieces,
}  # fmt: skip
MEND = {"PNG": _mended_png, "JPEG": _mended_jpeg, "WEBP": _mended_webp}


# Actions: each changes a list of pieces ----------------------------------------------


def _one(pieces, chance):
    return int(chance.integers(len(pieces))) if pieces else None


def _flip(pieces, chance, form):
    if (at := _one(pieces, chance)) is not None and pieces[at]:
        piece = bytearray(pieces[at])
        for _ in range(chance.choice([1, 1, 2, 8])):
            piece[chance.integers(len(piece))] ^= 1 << int(chance.integers(8))
        pieces[at] = bytes(piece)


def _put_byte(pieces, chance, form):
    if (at := _one(pieces, chance)) is not None and pieces[at]:
        piece = bytearray(pieces[at])
        near = min(len(piece), chance.choice([16, 64, 1 << 20]))
        piece[chance.integers(near)] = chance.choice([0, 1, 127, 128, 254, 255])
        pieces[at] = bytes(piece)


def _put_number(pieces, chance, form):
    """Write a count, size or offset of 2 or 4 bytes, most often near the start."""
    if (at := _one(pieces, chance)) is None:
        return
    size, order = int(chance.choice([2, 4])), "<>"[chance.integers(2)]
    piece = bytearray(pieces[at])
    room = min(len(piece) - size, int(chance.choice([8, 24, 1 << 20])))
    if room >= 0:
        place = int(chance.integers(room + 1))
        value = NUMBERS[chance.integers(len(NUMBERS))] % 256**size
        piece[place : place + size] = struct.pack(order + {2: "H", 4: "I"}[size], value)
        pieces[at] = bytes(piece)


def _put_word(pieces, chance, form):
    """Replace a number that is written in digits, or put one in the place of a tag."""
    if form != "PPM" or not pieces:
        return _put_number(pieces, chance, form)
    at = int(chance.integers(min(3, len(pieces))))
    words = pieces[at].split(b" ")
    value = [*map(str, NUMBERS), "-1", "1e9", "nan", "inf", "0x9", "9" * 40, ""]
    words[chance.integers(len(words))] = value[chance.integers(len(value))].encode()
    pieces[at] = b" ".join(words) + b"\n"
    return None


def _remove(pieces, chance, form):
    if (at := _one(pieces, chance)) is not None:
        del pieces[at]


def _double(pieces, chance, form):
    if (at := _one(pieces, chance)) is not None:
        pieces[at:at] = [pieces[at]] * int(chance.choice([1, 1, 2, 50]))


def _swap(pieces, chance, form):
    if pieces:
        a, b = _one(pieces, chance), _one(pieces, chance)
        pieces[a], pieces[b] = pieces[b], pieces[a]


def _splice(pieces, chance, form):
    """Take a piece, or the rest, of another file of the format."""
    others = originals(form)
    other = list(SPLIT[form](others[chance.integers(len(others))]))
    at, foreign = int(chance.integers(len(pieces) + 1)), _one(other, chance)
    if chance.random() < 0.5:
        pieces[at:] = other[foreign:]
    else:
        pieces[at : at + 1] = [other[foreign]]


def _shorten(pieces, chance, form):
    if (at := _one(pieces, chance)) is not None and pieces[at]:
        piece = pieces[at]
        begin, end = sorted(chance.integers(len(piece) + 1, size=2))
        pieces[at] = piece[:begin] + piece[end:]


def _lengthen(pieces, chance, form):
    if (at := _one(pieces, chance)) is not None:
        place = int(chance.integers(len(pieces[at]) + 1))
        more = chance.bytes(int(chance.choice([1, 4, 300])))
        pieces[at] = pieces[at][:place] + more + pieces[at][place:]


def _inflated(pieces, chance, form):
    """Change what is compressed, so that the stream around it is sound."""
    for at, piece in enumerate(pieces):
        if form != "PNG" or piece[4:8] not in (b"IDAT", b"iCCP"):
            continue
        before = piece[8 : piece.find(b"\0", 8) + 2] if piece[4:8] == b"iCCP" else b""
        packed = zlib.decompressobj()
        try:
            rows = packed.decompress(piece[8 + len(before) : -4], 1 << 20)
        except zlib.error:
            continue
        inner = [rows]
        (_flip, _put_byte, _put_number, _shorten, _lengthen)[chance.integers(5)](
            inner, chance, form
        )
        pieces[at] = made.chunk(piece[4:8], before + zlib.compress(inner[0]))
        return
    _flip(pieces, chance, form)


IN_PLACE = (_flip, _flip, _put_byte, _put_number, _put_number, _put_word)
ACTIONS = (*IN_PLACE, _remove, _double, _swap, _splice, _shorten, _lengthen, _inflated)
