"""Files that Pillow does not decode, without their metadata, or with an end.

Their pixels may be as good as ever.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import BinaryIO, TypeAlias

from ..color.pillow import exif_orientation
from ..color.tiff import (
    HEIGHT,
    PHOTOMETRIC,
    PROFILE,
    STRIP_BYTES,
    STRIPS,
    STRUCTURE,
    TILE_BYTES,
    TILES,
    WIDTH,
    directory,
    read_tags,
)
from .clean import NO_END, NO_METADATA, NO_PROFILE
from .disk import MOST_BYTES

NO_EXIF = "its EXIF data are damaged: ignored"


def repaired(file: BinaryIO) -> Iterator[tuple[list[BytesIO], str]]:
    """Copy a file without what no pixel needs, or with an end, in one way or another.

    With each way comes what to say if the copy can be decoded. There may be several
    copies, with other bytes for what may be missing: they must all show the same.
    """
    file.seek(0)
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        return
    for start, repair in REPAIRS.items():
        if not re.match(start, content, re.DOTALL):
            continue
        with contextlib.suppress(struct.error, IndexError, ValueError, OverflowError):
            copies, note = repair(content)
            if copies:
                yield [BytesIO(copy) for copy in copies], note


Repaired: TypeAlias = "tuple[list[bytes], str]"
NOTHING: Repaired = ([], "")

# What may be missing: these bits, or those.
FILLINGS = (bytes(300), b"\x55\xaa" * 150, b"\xff\0" * 150)


def _jpeg(content: bytes) -> Repaired:
    """Leave out the segments that say nothing about pixels."""
    parts, at, note = [content[:2]], 2, NO_METADATA
    while True:
        while content[at] == content[at + 1] == 0xFF:
            at += 1
        if content[at] != 0xFF:
            return NOTHING
        marker = content[at + 1]
        if marker == 0xDA:
            return [b"".join([*parts, content[at:]])], note
        (length,) = struct.unpack_from(">H", content, at + 2)
        end = at + 2 + length
        segment = content[at:end]
        metadata = 0xE1 <= marker <= 0xEF or marker == 0xFE
        wanted = segment[4:].startswith((b"Exif\0", b"ICC_PROFILE\0", b"Adobe"))
        if segment[4:].startswith(b"Exif\0") and exif_orientation(segment[4:])[1]:
            note = NO_EXIF  # of which Pillow warns, and warnings may be errors
        elif not metadata or wanted:
            parts.append(segment)
        at = end


def _ended_jpeg(content: bytes) -> Repaired:
    """Put an end behind the last scan, if there is none."""
    if not _all_scans(content):
        return NOTHING
    content = content[:-1] if content.endswith(b"\xff") else content
    return [content + filling + b"\xff\xd9" for filling in FILLINGS], NO_END


def _all_scans(content: bytes) -> bool:
    """Whether a JPEG has no end, but begins the last scan that its pixels need."""
    wanted: set[int] = set()
    left: dict[tuple[int, int], int] = {}
    for found in re.finditer(rb"\xff([\xc0-\xc2\xd9\xda])(..)", content, re.DOTALL):
        marker, at = found[1][0], found.start() + 4
        if marker == 0xD9 and wanted and left:
            return False  # it has one
        if marker == 0xDA and wanted:
            count = content[at]
            first, last, bits = content[at + 1 + 2 * count : at + 4 + 2 * count]
            for component in content[at + 1 : at + 1 + 2 * count : 2]:
                for place in range(first, last + 1):
                    left[component, place] = bits & 15
        elif marker in (0xC0, 0xC1, 0xC2) and not wanted:
            wanted = set(content[at + 6 : at + 6 + 3 * content[at + 5] : 3])
    needed = [(component, place) for component in wanted for place in range(64)]
    return bool(needed) and all(left.get(key) == 0 for key in needed)


def _webp(content: bytes) -> Repaired:
    parts, at, pixels, flags = [], 12, False, 0x10
    pixel_chunks = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"ANIM")
    while at + 8 <= len(content):
        name = content[at : at + 4]
        (length,) = struct.unpack_from("<I", content, at + 4)
        end = at + 8 + length + length % 2
        chunk = content[at:end].ljust(end - at, b"\0") if length < 1 << 30 else b""
        whole = at + 8 + length <= len(content)
        if not whole and name in pixel_chunks:
            return NOTHING
        if whole and (name in pixel_chunks or name in (b"ICCP", b"EXIF")):
            parts.append(chunk)
            flags |= {b"ICCP": 0x20, b"EXIF": 0x08}.get(name, 0)
            pixels = pixels or name in (b"VP8 ", b"VP8L", b"ANMF")
        at = end
    if parts and parts[0][:4] == b"VP8X":
        head = bytearray(parts[0])
        head[8] = head[8] & ~0x2C | flags & ~0x10
        parts[0] = bytes(head)
    body = b"WEBP" + b"".join(parts)
    whole_file = b"RIFF" + struct.pack("<I", len(body)) + body
    return ([whole_file], NO_METADATA) if pixels else NOTHING


def _tiff(content: bytes) -> Repaired:
    found = read_tags(BytesIO(content))
    if found is None or found.more:  # as further pages would be left out
        return NOTHING
    tags = {tag: values for tag, values in found.tags.items() if tag in STRUCTURE}
    for offsets, counts in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
        for at, size in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False):
            if at + size > len(content):
                return NOTHING  # it is cut off
    if not {WIDTH, HEIGHT, PHOTOMETRIC} <= set(tags):
        return NOTHING
    if found.order == ">" and max(tags.get(258, (8,))) > 8:
        return NOTHING  # the new directory is little-endian
    start = len(content) + len(content) % 2
    head = b"II*\0" + struct.pack("<I", start)
    body = content[8:].ljust(start - 8, b"\0")
    profile = found.tags.get(PROFILE, ())
    if len(profile) == 1 and isinstance(profile[0], bytes):
        tags[PROFILE] = profile
    note = NO_METADATA if PROFILE in tags or not profile else NO_PROFILE
    return [head + body + directory(tags, start)], note


def _jpeg_2000(content: bytes) -> Repaired:
    """Leave out the boxes that say nothing about pixels, and end what has no end."""
    if content.startswith(b"\xff\x4f"):
        codes = _ended_codestream(content)
        return ([codes], NO_END) if codes is not None else NOTHING
    parts, at = [], 0
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", content, at + 8)
            head = 16
        end = len(content) if length == 0 else at + length
        if length and length < head:
            return NOTHING
        if name == b"jp2c":
            codes = _ended_codestream(content[at + head : end])
            if codes is None:
                return NOTHING
            parts.append(struct.pack(">I4s", 8 + len(codes), name) + codes)
            ended = codes.startswith(content[at + head : end])
            return [b"".join(parts)], NO_END if ended else NO_METADATA
        if name in (b"jP  ", b"ftyp", b"jp2h"):
            parts.append(content[at:end])
        at = end
    return NOTHING


def _ended_codestream(codes: bytes) -> bytes | None:
    """Put the end behind a codestream whose tiles are whole; None if one is not."""
    at = 2
    while at + 4 <= len(codes):
        marker, length = struct.unpack_from(">HH", codes, at)
        if marker == 0xFFD9:
            return codes[: at + 2]
        if marker != 0xFF90:
            at += 2 + length
            continue
        (tile,) = struct.unpack_from(">I", codes, at + 6)
        if tile < 14 or at + tile > len(codes):
            return None
        at += tile
    return codes[:at] + b"\xff\xd9"


def _gif(content: bytes) -> Repaired:
    """Leave out comments and the like, and what is behind the last whole picture."""
    parts, at = _gif_head(content)
    pixels = False
    with contextlib.suppress(IndexError):  # what is not whole is left out
        while content[at] in b"\x21\x2c":
            start, at = at, _gif_blocks(content, at)
            is_picture = content[start] == 0x2C
            if is_picture or content[start + 1] == 0xF9:
                parts.append(content[start:at])
            pixels = pixels or is_picture
    return ([b"".join([*parts, b";"])], NO_METADATA) if pixels else NOTHING


def _gif_head(content: bytes) -> tuple[list[bytes], int]:
    flags = content[10]
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    return [content[:at]], at


def _gif_blocks(content: bytes, at: int) -> int:
    """Find the end of a block that begins at a place."""
    if content[at] == 0x21:
        at += 2
    else:
        flags = content[at + 9]
        at += 11 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    while content[at]:
        at += 1 + content[at]
    return at + 1


def _ended_gif(content: bytes) -> Repaired:
    """Put an end behind the last block of pixels."""
    return [content + bytes([f[1]]) * 256 + b"\0;" for f in FILLINGS], NO_END


REPAIRS: dict[bytes, Callable[[bytes], Repaired]] = {
    rb"\xff\xd8": _jpeg,
    rb"\xff\xd8\xff": _ended_jpeg,
    rb"RIFF....WEBP": _webp,
    rb"(II\*\0|MM\0\*|II\+\0|MM\0\+)": _tiff,
    rb"(....jP  |\xff\x4f\xff\x51)": _jpeg_2000,
    rb"GIF8": _gif,
    rb"GIF8[79]a": _ended_gif,
}
