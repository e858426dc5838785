"""What a format can hold of what a file says, and what is lost."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

from .exif import ARTIST, COPYRIGHT, DESCRIPTION, exif_of_texts
from .metadata import IPTC_TAG, XMP_KEYWORD, XMP_TAG, Metadata, names_of_texts
from .tags import with_tags

if TYPE_CHECKING:
    import re

    from .tags import Tags

DOCUMENT_NAME, SOFTWARE = 269, 305

# Keywords of PNG, and the tags that say the same.
TEXT_TAGS = {
    "copyright": COPYRIGHT, "author": ARTIST, "artist": ARTIST,
    "description": DESCRIPTION, "title": DOCUMENT_NAME, "software": SOFTWARE,
    "comment": DESCRIPTION,
}  # fmt: skip

TIFF = (".tif", ".tiff")
UNDEFINED, BYTE = 7, 1

# Longer texts are compressed.
LONG_TEXT = 1024

# How names are listed.
ORDER = ("EXIF", "GPS position", "XMP", "IPTC", "copyright", "artist", "description",
         "comment", "text")  # fmt: skip


class Carried(NamedTuple):
    """What becomes of the metadata of a file.

    Attributes
    ----------
    written : Metadata
        What the new file is to have.
    lost : list of str
        Names of what of worth it will not have.
    lost_geo, lost_anyway : list of str
        The same, of the place on earth: what a TIFF could hold, and what none can.
    can_keep : bool
        Whether this format could hold any of what is lost.
    """

    written: Metadata
    lost: list[str]
    lost_geo: list[str]
    lost_anyway: list[str]
    can_keep: bool


def carried(
    found: Metadata, suffix: str, *, keep: bool, strip: bool, srgb: bool
) -> Carried:
    """Say what a new file gets of what the old one says.

    Parameters
    ----------
    found : Metadata
    suffix : str
        Of the new file, which says its format.
    keep, strip : bool
        Whether all that can be is kept, or all left out.
    srgb : bool
        Whether the new file is in sRGB.
    """
    if strip or not found:
        return Carried(Metadata(), [], [], [], can_keep=False)
    holds = _held(found, suffix, srgb=srgb)
    written = holds if keep else Metadata()
    names = [*_names(_without(found, written)), *found.others]
    can_keep = not keep and bool(holds)
    if suffix in TIFF:
        written.geo = found.geo
    homeless = [] if suffix in TIFF else found.geo_names
    return Carried(written, _listed(names), homeless, found.geo_others, can_keep)


def _without(found: Metadata, kept: Metadata) -> Metadata:
    """Say what is left over; texts in EXIF count as kept."""
    texts = found.texts
    if kept.texts or (kept.exif and not found.exif):
        texts = [each for each in texts if each not in kept.texts]
        texts = [each for each in texts if not _is_in(each, kept)]
    return Metadata(
        b"" if kept.exif else found.exif,
        b"" if kept.xmp else found.xmp,
        b"" if kept.iptc else found.iptc,
        texts,
    )


def _is_in(text: tuple[str, str], kept: Metadata) -> bool:
    tag = TEXT_TAGS.get(text[0].lower())
    exif = kept.parsed_exif
    return tag is not None and exif is not None and exif.main.text(tag) == text[1]


def _names(found: Metadata) -> list[str]:
    exif = found.parsed_exif
    names = [] if exif is None else exif.names
    names += ["XMP"] if found.xmp.strip(b"\0 \r\n\t") else []
    names += ["IPTC"] if found.iptc.strip(b"\0") else []
    return names + names_of_texts(found.texts)


def names_of(found: Metadata) -> list[str]:
    """Say what of worth there is beside the place on earth."""
    return _listed([*_names(found), *found.others])


def _listed(names: list[str]) -> list[str]:
    known = [name for name in ORDER if name in names]
    return known + sorted({*names} - {*known})


# ---- what still applies, as far as a format can hold it


def _held(found: Metadata, suffix: str, *, srgb: bool) -> Metadata:
    held = Metadata()
    if suffix == ".gif":
        held.texts = [
            (key, text)
            for key, text in found.texts
            if key.lower() == "comment" and len(text.encode()) <= 1 << 16
        ][:1]
    if suffix not in (".png", ".webp", *TIFF):
        return held
    exif = found.parsed_exif
    if exif is not None:
        held.exif = exif.upright(srgb=srgb)
    held.xmp = upright_xmp(found.xmp)
    if suffix != ".webp":
        held.iptc = found.iptc
    if suffix == ".png":
        held.texts = [each for each in found.texts if 0 < len(each[0]) < 80]
    elif not held.exif:
        texts: dict[int, str] = {}
        for key, text in found.texts:
            if tag := TEXT_TAGS.get(key.lower()):
                texts.setdefault(tag, text)
        if texts:
            held.exif = exif_of_texts(texts)
    return held


def upright_xmp(xmp: bytes) -> bytes:
    """XMP of the same picture, upright and without its thumbnail."""
    import re  # which few files need

    def one(match: re.Match[bytes]) -> bytes:
        return match[1] + b"1" + match[2]

    xmp = re.sub(rb"""(tiff:Orientation\s*=\s*["'])\d+(["'])""", one, xmp)
    xmp = re.sub(rb"(<tiff:Orientation>)\s*\d+\s*(</tiff:Orientation>)", one, xmp)
    for name in (b"xmp:Thumbnails", b"xap:Thumbnails"):
        begin, end = xmp.find(b"<" + name), xmp.find(b"</" + name + b">")
        if 0 <= begin < end:
            xmp = xmp[:begin] + xmp[end + len(name) + 3 :]
    return xmp


# ---- as formats write it


def png_chunks(metadata: Metadata) -> list[tuple[bytes, bytes]]:
    """Make the chunks of a PNG, which go before the pixels."""
    chunks = []
    if metadata.exif:
        chunks.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        # Not compressed, so that what knows no PNG finds it too.
        chunks.append((b"iTXt", XMP_KEYWORD.encode() + b"\0" * 5 + metadata.xmp))
    if metadata.iptc:
        chunks.append((b"zTXt", _raw_profile(metadata.iptc)))
    return chunks + [_text_chunk(*each) for each in metadata.texts]


def _raw_profile(iptc: bytes) -> bytes:
    """IPTC as ImageMagick has it in a PNG, and those that read it after it."""
    data = iptc.hex()
    lines = "\n".join(data[at : at + 72] for at in range(0, len(data), 72))
    text = f"\niptc\n{len(iptc):8}\n{lines}\n"
    return b"Raw profile type iptc\0\0" + zlib.compress(text.encode(), 9)


def _text_chunk(keyword: str, text: str) -> tuple[bytes, bytes]:
    key = keyword.encode("latin-1", "replace")
    text = text.replace("\0", "")  # which ends it
    try:
        data = text.encode("latin-1")
    except UnicodeEncodeError:
        data = text.encode()
        if len(data) > LONG_TEXT:
            return b"iTXt", key + b"\0\1\0\0\0" + zlib.compress(data, 9)
        return b"iTXt", key + b"\0\0\0\0\0" + data
    if len(data) > LONG_TEXT:
        return b"zTXt", key + b"\0\0" + zlib.compress(data, 9)
    return b"tEXt", key + b"\0" + data


def tiff_with(tiff: bytes, metadata: Metadata, *, srgb: bool) -> bytes:
    """Add metadata to a TIFF file."""
    tags: Tags = dict(metadata.geo)
    inner: dict[int, Tags] = {}
    exif = metadata.parsed_exif
    if exif is not None:
        described, inner = exif.tags(srgb=srgb)
        tags.update(described)
    if metadata.xmp:
        tags[XMP_TAG] = (BYTE, metadata.xmp)
    if metadata.iptc:
        tags[IPTC_TAG] = (UNDEFINED, metadata.iptc)
    return with_tags(tiff, tags, inner) if tags or inner else tiff
