"""What files say about their colours in places that Pillow passes over."""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from .encoding import Encoding, of_code, of_gamma

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .tiff import Layout

# No such part of a file is longer.
MOST = 1 << 22


class Declared(NamedTuple):
    """What a file says about its colours.

    Attributes
    ----------
    icc : bytes, optional
        A profile.
    encoding : Encoding, optional
    deep : bool
        Whether the file has finer values than Pillow gives.
    """

    icc: bytes | None = None
    encoding: Encoding | None = None
    deep: bool = False


NOTHING = Declared()


def declared_by(form: str | None, file: IO[bytes], notes: list[str]) -> Declared:
    """Look for it in a file of one of Pillow's formats, which stays where it was."""
    reader = READERS.get(form or "")
    if reader is None:
        return NOTHING
    place = 0
    try:
        place = file.tell()
        file.seek(0)
        return reader(file, notes)
    except (OSError, ValueError, struct.error, IndexError):
        return NOTHING  # damaged there, or closed since it was decoded
    finally:
        if not file.closed:
            file.seek(place)


# ---- BMP


def _bmp(file: IO[bytes], notes: list[str]) -> Declared:
    """Read the heads of version 4 and 5: primaries and gamma, or a profile."""
    head = file.read(14 + 124)
    (size,) = struct.unpack_from("<I", head, 14)
    if head[:2] != b"BM" or size < 108:
        return NOTHING
    kind = head[14 + 56 : 14 + 60]
    if kind == b"DEBM" and size >= 124:
        offset, length = struct.unpack_from("<II", head, 14 + 112)
        file.seek(14 + offset)
        return Declared(icc=file.read(min(length, MOST)))
    if kind == b"KNIL":
        notes.append("its colour profile is in another file: taken as sRGB")
    if kind != bytes(4):
        return NOTHING
    ends = np.array(struct.unpack_from("<9I", head, 14 + 60)) / (1 << 30)
    powers = [value / 65536 for value in struct.unpack_from("<3I", head, 14 + 96)]
    gamma = points = None
    if any(powers):
        if max(powers) - min(powers) > 0.01 or min(powers) == 0:
            notes.append("its gamma is another for each colour: taken as sRGB")
        else:
            # Some write the inverse, as PNG has it; no curve of a screen is below 1.
            gamma = min(powers[0], 1 / powers[0])
    if ends.any():
        rows = ends.reshape(3, 3)
        rows = np.vstack([rows.sum(axis=0), rows])
        sums = rows.sum(axis=1, keepdims=True)
        xy = rows[:, :2] / np.where(sums > 0, sums, 1)
        points = tuple(float(value) for value in xy.ravel())
    return Declared(encoding=of_gamma(gamma, points, notes, "its primaries"))


# ---- GIF


def _gif(file: IO[bytes], notes: list[str]) -> Declared:
    """Find the block that ImageMagick and others write for a profile."""
    head = file.read(13)
    file.seek((3 << (head[10] & 7) + 1) if head[10] & 128 else 0, 1)
    while file.read(1) == b"\x21":  # up to the first picture
        kind = file.read(1)
        name = file.read(file.read(1)[0])
        wanted = kind == b"\xff" and name == b"ICCRGBG1012"
        parts: list[bytes] = []
        while size := file.read(1)[0]:
            part = file.read(size)
            if wanted and len(parts) * 255 < MOST:
                parts.append(part)
        if wanted:
            return Declared(icc=b"".join(parts))
    return NOTHING


# ---- boxes, of JPEG 2000 and AVIF


def boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Find the boxes between two places: name, where its data begin and end."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, name, begin = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if size == 1:
            size, begin = int.from_bytes(head[8:16], "big"), start + 16
        if size == 0:
            size = end - start
        if size < begin - start:
            return
        yield name, begin, min(start + size, end)
        start += size


def _inside(file: IO[bytes], start: int, end: int, wanted: bytes) -> tuple[int, int]:
    for name, begin, stop in boxes(file, start, end):
        if name == wanted:
            return begin, stop
    raise ValueError(f"no {wanted!r}")


def _read(file: IO[bytes], begin: int, end: int) -> bytes:
    file.seek(begin)
    return file.read(min(end - begin, MOST))


