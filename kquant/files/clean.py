"""PNG files without the chunks that are damaged and that no pixel needs."""

from __future__ import annotations

import re
import struct
import zlib
from io import BytesIO
from typing import TYPE_CHECKING

from ..color.chunks import SIGNATURE, Chunk, walk
from ..errors import is_memory
from .disk import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

# What Pillow takes of a text or a profile once it is inflated, and of all texts.
MOST_TEXT, MOST_TEXTS = 1 << 20, 1 << 26

# Bytes of the chunks that have a size.
SIZES = {
    b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7, b"cICP": 4,
    b"acTL": 8,
}  # fmt: skip
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
ANIMATION = (b"acTL", b"fcTL", b"fdAT")
NO_END = "its end is missing, but no pixel is: ignored"
NO_METADATA = "metadata are damaged and ignored"
NO_PROFILE = "its colour profile cannot be used: taken as sRGB"


def cleaned_png(file: BinaryIO) -> tuple[BinaryIO, list[str], bytes | None]:
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
    if not found.changed:
        return file, [], None
    return BytesIO(found.content()), found.notes, found.profile


class _Png:
    """The chunks of a PNG: which are kept, and what to say of the others."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = file.seek(0, 2)
        self.kept: list[tuple[Chunk, bytes | None]] = []
        self.dropped: list[str] = []
        self.notes: list[str] = []
        self.profile: bytes | None = None
        self.changed = False
        self._texts = 0
        self._kind = 3
        self._look()

    def _look(self) -> None:
        """Judge all chunks, and say what is wrong with them."""
        names = set()
        right = True
        for chunk in self._chunks():
            names.add(chunk.name)
            if chunk.name == b"IHDR" and chunk.length == 13:
                self._kind = (self._data(chunk) or bytes(13))[9]
            if chunk.name == b"IDAT":
                # Pillow does not look at it: the pixels have another one, inside.
                right = right and (not self._is_whole(chunk) or self._checksum(chunk))
            if chunk.name[:1].islower() and chunk.name not in ANIMATION[1:]:
                self._judge(chunk)
            elif self._is_whole(chunk) or chunk.name == b"IDAT":
                self.kept.append((chunk, None))
        kept = {chunk.name for chunk, _ in self.kept}
        if b"acTL" in names and b"acTL" not in kept:
            self.kept = [k for k in self.kept if k[0].name not in ANIMATION]
        cut = any("cut off" in what for what in self.dropped)
        if self.dropped:
            what = ", ".join(self.dropped)
            self.notes.insert(0, f"{NO_METADATA}: {what}")
        if not right:
            self.notes.append(
                "the checksum of its pixels (IDAT) is wrong, but they decode: ignored"
            )
        if b"IDAT" in names and b"IEND" not in names and not cut:
            self.notes.append(NO_END)
        self.changed = self.changed or bool(self.notes)

    def _chunks(self) -> Iterator[Chunk]:
        """Find the chunks, also behind one whose length or name is damaged."""
        start, last = len(SIGNATURE), 0
        while True:
            for chunk in walk(self._file, start):
                if not self._is_whole(chunk) and chunk.name not in (b"IDAT", b"IEND"):
                    if b"IDAT" in {kept.name for kept, _ in self.kept}:
                        yield chunk
                        return
                    break
                last = chunk.offset
                yield chunk
                if chunk.name == b"IEND":
                    return
            if not last or b"IDAT" in {chunk.name for chunk, _ in self.kept}:
                return
            found = self._next_needed(last)
            if found is None:
                return
            self.dropped.append("a chunk without end")
            start, last = found, 0

    def _next_needed(self, offset: int) -> int | None:
        """Find, behind a damaged chunk, one that is whole and that pixels need."""
        self._file.seek(offset)
        content = self._file.read(MOST_BYTES)
        for found in re.finditer(b"PLTE|tRNS|IDAT", content):
            at = offset + found.start()
            length = int.from_bytes(content[max(found.start() - 4, 0) : found.start()])
            chunk = Chunk(found[0], at + 4, length)
            if self._is_whole(chunk) and self._checksum(chunk):
                return at - 4
        return None

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
        from ..color.pillow import exif_orientation

        data = self._data(chunk) if chunk.name == b"eXIf" and not whole else None
        if data is not None and not exif_orientation(data)[1]:
            self.changed = True
            self.notes.append("the checksum of its EXIF data is wrong: used")
            self.kept.append((chunk, data))
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
            self.changed = True
            self.notes.append(NO_PROFILE)
        elif wrong:
            self.changed = True
            self.dropped.append(f"{name} ({wrong})")
        else:
            self.kept.append((chunk, None))

    def _judge_key(self, chunk: Chunk, whole: bool) -> None:
        """Keep the transparency, if there is any way to understand it."""
        least = {0: 2, 2: 6, 3: 1}.get(self._kind)
        if least is None:
            self.changed = True
            self.dropped.append("tRNS (for a picture with alpha)")
        elif chunk.length < least:
            self.changed = True
            self.notes.append("its transparency (tRNS) is damaged: taken as opaque")
        elif whole:
            self.kept.append((chunk, None))
        else:
            self.changed = True
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
        except (zlib.error, ValueError) as error:
            if is_memory(error):
                raise
            self.changed = True
            self.notes.append(NO_PROFILE)
            return
        if len(profile) > MOST_TEXT:
            self.changed = True
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
    except zlib.error as error:
        if is_memory(error):
            raise
        return 0


def _chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
