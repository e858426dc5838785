"""Damage to files, some blind, some that knows how the format is built.

A mutant is known by its format, a seed and a number: it is made again from these.
"""

import functools
import re
import struct
import zlib

import numpy as np

from .pictures import formats, originals

ODD = (
    0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 63, 64, 100, 127, 128, 129, 254, 255,
    256, 257, 1000, 4095, 4096, 32767, 32768, 65534, 65535, 65536, 1 << 20, 1 << 24,
    (1 << 31) - 1, 1 << 31, (1 << 32) - 2, (1 << 32) - 1,
)  # fmt: skip
MOST_CHANGES = 4


def mutant(form, seed, number):
    """Damage one of the files of a format."""
    chance = np.random.default_rng([seed, number, formats().index(form)])
    files = _originals(form, seed)
    content = files[chance.integers(len(files))]
    for _ in range(chance.integers(1, MOST_CHANGES + 1)):
        knowing = STRUCTURES[form] is not None and chance.random() < 0.6
        if knowing:
            content = _rebuilt(form, content, files, chance)
        else:
            content = _pick(chance, BLIND)(content, files, chance)
    return content


@functools.cache
def _originals(form, seed):
    return originals(form, seed)


def _pick(chance, options):
    return options[chance.integers(len(options))]


def _range(content, chance, most=64):
    """Choose a run of bytes, often near the start, where the headers are."""
    size = len(content)
    limit = size if chance.random() < 0.5 else min(size, 128)
    first = int(chance.integers(0, limit + 1))
    return first, min(size, first + int(chance.integers(0, most)))


# ---- blind


def _flip(content, _, chance):
    damaged = bytearray(content)
    for _ in range(chance.integers(1, 5)):
        if damaged:
            first, _ = _range(damaged, chance)
            damaged[min(first, len(damaged) - 1)] ^= 1 << int(chance.integers(8))
    return bytes(damaged)


def _odd_byte(content, _, chance):
    first, _ = _range(content, chance)
    value = _pick(chance, (0, 1, 127, 128, 254, 255, int(chance.integers(256))))
    return content[:first] + bytes([value]) + content[first + 1 :]


def _odd_number(content, _, chance):
    form = _pick(chance, ("<H", ">H", "<I", ">I"))
    number = _pick(chance, ODD) & (0xFFFF if form[1] == "H" else 0xFFFFFFFF)
    packed = struct.pack(form, number)
    first, _ = _range(content, chance)
    return content[:first] + packed + content[first + len(packed) :]


def _cut(content, _, chance):
    return content[: chance.integers(0, len(content) + 1)]


def _leave_out(content, _, chance):
    first, last = _range(content, chance)
    return content[:first] + content[last:]


def _twice(content, _, chance):
    first, last = _range(content, chance, 256)
    times = int(_pick(chance, (1, 1, 2, 50)))
    return content[:first] + content[first:last] * times + content[first:]


def _insert(content, _, chance):
    first, _ = _range(content, chance)
    noise = chance.bytes(int(chance.integers(1, 40)))
    return content[:first] + noise + content[first:]


def _splice(content, files, chance):
    other = _pick(chance, files)
    first, last = (int(chance.integers(0, len(c) + 1)) for c in (content, other))
    return content[:first] + other[last:]


BLIND = (
    _flip, _flip, _odd_byte, _odd_byte, _odd_number, _odd_number, _cut, _leave_out,
    _twice, _insert, _splice,
)  # fmt: skip


# ---- by the structure


def _rebuilt(form, content, files, chance):
    """Take a file to parts, change these, and put it together so that it still holds.

    Lengths and checksums are right again, so that decoders look at what is inside.
    """
    split, join = STRUCTURES[form]
    try:
        parts = split(content)
        others = split(_pick(chance, files))
    except (struct.error, IndexError, ValueError, zlib.error, OverflowError):
        return _flip(content, files, chance)
    if not parts:
        return _flip(content, files, chance)
    at = int(chance.integers(len(parts)))
    change = int(chance.integers(6))
    if change == 0:
        del parts[at]
    elif change == 1:
        parts[at:at] = [parts[at]] * int(_pick(chance, (1, 1, 3, 200)))
    elif change == 2:
        to = int(chance.integers(len(parts)))
        parts[at], parts[to] = parts[to], parts[at]
    elif change == 3 and others:
        parts[at:at] = [_pick(chance, others)]
    else:
        name, body = parts[at]
        parts[at] = name, _pick(chance, BLIND)(body, [body], chance)
    try:
        return join(parts)
    except (struct.error, OverflowError):
        return content


def _split_png(content):
    parts, at = [], 8
    while at + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + length]
        if name == b"IDAT":
            body = zlib.decompressobj().decompress(body, 1 << 20)  # rows, to be changed
        parts.append((name, body))
        at += 12 + length
    return parts


def _join_png(parts):
    out = [b"\x89PNG\r\n\x1a\n"]
    for name, body in parts:
        content = name + (zlib.compress(body) if name == b"IDAT" else body)
        head, tail = struct.pack(">I", len(content) - 4), zlib.crc32(content)
        out.append(head + content + struct.pack(">I", tail))
    return b"".join(out)


