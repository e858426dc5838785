"""PNG files of index maps: as few bits as the palette needs, and well compressed."""

from __future__ import annotations

import itertools
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import U8
    from ..parallel import Workers
    from .content import Content, WriteOptions

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

# Bytes of the chunk that says sRGB, and what is too small to make up for it.
SRGB_CHUNK, TINY = 13, 5_000


def png(content: Content, options: WriteOptions, workers: Workers) -> bytes:
    """PNG with as few bits a pixel and entries of alpha as the palette needs."""
    height, width = content.indices.shape
    colors = content.colors
    bits = 8
    while bits > 1 and len(colors) <= 1 << bits // 2:
        bits //= 2
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 3, 0, 0, 0))]
    if content.icc is not None:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(content.icc, 9)))
    elif not options.strip:
        chunks.append((b"sRGB", b"\0"))
    chunks.append((b"PLTE", np.ascontiguousarray(colors[:, :3]).tobytes()))
    alpha = colors[:, 3:].tobytes().rstrip(b"\xff")
    if alpha:
        chunks.append((b"tRNS", alpha))
    if content.dpi and not options.strip:
        meters = [round(value / 0.0254) for value in content.dpi]
        chunks.append((b"pHYs", struct.pack(">IIB", *meters, 1)))
    chunks.append((b"IDAT", _deflate(_rows(content.indices, bits), workers)))
    chunks.append((b"IEND", b""))
    encoded = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )  # fmt: skip
    return (
        encoded
        if options.optimize is None
        else _optimized(encoded, options.optimize, fixed=content.fixed)
    )


def _rows(indices: U8, bits: int) -> bytes:
    """Pack rows, each after the number of its filter, 0.

    Filters predict values from those beside, which indices do not follow: Pillow's
    make files of 4 bits a fifth larger.
    """
    height, width = indices.shape
    each = 8 // bits
    wide = -(-width // each)
    rows = np.zeros((height, 1 + wide), np.uint8)
    for position in range(each):
        part = indices[:, position::each]
        rows[:, 1 : 1 + part.shape[1]] |= part << (8 - bits * (position + 1))
    return rows.tobytes()


def _deflate(rows: bytes, workers: Workers) -> bytes:
    """Compress into one zlib stream: the same bytes for any number of threads."""
    step = max(1, len(rows) // SAMPLES)
    sample = b"".join(rows[at : at + SAMPLE] for at in range(0, len(rows), step))
    symbol = len(sample) * SYMBOL_BITS / (8 * len(zlib.compress(sample, 1)))

    def calls(
        ways: Sequence[tuple[int, int]], cuts: list[int]
    ) -> list[tuple[bytes, int, int, int, int]]:
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


def _optimized(encoded: bytes, level: int, *, fixed: bool) -> bytes:
    import oxipng

    smaller = oxipng.optimize_from_memory(
        encoded,
        level=level,
        # The order and unused entries of a fixed palette are what was asked for.
        palette_reduction=not fixed,
        color_type_reduction=not fixed,
        bit_depth_reduction=not fixed,
        grayscale_reduction=not fixed,
    )
    return min(encoded, smaller, key=len)
