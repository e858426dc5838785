"""Samples of TIFF files as they are, where Pillow would cut them or refuse the file.

Pillow decodes a few layouts, most of them to 8 bits. Here its decompressors are used
for what they all can: a strip of bytes. The same data get another directory, which
says that the rows are bytes of grey; what the bytes mean is done by NumPy.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidValueError, is_memory
from .levels import Samples, check_floats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._typing import U8, AnyArray

Tags = dict[int, tuple[Any, ...]]

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, STRIPS, ORIENTATION, CHANNELS, STRIP_ROWS = 266, 273, 274, 277, 278
STRIP_BYTES, LEAST, MOST, X_DPI, Y_DPI, PLANAR, DPI_UNIT = (
    279, 280, 281, 282, 283, 284, 296
)  # fmt: skip
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 317, 322, 323, 324, 325
EXTRA, FORMAT, SAMPLE_LEAST, SAMPLE_MOST, PROFILE = 338, 339, 340, 341, 34675
CURVES, WHITE, POINTS = 301, 318, 319

# All that is needed to decode, and what else we use: the rest of a directory is
# metadata.
STRUCTURE = frozenset(
    (WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIPS, ORIENTATION,
     CHANNELS, STRIP_ROWS, STRIP_BYTES, LEAST, MOST, PLANAR, PREDICTOR, TILE_WIDTH,
     TILE_HEIGHT, TILES, TILE_BYTES, EXTRA, FORMAT, SAMPLE_LEAST, SAMPLE_MOST,
     292, 293, 320, 332, 347, *range(512, 522), 529, 530, 531, 532)
)  # fmt: skip
USED = STRUCTURE | {PROFILE, X_DPI, Y_DPI, DPI_UNIT, CURVES, WHITE, POINTS}

# Bytes and struct's letter of each type of value.
TYPES = {
    1: (1, "B"), 2: (1, "s"), 3: (2, "H"), 4: (4, "I"), 5: (8, "II"), 6: (1, "b"),
    7: (1, "s"), 8: (2, "h"), 9: (4, "i"), 10: (8, "ii"), 11: (4, "f"), 12: (8, "d"),
    13: (4, "I"), 16: (8, "Q"), 17: (8, "q"), 18: (8, "Q"),
}  # fmt: skip
MOST_ENTRIES = 1 << 12
UNPACKED = 1 << 16  # samples at a time: a multiple of 8, so that bytes stay whole

# How much longer than the file its pixels can be, for decompressors that have a limit.
RATIOS = {5: 4096, 8: 1100, 32946: 1100, 32773: 130}

# Those that give back the bytes that went in.
NONE, PACKBITS = 1, 32773
LOSSLESS = (NONE, 5, 8, 32946, PACKBITS, 34925, 50000)
NAMES = {0: "grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab"}
OWN = {0: "L", 1: "L", 2: "RGB", 5: "CMYK"}  # what is done here
COLORS = {0: 1, 1: 1, 2: 3, 3: 1, 4: 1, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3}
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
ASSOCIATED, UNASSOCIATED = 1, 2


@dataclass(frozen=True)
class Layout:
    """How the samples of a picture are stored."""

    width: int
    height: int
    bits: tuple[int, ...]
    format: int
    photometric: int
    compression: int
    extra: tuple[int, ...]
    planar: bool
    predictor: int
    order: str
    tags: Tags

    @property
    def color_channels(self) -> int:
        return COLORS.get(self.photometric, len(self.bits))

    @property
    def has_data(self) -> bool:
        """Whether the file says where they are, and what of."""
        return PHOTOMETRIC in self.tags and bool({STRIPS, TILES} & set(self.tags))

    @property
    def alpha(self) -> int:
        """What the first channel after the colours is, if the file says that."""
        extra = self.extra[:1]
        beyond = len(self.bits) > self.color_channels
        return extra[0] if beyond and extra and extra[0] in (1, 2) else 0

    @property
    def kept(self) -> int:
        """The channels that make the picture."""
        return self.color_channels + bool(self.alpha)

    @property
    def is_plain(self) -> bool:
        """Whether it is left to Pillow, which keeps every bit of it, or refuses it."""
        if self.photometric not in OWN or self.compression not in LOSSLESS:
            return True
        wanted: tuple[int, ...] = (1, 2, 4, 8) if self.color_channels == 1 else (8,)
        if self.alpha:
            wanted = (8,)
        return (
            self.format == UNSIGNED
            and not (self.alpha and self.photometric == 5)
            and len(set(self.bits)) == 1
            and self.bits[0] in wanted
            and len(self.bits) == self.kept
            and len(self.extra) == bool(self.alpha)
        )

    @property
    def name(self) -> str:
        kinds = {SIGNED: "signed ", FLOAT: "floating-point "}
        bits = "/".join(map(str, sorted(set(self.bits))))
        colors = NAMES.get(self.photometric, f"photometric {self.photometric}")
        return f"{kinds.get(self.format, '')}{bits}-bit {colors}"


def layout_of(tags: Mapping[int, Any], order: str) -> Layout | None:
    """Read a directory; None if it describes no picture."""
    given: Tags = {}
    for tag in USED:
        try:
            value = tags.get(tag)
        except Exception as error:  # of a damaged value
            if is_memory(error):
                raise
            value = None
        if value is not None:
            given[tag] = value if isinstance(value, tuple) else (value,)
    try:
        (width,), (height,) = given[WIDTH], given[HEIGHT]
        (channels,) = given.get(CHANNELS, (1,))[:1]
        bits = tuple(given.get(BITS, (1,)))
        compression = int(given.get(COMPRESSION, (1,))[0])
        photometric = int(given.get(PHOTOMETRIC, (0,))[0])
        formats = set(given.get(FORMAT, (UNSIGNED,)))
        if not (
            0 < width < 1 << 31 and 0 < height < 1 << 31 and 0 < channels < 1 << 12
        ):
            return None
        if len(bits) == 1:
            bits = bits * channels
        bits = bits[:channels]
        if len(bits) != channels or not all(0 < bit <= 64 for bit in bits):
            return None
        return Layout(
            width, height, bits,
            formats.pop() if len(formats) == 1 else 4,
            photometric, compression, given.get(EXTRA, ()),
            given.get(PLANAR, (1,))[0] == 2 and channels > 1,
            int(given.get(PREDICTOR, (1,))[0]), order, given,
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, IndexError):
        return None


@dataclass(frozen=True)
class Directory:
    """The first directory of a TIFF: what we use of it, and whether there are more."""

    tags: Tags
    order: str
    more: bool


def read_tags(file: IO[bytes]) -> Directory | None:
    """Read the first directory of a TIFF; None if what decoding needs is not whole."""
    try:
        size = file.seek(0, 2)
        file.seek(0)
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}[head[:2]]
        big = 43 in (head[2], head[3])
        at = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)[0]
        entry, place = (20, "Q") if big else (12, "I")
        file.seek(at)
        count_form = order + ("Q" if big else "H")
        (count,) = struct.unpack(count_form, file.read(struct.calcsize(count_form)))
        if count > MOST_ENTRIES:
            return None
        content = file.read(count * entry)
        following = file.read(struct.calcsize(place))
        tags: Tags = {}
        for start in range(0, count * entry, entry):
            tag, kind = struct.unpack_from(order + "HH", content, start)
            if tag not in USED:
                continue
            (number,) = struct.unpack_from(order + place, content, start + 4)
            value = content[start + entry // 2 + 2 : start + entry]
            needed = number * TYPES[kind][0] if kind in TYPES else size + 1
            if needed > len(value):
                (where,) = struct.unpack(order + place, value)
                value = b""
                if where + needed <= size:
                    file.seek(where)
                    value = file.read(needed)
            if len(value) >= needed:
                tags[tag] = _values(value[:needed], order, kind, number)
            elif tag in STRUCTURE:
                return None
        return Directory(tags, order, any(following))
    except (KeyError, struct.error, IndexError, OverflowError, ValueError, OSError):
        return None


def _values(content: bytes, order: str, kind: int, number: int) -> tuple[Any, ...]:
    letter = TYPES[kind][1]
    if letter == "s":
        return (content,)
    values = struct.unpack(f"{order}{number * len(letter)}{letter[0]}", content)
    if len(letter) == 1:
        return values
    pairs = zip(values[::2], values[1::2], strict=True)
    return tuple(a / b if b else 0.0 for a, b in pairs)


# ---- the samples


def read_samples(file: IO[bytes], layout: Layout, notes: list[str]) -> Samples:
    """Decode what `is_plain` is not.

    Raises
    ------
    InvalidValueError
        If this cannot be read, or nobody can know what black and white are.
    Exception
        If the file is damaged.
    """
    kind, bits = OWN.get(layout.photometric), layout.bits[0]
    known = layout.format in (UNSIGNED, SIGNED) or (
        layout.format == FLOAT and bits in (16, 32, 64)
    )
    if (
        kind is None
        or not known
        or len(set(layout.bits)) > 1
        or layout.compression not in LOSSLESS
        or (bits > 32 and layout.format != FLOAT)
        or len(layout.bits) < layout.color_channels
        or layout.predictor not in (1, 2, 3)
    ):
        raise InvalidValueError(
            f"image has {layout.name} samples of a TIFF, compression "
            f"{layout.compression}, which kquant does not read"
        )
    array = _channels(file, layout, layout.kept)
    low, high = limits(array, layout, notes)
    if layout.photometric == 0:
        array = inverted(array, layout.color_channels, low, high)
    if layout.alpha:
        if kind == "CMYK":
            array = array[..., :4]
        else:
            kind += "A"
            if layout.alpha == ASSOCIATED:
                array, low, high = _unassociated(array, low, high)
    note_bands(layout, notes)
    return Samples(array, low, high, kind)


def note_bands(layout: Layout, notes: list[str]) -> None:
    """Name the channels that are not part of the picture."""
    left = len(layout.bits) - layout.kept
    if left <= 0:
        return
    first = layout.kept + 1
    which = f"band {first}" if left == 1 else f"bands {first} to {len(layout.bits)}"
    said = ", which the file does not call alpha," if not layout.alpha else ""
    was = "was" if left == 1 else "were"
    notes.append(f"{which} of its {len(layout.bits)}{said} {was} left out")


def _number(layout: Layout, tag: int) -> float | None:
    """Give the number that a tag says for all channels."""
    found = set(layout.tags.get(tag, ())[: layout.color_channels])
    if len(found) != 1:
        return None
    try:
        (value,) = found
        number = value if isinstance(value, int) else float(value)
        return number if np.isfinite(number) else None
    except (TypeError, ValueError, ZeroDivisionError):
        return None


def limits(array: AnyArray, layout: Layout, notes: list[str]) -> tuple[float, float]:
    """Say which values are black and white, by the file or the rules of TIFF."""
    bits, format_ = layout.bits[0], layout.format
    low, high = _number(layout, SAMPLE_LEAST), _number(layout, SAMPLE_MOST)
    if format_ == FLOAT:
        if low is None or high is None or not low < high:
            low, high = 0.0, 1.0
        check_floats(array, low, high)
        return low, high
    least, most = int(array.min()), int(array.max())
    # Of 16 bits, scanners and microscopes use 10 or 12, and say so by this tag; where
    # BitsPerSample says it, the tag is only the largest value of the picture.
    if high is None and bits in (16, 32):
        high = _number(layout, MOST)
    limit = (1 << bits) - 1
    if format_ == UNSIGNED and bits <= 24:
        low = 0 if low is None else low
        high = limit if high is None else high
        if low <= least and most <= high and low < high <= limit:
            return low, high
        notes.append(
            f"its file says that its samples are {low:g}..{high:g}, but they are "
            f"{least}..{most}: taken as 0..{limit}"
        )
        return 0, limit
    if high is not None and low is None and least >= 0:
        low = 0
    if low is not None and high is not None and low <= least and most <= high:
        if low < high:
            return low, high
    elif low is None and high is None and bits == 32 and least >= 0 and most <= 65535:
        return 0, 65535  # as Pillow writes 16 bits from its mode I
    raise InvalidValueError(
        f"image has {layout.name} samples of {least}..{most}, and its file does not "
        "say what black and white are (SMinSampleValue, SMaxSampleValue); scale it to "
        "16 bits without a sign"
    )


def inverted(array: AnyArray, colors: int, low: float, high: float) -> AnyArray:
    """Make white black, in the channels that are no alpha."""
    if array.dtype.kind != "f":
        array, low, high = array.astype(np.int64), int(low), int(high)
    array = array.copy()
    shown: Any = array[..., :colors]
    array[..., :colors] = (low + high) - np.clip(shown, low, high)
    return array


def _unassociated(
    array: AnyArray, low: float, high: float
) -> tuple[AnyArray, float, float]:
    """Divide colours by alpha, as the rest of the package wants them."""
    unit = np.clip((array.astype(np.float64) - low) / (high - low), 0, 1)
    alpha = unit[..., -1:]
    unit[..., :-1] = np.minimum(unit[..., :-1] / np.where(alpha > 0, alpha, 1), 1)
    if array.dtype.kind == "f":
        return unit, 0.0, 1.0
    scale = high - low
    return np.rint(unit * scale).astype(np.int64), 0, scale


def _channels(file: IO[bytes], layout: Layout, kept: int) -> AnyArray:
    """Decode the first channels, (H, W, kept)."""
    if not layout.planar:
        everything = _plane(file, layout, 0, len(layout.bits))
        return everything[..., :kept]
    return np.concatenate(
        [_plane(file, layout, number, 1) for number in range(kept)], axis=2
    )


def _plane(file: IO[bytes], layout: Layout, number: int, channels: int) -> AnyArray:
    """Decode one plane of so many channels, (H, W, channels)."""
    tags = layout.tags
    tiled = TILES in tags or TILE_WIDTH in tags
    if tiled:
        wide, high = int(tags[TILE_WIDTH][0]), int(tags[TILE_HEIGHT][0])
        offsets, counts = tags.get(TILES) or tags[STRIPS], tags.get(TILE_BYTES, ())
        counts = counts or tags.get(STRIP_BYTES, ())
    else:
        wide = layout.width
        high = min(int(tags.get(STRIP_ROWS, (layout.height,))[0]), layout.height)
        offsets, counts = tags[STRIPS], tags.get(STRIP_BYTES, ())
    if not (0 < wide < 1 << 24 and 0 < high < 1 << 31):
        raise ValueError("its tiles have no size")
    across, down = -(-layout.width // wide), -(-layout.height // high)
    row = -(-wide * channels * layout.bits[0] // 8)
    if tiled and across * wide * down * high > 4 * layout.width * layout.height + (
        1 << 22
    ):
        raise ValueError("its tiles are too large")
    offsets = offsets[number * across * down :][: across * down]
    if not counts and layout.compression == NONE:
        counts = (
            (row * high,) * len(offsets)
            if down > 1 or tiled
            else (row * layout.height,)
        )
    else:
        counts = counts[number * across * down :][: across * down]
    if len(offsets) < across * down or len(counts) < across * down:
        raise ValueError("it lacks strips")
    rows = across * down * high if tiled else layout.height
    content = _decompressed(file, layout, offsets, counts, row, rows, high)
    samples = _samples(content, layout, wide, channels)
    if tiled:
        samples = samples.reshape(down, across, high, wide, channels).swapaxes(1, 2)
        samples = samples.reshape(down * high, across * wide, channels)
    return samples[: layout.height, : layout.width]


def _decompressed(
    file: IO[bytes],
    layout: Layout,
    offsets: tuple[int, ...],
    counts: tuple[int, ...],
    row: int,
    rows: int,
    high: int,
) -> U8:
    """(rows, row) bytes of strips or tiles, one below the other."""
    reversed_bits = layout.tags.get(FILL_ORDER, (1,))[0] == 2
    if layout.compression == NONE:
        out = np.empty((rows, row), np.uint8)
        at = 0
        for offset in offsets:
            part = out[at : at + high].reshape(-1)
            file.seek(offset)
            content = file.read(part.size)
            if len(content) < part.size:
                raise ValueError("image file is truncated")
            part[:] = np.frombuffer(content, np.uint8)
            at += high
        if reversed_bits:
            out = np.packbits(np.unpackbits(out, bitorder="little")).reshape(out.shape)
        return out
    from PIL import TiffImagePlugin

    ratio = RATIOS.get(layout.compression)
    if ratio is not None and row * rows > ratio * sum(counts) + row * high:
        raise ValueError("its strips are too short")
    pieces, places, at = [], [], 8
    for offset, count in zip(offsets, counts, strict=True):
        file.seek(offset)
        pieces.append(file.read(count))
        places.append(at)
        at += len(pieces[-1])
    tags: Tags = {
        WIDTH: (row,), HEIGHT: (rows,), BITS: (8,), COMPRESSION: (layout.compression,),
        PHOTOMETRIC: (1,), CHANNELS: (1,), STRIP_ROWS: (high,), STRIPS: tuple(places),
        STRIP_BYTES: tuple(map(len, pieces)),
        FILL_ORDER: (2 if reversed_bits else 1,),
    }  # fmt: skip
    content = b"".join(pieces)
    copy = b"II*\0" + struct.pack("<I", 8 + len(content)) + content
    copy += directory(tags, len(copy))
    image = TiffImagePlugin.TiffImageFile(BytesIO(copy))
    allocate(image, image.size)
    image.load()
    return np.asarray(image)


def allocate(image: Any, size: tuple[int, int]) -> None:
    """Give a TIFF the memory that it would give itself, but minding its own limit."""
    from PIL import Image

    core: Any = Image.__dict__["core"]
    image.im = core.new(image.mode, size)


def directory(tags: Tags, at: int) -> bytes:
    """Write a little-endian directory that stands at a place, its values behind it."""
    entries, behind = b"", b""
    start = at + 2 + 12 * len(tags) + 4
    for tag, values in sorted(tags.items()):
        if isinstance(values[0], bytes):
            kind, packed = 7, values[0]
        elif any(isinstance(value, float) for value in values):
            kind, packed = 12, struct.pack(f"<{len(values)}d", *values)
        elif min(values) < 0:
            kind, packed = 9, struct.pack(f"<{len(values)}i", *values)
        elif (
            tag not in (STRIPS, STRIP_BYTES, TILES, TILE_BYTES) and max(values) < 65536
        ):
            kind, packed = 3, struct.pack(f"<{len(values)}H", *values)
        else:
            kind, packed = 4, struct.pack(f"<{len(values)}I", *values)
        size = len(values[0]) if kind == 7 else len(values)
        if len(packed) > 4:
            place = struct.pack("<I", start + len(behind))
            behind += packed + bytes(len(packed) % 2)
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, size) + place
    return struct.pack("<H", len(tags)) + entries + bytes(4) + behind


def _samples(content: U8, layout: Layout, wide: int, channels: int) -> AnyArray:
    """Give the bytes of rows a meaning: (rows, wide, channels)."""
    bits, rows = layout.bits[0], len(content)
    count = wide * channels
    if layout.predictor == 3 and layout.format == FLOAT:
        content = _integrated(content, channels)
        planes = content[:, : count * bits // 8].reshape(rows, bits // 8, count)
        whole = np.ascontiguousarray(planes.swapaxes(1, 2))
        values: AnyArray = whole.view(f">f{bits // 8}")[..., 0]
        return values.reshape(rows, wide, channels)
    if bits in (8, 16, 32, 64):
        letter = {UNSIGNED: "u", SIGNED: "i", FLOAT: "f"}[layout.format]
        whole = np.ascontiguousarray(content[:, : count * bits // 8])
        if layout.predictor == 2:
            unsigned = whole.view(f"{layout.order}u{bits // 8}")
            native = unsigned.astype(f"=u{bits // 8}").reshape(rows, wide, channels)
            native = np.cumsum(native, axis=1, dtype=native.dtype)
            return native.view(f"={letter}{bits // 8}")
        values = whole.view(f"{layout.order}{letter}{bits // 8}")
        return values.reshape(rows, wide, channels)
    if layout.predictor != 1:
        raise InvalidValueError(f"image has {layout.name} samples with a predictor")
    numbers = _unpacked(content, count, bits)
    if layout.format == SIGNED:
        half = np.int64(1) << (bits - 1)
        numbers = (numbers.astype(np.int64) ^ half) - half
    return numbers.reshape(rows, wide, channels)


def _integrated(content: U8, channels: int) -> U8:
    """Undo the differences between bytes that the predictor for floats takes."""
    rows, size = content.shape
    groups = -(-size // channels)
    padded = np.zeros((rows, groups * channels), np.uint8)
    padded[:, :size] = content
    summed = np.cumsum(padded.reshape(rows, groups, channels), axis=1, dtype=np.uint8)
    found: U8 = summed.reshape(rows, -1)[:, :size]
    return found


def _unpacked(content: U8, count: int, bits: int) -> AnyArray:
    """(rows, count) numbers of so many bits each, the first of a byte its highest."""
    out = np.empty((len(content), count), np.uint32 if bits > 16 else np.uint16)
    wide = min(count, UNPACKED)
    step = max(1, UNPACKED // wide)
    for y in range(0, len(content), step):
        for x in range(0, count, wide):
            part = out[y : y + step, x : x + wide]
            part[:] = 0
            size = part.shape[1] * bits
            packed = content[y : y + step, x * bits // 8 : (x * bits + size + 7) // 8]
            ones = np.unpackbits(packed, axis=1, count=size).reshape(*part.shape, bits)
            for place in range(bits):
                part[:] = (part << 1) | ones[..., place]
    return out
