"""Files written byte by byte, so that nothing is taken from another encoder."""

import struct
import zlib

import numpy as np


def chunk(kind, data=b""):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(array, depth, kind, *extra, after=(), interlaced=False):
    """`array` is (H, W, C) of samples; `extra` are (name, data) before the pixels."""
    array = np.asarray(array)
    height, width = array.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head)]
    parts += [chunk(name, data) for name, data in extra]
    parts += [chunk(b"IDAT", zlib.compress(png_rows(array, depth, interlaced), 9))]
    parts += [chunk(name, data) for name, data in after]
    return b"".join([*parts, chunk(b"IEND")])


ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
         (1, 0, 2, 2), (0, 1, 1, 2))  # fmt: skip


def png_rows(array, depth, interlaced=False):
    parts = [array]
    if interlaced:
        parts = [array[y::down, x::across] for x, y, across, down in ADAM7]
    return b"".join(
        b"\0" + packed(row.ravel(), depth, ">") for part in parts if part.size
        for row in part
    )  # fmt: skip


def packed(samples, bits, order):
    """One row; what is no whole number of bytes begins with the highest bit."""
    if bits in (8, 16, 32, 64):
        kind = samples.dtype.kind if samples.dtype.kind in "if" else "u"
        if samples.dtype.kind == "i" and samples.min() >= 0:
            kind = "u"
        return samples.astype(f"{order}{kind}{bits // 8}").tobytes()
    mask = (1 << bits) - 1
    text = "".join(f"{int(value) & mask:0{bits}b}" for value in samples)
    text += "0" * (-len(text) % 8)
    return int(text or "0", 2).to_bytes(len(text) // 8, "big")


def tiff(array, bits, *, order="<", photometric=None, compression=1, rows=None,
         tile=None, planar=False, predictor=1, fill=1, **tags):  # fmt: skip
    """`array` is (H, W, C); `tags` are t338=(2,) and so on, of int, float or bytes."""
    array = np.asarray(array)
    height, width, channels = array.shape
    if photometric is None:
        photometric = 2 if channels >= 3 else 1
    rows = rows or height
    planes = [array[..., c : c + 1] for c in range(channels)] if planar else [array]
    parts = []
    for plane in planes:
        if tile:
            plane = np.pad(plane, [(0, -height % tile), (0, -width % tile), (0, 0)])
            for y in range(0, height, tile):
                for x in range(0, width, tile):
                    parts.append(plane[y : y + tile, x : x + tile])
        else:
            parts += [plane[y : y + rows] for y in range(0, height, rows)]
    data = [_encoded(part, bits, order, compression, predictor, fill) for part in parts]
    offsets, content = [], bytearray(8)
    for part in data:
        offsets.append(len(content))
        content += part + b"\0" * (len(part) % 2)
    entries = {
        256: (width,), 257: (height,), 258: (bits,) * channels, 259: (compression,),
        262: (photometric,), 277: (channels,), 284: (2 if planar else 1,),
        317: (predictor,), 266: (fill,),
    }  # fmt: skip
    sizes = tuple(map(len, data))
    if tile:
        entries |= {322: (tile,), 323: (tile,), 324: tuple(offsets), 325: sizes}
    else:
        entries |= {273: tuple(offsets), 278: (rows,), 279: sizes}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    return _with_directory(content, entries, order)


def _encoded(part, bits, order, compression, predictor, fill):
    rows = [_predicted(row, bits, order, predictor) for row in part]
    raw = b"".join(rows)
    if compression in (8, 32946):
        raw = zlib.compress(raw)
    elif compression == 32773:  # PackBits, literally
        raw = b"".join(
            bytes([len(raw[i : i + 128]) - 1]) + raw[i : i + 128]
            for i in range(0, len(raw), 128)
        )
    if fill == 2:
        raw = bytes(int(f"{byte:08b}"[::-1], 2) for byte in raw)
    return raw


def _predicted(row, bits, order, predictor):
    if predictor == 2:
        unsigned = row.astype(f"i{bits // 8}").view(f"u{bits // 8}")
        row = np.concatenate([unsigned[:1], unsigned[1:] - unsigned[:-1]])
    if predictor == 3:
        planes = row.ravel().astype(f">f{bits // 8}").view(np.uint8)
        planes = planes.reshape(-1, bits // 8).T.ravel()
        step = row.shape[1]
        planes = np.concatenate([planes[:step], planes[step:] - planes[:-step]])
        return planes.tobytes()
    return packed(row.ravel(), bits, order)


def _with_directory(content, entries, order):
    start = len(content)
    behind, listed = b"", b""
    place = start + 2 + 12 * len(entries) + 4
    for tag, values in sorted(entries.items()):
        if isinstance(values, bytes):
            kind, count, data = 7, len(values), values
        elif any(isinstance(value, float) for value in values):
            kind, count = 12, len(values)
            data = struct.pack(f"{order}{count}d", *values)
        elif min(values) < 0:
            kind, count = 9, len(values)
            data = struct.pack(f"{order}{count}i", *values)
        elif max(values) < 65536 and tag not in (273, 279, 324, 325):
            kind, count = 3, len(values)
            data = struct.pack(f"{order}{count}H", *values)
        else:
            kind, count = 4, len(values)
            data = struct.pack(f"{order}{count}I", *values)
        if len(data) > 4:
            at = place + len(behind)
            behind += data + b"\0" * (len(data) % 2)
            data = struct.pack(order + "I", at)
        listed += struct.pack(order + "HHI", tag, kind, count) + data.ljust(4, b"\0")
    content[:4] = {"<": b"II*\0", ">": b"MM\0*"}[order]
    content[4:8] = struct.pack(order + "I", start)
    directory = struct.pack(order + "H", len(entries)) + listed + bytes(4) + behind
    return bytes(content) + directory


def profile(primaries, gamma):
    """Minimal matrix profile; `primaries` are the XYZ (D50) of red, green and blue."""

    def fixed(value):
        return struct.pack(">i", round(value * 65536))

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    white = (0.9642, 1, 0.8249)
    desc = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + bytes(78)
    tags = {b"desc": desc, b"cprt": b"text\0\0\0\0none\0", b"wtpt": xyz(white)}
    for name, values in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        tags[name] = xyz(values)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        curve = struct.pack(">IH", 1, round(gamma * 256))
        tags[name] = b"curv\0\0\0\0" + curve
    body, table, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(padded))
        body += padded
    rest = struct.pack(">I", len(tags)) + table + body
    head = struct.pack(
        ">I4sI4s4s4s", 128 + len(rest), b"none", 0x02100000, b"mntr", b"RGB ", b"XYZ "
    )
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += b"".join(map(fixed, white))
    return head.ljust(128, b"\0") + rest


WIDE = ((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446))
