"""Files whose metadata are damaged, without them: their pixels are as good as ever."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import IO, TYPE_CHECKING

from ..color.chunks import SIGNATURE, Chunk, walk
from ..color.tiff import (
    HEIGHT,
    PHOTOMETRIC,
    PREFIXES,
    STRIP_BYTES,
    STRIPS,
    STRUCTURE,
    TILE_BYTES,
    TILES,
    WIDTH,
    directory,
    read_tags,
)
from .disk import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    Repair = Callable[[bytes], bytes | None]

# What Pillow takes of a text or a profile once it is inflated, and of all texts.
MOST_TEXT, MOST_TEXTS = 1 << 20, 1 << 26

# Bytes of the chunks of PNG that have a size.
SIZES = {
    b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7, b"cICP": 4,
    b"acTL": 8,
}  # fmt: skip
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
ANIMATION = (b"acTL", b"fcTL", b"fdAT")
NO_PROFILE = "its colour profile cannot be used: taken as sRGB"


# ---- PNG, which is looked through before it is decoded


def cleaned_png(file: IO[bytes]) -> tuple[IO[bytes], list[str], bytes | None]:
    """Leave out the chunks of a PNG that are damaged, and that no pixel needs.

    Returns
    -------
    file
        The same, if there are none.
    notes : list of str
        What was left out.
    profile : bytes, optional
        A good profile that is larger than Pillow takes.
    """
    found = _Png(file)
    if found.is_clean:
        return file, [], None
    if found.profile is not None and not found.notes and not found.dropped:
        found.notes = []
    return BytesIO(found.content()), found.notes, found.profile


class _Png:
    """The chunks of a PNG: which are kept, and what to say of the others."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self.kept: list[tuple[Chunk, bytes | None]] = []
        self.dropped: list[str] = []
        self.notes: list[str] = []
        self.profile: bytes | None = None
        self._texts = 0
        self._changed = False
        self._header = b""
        self._look()

    @property
    def is_clean(self) -> bool:
        return not self._changed

    def _look(self) -> None:
        pixels = wrong = ended = animated = False
        for chunk in walk(self._file):
            if chunk.name == b"IHDR" and chunk.length == 13:
                self._header = self._data(chunk) or b""
            if chunk.name == b"IDAT":
                pixels = True
                good = self._is_whole(chunk) and self._checksum(chunk)
                wrong = wrong or (self._is_whole(chunk) and not good)
                self.kept.append((chunk, None))
            elif chunk.name == b"IEND":
                ended = True
                self.kept.append((chunk, None))
            elif not chunk.name[:1].islower():
                self.kept.append((chunk, None))
            elif chunk.name in (b"fcTL", b"fdAT"):
                if not self._is_whole(chunk) and pixels:
                    break
                self.kept.append((chunk, None))
                animated = True
            else:
                if not self._is_whole(chunk) and not pixels:
                    self.kept.append((chunk, None))  # then the pixels are missing
                    continue
                self._judge(chunk)
        cut = any("cut off" in what for what in self.dropped)
        has_animation = any(chunk.name == b"acTL" for chunk, _ in self.kept)
        if animated and not has_animation:
            self.kept = [k for k in self.kept if k[0].name not in ANIMATION]
        if self.dropped:
            self.notes.insert(
                0, f"metadata are damaged and ignored: {', '.join(self.dropped)}"
            )
        if wrong:
            self.notes.append(
                "the checksum of its pixels (IDAT) is wrong, but they decode: ignored"
            )
            # Pillow does not look at it.
        if pixels and not ended and not cut:
            self.notes.append("its end is missing, but no pixel is: ignored")
            self._changed = True
        self._changed = self._changed or bool(self.notes)

    def _is_whole(self, chunk: Chunk) -> bool:
        return chunk.offset + chunk.length <= self._size

    def _data(self, chunk: Chunk) -> bytes | None:
        self._file.seek(chunk.offset)
        data = self._file.read(chunk.length)
        return data if len(data) == chunk.length else None

    def _checksum(self, chunk: Chunk) -> bool:
        """Whether the checksum is right, or cut off."""
        self._file.seek(chunk.offset)
        left, value = chunk.length, zlib.crc32(chunk.name)
        while left:
            part = self._file.read(min(left, 1 << 20))
            if not part:
                return False
            value, left = zlib.crc32(part, value), left - len(part)
        expected = self._file.read(4)
        return len(expected) < 4 or int.from_bytes(expected, "big") == value

    def _judge(self, chunk: Chunk) -> None:
        """Keep an ancillary chunk, or name it among those that are left out."""
        name = chunk.name.decode("latin-1")
        whole = self._is_whole(chunk) and self._checksum(chunk)
        if chunk.name == b"tRNS" and self._is_whole(chunk):
            self._judge_key(chunk, whole)
            return
        wrong = ""
        if not self._is_whole(chunk):
            wrong = "cut off"
        elif not whole:
            wrong = "wrong checksum"
        elif chunk.name in SIZES and chunk.length < SIZES[chunk.name]:
            wrong = f"of {chunk.length} bytes"
        elif chunk.name == b"iCCP":
            self._judge_profile(chunk)
            return
        elif chunk.name in TEXTS:
            wrong = self._wrong_text(chunk)
        if wrong and chunk.name == b"iCCP":
            self._changed = True
            self.notes.append(NO_PROFILE)
        elif wrong:
            self._changed = True
            self.dropped.append(f"{name} ({wrong})")
        else:
            self.kept.append((chunk, None))

    def _judge_key(self, chunk: Chunk, whole: bool) -> None:
        """Keep the transparency, if there is any way to understand it."""
        kind = self._header[9] if len(self._header) == 13 else 3
        least = {0: 2, 2: 6, 3: 1}.get(kind)
        if least is None:
            self._changed = True
            self.dropped.append("tRNS (for a picture with alpha)")
        elif chunk.length < least:
            self._changed = True
            self.notes.append("its transparency (tRNS) is damaged: taken as opaque")
        elif whole:
            self.kept.append((chunk, None))
        else:
            self._changed = True
            self.notes.append("the checksum of its transparency (tRNS) is wrong: used")
            self.kept.append((chunk, self._data(chunk)))

    def _judge_profile(self, chunk: Chunk) -> None:
        from ..color.profiles import MOST_PROFILE

        data = self._data(chunk) or b""
        name, _, rest = data.partition(b"\0")
        try:
            if rest[:1] != b"\0" or not name:
                raise ValueError
            inflate = zlib.decompressobj()
            profile = inflate.decompress(rest[1:], MOST_PROFILE + 1)
            if len(profile) > MOST_PROFILE or len(profile) < 128:
                raise ValueError
        except (zlib.error, ValueError):
            self._changed = True
            self.notes.append(NO_PROFILE)
            return
        if len(profile) > MOST_TEXT:
            self._changed = True
            self.profile = profile
        else:
            self.kept.append((chunk, None))

    def _wrong_text(self, chunk: Chunk) -> str:
        """Say why Pillow would not take a text."""
        if chunk.length > MOST_TEXTS:
            return "too large"
        data = self._data(chunk) or b""
        _, _, rest = data.partition(b"\0")
        size = len(rest)
        if chunk.name == b"zTXt" and rest:
            if rest[0]:
                return "unknown compression"
            size = _inflated(rest[1:])
        elif chunk.name == b"iTXt" and rest[:1] not in (b"", b"\0"):
            size = _inflated(rest[2:].partition(b"\0")[2].partition(b"\0")[2])
        self._texts += size
        large = size > MOST_TEXT and chunk.name != b"tEXt"
        return "too large" if large or self._texts > MOST_TEXTS else ""

    def content(self) -> bytes:
        """Write what is kept."""
        parts = [SIGNATURE]
        total = 0
        for chunk, data in self.kept:
            if data is None:
                self._file.seek(chunk.offset - 8)
                part = self._file.read(12 + chunk.length)
                total += len(part)
                if total > MOST_BYTES:
                    raise MemoryError
                parts.append(part)
            else:
                parts.append(_chunk(chunk.name, data))
        return b"".join(parts)


