"""The chunks of PNG files, and what they say about colours."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Chunk(NamedTuple):
    """Where a chunk is: its data have `length` bytes from `offset` on."""

    name: bytes
    offset: int
    length: int


def walk(file: IO[bytes], offset: int = len(SIGNATURE)) -> Iterator[Chunk]:
    """Find the chunks of a PNG from a place on, up to the first that is none.

    The file may be read and moved in between.
    """
    while True:
        file.seek(offset)
        head = file.read(8)
        if len(head) < 8 or not head[4:].isalpha():
            return
        length, name = struct.unpack(">I4s", head)
        if length >= 1 << 31:
            return
        yield Chunk(name, offset + 8, length)
        if name == b"IEND":
            return
        offset += 12 + length


def color_code(file: IO[bytes]) -> bytes | None:
    """Give the four bytes of cICP, if a PNG has it; the file stays where it was."""
    place = file.tell()
    try:
        for chunk in walk(file):
            if chunk.name == b"IDAT":
                return None
            if chunk.name == b"cICP" and chunk.length == 4:
                file.seek(chunk.offset)
                return file.read(4)
        return None
    finally:
        file.seek(place)
