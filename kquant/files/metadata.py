"""What image files say beside their pixels: found in each format, by its own rules."""

from __future__ import annotations

import contextlib
import re
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING

from ..errors import IgnoringDamage
from .exif import DESCRIBING, ORIENTATION, TRIVIAL, WINDOWS_TAGS, Exif, exif_of
from .tags import (
    EXIF_TAGS,
    GPS_TAGS,
    Directory,
    Order,
    read_directory,
    read_header,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, BinaryIO

    from PIL import Image

    from .tags import Tags

# Where a picture lies on the earth; values that are none; what GDAL says of it.
PLACE_TAGS = frozenset((33550, 33920, 33922, 34264, 34735, 34736, 34737, 50844))
GDAL_METADATA, GDAL_NODATA = 42112, 42113
GEO_TAGS = PLACE_TAGS | {GDAL_METADATA, GDAL_NODATA}

XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, LAYERS_TAG = 700, 33723, 34377, 37724

# No such part is longer; what is, is left alone.
MOST = 1 << 24

XMP_KEYWORD = "XML:com.adobe.xmp"
PLACE, NODATA = "place on earth", "nodata value"

# What programs write of themselves, and not people of pictures.
TRIVIAL_TEXTS = frozenset(
    ("software", "date:create", "date:modify", "date:timestamp", "creator tool")
)
TRIVIAL_COMMENT = re.compile(
    r"(CREATOR: |Created with (The )?GIMP|Created by OpenJPEG|Lavc|LEAD Technologies|"
    r"Optimized by JPEGmini|File written by Adobe|Handmade Software|AppleMark|Kakadu)",
    re.IGNORECASE,
)
KNOWN_CHUNKS = frozenset((
    b"tIME", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"bKGD", b"hIST", b"sBIT",
    b"sPLT", b"tRNS", b"cICP", b"mDCV", b"cLLI", b"acTL", b"fcTL", b"fdAT", b"iDOT",
    b"vpAg", b"dSIG",
))  # fmt: skip

EXIF_BOX = b"JpgTiffExif->JP2"
XMP_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
IPTC_BOX = bytes.fromhex("33c7a4d2b81d4723a0baf1a3e097ad38")
GEO_BOX = bytes.fromhex("b14bf8bd083d4b43a5ae8cd7d5a6ce03")


@dataclass(eq=False)
class Metadata:
    """What a file says beside its pixels.

    Attributes
    ----------
    exif : bytes
        As a TIFF file; empty if there is none, or it cannot be read.
    xmp, iptc : bytes
        Empty if there are none.
    texts : list of (str, str)
        Keywords, as those of PNG, and texts.
    geo : Tags
        Place on earth and what goes with it.
    geo_others, others : list of str
        Names of what is of worth, and kept by no format: of the place, and all else.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    texts: list[tuple[str, str]] = field(default_factory=list)
    geo: Tags = field(default_factory=dict)
    geo_others: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(vars(self).values())

    @property
    def parsed_exif(self) -> Exif | None:
        try:
            return Exif(self.exif) if self.exif else None
        except (ValueError, ArithmeticError):
            return None

    @property
    def geo_names(self) -> list[str]:
        """Say what there is of the place on earth."""
        names = [PLACE] if {*self.geo} & PLACE_TAGS else []
        names += ["GDAL metadata"] if GDAL_METADATA in self.geo else []
        return names + ([NODATA] if GDAL_NODATA in self.geo else [])


def names_of_texts(texts: list[tuple[str, str]]) -> list[str]:
    """Say what of worth there is in texts."""
    names = []
    for keyword, text in texts:
        low = keyword.lower()
        if low in TRIVIAL_TEXTS or not text.strip() or low.startswith("thumb::"):
            continue
        if low == "comment" and TRIVIAL_COMMENT.match(text.strip()):
            continue
        if low in ("copyright", "description", "comment"):
            names.append(low)
        else:
            names.append("artist" if low in ("author", "artist") else "text")
    return names


def read_metadata(file: BinaryIO) -> Metadata:
    """Find what a file says beside its pixels; what is damaged is not there."""
    found = Metadata()
    file.seek(0)
    head = file.read(16)
    reader: Callable[[BinaryIO, Metadata], None] | None = None
    for start, one in READERS.items():
        if head.startswith(start):
            reader = one
    if head[4:8] == b"ftyp":
        reader = _avif
    if reader is not None:
        # No picture depends on it; what was found before the damage is there.
        with IgnoringDamage():
            reader(file, found)
    if found.parsed_exif is None:
        found.exif = b""
    return found


def add_pixel_shape(found: Metadata, info: dict[Any, Any]) -> None:
    """Name pixels that are not square, by what Pillow knows, if there is no unit."""
    shape = info.get("aspect", info.get("resolution"))  # of PNG, and of TIFF
    if shape is None and info.get("jfif_unit") == 0:
        shape = info.get("jfif_density")
    with contextlib.suppress(TypeError, ValueError):
        across, down = (float(value) for value in shape)  # type: ignore[union-attr]
        if across > 0 and down > 0 and abs(across - down) > 0.001 * across:
            found.others.append(f"shape of its pixels ({across:g}:{down:g})")


def metadata_of_image(image: Image.Image) -> Metadata:
    """Find what a Pillow image says beside its pixels: in its file, or what is left."""
    found = _metadata_of_image(image)
    add_pixel_shape(found, image.info)
    return found


def _metadata_of_image(image: Image.Image) -> Metadata:
    file = getattr(image, "fp", None)
    if file is not None and image.format not in (None, "AVIF"):
        with contextlib.suppress(OSError, ValueError):  # it was closed
            place = file.tell()
            try:
                return read_metadata(file)
            finally:
                file.seek(place)
    found, info = Metadata(), image.info
    if isinstance(info.get("exif"), bytes):
        _add_exif(found, info["exif"])
    xmp = info.get("xmp", info.get(XMP_KEYWORD, b""))
    found.xmp = xmp if isinstance(xmp, bytes) else str(xmp).encode()
    comment = info.get("comment")
    if isinstance(comment, bytes):
        _add_text(found, "Comment", comment)
    resources = info.get("photoshop")
    if isinstance(resources, dict) and isinstance(resources.get(0x0404), bytes):
        found.iptc = resources[0x0404]
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    found.texts += [
        (key, str(text)) for key, text in texts.items() if key != XMP_KEYWORD
    ]
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    found.geo = {tag: (1, b"") for tag in GEO_TAGS if tag in tags}
    described = {tag: (2, str(tags[tag]).encode()) for tag in DESCRIBING if tag in tags}
    found.exif = found.exif or exif_of(described, {})
    if found.parsed_exif is None:
        found.exif = b""
    return found


# ---- parts that several formats have


def _add_exif(found: Metadata, data: bytes) -> None:
    found.exif = found.exif or data.removeprefix(b"Exif\0\0")


def _add_text(found: Metadata, keyword: str, data: bytes) -> None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    if text := text.strip("\0"):
        found.texts.append((keyword, text))


def _add_photoshop(found: Metadata, data: bytes) -> None:
    """Find IPTC among the resources of Photoshop."""
    at = 0
    while data[at : at + 4] == b"8BIM":
        number = int.from_bytes(data[at + 4 : at + 6], "big")
        at += 6 + (data[at + 6] + 2) // 2 * 2
        size = int.from_bytes(data[at : at + 4], "big")
        if number == 0x0404:
            found.iptc = found.iptc or data[at + 4 : at + 4 + size]
        at += 4 + (size + 1) // 2 * 2


# ---- formats


def _png(file: BinaryIO, found: Metadata) -> None:
    file.seek(8)
    left = MOST  # of text, inflated, all together
    while len(head := file.read(8)) == 8:
        size, name = int.from_bytes(head[:4], "big"), head[4:]
        described = name in (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"zXIf")
        if not described or size > MOST:
            if name == b"caBX":
                found.others.append("content credentials")
            elif name[0] & 32 and name not in KNOWN_CHUNKS and name.isalpha():
                found.others.append(f"chunk {name.decode()}")
            file.seek(size + 4, 1)
            if name == b"IEND":
                return
            continue
        data = file.read(size)
        file.seek(4, 1)
        if name == b"eXIf":
            _add_exif(found, data)
        elif b"\0" in data and left > 0:
            left -= _png_text(found, name, data, left)


def _png_text(found: Metadata, chunk: bytes, data: bytes, most: int) -> int:
    """Take a text; return how long it is, which is not more than `most`."""
    name, _, data = data.partition(b"\0")
    keyword = name.decode("latin-1")
    deflated = chunk == b"zTXt"
    if chunk == b"zTXt":
        data = data[1:]
    elif chunk == b"iTXt":
        deflated = data[:1] == b"\1"
        data = data[2:].split(b"\0", 2)[2]
    if deflated:
        data = zlib.decompressobj().decompress(data, most)
    if keyword == XMP_KEYWORD:
        found.xmp = found.xmp or data
    elif keyword.startswith("Raw profile type "):
        kind = keyword.removeprefix("Raw profile type ").lower()
        raw = bytes.fromhex(b"".join(data.split()[2:]).decode("ascii"))
        if kind in ("exif", "app1") and raw.startswith((b"Exif\0\0", b"II", b"MM")):
            _add_exif(found, raw)
        elif kind == "xmp":
            found.xmp = found.xmp or raw
        elif kind in ("iptc", "8bim"):
            if raw.startswith(b"8BIM"):
                _add_photoshop(found, raw)
            else:
                found.iptc = found.iptc or raw
    elif chunk == b"iTXt":
        _add_text(found, keyword, data)
    elif text := data.decode("latin-1"):
        found.texts.append((keyword, text))
    return len(data)


def _jpeg(file: BinaryIO, found: Metadata) -> None:
    file.seek(2)
    photoshop = b""
    while (mark := file.read(2)) and mark[0] == 0xFF:
        if mark[1] == 0xFF:  # filling
            file.seek(-1, 1)
            continue
        if mark[1] in (0xD9, 0xDA):
            break
        if mark[1] == 1 or 0xD0 <= mark[1] <= 0xD8:
            continue
        size = int.from_bytes(file.read(2), "big") - 2
        if size < 0:
            break
        if mark[1] not in (0xE1, 0xE2, 0xEB, 0xED, 0xFE):
            file.seek(size, 1)
            continue
        data = file.read(size)
        if mark[1] == 0xFE:
            _add_text(found, "Comment", data)
        elif data.startswith(b"Exif\0"):
            _add_exif(found, data[6:])
        elif data.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            found.xmp = found.xmp or data[29:]
        elif data.startswith(b"Photoshop 3.0\0"):
            photoshop += data[14:]
        elif mark[1] == 0xE2 and data.startswith(b"MPF\0"):
            found.others.append("further pictures (previews, views or a gain map)")
        elif mark[1] == 0xEB and b"jumb" in data[:64]:
            found.others.append("content credentials")
    _add_photoshop(found, photoshop)


def _webp(file: BinaryIO, found: Metadata) -> None:
    file.seek(12)
    while len(head := file.read(8)) == 8:
        size = int.from_bytes(head[4:], "little")
        if head[:4] in (b"EXIF", b"XMP ") and size <= MOST:
            data = file.read(size)
            if head[:4] == b"EXIF":
                _add_exif(found, data)
            else:
                found.xmp = found.xmp or data
            file.seek(size % 2, 1)
        else:
            file.seek(size + size % 2, 1)


def _gif(file: BinaryIO, found: Metadata) -> None:
    file.seek(10)
    flags = file.read(3)[0]
    file.seek((3 << (flags & 7) + 1) if flags & 128 else 0, 1)
    while block := file.read(1):
        if block == b"\x21":
            kind = file.read(1)
            start = file.tell()
            parts = _gif_blocks(file)
            if kind == b"\xfe":
                _add_text(found, "Comment", b"".join(parts))
            elif kind == b"\xff" and parts[:1] == [b"XMP DataXMP"]:
                end = file.tell()
                file.seek(start + 12)  # it is not in blocks, and ends in a ramp
                found.xmp = file.read(min(MOST, end - start - 12))[:-258]
                file.seek(end)
        elif block == b"\x2c":
            file.seek(8, 1)
            flags = file.read(1)[0]
            file.seek((3 << (flags & 7) + 1) if flags & 128 else 0, 1)
            file.seek(1, 1)
            _gif_blocks(file)
        else:
            return


def _gif_blocks(file: BinaryIO) -> list[bytes]:
    parts = []
    while size := file.read(1)[0]:
        parts.append(file.read(size))
    return parts


def _tiff(file: BinaryIO, found: Metadata) -> None:
    order, offset = read_header(file)
    main = read_directory(file, order, offset)
    _add_tiff(file, order, main, found)


def _add_tiff(file: BinaryIO, order: Order, main: Directory, found: Metadata) -> None:
    tags = main.tags
    found.geo = {tag: tags[tag] for tag in GEO_TAGS if tag in tags}
    if found.geo_names and main.number(ORIENTATION) > 1:
        # The place of each pixel is that in the picture as it was stored.
        found.geo_others = [
            f"{name} (of a picture that is stored turned)" for name in found.geo_names
        ]
        found.geo = {}
    found.xmp = tags.get(XMP_TAG, (1, b""))[1]
    found.iptc = tags.get(IPTC_TAG, (1, b""))[1]
    _add_photoshop(found, tags.get(PHOTOSHOP_TAG, (1, b""))[1])
    if LAYERS_TAG in tags:
        found.others.append("layers of Photoshop")
    inner = {}
    for tag in (EXIF_TAGS, GPS_TAGS):
        if tag in tags:
            try:
                inner[tag] = read_directory(file, order, main.number(tag)).tags
            except ValueError:
                continue
    described = {
        tag: value
        for tag, value in tags.items()
        if tag in DESCRIBING or tag in WINDOWS_TAGS
    }
    found.exif = exif_of(described, inner)
    known = GEO_TAGS | TRIVIAL | {XMP_TAG, IPTC_TAG, PHOTOSHOP_TAG, LAYERS_TAG}
    private = [
        str(tag)
        for tag in sorted(tags)
        if tag >= 37000 and tag not in known and tag not in WINDOWS_TAGS
    ]
    if private:
        found.others.append(f"private tags ({', '.join(private[:5])})")


def _jpeg2000(file: BinaryIO, found: Metadata) -> None:
    file.seek(0)
    while len(head := file.read(8)) == 8:
        size, name = int.from_bytes(head[:4], "big") - 8, head[4:]
        if size == -7:
            size = int.from_bytes(file.read(8), "big") - 16
        if size < 0 or name == b"jp2c":
            if size < 0:
                return
            file.seek(size, 1)
            continue
        data = file.read(min(size, MOST))
        file.seek(max(0, size - MOST), 1)
        kind, data = (data[:16], data[16:]) if name == b"uuid" else (name, data)
        if kind == EXIF_BOX:
            _add_exif(found, data)
        elif kind == XMP_BOX:
            found.xmp = found.xmp or data
        elif kind == IPTC_BOX:
            found.iptc = found.iptc or data
        elif kind == GEO_BOX:
            inside = BytesIO(data)
            order, offset = read_header(inside)
            tags = read_directory(inside, order, offset).tags
            found.geo.update((tag, tags[tag]) for tag in GEO_TAGS if tag in tags)
        elif kind == b"asoc" and b"gml" in data:
            found.geo_others.append(f"{PLACE} (GML)")


def _avif(file: BinaryIO, found: Metadata) -> None:
    from PIL.AvifImagePlugin import AvifImageFile  # which knows its items

    file.seek(0)
    info = AvifImageFile(file, "").info
    _add_exif(found, info.get("exif") or b"")
    found.xmp = info.get("xmp") or b""
    file.seek(0)
    if b"tmap" in file.read(1 << 12):
        found.others.append("gain map")


def _ppm(file: BinaryIO, found: Metadata) -> None:
    file.seek(0)
    for line in file.read(2048).split(b"\n")[:16]:
        if line.startswith(b"#"):
            _add_text(found, "Comment", line[1:].strip())
        elif line.strip() and not re.fullmatch(rb"P\d|[\d\s]+(#.*)?", line):
            return


READERS: dict[bytes, Callable[[BinaryIO, Metadata], None]] = {
    b"\x89PNG": _png,
    b"\xff\xd8": _jpeg,
    b"RIFF": _webp,
    b"GIF8": _gif,
    b"II": _tiff,
    b"MM": _tiff,
    b"\0\0\0\x0cjP  ": _jpeg2000,
    **dict.fromkeys((b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"), _ppm),
}