def _inflated(data: bytes) -> int:
    """Count the bytes that a text inflates to, up to one more than are taken."""
    try:
        return len(zlib.decompressobj().decompress(data, MOST_TEXT + 1))
    except zlib.error:
        return 0


def _chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


# ---- other formats, after Pillow has failed


def without_metadata(file: IO[bytes]) -> BytesIO | None:
    """Copy a file without what no pixel needs; None if there is no such way."""
    file.seek(0)
    content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        return None
    repair: Repair | None = None
    if content.startswith(b"\xff\xd8"):
        repair = _jpeg
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        repair = _webp
    elif content[:4] in PREFIXES:
        repair = _tiff
    elif content[4:8] == b"jP  " or content[:4] == b"\xff\x4f\xff\x51":
        repair = _jpeg_2000
    elif content[:3] == b"GIF":
        repair = _gif
    try:
        copy = repair(content) if repair is not None else None
    except (struct.error, IndexError, ValueError, OverflowError):
        return None
    return BytesIO(copy) if copy is not None else None


def _jpeg(content: bytes) -> bytes | None:
    """Leave out all segments but those that decoding needs: APP0 and APP14 of APPn."""
    parts, at = [content[:2]], 2
    while True:
        while content[at : at + 1] == b"\xff" and content[at + 1] == 0xFF:
            at += 1
        if content[at] != 0xFF:
            return None
        marker = content[at + 1]
        (length,) = struct.unpack_from(">H", content, at + 2)
        end = at + 2 + length
        if marker == 0xDA:
            return b"".join([*parts, content[at:]])
        metadata = 0xE1 <= marker <= 0xEF or marker == 0xFE
        if not metadata or marker == 0xEE:
            parts.append(content[at:end])
        at = end