# Of the colour spaces that JPEG 2000 has numbers for: sRGB, grey, YCC of sRGB, black
# and white, and CMYK are what Pillow makes of them.
KNOWN_SPACES = frozenset((0, 12, 15, 16, 17, 18))


def _jpeg_2000(file: IO[bytes], notes: list[str]) -> Declared:
    size = file.seek(0, 2)
    head = _inside(file, 0, size, b"jp2h")
    number = None
    for name, begin, end in boxes(file, *head):
        if name != b"colr":
            continue
        data = _read(file, begin, end)
        if data[0] in (2, 3):
            return Declared(icc=data[3:])
        if data[0] == 1 and number is None:
            (number,) = struct.unpack_from(">I", data, 3)
    if number is not None and number not in KNOWN_SPACES:
        notes.append(f"its colour space, number {number}, is not known: taken as sRGB")
    return NOTHING


def _avif(file: IO[bytes], notes: list[str]) -> Declared:
    """Find the code points of the picture that is shown; not of its gain map."""
    size = file.seek(0, 2)
    begin, end = _inside(file, 0, size, b"meta")
    begin += 4
    at, stop = _inside(file, begin, end, b"pitm")
    data = _read(file, at, stop)
    shown = int.from_bytes(data[4 : 6 if data[0] == 0 else 8], "big")
    properties = _inside(file, begin, end, b"iprp")
    known = [*boxes(file, *_inside(file, *properties, b"ipco"))]
    encoding, deep = None, False
    for number in _associated(_read(file, *_inside(file, *properties, b"ipma")), shown):
        if not 0 < number <= len(known):
            continue
        name, at, stop = known[number - 1]
        data = _read(file, at, stop)
        if name == b"colr" and data[:4] == b"nclx":
            points, curve = struct.unpack_from(">HH", data, 4)
            if max(points, curve) < 256:
                # Matrix and range are undone by whoever decodes.
                encoding = of_code(bytes([points, curve, 0, 1]), notes, "code points")
        elif name == b"av1C":
            deep = bool(data[2] & 64)
    return Declared(encoding=encoding, deep=deep)


def _associated(data: bytes, item: int) -> Iterator[int]:
    """Give the numbers of the properties that an item has."""
    wide, large = data[0] > 0, data[3] & 1
    (count,) = struct.unpack_from(">I", data, 4)
    at = 8
    for _ in range(count):
        size = 4 if wide else 2
        number, entries = int.from_bytes(data[at : at + size], "big"), data[at + size]
        at += size + 1
        for _ in range(entries):
            if large:
                one = struct.unpack_from(">H", data, at)[0] & 0x7FFF
            else:
                one = data[at] & 0x7F
            at += 2 if large else 1
            if number == item:
                yield one


READERS = {"BMP": _bmp, "GIF": _gif, "JPEG2000": _jpeg_2000, "AVIF": _avif}


# ---- TIFF


def of_tiff(layout: Layout | None, notes: list[str]) -> Encoding | None:
    """Give what the tags of a TIFF say that has no profile."""
    from .tiff import CURVES, POINTS, WHITE

    if layout is None or not {CURVES, POINTS} & {*layout.tags}:
        return None
    points = None
    if POINTS in layout.tags and layout.color_channels == 3:
        white = layout.tags.get(WHITE, (0.3127, 0.329))
        points = tuple(float(v) for v in (*white, *layout.tags[POINTS]))
    if CURVES in layout.tags and not _is_curve_of_srgb(layout.tags[CURVES]):
        notes.append("its transfer function is not applied: taken as that of sRGB")
    return of_gamma(None, points, notes, "its primaries")


def _is_curve_of_srgb(table: tuple[int, ...]) -> bool:
    """Whether values become light by it about as by sRGB, or by a gamma of 2.2."""
    channels = 3 if len(table) % 3 == 0 else 1
    count = len(table) // channels
    if count < 2:
        return True
    light = np.array(table, float).reshape(channels, count) / 65535
    usual = (np.arange(count) / (count - 1)) ** 2.2
    return bool((np.abs(light - usual) < 0.02).all())
