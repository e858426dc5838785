"""Index maps with palettes to image files: PNG, GIF, lossless WebP, TIFF and BMP."""

import itertools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..color.pixels import as_pillow, image_palette
from ..errors import ImageFileError, InvalidTypeError, InvalidValueError
from ..parallel import Workers
from .decode import open_image
from .disk import PathLike

# Ways to compress a PNG: memory level of zlib, and after how many symbols the code may
# adapt anew, 0 for as many as the memory holds. Most pictures gain 0.1 to 1 % by the
# second; the others are tried, two at a time for two threads, as long as nothing is
# gained over zlib's own way, the very first.
WAYS = (
    (8, 0), (9, 13_000), (9, 22_000), (8, 15_000), (8, 7_000), (9, 25_000),
    (8, 5_500), (9, 10_000), (9, 18_000), (8, 11_000),
)  # fmt: skip
LARGE = (9, 22_000)

# To guess how many bytes make a symbol of deflate, so many samples of so many bytes are
# compressed; a symbol of an index map takes about nine bits.
SAMPLES, SAMPLE, SYMBOL_BITS = 8, 1 << 13, 9

# Parts that large are compressed on their own, each knowing the 32 kB before it, so
# that threads can share the work. Only one way is tried.
PART = 1 << 21
WINDOW = 1 << 15

OPTIMIZE_LEVELS = range(7)

# Bytes of the chunk that says sRGB, and what is too small to make up for it.
SRGB_CHUNK, TINY = 13, 5_000


@dataclass(frozen=True)
class Writing:
    """How image files are written.

    Attributes
    ----------
    strip : bool
        Whether the resolution and the sRGB tag are left out, where there is one.
    optimize : int, optional
        Level 0..6 of oxipng, which makes PNG files smaller, and takes its time.
    """

    strip: bool = False
    optimize: int | None = None

    def __post_init__(self) -> None:
        level = self.optimize
        if level is None:
            return
        if isinstance(level, bool) or not hasattr(level, "__index__"):
            raise InvalidTypeError(
                f"optimize must be a level 0..6 or None, got {type(level).__name__}"
            )
        if level not in OPTIMIZE_LEVELS:
            raise InvalidValueError(f"optimize must be a level 0..6, got {level}")
        if find_spec("oxipng") is None:
            raise InvalidValueError(
                "optimize needs pyoxipng: install it with pip install pyoxipng, or "
                "kquant with pip install '.[optimize]'"
            )


@dataclass(frozen=True, eq=False)
class Content:
    """What a file is to show.

    Attributes
    ----------
    indices : (H, W) uint8
    colors : (K, 3|4) uint8
    fixed : bool
        Whether the palette must stay as it is, with what is not used.
    icc : bytes, optional
        The colour profile that the colours are meant by, if that is not sRGB.
    dpi : tuple of float, optional
    """

    indices: np.ndarray
    colors: np.ndarray
    fixed: bool = False
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None