def _split_jpeg(content):
    parts, at = [], 2
    while at + 4 <= len(content):
        marker, length = struct.unpack_from(">HH", content, at)
        if marker == 0xFFDA:
            break
        parts.append((marker, content[at + 4 : at + 2 + length]))
        at += 2 + length
    return [*parts, (None, content[at:])]


def _join_jpeg(parts):
    out = [b"\xff\xd8"]
    for marker, body in parts:
        head = b"" if marker is None else struct.pack(">HH", marker, len(body) + 2)
        out.append(head + body)
    return b"".join(out)


def _split_tiff(content):
    """Entries of the first directory; the last part is all the rest."""
    order = "<" if content[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", content, 4)
    (count,) = struct.unpack_from(order + "H", content, at)
    entries = [content[at + 2 + 12 * i :][:12] for i in range(min(count, 200))]
    parts = [((order, i), entry) for i, entry in enumerate(entries)]
    following = content[at + 2 + 12 * count :][:4]
    return [*parts, ((order, -1), following), ((order, -2), content)]


def _join_tiff(parts):
    """Put the directory behind all the rest: values stay where they are."""
    order = parts[0][0][0]
    entries = [body.ljust(12, b"\0")[:12] for (_, i), body in parts if i >= 0]
    following = [body for (_, i), body in parts if i == -1]
    rest = b"".join(body for (_, i), body in parts if i == -2)
    at = len(rest)
    rest = rest[:4] + struct.pack(order + "I", at) + rest[8:]
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries)
    return rest + directory + b"".join(following).ljust(4, b"\0")


def _split_gif(content):
    flags = content[10]
    at = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    parts = [("head", content[:at])]
    while at < len(content) and content[at] in b"\x21\x2c":
        start = at
        if content[at] == 0x21:
            at += 2
        else:
            flags = content[at + 9]
            at += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        parts.append(("block", content[start:at]))
        while content[at]:
            parts.append(("data", content[at + 1 : at + 1 + content[at]]))
            at += 1 + content[at]
        at += 1
        parts.append(("end", b""))
    return [*parts, ("rest", content[at:])]


def _join_gif(parts):
    out = []
    for name, body in parts:
        if name == "data":
            body = bytes([min(len(body), 255)]) + body[:255]
        out.append(b"\0" if name == "end" else body)
    return b"".join(out)


def _split_riff(content):
    parts, at = [], 12
    while at + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, at)
        parts.append((name, content[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return parts


def _join_riff(parts):
    out = [
        name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
        for name, body in parts
    ]
    body = b"WEBP" + b"".join(out)
    return b"RIFF" + struct.pack("<I", len(body)) + body


CONTAINERS = (b"meta", b"iprp", b"ipco", b"jp2h", b"moov", b"trak", b"mdia", b"iinf")


def _split_boxes(content, deep=0):
    parts, at = [], 0
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        length = length if length >= 8 else len(content) - at
        body = content[at + 8 : at + length]
        skip = {b"meta": 4, b"iinf": 6}.get(name, 0)
        if name in CONTAINERS and deep < 4:
            inner = _split_boxes(body[skip:], deep + 1)
            parts += [((deep, name), body[:skip]), *inner, ((deep, b""), b"")]
        else:
            parts.append(((deep, name), body))
        at += length
    return parts


def _join_boxes(parts):
    """Close each container where its end is, or at the end of the file."""
    stack = [(b"", [])]
    for (_, name), body in parts:
        if name in CONTAINERS and len(body) <= 6:
            stack.append((name, [body]))
        elif name == b"":
            _close(stack)
        else:
            stack[-1][1].append(struct.pack(">I4s", len(body) + 8, name) + body)
    while len(stack) > 1:
        _close(stack)
    return b"".join(stack[0][1])


def _close(stack):
    if len(stack) > 1:
        name, bodies = stack.pop()
        body = b"".join(bodies)
        stack[-1][1].append(struct.pack(">I4s", len(body) + 8, name) + body)


def _split_bmp(content):
    """Each field of the headers, the palette, the rows."""
    sizes = (2, 4, 4, 4, 4, 4, 4, 2, 2, 4, 4, 4, 4, 4, 4)
    parts, at = [], 0
    for size in sizes:
        parts.append(("field", content[at : at + size]))
        at += size
    return [*parts, ("rest", content[at:])]


def _join_plain(parts):
    return b"".join(body for _, body in parts)


def _split_words(content):
    """Words and the blanks between them, up to some size; then the rest."""
    words = re.split(rb"([ \t\r\n]+)", content[:400])
    return [*(("word", word) for word in words if word), ("rest", content[400:])]


STRUCTURES = {
    "png": (_split_png, _join_png),
    "jpeg": (_split_jpeg, _join_jpeg),
    "tiff": (_split_tiff, _join_tiff),
    "gif": (_split_gif, _join_gif),
    "webp": (_split_riff, _join_riff),
    "bmp": (_split_bmp, _join_plain),
    "ppm": (_split_words, _join_plain),
    "avif": (_split_boxes, _join_boxes),
    "jpeg2000": (_split_boxes, _join_boxes),
    "palette": (_split_words, _join_plain),
}
