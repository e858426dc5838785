"""Index maps with palettes to image files: PNG, GIF, lossless WebP, TIFF and BMP."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from .. import checks
from ..color.pixels import image_palette, taken
from ..errors import ImageFileError, NamingMemory
from .carry import tiff_with
from .content import as_pillow, check_depth, least_bits
from .decode import SUFFIXES as READ
from .decode import open_image
from .nodata import with_nodata
from .png import pack, png

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..parallel import Workers
    from .content import Content, WriteOptions
    from .disk import PathLike


def check_format(path: PathLike) -> str:
    """Return the ending of a name, in lower case, if it is one that can be written.

    Raises
    ------
    ImageFileError
        If it is not.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        *names, last = SUFFIXES
        raise ImageFileError(
            path,
            "cannot write this format",
            f"End the name in {', '.join(names)} or {last}",
        )
    return suffix


def encode(
    path: PathLike, content: Content, options: WriteOptions, workers: Workers
) -> bytes:
    """Make the file that the ending of `path` says.

    Raises
    ------
    ImageFileError
        If that format cannot hold the transparency, or so many pixels on a side.
    """
    suffix = check_format(path)
    height, width = content.indices.shape
    if max(height, width) > (most := LONGEST.get(suffix, 2**31 - 1)):
        raise ImageFileError(
            path,
            f"{width:,} x {height:,} pixels; this format has at most {most:,} on a "
            "side",
            "End the name in .png",
        )
    if suffix == ".png":
        return png(content, options, workers)
    if options.depth not in DEPTHS_OF.get(suffix, (None, 8)):
        raise ImageFileError(
            path,
            f"this format is not written with {options.depth} bits a pixel",
            "End the name in .png, or leave out depth (--depth)",
        )
    return OTHERS[suffix](path, content, options)


def shows(encoded: bytes, content: Content) -> bool:
    """Whether an encoded file, decoded by Pillow, shows exactly this picture."""
    image = open_image(BytesIO(encoded))
    if image.mode == "P" and np.array_equal(np.asarray(image), content.indices):
        entries = image_palette(image)[: len(content.colors)]
        if np.array_equal(entries, content.colors):
            return True  # as a rule; what follows takes its time
    seen = np.asarray(image.convert("RGBA"))
    colors = np.full((len(content.colors), 4), 255, np.uint8)
    colors[:, : content.colors.shape[1]] = content.colors
    expected = taken(colors, content.indices)
    same = (seen == expected).all(axis=2)
    return bool((same | ((seen[..., 3] == 0) & (expected[..., 3] == 0))).all())


# ---- other formats, most of which Pillow writes


def _alpha_entry(path: PathLike, content: Content) -> int | None:
    """Give the one fully transparent entry; refuse others that are not opaque."""
    if content.colors.shape[1] == 3:
        return None
    (entries,) = np.nonzero(content.colors[:, 3] < 255)
    if len(entries) > 1 or content.colors[entries, 3].any():
        raise ImageFileError(
            path,
            "this format has one fully transparent colour, and no half-transparent",
            "End the name in .png or .webp, or let each pixel be transparent or opaque "
            "(--alpha-threshold 128), or flatten them onto a ground (--matte white)",
        )
    return int(entries[0]) if len(entries) else None


def _saved(path: PathLike, image: Image.Image, name: str, **options: Any) -> bytes:
    """Let Pillow write it, whose encoders say little of what goes wrong."""
    for last in (False, True):  # as encoders do not say that memory was short
        file = BytesIO()
        try:
            with NamingMemory():
                image.save(file, name, **options)
            return file.getvalue()
        except MemoryError:
            raise
        except Exception as error:
            checks.memory(image.width * image.height)
            if last:
                raise ImageFileError(
                    path,
                    f"cannot be written in this format ({error})",
                    "End the name in .png",
                ) from error
    raise AssertionError