def check_format(path: PathLike) -> str:
    """Return the ending of a name, in lower case, if it is one that can be written.

    Raises
    ------
    ImageFileError
        If it is not.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        *names, last = WRITERS
        raise ImageFileError(
            path,
            "cannot write this format",
            f"End the name in {', '.join(names)} or {last}",
        )
    return suffix


def encode(path: PathLike, content: Content, how: Writing, workers: Workers) -> bytes:
    """Make the file that the ending of `path` says.

    Raises
    ------
    ImageFileError
        If that format cannot hold the transparency.
    """
    writer = WRITERS[check_format(path)]
    return writer(path, content, how, workers)


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
    expected = colors[content.indices]
    same = (seen == expected).all(axis=2)
    return bool((same | ((seen[..., 3] == 0) & (expected[..., 3] == 0))).all())


# ---- PNG


def _png(path: PathLike, content: Content, how: Writing, workers: Workers) -> bytes:
    """PNG with as few bits a pixel and entries of alpha as the palette needs."""
    height, width = content.indices.shape
    colors = content.colors
    bits = 8
    while bits > 1 and len(colors) <= 1 << bits // 2:
        bits //= 2
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 3, 0, 0, 0))]
    if content.icc is not None:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(content.icc, 9)))
    elif not how.strip:
        chunks.append((b"sRGB", b"\0"))
    chunks.append((b"PLTE", np.ascontiguousarray(colors[:, :3]).tobytes()))
    alpha = colors[:, 3:].tobytes().rstrip(b"\xff")
    if alpha:
        chunks.append((b"tRNS", alpha))
    if content.dpi and not how.strip:
        meters = [round(value / 0.0254) for value in content.dpi]
        chunks.append((b"pHYs", struct.pack(">IIB", *meters, 1)))
    chunks.append((b"IDAT", _deflate(_rows(content.indices, bits), workers)))
    chunks.append((b"IEND", b""))
    encoded = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )  # fmt: skip
    return encoded if how.optimize is None else _optimized(encoded, content, how)


def _rows(indices: np.ndarray, bits: int) -> bytes:
    """Pack rows, each after the number of its filter, 0.

    Filters predict values from those beside, which indices do not follow: Pillow's
    make files of 4 bits a fifth larger.
    """
    height, width = indices.shape
    each = 8 // bits
    wide = -(-width // each)
    rows = np.zeros((height, 1 + wide), np.uint8)
    for place in range(each):
        part = indices[:, place::each]
        rows[:, 1 : 1 + part.shape[1]] |= part << (8 - bits * (place + 1))
    return rows.tobytes()


def _deflate(rows: bytes, workers: Workers) -> bytes:
    """Compress into one zlib stream: the same bytes for any number of threads."""
    step = max(1, len(rows) // SAMPLES)
    sample = b"".join(rows[at : at + SAMPLE] for at in range(0, len(rows), step))
    symbol = len(sample) * SYMBOL_BITS / (8 * len(zlib.compress(sample, 1)))

    def calls(ways: tuple, cuts: list[int]) -> list[tuple]:
        return [
            (rows, *span, memory, int(symbols * symbol))
            for memory, symbols in ways
            for span in itertools.pairwise(cuts)
        ]

    if len(rows) > PART:
        cuts = [*range(0, len(rows), PART), len(rows)]
        best = b"".join(workers.run(_deflate_part, calls((LARGE,), cuts)))
    else:
        tried: list[bytes] = []
        for first in range(0, len(WAYS), 2):
            ways = WAYS[first : first + 2]
            tried += workers.run(_deflate_part, calls(ways, [0, len(rows)]))
            best = min(tried, key=len)
            # What is gained must make up for the colour tag, which others leave out.
            if len(best) <= len(tried[0]) - SRGB_CHUNK or len(best) < TINY:
                break
    # Header: deflate, a window of 32 kB, best compression.
    return b"\x78\xda" + best + struct.pack(">I", zlib.adler32(rows))


def _deflate_part(rows: bytes, first: int, last: int, memory: int, block: int) -> bytes:
    """Raw deflate of some bytes; a stream that ends or can be continued."""
    arguments = (9, zlib.DEFLATED, -15, memory, zlib.Z_DEFAULT_STRATEGY)
    window = rows[max(0, first - WINDOW) : first]
    stream = zlib.compressobj(*arguments, *([window] if window else []))
    block = block or last - first
    parts = []
    for at in range(first, last, block):
        parts.append(stream.compress(rows[at : min(at + block, last)]))
        if at + block < last:
            parts.append(stream.flush(zlib.Z_BLOCK))
    ends = zlib.Z_FINISH if last == len(rows) else zlib.Z_SYNC_FLUSH
    parts.append(stream.flush(ends))
    return b"".join(parts)


def _optimized(encoded: bytes, content: Content, how: Writing) -> bytes:
    import oxipng

    keep: dict[str, Any] = {}
    if content.fixed:  # order and unused entries are part of what was asked for
        keep = {"palette_reduction": False, "color_type_reduction": False}
        keep |= {"bit_depth_reduction": False, "grayscale_reduction": False}
    smaller = oxipng.optimize_from_memory(encoded, level=how.optimize, **keep)
    return min(encoded, smaller, key=len)


# ---- what Pillow writes


def _alpha_entry(path: PathLike, content: Content) -> int | None:
    """Give the one fully transparent entry; refuse others that are not opaque."""
    if content.colors.shape[1] == 3:
        return None
    (entries,) = np.nonzero(content.colors[:, 3] < 255)
    if len(entries) > 1 or content.colors[entries, 3].any():
        raise ImageFileError(
            path,
            "this format has one fully transparent colour, and no half-transparent",
            "End the name in .png or .webp",
        )
    return int(entries[0]) if len(entries) else None


def _saved(image: Image.Image, name: str, **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, name, **options)
    return file.getvalue()


def _gif(path: PathLike, content: Content, how: Writing, workers: Workers) -> bytes:
    clear = _alpha_entry(path, content)
    image = as_pillow(content.indices, content.colors[:, :3])
    options = {} if clear is None else {"transparency": clear}
    return _saved(image, "GIF", optimize=False, **options)


def _webp(path: PathLike, content: Content, how: Writing, workers: Workers) -> bytes:
    image = Image.fromarray(content.colors[content.indices])
    options = {} if content.icc is None else {"icc_profile": content.icc}
    return _saved(image, "WEBP", lossless=True, exact=True, quality=90, **options)


def _without_alpha(path: PathLike, content: Content) -> Image.Image:
    if content.colors.shape[1] == 4 and (content.colors[:, 3] < 255).any():
        raise ImageFileError(
            path, "this format has no transparency", "End the name in .png or .webp"
        )
    return as_pillow(content.indices, content.colors[:, :3])


def _tiff(path: PathLike, content: Content, how: Writing, workers: Workers) -> bytes:
    options: dict[str, Any] = {"compression": "tiff_adobe_deflate"}
    if content.icc is not None:
        options["icc_profile"] = content.icc
    if content.dpi and not how.strip:
        options["dpi"] = content.dpi
    return _saved(_without_alpha(path, content), "TIFF", **options)


def _bmp(path: PathLike, content: Content, how: Writing, workers: Workers) -> bytes:
    options = {"dpi": content.dpi} if content.dpi and not how.strip else {}
    return _saved(_without_alpha(path, content), "BMP", **options)


WRITERS: dict[str, Callable[[PathLike, Content, Writing, Workers], bytes]] = {
    ".png": _png,
    ".gif": _gif,
    ".webp": _webp,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".bmp": _bmp,
}
