"""Palettes in files: GIMP, JASC, RIFF, Adobe colour table, hex lists, and images."""

import os
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

from ..errors import ImageFileError
from .decode import SUFFIXES, begins_as_image, read_palette
from .disk import PathLike, check_link, check_target, reading, write_file

MOST = 256
MOST_BYTES = 1 << 20  # no palette of 256 colours is longer

HEAD = 256  # bytes that are looked at to see what a file is
HEX_LINE = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{8})")

# A file of Adobe's has a place for 256 colours, and perhaps how many are used, and
# which of them is transparent.
ACT_BYTES = 3 * 256


def read_colors(path: PathLike) -> np.ndarray:
    """Read (K, 3|4) uint8 colours, in order, as many as the file has.

    Raises
    ------
    ImageFileError
        If the file cannot be read, or a line is not what it should be.
    """
    with reading(path), open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)  # once, as it may be a pipe
        reader = _reader(path, content[:HEAD])
        if reader is None:
            source = _Stream(b"" if file.seekable() else content + file.read())
            source.name = os.fspath(path)
            return read_palette(path if file.seekable() else source)
    if len(content) > MOST_BYTES:
        raise ImageFileError(
            path, f"longer than {MOST_BYTES:,} bytes", "Check the file"
        )
    colors = reader(path, content)
    if not 1 <= len(colors) <= MOST:
        raise ImageFileError(
            path, f"has {len(colors)} colours, not 1..{MOST}", "Shorten it"
        )
    return colors


class _Stream(BytesIO):
    """What came from a pipe, with the name that it has in messages."""

    name = ""


def _reader(
    path: PathLike, head: bytes
) -> Callable[[PathLike, bytes], np.ndarray] | None:
    """Say who reads a file: by its first bytes, or else by its ending.

    None is for images.
    """
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for first, reader in STARTS.items():
        if start.startswith(first):
            return reader
    if head[:4] + head[8:12] == b"RIFFPAL ":
        return _read_riff
    if begins_as_image(head):
        return None
    suffix = Path(path).suffix.lower()
    line = start.splitlines()[0].strip().decode("latin-1") if start else ""
    if suffix in (".gpl", ".pal") and HEX_LINE.fullmatch(line):
        return _read_hex
    return READERS.get(suffix)


