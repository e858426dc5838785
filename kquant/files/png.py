"""PNG files of index maps: as few bits as the palette needs, and well compressed."""

from __future__ import annotations

import itertools
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..color.pixels import taken
from .carry import png_chunks
from .content import check_depth, least_bits
from .grey import ADAPTIVE, filtered, grey_of

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

# To choose between an indexed and a grey file, and between filters, rows are compressed
# at so many places, of so many bytes each: all at the quick level of zlib, and twice as
# many of what comes near to the least at the careful one. Of few rows, and of those
# that become small, all are compared.
PLACES, COMPARED, ALL = 8, 1 << 12, 1 << 17
QUICK, CAREFUL, DEEPEST = 4, 6, 9
NEAR, MOST_FILTERED = 1.3, 2
FEW, SPARSE = 1 << 18, 16

# Filtered rows of a smooth picture gain by a deep search, which takes long, and those
# of noise by none: if the careful level gains less than this, the quick one is best.
GAIN, DEEP = 0.98, 7

# So many pixels are filtered at a time, so that they stay in the cache.
BAND = 1 << 16

# Bytes of the chunk that says sRGB, and what is too small to make up for it.
SRGB_CHUNK, TINY = 13, 5_000


def png(content: Content, options: WriteOptions, workers: Workers) -> bytes:
    """PNG with as few bits a pixel and entries of alpha as the palette needs.

    Raises
    ------
    InvalidValueError
        If the palette does not fit the bits that are asked for.
    """
    height, width = content.indices.shape
    layout, data = _smallest(_layouts(content, options), workers)
    chunks = [
        (
            b"IHDR",
            struct.pack(
                ">IIBBBBB", width, height, layout.bits, layout.color_type, 0, 0, 0
            ),
        )
    ]
    if content.icc is not None:
        chunks.append((b"iCCP", b"ICC profile\0\0" + zlib.compress(content.icc, 9)))
    elif not options.strip:
        chunks.append((b"sRGB", b"\0"))
    chunks += layout.chunks
    if content.dpi and not options.strip:
        meters = [round(value / 0.0254) for value in content.dpi]
        chunks.append((b"pHYs", struct.pack(">IIB", *meters, 1)))
    if content.metadata is not None:
        chunks += png_chunks(content.metadata)
    chunks.append((b"IDAT", data))
    chunks.append((b"IEND", b""))
    encoded = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )  # fmt: skip
    if options.optimize is None:
        return encoded
    return _optimized(encoded, options.optimize, options, fixed=content.fixed)


# ---- indexed or grey, and how it is filtered