def _webp(content: bytes) -> bytes | None:
    parts, at, pixels = [], 12, False
    while at + 8 <= len(content):
        name = content[at : at + 4]
        (length,) = struct.unpack_from("<I", content, at + 4)
        end = at + 8 + length + length % 2
        chunk = bytearray(content[at:end])
        if len(chunk) < 8 + length:
            if name in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"ANIM"):
                return None
            break
        chunk = chunk.ljust(end - at, b"\0")
        if name == b"VP8X":
            chunk[8] &= ~(0x20 | 0x08 | 0x04)
        if name in (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANMF", b"ANIM"):
            parts.append(bytes(chunk))
            pixels = pixels or name in (b"VP8 ", b"VP8L", b"ANMF")
        at = end
    body = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body if pixels else None


def _tiff(content: bytes) -> bytes | None:
    found = read_tags(BytesIO(content))
    if found is None or found.more:  # as further pages would be left out
        return None
    tags = {tag: values for tag, values in found.tags.items() if tag in STRUCTURE}
    for offsets, counts in ((STRIPS, STRIP_BYTES), (TILES, TILE_BYTES)):
        for at, size in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False):
            if at + size > len(content):
                return None  # it is cut off
    if not {WIDTH, HEIGHT, PHOTOMETRIC} <= set(tags):
        return None
    if found.order == ">" and max(tags.get(258, (8,))) > 8:
        return None  # the new directory is little-endian
    start = len(content) + len(content) % 2
    head = b"II*\0" + struct.pack("<I", start)
    body = content[8:].ljust(start - 8, b"\0")
    return head + body + directory(tags, start)


def _jpeg_2000(content: bytes) -> bytes | None:
    """Leave out the boxes that say nothing about pixels, and end what has no end."""
    if content.startswith(b"\xff\x4f"):
        return _ended_codestream(content)
    parts, at = [], 0
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        head = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", content, at + 8)
            head = 16
        end = len(content) if length == 0 else at + length
        if length and length < head:
            return None
        if name == b"jp2c":
            codes = _ended_codestream(content[at + head : end])
            if codes is None:
                return None
            parts.append(struct.pack(">I4s", 8 + len(codes), name) + codes)
            return b"".join(parts)
        if name in (b"jP  ", b"ftyp", b"jp2h"):
            parts.append(content[at:end])
        at = end
    return None


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


def _gif(content: bytes) -> bytes | None:
    """Leave out comments and the like, and what is behind the last whole picture."""
    flags = content[10]
    at = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    parts, pixels = [content[:at]], False
    try:
        while content[at] in b"\x21\x2c":
            start = at
            if content[at] == 0x21:
                wanted = content[at + 1] == 0xF9
                at += 2
            else:
                wanted = True
                flags = content[at + 9]
                at += 10 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0) + 1
            while content[at]:
                at += 1 + content[at]
            at += 1
            if wanted:
                parts.append(content[start:at])
                pixels = pixels or content[start] == 0x2C
    except IndexError:
        pass  # what was not whole is left out
    return b"".join([*parts, b";"]) if pixels else None