def _gif(path: PathLike, content: Content, options: WriteOptions) -> bytes:
    clear = _alpha_entry(path, content)
    image = as_pillow(content.indices, content.colors[:, :3])
    extra: dict[str, Any] = {} if clear is None else {"transparency": clear}
    if content.metadata is not None and content.metadata.texts:
        extra["comment"] = content.metadata.texts[0][1].encode()
    return _saved(path, image, "GIF", optimize=False, **extra)


def _webp(path: PathLike, content: Content, options: WriteOptions) -> bytes:
    image = Image.fromarray(taken(content.colors, content.indices))
    extra: dict[str, Any] = {}
    if content.icc is not None:
        extra["icc_profile"] = content.icc
    if (metadata := content.metadata) is not None:
        extra |= {"exif": metadata.exif} if metadata.exif else {}
        extra |= {"xmp": metadata.xmp} if metadata.xmp else {}
    return _saved(path, image, "WEBP", lossless=True, exact=True, quality=90, **extra)


def _refuse_alpha(path: PathLike, content: Content) -> None:
    if content.colors.shape[1] == 4 and (content.colors[:, 3] < 255).any():
        raise ImageFileError(
            path,
            "this format has no transparency",
            "End the name in .png or .webp, or flatten it onto a ground "
            "(--matte white)",
        )


def _tiff(path: PathLike, content: Content, options: WriteOptions) -> bytes:
    _refuse_alpha(path, content)
    extra: dict[str, Any] = {"compression": "tiff_adobe_deflate"}
    if content.icc is not None:
        extra["icc_profile"] = content.icc
    if content.dpi and not options.strip:
        extra["dpi"] = content.dpi
    content = with_nodata(content)
    image = as_pillow(content.indices, content.colors[:, :3])
    tiff = _saved(path, image, "TIFF", **extra)
    if content.metadata is None:
        return tiff
    return tiff_with(tiff, content.metadata, srgb=content.icc is None)


def _bmp(path: PathLike, content: Content, options: WriteOptions) -> bytes:
    """Write rows of 1, 4 or 8 bits, the lowest first, each of whole 4 bytes."""
    _refuse_alpha(path, content)
    height, width = content.indices.shape
    entries = len(content.colors)
    check_depth(options.depth, entries)
    bits = options.depth or least_bits(entries)
    bits = 4 if bits == 2 else bits  # which BMP does not have
    packed = pack(content.indices, bits)
    rows = np.zeros((height, -(-packed.shape[1] // 4) * 4), np.uint8)
    rows[:, : packed.shape[1]] = packed[::-1]
    palette = np.zeros((entries, 4), np.uint8)
    palette[:, :3] = content.colors[:, 2::-1]
    dpi = (96, 96) if content.dpi is None or options.strip else content.dpi
    meters = [int(value * 39.3701 + 0.5) for value in dpi]
    start = 14 + 40 + palette.size
    return b"".join(
        [
            struct.pack("<2sIII", b"BM", start + rows.size, 0, start),
            struct.pack(
                "<IiiHHIIiiII", 40, width, height, 1, bits, 0, rows.size, *meters,
                entries, entries,
            ),
            palette.tobytes(),
            rows.tobytes(),
        ]
    )  # fmt: skip


OTHERS: dict[str, Callable[[PathLike, Content, WriteOptions], bytes]] = {
    ".gif": _gif,
    ".webp": _webp,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".bmp": _bmp,
}
SUFFIXES = (".png", *OTHERS)

# The most pixels on a side; others have 31 bits for it.
LONGEST = {".gif": 65_535, ".webp": 16_383}

# The formats that endings of images say, by one of their endings.
FORMATS = {
    **{suffix: suffix for suffix in READ},
    ".apng": ".png",
    ".tiff": ".tif",
    ".dib": ".bmp",
}

# Bits a pixel that may be asked for; of other formats 8, which they have anyway.
DEPTHS_OF = {".bmp": (None, 1, 4, 8)}
