"""EXIF: what it says, and what of that is still true of an upright sRGB picture."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

from .tags import (
    ASCII,
    EXIF_TAGS,
    GPS_TAGS,
    INTEROP_TAGS,
    Directory,
    packed,
    read_directory,
    read_header,
)

if TYPE_CHECKING:
    from .tags import Tags

DESCRIPTION, ORIENTATION, ARTIST, COPYRIGHT = 270, 274, 315, 33432
MAKER_NOTE, COLOR_SPACE, WIDE, HIGH = 37500, 40961, 40962, 40963
THUMBNAIL, THUMBNAIL_BYTES = 513, 514

NAMES = {DESCRIPTION: "description", ARTIST: "artist", COPYRIGHT: "copyright"}

# Tags of the first directory that describe the picture, and not how it is stored.
DESCRIBING = frozenset(
    (269, 270, 271, 272, 285, 305, 306, 315, 316, 33432, 18246, 18249)
)
WINDOWS_TAGS = range(40091, 40096)  # title, comment, author, keywords, subject

# What nobody misses: how samples are stored, resolution, names of programs.
TRIVIAL = frozenset((
    11, 254, 255, 256, 257, 258, 259, 262, 266, 269, 273, 274, 277, 278, 279, 282, 283,
    284, 296, 301, 305, 316, 318, 319, 320, 338, 339, 513, 514, 529, 530, 531, 532,
    700, 33723, 34377, 34675, EXIF_TAGS, GPS_TAGS, INTEROP_TAGS, 59932,
))  # fmt: skip
TRIVIAL_EXIF = frozenset((36864, 37121, 40960, 40961, 40962, 40963, INTEROP_TAGS))
FROM_ONE_PROGRAM = ('{"shape":', "ImageJ=")  # which write this instead of a text


class Exif:
    """EXIF that can be read.

    Parameters
    ----------
    data : bytes
        As a TIFF file, from its header on.

    Raises
    ------
    ValueError
        If it is damaged.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._file = BytesIO(data)
        self._order, offset = read_header(self._file)
        self.main = read_directory(self._file, self._order, offset)
        self.inner = {tag: self._inner(self.main, tag) for tag in (EXIF_TAGS, GPS_TAGS)}

    def _inner(self, directory: Directory, tag: int) -> Directory:
        offset = directory.number(tag)
        try:
            return read_directory(self._file, self._order, offset)
        except ValueError:
            return Directory({}, {}, 0, 0)

    @property
    def names(self) -> list[str]:
        """Say what of worth it has."""
        names = []
        more = {*self.main.tags} - TRIVIAL - {*NAMES}
        if more or {*self.inner[EXIF_TAGS].tags} - TRIVIAL_EXIF:
            names.append("EXIF")
        if {*self.inner[GPS_TAGS].tags} - {0}:
            names.append("GPS position")
        for tag, name in NAMES.items():
            text = self.main.text(tag)
            if text and not text.startswith(FROM_ONE_PROGRAM):
                names.append(name)
        return names

    def upright(self, *, srgb: bool) -> bytes:
        """Return it for an upright picture: without thumbnail, and perhaps in sRGB.

        Values are changed where they stand, since the notes of cameras have offsets
        that nobody else knows.
        """
        data = bytearray(self.data)

        def put(directory: Directory, tag: int, value: int) -> None:
            kind, old = directory.tags.get(tag, (0, b""))
            size = {3: 2, 4: 4}.get(kind)
            if size is not None and len(old) == size:
                place = directory.places[tag]
                form = self._order.ends + ("H" if size == 2 else "I")
                data[place : place + size] = struct.pack(form, value)

        turned = self.main.number(ORIENTATION) in (5, 6, 7, 8)
        put(self.main, ORIENTATION, 1)
        shot = self.inner[EXIF_TAGS]
        if turned:
            wide, high = shot.number(WIDE), shot.number(HIGH)
            put(shot, WIDE, high)
            put(shot, HIGH, wide)
        if srgb:
            put(shot, COLOR_SPACE, 1)
            interop = self._inner(shot, INTEROP_TAGS)
            if interop.text(1) == "R03":  # Adobe RGB
                data[interop.places[1] : interop.places[1] + 3] = b"R98"
        if self.main.next:
            self._cut_thumbnail(data)
        return bytes(data)

    def _cut_thumbnail(self, data: bytearray) -> None:
        """Take the second directory away, and its picture, as a rule the end."""
        try:
            small = read_directory(self._file, self._order, self.main.next)
        except ValueError:
            small = Directory({}, {}, 0, 0)
        begin, size = small.number(THUMBNAIL), small.number(THUMBNAIL_BYTES)
        place = self.main.next_place
        data[place : place + 4] = b"\0\0\0\0"
        if 0 < begin < begin + size <= len(data):
            data[begin : begin + size] = bytes(size)
            if begin + size >= len(data) - 1:
                del data[begin:]

    def tags(self, *, srgb: bool) -> tuple[Tags, dict[int, Tags]]:
        """Give what a TIFF file may have of it, and its inner directories."""
        again = Exif(self.upright(srgb=srgb))
        kept = {
            tag: value
            for tag, value in again.main.tags.items()
            if tag in DESCRIBING or tag in WINDOWS_TAGS
        }
        inner = {
            tag: {
                key: value
                for key, value in directory.tags.items()
                if key not in (MAKER_NOTE, INTEROP_TAGS)  # which have offsets
            }
            for tag, directory in again.inner.items()
        }
        return kept, {tag: tags for tag, tags in inner.items() if tags}


def exif_of(tags: Tags, inner: dict[int, Tags]) -> bytes:
    """Make EXIF of tags; empty if there are none."""
    if not tags and not inner:
        return b""
    return b"II*\0\x08\0\0\0" + packed(tags, inner, 8)


def exif_of_texts(texts: dict[int, str]) -> bytes:
    """Make EXIF that has some texts."""
    return exif_of(as_tags(texts), {})


def as_tags(texts: dict[int, str]) -> Tags:
    """Make tags of texts."""
    return {tag: (ASCII, text.encode() + b"\0") for tag, text in texts.items()}
