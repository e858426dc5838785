"""Directories of tags, as TIFF files and EXIF have them: read, and written again."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import BinaryIO, TypeAlias

    # Type and value of tags, by their numbers; values in the order of little ends.
    Tags: TypeAlias = "dict[int, tuple[int, bytes]]"

ASCII, LONG = 2, 4

# Bytes of a value of each type, and of the numbers that it is made of.
SIZES = {
    1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1),
    8: (2, 2), 9: (4, 4), 10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4),
    16: (8, 8), 17: (8, 8), 18: (8, 8),
}  # fmt: skip

# What is longer, all together, is no description of a picture.
MOST_TAGS, MOST_BYTES = 4096, 1 << 26

EXIF_TAGS, GPS_TAGS, INTEROP_TAGS = 34665, 34853, 40965


class Order(NamedTuple):
    """How a file has its numbers."""

    ends: str  # "<" little, ">" big
    big: bool  # BigTIFF

    def number(self, data: bytes, size: int) -> int:
        return int.from_bytes(data[:size], "little" if self.ends == "<" else "big")


@dataclass(frozen=True)
class Directory:
    """One directory of tags.

    Attributes
    ----------
    tags : Tags
    places : dict of int
        Where in the file each value begins.
    next_place, next : int
        Where the offset of the directory that follows is, and that offset; or 0.
    """

    tags: Tags
    places: dict[int, int]
    next_place: int
    next: int

    def number(self, tag: int) -> int:
        """Give the number that a tag has, 0 if it has none."""
        kind, data = self.tags.get(tag, (LONG, b""))
        return int.from_bytes(data[: SIZES[kind][0]], "little")

    def text(self, tag: int) -> str:
        """Give the text that a tag has, without what fills it up."""
        _, data = self.tags.get(tag, (ASCII, b""))
        return data.split(b"\0")[0].decode("utf-8", "replace").strip()


def read_header(file: BinaryIO) -> tuple[Order, int]:
    """Read how numbers are written, and where the first directory is.

    Raises
    ------
    ValueError
        If this is no such file.
    """
    file.seek(0)
    head = file.read(16)
    ends = {b"II": "<", b"MM": ">"}.get(head[:2])
    if ends is None:
        raise ValueError("no TIFF")
    order = Order(ends, head[2:4] in (b"+\0", b"\0+"))
    if order.big:
        return order, order.number(head[8:], 8)
    return order, order.number(head[4:], 4)


def read_directory(file: BinaryIO, order: Order, offset: int) -> Directory:
    """Read a directory; tags that are damaged are left out."""
    file.seek(0, 2)
    end = file.tell()
    count_size, entry_size, word = (8, 20, 8) if order.big else (2, 12, 4)
    file.seek(offset)
    count = order.number(file.read(count_size), count_size)
    if not 0 < count <= MOST_TAGS:
        raise ValueError("no directory")
    table = file.read(count * entry_size + word)
    tags: Tags = {}
    places: dict[int, int] = {}
    left = MOST_BYTES
    for at in range(
        0, min(count * entry_size, len(table) - entry_size + 1), entry_size
    ):
        entry = table[at : at + entry_size]
        tag, kind = order.number(entry, 2), order.number(entry[2:], 2)
        if kind not in SIZES:
            continue
        size, unit = SIZES[kind]
        size *= order.number(entry[4:], word)
        place = offset + count_size + at + 4 + word
        if size > word:
            place = order.number(entry[4 + word :], word)
        if size > left or place + size > end:
            continue
        left -= size
        file.seek(place)
        data = file.read(size)
        if order.ends == ">" and unit > 1:
            data = np.frombuffer(data, f">u{unit}").astype(f"<u{unit}").tobytes()
        tags.setdefault(tag, (kind, data))
        places.setdefault(tag, place)
    rest = table[count * entry_size :]
    next_offset = order.number(rest, word) if len(rest) == word else 0
    return Directory(
        tags, places, offset + count_size + count * entry_size, next_offset
    )


def packed(tags: Tags, inner: dict[int, Tags], at: int) -> bytes:
    """Make a directory that begins at this offset of its file, with inner ones."""
    every = sorted({*tags, *inner})
    entries, values = [], b""
    begin = at + 2 + 12 * len(every) + 4
    for tag in every:
        if tag in inner:
            kind, count, data = LONG, 1, struct.pack("<I", begin + len(values))
            values += packed(inner[tag], {}, begin + len(values))
        else:
            kind, data = tags[tag]
            count = len(data) // SIZES[kind][0]
        if len(data) > 4:
            place = struct.pack("<I", begin + len(values))
            values += data + b"\0" * (len(data) % 2)
            data = place
        entries.append(struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\0"))
    table = struct.pack("<H", len(every)) + b"".join(entries) + b"\0\0\0\0"
    return table + values + b"\0" * (len(values) % 2)


def with_tags(tiff: bytes, tags: Tags, inner: dict[int, Tags]) -> bytes:
    """Add tags to the only directory of a TIFF file of little ends."""
    file = BytesIO(tiff)
    order, offset = read_header(file)
    assert order == Order("<", big=False)  # as this is one of ours
    every = {**tags, **read_directory(file, order, offset).tags}
    tiff += b"\0" * (len(tiff) % 2)
    return (
        tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:]
        + packed(every, inner, len(tiff))
    )  # fmt: skip