def write_colors(path: PathLike, colors: np.ndarray, *, force: bool) -> None:
    """Write (K, 3|4) uint8 colours in the format that the name's ending says.

    Raises
    ------
    ImageFileError
        If the ending is unknown, the format has no alpha and the colours do, or the
        file cannot be written.
    OutputExistsError
        If it exists and `force` is not set.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        names = ", ".join(WRITERS)
        raise ImageFileError(path, "cannot write this format", f"End in one of {names}")
    opaque = colors.shape[1] == 3 or bool((colors[:, 3] == 255).all())
    if suffix in (".pal", ".act") and not opaque:
        raise ImageFileError(path, "this format has no alpha", "End the name in .gpl")
    if opaque:
        colors = colors[:, :3]
    target = check_target(path, force=force)
    check_link(path, target, {name: name for name in (*SUFFIXES, *WRITERS)})
    content = WRITERS[suffix](Path(path).stem, colors)
    write_file(path, content, force=force, seen=target.before)


# ---- readers


def _lines(path: PathLike, content: bytes) -> list[tuple[int, str]]:
    """Numbered lines that are not empty."""
    if b"\0" in content:
        raise ImageFileError(path, "not a text file", "Check what it is")
    text = content.decode("utf-8-sig", errors="replace")
    lines = enumerate(text.splitlines(), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def _wrong(path: PathLike, number: int, expected: str, line: str) -> ImageFileError:
    return ImageFileError(
        path, f"line {number}: expected {expected}, got {line[:40]!r}", "Correct it"
    )


def _numbers(path: PathLike, number: int, words: list[str], count: int) -> list[int]:
    good = len(words) >= count and all(
        w.isascii() and w.isdigit() for w in words[:count]
    )
    values = [int(w[:9]) for w in words[:count]] if good else []
    if not good or max(values) > 255:
        expected = f"{count} numbers 0..255"
        raise _wrong(path, number, expected, " ".join(words))
    return values


def _read_gpl(path: PathLike, content: bytes) -> np.ndarray:
    lines = _lines(path, content)
    if not lines or lines[0][1] != "GIMP Palette":
        raise _wrong(path, 1, "'GIMP Palette'", lines[0][1] if lines else "")
    colors, channels = [], 3
    for number, line in lines[1:]:
        if line.startswith("#") or re.match(r"(Name|Columns)\b", line):
            continue
        if line.startswith("Channels:"):  # an extension of Aseprite's
            channels = 4 if line.split(":")[1].strip() == "RGBA" else 3
            continue
        colors.append(_numbers(path, number, line.split(), channels))
    return np.array(colors, np.uint8).reshape(-1, channels)


def _read_jasc(path: PathLike, content: bytes) -> np.ndarray:
    lines = _lines(path, content)
    if [line for _, line in lines[:2]] != ["JASC-PAL", "0100"]:
        raise _wrong(path, 1, "'JASC-PAL' and '0100'", lines[0][1] if lines else "")
    rows = [(number, line.split()) for number, line in lines[3:]]
    has_alpha = [len(words) > 3 and words[3].isdigit() for _, words in rows]
    colors = [
        _numbers(path, number, words, 4)
        if alpha
        else _numbers(path, number, words, 3) + [255] * any(has_alpha)
        for (number, words), alpha in zip(rows, has_alpha, strict=True)
    ]
    if len(lines) < 3 or lines[2][1] != str(len(colors)):
        given = lines[2][1] if len(lines) > 2 else ""
        raise _wrong(path, 3, f"{len(colors)}, the number of colours below", given)
    array = np.array(colors, np.uint8).reshape(-1, 4 if any(has_alpha) else 3)
    if any(has_alpha) and not array[:, 3].any():
        raise ImageFileError(
            path,
            "its fourth numbers, all 0, would make every colour transparent",
            "Remove them, or write 255",
        )
    return array


def _read_riff(path: PathLike, content: bytes) -> np.ndarray:
    """Read a palette of Windows: the fourth byte of an entry is no alpha."""
    at = 12
    while content[at : at + 4] not in (b"data", b""):
        length = int.from_bytes(content[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    length = int.from_bytes(content[at + 4 : at + 8], "little")
    data = content[at + 8 : at + 8 + length]
    count = int.from_bytes(data[2:4], "little")
    rows = max(len(data) - 4, 0) // 4
    if count > rows:
        raise ImageFileError(
            path, f"says that it has {count} colours, but has {rows}", "Check the file"
        )
    entries = np.frombuffer(data[4 : 4 + 4 * count], np.uint8).reshape(-1, 4)
    return entries[:, :3].copy()


def _read_hex(path: PathLike, content: bytes) -> np.ndarray:
    """Read a hex colour a line, with or without #; `;` begins a comment.

    In a .txt, and below Paint.NET's first line, eight digits have alpha first.
    """
    colors = []
    alpha_first = Path(path).suffix.lower() == ".txt" or b"paint.net" in (
        content[:64].lower()
    )
    for number, line in _lines(path, content):
        if line.startswith(";"):
            continue
        if not HEX_LINE.fullmatch(line):
            raise _wrong(path, number, "a colour as rrggbb", line)
        color = bytes.fromhex(line.removeprefix("#"))
        if len(color) == 4 and alpha_first:
            color = color[1:] + color[:1]
        colors.append((*color, 255)[:4])
    array = np.array(colors, np.uint8).reshape(-1, 4)
    return array[:, :3] if (array[:, 3] == 255).all() else array


def _read_act(path: PathLike, content: bytes) -> np.ndarray:
    if len(content) not in (ACT_BYTES, ACT_BYTES + 4):
        raise ImageFileError(
            path,
            f"has {len(content)} bytes, not {ACT_BYTES} or {ACT_BYTES + 4}",
            "Check that it is an Adobe colour table",
        )
    colors = np.frombuffer(content, np.uint8, ACT_BYTES).reshape(-1, 3)
    count = int.from_bytes(content[ACT_BYTES : ACT_BYTES + 2], "big") or MOST
    if count > MOST:
        raise ImageFileError(
            path, f"says that it has {count} colours, but has {MOST}", "Check the file"
        )
    clear = int.from_bytes(content[ACT_BYTES + 2 :] or b"\xff\xff", "big")
    if clear >= count:
        return colors[:count].copy()
    alpha = np.full((count, 1), 255, np.uint8)
    alpha[clear] = 0
    return np.hstack([colors[:count], alpha])


# ---- writers


def _write_gpl(name: str, colors: np.ndarray) -> bytes:
    # Readers differ: some drop colours without names, some need `Columns:`.
    lines = ["GIMP Palette", f"Name: {name}", "Columns: 16"]
    if colors.shape[1] == 4:
        lines.append("Channels: RGBA")
    lines.append("#")
    for color in colors:
        numbers = " ".join(f"{value:3d}" for value in color)
        lines.append(f"{numbers}\t#{bytes(color).hex()}")
    return ("\n".join(lines) + "\n").encode()


def _write_jasc(name: str, colors: np.ndarray) -> bytes:
    lines = ["JASC-PAL", "0100", str(len(colors))]
    lines += [" ".join(map(str, color)) for color in colors.tolist()]
    return ("\r\n".join(lines) + "\r\n").encode()


def _write_hex(name: str, colors: np.ndarray) -> bytes:
    return "".join(f"{bytes(color).hex()}\n" for color in colors).encode()


def _write_txt(name: str, colors: np.ndarray) -> bytes:
    """Write what Paint.NET reads: alpha first."""
    argb = np.full((len(colors), 4), 255, np.uint8)
    argb[:, 1:] = colors[:, :3]
    if colors.shape[1] == 4:
        argb[:, 0] = colors[:, 3]
    lines = ["; Paint.NET Palette File", *(bytes(c).hex().upper() for c in argb)]
    return ("\r\n".join(lines) + "\r\n").encode()


def _write_act(name: str, colors: np.ndarray) -> bytes:
    content = colors.tobytes().ljust(ACT_BYTES, b"\0")
    return content + len(colors).to_bytes(2, "big") + b"\xff\xff"


# What files begin with; else their endings say what they are.
STARTS: dict[bytes, Callable[[PathLike, bytes], np.ndarray]] = {
    b"GIMP Palette": _read_gpl,
    b"JASC-PAL": _read_jasc,
    b"; Paint.NET": _read_hex,
    b";Paint.NET": _read_hex,
    b"; paint.net": _read_hex,
    b";paint.net": _read_hex,
}
READERS: dict[str, Callable[[PathLike, bytes], np.ndarray]] = {
    ".gpl": _read_gpl,
    ".pal": _read_jasc,
    ".hex": _read_hex,
    ".txt": _read_hex,
    ".act": _read_act,
}
WRITERS: dict[str, Callable[[str, np.ndarray], bytes]] = {
    ".gpl": _write_gpl,
    ".pal": _write_jasc,
    ".hex": _write_hex,
    ".txt": _write_txt,
    ".act": _write_act,
}