@dataclass(frozen=True, eq=False)
class _Layout:
    """One of the ways to write a picture, before it is compressed.

    Attributes
    ----------
    color_type, bits : int
        As the header of a PNG has them.
    chunks : list of (bytes, bytes)
        Name and content of what describes the samples.
    indices : (H, W) uint8
    samples : (K,) uint8, optional
        The sample of each index, if that is not the index.
    filter : int
        As for `filtered`.
    """

    color_type: int
    bits: int
    chunks: list[tuple[bytes, bytes]]
    indices: U8
    samples: U8 | None = None
    filter: int = 0

    @property
    def row_bytes(self) -> int:
        width = self.indices.shape[1]
        return 1 + -(-int(width) * self.bits // 8)

    @property
    def strategy(self) -> int:
        return zlib.Z_FILTERED if self.filter else zlib.Z_DEFAULT_STRATEGY

    def rows(self, first: int, last: int) -> bytes:
        """Make some rows, each after the number of its filter."""
        step = max(1, BAND // self.indices.shape[1])
        starts = range(first, last, step)
        return b"".join(self._band(at, min(at + step, last)) for at in starts)

    def _band(self, first: int, last: int) -> bytes:
        begin = first - 1 if self.filter and first else first
        indices = self.indices[begin:last]
        values = indices if self.samples is None else taken(self.samples, indices)
        rows = _rows(values, self.bits)
        if not self.filter:
            return rows.tobytes()
        if begin == first:
            rows = np.concatenate([np.zeros_like(rows[:1]), rows])
        return filtered(rows[1:], rows[:-1], self.filter).tobytes()

    def estimate(self, level: int, compared: int) -> float:
        """Guess the size of the file, by so many bytes of its rows at each place."""
        height = len(self.indices)
        each = max(1, compared // self.row_bytes)
        if height <= PLACES * each:
            rows = self.rows(0, height)
        else:
            firsts = [(height - each) * i // (PLACES - 1) for i in range(PLACES)]
            rows = b"".join(self.rows(first, first + each) for first in firsts)
        stream = zlib.compressobj(level, zlib.DEFLATED, -15, 8, self.strategy)
        size = len(stream.compress(rows)) + len(stream.flush())
        return self.described + size * (self.row_bytes * height / len(rows))

    @property
    def described(self) -> int:
        """Bytes of the chunks that describe the samples."""
        return sum(12 + len(data) for _, data in self.chunks)


def _layouts(content: Content, options: WriteOptions) -> list[_Layout]:
    """List the ways to write a picture: indexed, and if it is grey, filtered."""
    colors = content.colors
    check_depth(options.depth, len(colors))
    bits = options.depth or least_bits(len(colors))
    chunks = [(b"PLTE", np.ascontiguousarray(colors[:, :3]).tobytes())]
    alpha = colors[:, 3:].tobytes().rstrip(b"\xff")
    if alpha:
        chunks.append((b"tRNS", alpha))
    layouts = [_Layout(3, bits, chunks, content.indices)]
    grey = None if options.palette_png else grey_of(content, options.depth)
    if grey is not None:
        chunks = []
        if grey.key is not None:
            chunks.append((b"tRNS", struct.pack(">H", grey.key)))
        layouts += [
            _Layout(0, grey.bits, chunks, content.indices, grey.samples, number)
            for number in range(ADAPTIVE + 1)
        ]
    return layouts


def _smallest(layouts: list[_Layout], workers: Workers) -> tuple[_Layout, bytes]:
    """Choose the layout that becomes smallest, and compress it."""
    if len(layouts) == 1:
        return layouts[0], _deflate(layouts[0], DEEPEST, workers)

    def guess(
        layouts: list[_Layout], level: int, compared: int
    ) -> list[tuple[float, _Layout]]:
        calls = [(one, level, compared) for one in layouts]
        guesses = workers.run(_Layout.estimate, calls)
        return sorted(zip(guesses, layouts, strict=True), key=lambda each: each[0])

    size = max(layout.row_bytes * len(layout.indices) for layout in layouts)
    quick = guess(layouts, QUICK, COMPARED)
    sparse = quick[0][0] * SPARSE < size
    near = [each for each in quick if each[0] <= NEAR * quick[0][0]]
    hopeful = [one for _, one in near if one.filter]
    hopeful = hopeful[: 1 if sparse else MOST_FILTERED]
    compared = ALL if sparse or size <= FEW else 2 * COMPARED
    careful = [one for _, one in near if not one.filter or one in hopeful]
    least, best = guess(careful, CAREFUL, compared)[0] if careful[1:] else near[0]
    if not best.filter or sparse or size <= FEW:
        level = DEEPEST
    else:
        if not careful[1:]:
            least = best.estimate(CAREFUL, compared)
        before = best.estimate(QUICK, compared)
        level = QUICK if least > GAIN * before else DEEP
    return best, _deflate(best, level, workers)


def _rows(values: U8, bits: int) -> U8:
    """Pack rows, each after the number of its filter, 0.

    Filters predict values from those beside, which indices do not follow: Pillow's
    make files of 4 bits a fifth larger.
    """
    packed = pack(values, bits)
    rows = np.zeros((len(packed), 1 + packed.shape[1]), np.uint8)
    rows[:, 1:] = packed
    return rows


def pack(values: U8, bits: int) -> U8:
    """(H, W) uint8, each below ``2**bits``, to rows of bytes, the first bits first."""
    if bits == 8:
        return values
    height, width = values.shape
    each = 8 // bits
    packed = np.zeros((height, -(-width // each)), np.uint8)
    for position in range(each):
        part = values[:, position::each]
        packed[:, : part.shape[1]] |= part << (8 - bits * (position + 1))
    return packed


def _deflate(layout: _Layout, level: int, workers: Workers) -> bytes:
    """Compress into one zlib stream: the same bytes for any number of threads."""
    rows = layout.rows(0, len(layout.indices))
    step = max(1, len(rows) // SAMPLES)
    sample = b"".join(rows[at : at + SAMPLE] for at in range(0, len(rows), step))
    symbol = len(sample) * SYMBOL_BITS / (8 * len(zlib.compress(sample, 1)))

    def calls(
        ways: Sequence[tuple[int, int]], cuts: list[int]
    ) -> list[tuple[bytes, int, int, int, int, int, int]]:
        return [
            (rows, *span, memory, int(symbols * symbol), level, layout.strategy)
            for memory, symbols in ways
            for span in itertools.pairwise(cuts)
        ]

    if len(rows) > PART:
        cuts = [*range(0, len(rows), PART), len(rows)]
        best = b"".join(workers.run(_deflate_part, calls((LARGE,), cuts)))
    else:
        tried: list[bytes] = []
        at_once = 2 if level == DEEPEST else 1
        for first in range(0, len(WAYS), at_once):
            ways = WAYS[first : first + at_once]
            tried += workers.run(_deflate_part, calls(ways, [0, len(rows)]))
            best = min(tried, key=len)
            # What is gained must make up for the colour tag, which others leave out.
            gained = len(best) <= len(tried[0]) - SRGB_CHUNK
            if gained or len(best) < TINY or layout.filter:
                break
    # Header: deflate, a window of 32 kB, best compression.
    return b"\x78\xda" + best + struct.pack(">I", zlib.adler32(rows))


def _deflate_part(
    rows: bytes,
    first: int,
    last: int,
    memory: int,
    block: int,
    level: int,
    strategy: int,
) -> bytes:
    """Raw deflate of some bytes; a stream that ends or can be continued."""
    arguments = (level, zlib.DEFLATED, -15, memory, strategy)
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


def _optimized(
    encoded: bytes, level: int, options: WriteOptions, *, fixed: bool
) -> bytes:
    import oxipng

    indexed = fixed or options.palette_png
    smaller = oxipng.optimize_from_memory(
        encoded,
        level=level,
        # The order and unused entries of a fixed palette are what was asked for.
        palette_reduction=not fixed,
        color_type_reduction=not indexed,
        bit_depth_reduction=not fixed and options.depth is None,
        grayscale_reduction=not indexed,
    )
    return min(encoded, smaller, key=len)
