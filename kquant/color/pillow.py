"""What a Pillow image means: which way is up, which values are black and white, sRGB.

Whoever opens a file and hands the image over, and whoever hands over the file, gets
the same pixels from here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from ..errors import IgnoringDamage, InvalidValueError
from .chunks import color_code
from .levels import Samples, check_floats

if TYPE_CHECKING:
    from PIL import Image

    from .._typing import U8, AnyArray
    from .encoding import Encoding
    from .tiff import Layout

ORIENTATION = 274  # the EXIF tag

# By the orientation, the number of Pillow's way to bring an image upright.
TURNS = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}

# How the rows of a PNG of 16 bits are unpacked by Pillow, which takes one byte of each
# sample; and how they must be so that it takes the other one.
HALVES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}

# Bits of the samples that Pillow has brought to 8.
SHALLOW = {"1": 1, "L;2": 2, "L;4": 4}


@dataclass(frozen=True, eq=False)
class Meaning:
    """What an image shows.

    Attributes
    ----------
    pixels : (H, W, 1..4) uint8
        Upright, and in sRGB but for `icc`.
    icc : bytes, optional
        The profile that the values are meant by, if that is not sRGB.
    exact : bool
        Whether rounding to 8 bits lost nothing.
    notes : tuple of str
        What was ignored or lost, one sentence each.
    """

    pixels: U8
    icc: bytes | None
    exact: bool
    notes: tuple[str, ...]


def meaning_of(image: Image.Image, *, keep_profile: bool = False) -> Meaning:
    """Say what a Pillow image shows.

    Parameters
    ----------
    image : PIL.Image.Image
        Decoded or not. If not, the file that it comes from is looked at again, for
        what Pillow drops.
    keep_profile : bool
        Whether values of an RGB image stay as they are, with their profile.

    Raises
    ------
    InvalidValueError
        If it has no pixels, a mode that nobody can convert, or samples of which nobody
        knows what is black and white.
    """
    if min(image.size) == 0:
        raise InvalidValueError(f"image has no pixels: {image.width} x {image.height}")
    notes: list[str] = []
    info = dict(image.info)
    turn = _orientation(image, notes)
    layout = layout_of_image(image)
    encoding, special, cut = encoding_of(image, info, notes, layout)
    samples = _deep_samples(image, layout, notes, twin=special)
    if samples is None:
        cut = cut or (image.format == "JPEG2000" and _is_deep_jpeg_2000(image))
        _load(image)
        decoded = _as_decoded(image, layout, notes)
        meaning = shown(decoded, info, encoding, turn, notes, keep_profile)
        return replace(meaning, exact=False) if cut else meaning
    if layout is not None:
        turn = tiff_turn(layout)
    return shown(samples, info, encoding, turn, notes, keep_profile)


def meaning_of_tiff(
    file: IO[bytes], layout: Layout, *, keep_profile: bool = False
) -> Meaning:
    """Say what a TIFF shows that Pillow does not open."""
    notes: list[str] = []
    from .tiff import read_samples

    samples = read_samples(file, layout, notes)
    info: dict[str, Any] = {}
    encoding = None
    if 34675 in layout.tags:
        info["icc_profile"] = layout.tags[34675][0]
    else:
        from .declared import of_tiff

        encoding = of_tiff(layout, notes)
    return shown(samples, info, encoding, tiff_turn(layout), notes, keep_profile)


def shown(
    samples: Samples | Image.Image,
    info: dict[Any, Any],
    encoding: Encoding | None,
    turn: int,
    notes: list[str],
    keep_profile: bool,
) -> Meaning:
    """Bring samples to upright bytes of sRGB."""
    icc: bytes | None = info.get("icc_profile")
    if icc is not None and not isinstance(icc, bytes):
        notes.append("its colour profile cannot be used: taken as sRGB")
        icc = None
    elif icc is None and "icc_profile" in info:  # Pillow found one, in pieces
        notes.append("its colour profile cannot be used: taken as sRGB")
    exact = True
    if turn != 1 and not isinstance(samples, Samples):
        from PIL.Image import Transpose

        samples = samples.transpose(Transpose(TURNS[turn]))  # faster than by NumPy
        turn = 1
    if encoding and not icc:
        if not isinstance(samples, Samples):
            samples = as_samples(samples)
        exact = samples.to_bytes()[1]
        pixels = _encoded(samples, encoding)
    elif isinstance(samples, Samples):
        pixels, exact = samples.to_bytes()
    if isinstance(samples, Samples) and (icc or samples.kind == "CMYK"):
        samples = as_8_bits(pixels, samples.kind)
    if not isinstance(samples, Samples):
        if samples.mode == "LAB" or icc:
            from .profiles import in_srgb

            samples, icc = in_srgb(samples, icc, keep_profile, notes)
        pixels = plain_array(samples)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if turn != 1:
        pixels = turned(pixels, turn)
    return Meaning(pixels, icc, exact, tuple(notes))


def turned(pixels: U8, orientation: int) -> U8:
    """Bring pixels upright that an EXIF orientation, 1..8, says how to."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


# ---- which way is up


def _orientation(image: Image.Image, notes: list[str]) -> int:
    """Give the EXIF orientation, 1..8; that of a TIFF Pillow applies by itself."""
    if _tags_of(image) is not None:
        return 1
    known = getattr(image, "_exif", None)
    info = image.info
    raw = info.get("exif")
    damaged = False
    value = None
    if raw is None and isinstance(info.get("Raw profile type exif"), str):
        try:
            lines = info["Raw profile type exif"].split("\n")[3:]
            raw = bytes.fromhex("".join(lines))
        except ValueError:
            damaged = True
    if isinstance(raw, bytes) and raw:
        value, damaged = exif_orientation(raw)
    if known is not None:
        value = known.get(ORIENTATION, value)
    if value is None:
        value = _xmp_orientation(info)
    if damaged:
        notes.append("its EXIF data are damaged: ignored")
    if value in (None, 0):  # 0 is what some cameras write for "unknown"
        return 1
    if not isinstance(value, int) or not 1 <= value <= 8:
        notes.append(f"its EXIF orientation, {value}, is none of 1..8: ignored")
        return 1
    return value


def exif_orientation(raw: bytes) -> tuple[int | None, bool]:
    """Find the orientation in EXIF data; say whether they are damaged before that."""
    import struct

    while raw.startswith(b"Exif\0\0"):
        raw = raw[6:]
    if not raw:
        return None, False
    order = {b"II": "<", b"MM": ">"}.get(raw[:2])
    if order is None:
        return None, True
    value = None
    try:
        (at,) = struct.unpack_from(order + "I", raw, 4)
        (count,) = struct.unpack_from(order + "H", raw, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", raw, entry)
            if tag == ORIENTATION:
                form = {1: "B", 3: "H", 4: "I"}.get(kind)
                if form is None:
                    return None, True
                (value,) = struct.unpack_from(order + form, raw, entry + 8)
                break
    except struct.error:
        return value, True
    return value, False


def _xmp_orientation(info: dict[Any, Any]) -> int | None:
    """Find the orientation in XMP, where Pillow too looks for it."""
    for name in ("XML:com.adobe.xmp", "xmp"):
        text = info.get(name)
        if isinstance(text, bytes):
            text = text.decode("latin-1")
        if isinstance(text, str):
            found = re.search(r'tiff:Orientation(?:="|>)([0-9])', text)
            if found:
                return int(found[1])
    return None


def tiff_turn(layout: Layout | None) -> int:
    values = layout.tags.get(ORIENTATION, (1,)) if layout is not None else (1,)
    return values[0] if values[0] in range(1, 9) else 1


# ---- how values become light


def encoding_of(
    image: Image.Image,
    info: dict[Any, Any],
    notes: list[str],
    layout: Layout | None = None,
) -> tuple[Encoding | None, bool, bool]:
    """Say how values become light, unless a profile says it, which goes into `info`.

    Also whether there is a cICP, which Pillow passes over, and whether Pillow cuts
    the values to 8 bits.
    """
    file = getattr(image, "fp", None)
    code = None
    if image.format == "PNG" and file is not None:
        try:
            code = color_code(file)
        except (OSError, ValueError):  # of a file that was closed
            code = None
    if code is not None:
        from .encoding import of_code

        said: list[str] = []
        found = of_code(code, said)
        if not (said and info.get("icc_profile")):
            info.pop("icc_profile", None)
            notes += said
            return found, True, False
    deep = False
    if file is not None and image.format in ("BMP", "GIF", "JPEG2000", "AVIF"):
        from .declared import declared_by

        said = []
        declared = declared_by(image.format, file, said)
        deep = declared.deep
        if not info.get("icc_profile"):
            notes += said
            if declared.encoding is not None:
                return declared.encoding, False, deep
            if declared.icc is not None:
                info["icc_profile"] = declared.icc
    if not info.get("icc_profile"):
        _note_adobe_rgb(info.get("exif"), notes)
        if layout is not None:
            from .declared import of_tiff

            return of_tiff(layout, notes), False, False
    if info.get("icc_profile") or "srgb" in info:
        return None, False, deep
    gamma, points = info.get("gamma"), info.get("chromaticity")
    if gamma is None and points is None:
        return None, False, deep
    from .encoding import of_gamma

    return (
        of_gamma(
            gamma if isinstance(gamma, int | float) else None,
            points if isinstance(points, tuple) else None,
            notes,
        ),
        False,
        deep,
    )


def _note_adobe_rgb(exif: object, notes: list[str]) -> None:
    """Warn if EXIF says that the values are of Adobe RGB, as cameras write it."""
    if not isinstance(exif, bytes) or b"R03\0" not in exif:
        return
    from PIL import Image

    said = None
    with IgnoringDamage():  # which is named elsewhere
        parsed = Image.Exif()
        parsed.load(exif)
        said = parsed.get_ifd(0xA005).get(1)
    if said == "R03":
        notes.append(
            "its EXIF data say Adobe RGB, but it has no such profile: taken as sRGB"
        )


def _encoded(samples: Samples, encoding: Encoding) -> U8:
    """Convert to sRGB, rounded once."""
    array = samples.array
    colors = array.shape[2] - (samples.kind in ("LA", "RGBA"))
    top = int(samples.high)
    by_table = encoding.primaries is None or colors == 1
    if array.dtype.kind == "u" and samples.low == 0 and by_table:
        unit = np.arange(top + 1)[:, np.newaxis] / top
        table = np.rint(encoding.to_srgb(unit, top) * 255).astype(np.uint8)[:, 0]
        out: U8 = table[array]
        if colors < array.shape[2]:
            out[..., -1] = samples.to_bytes()[0][..., -1]
        return out
    out = np.empty(array.shape, np.uint8)
    step = max(1, (1 << 18) // array[0].size)
    for y in range(0, len(array), step):
        unit = samples.to_unit(array[y : y + step])
        unit[..., :colors] = encoding.to_srgb(unit[..., :colors], top)
        out[y : y + step] = np.rint(unit * 255)
    return out


# ---- samples that Pillow would cut


def _load(image: Image.Image) -> None:
    """Decode, not by Pillow's limit of pixels, which is for those who open a file."""
    undecoded = image.format == "TIFF" and bool(getattr(image, "tile", None))
    if undecoded and getattr(image, "_im", image) is None:
        from .tiff import allocate

        allocate(image, image._tile_size)  # type: ignore[attr-defined]
    image.load()


def _tags_of(image: Image.Image) -> Any:
    return getattr(image, "tag_v2", None) if image.format == "TIFF" else None


def layout_of_image(image: Image.Image) -> Layout | None:
    """Give the layout of the frame of a TIFF that an image has; None of others."""
    tags = _tags_of(image)
    if tags is None:
        return None
    from .tiff import layout_of

    return layout_of(tags, "<" if tags.prefix.startswith(b"II") else ">")


def _deep_samples(
    image: Any, layout: Layout | None, notes: list[str], *, twin: bool
) -> Samples | None:
    """Decode what Pillow would cut or pass over, if the image is not decoded yet.

    It stays as it is, so that it can be asked again: a `twin` is decoded.
    """
    tiles, file = getattr(image, "tile", None), getattr(image, "fp", None)
    if not tiles or file is None:
        return None
    if layout is not None:
        from .tiff import read_samples

        return None if layout.is_plain else read_samples(file, layout, notes)
    raw = tiles[0].args
    if image.format == "PNG" and len(tiles) == 1 and image.info.get("bbox") is None:
        if raw in HALVES or raw == "LA;16B":
            return _deep_png(image, raw)
        key = image.info.get("transparency")
        if twin or (image.mode == "L" and isinstance(key, int)):
            return _shallow_png(image, raw, key)
    if image.format == "PPM" and tiles[0].codec_name in ("ppm", "ppm_plain"):
        return _deep_ppm(image, file, tiles[0])
    return None


def _twin(image: Any, raw: str) -> Any:
    """Decode the file of an image again, its samples unpacked in a way of our own."""
    image.fp.seek(0)
    twin = type(image)(image.fp)
    twin.tile = [twin.tile[0]._replace(args=raw)]
    twin.load()
    return twin


def _deep_png(image: Any, raw: str) -> Samples:
    """Decode a PNG of 16 bits a colour: the high bytes, and the low ones."""
    if raw == "LA;16B":
        array: AnyArray = np.array(_twin(image, "RGBA"))  # four bytes, as they are
        array = array.view(">u2").astype(np.uint16)
        return Samples(array, 0, 65535, "LA")
    high = np.asarray(_twin(image, raw)).astype(np.uint16)
    array = (high << 8) | np.asarray(_twin(image, HALVES[raw]))
    kind, key = image.mode, image.info.get("transparency")
    if kind == "RGB" and isinstance(key, tuple):
        opaque = (array != np.array(key)).any(axis=2)
        array = np.dstack([array, opaque * np.uint16(65535)])
        kind = "RGBA"
    return Samples(array, 0, 65535, kind)


def _shallow_png(image: Any, raw: str, key: Any) -> Samples | None:
    """Decode a PNG of up to 8 bits; its transparent value is one of so many bits."""
    twin = _twin(image, raw)
    if image.mode != "L" or not isinstance(key, int):
        return as_samples(twin) if not twin.mode.startswith("I") else None
    most = (1 << SHALLOW.get(raw, 8)) - 1
    array = np.asarray(twin)
    opaque = array != (key & most) * (255 // most)
    return Samples(np.dstack([array, opaque * np.uint8(255)]), 0, 255, "LA")


def _deep_ppm(image: Any, file: IO[bytes], tile: Any) -> Samples | None:
    """Read a PGM or PPM of numbers, or whose largest value is not 255."""
    if image.mode == "1":
        return None
    most = tile.args[-1]
    channels = 3 if image.mode == "RGB" else 1
    count = image.width * image.height * channels
    file.seek(tile.offset)
    if tile.codec_name == "ppm_plain":
        words = re.sub(rb"#[^\r\n]*", b"", file.read()).split()[:count]
        if len(words) < count or not all(w.isdigit() and len(w) < 10 for w in words):
            return None  # Pillow knows what to do with damaged files
        array = np.array(words, np.uint32)
        if array.max() > most:
            return None
    else:
        form = np.dtype(">u2" if most > 255 else "u1")
        content = file.read(count * form.itemsize)
        if len(content) < count * form.itemsize:
            return None
        array = np.frombuffer(content, form).astype(form.newbyteorder("="))
    shape = image.height, image.width, channels
    return Samples(array.reshape(shape), 0, most, "RGB" if channels == 3 else "L")


def _is_deep_jpeg_2000(image: Any) -> bool:
    """Whether a colour has more than 8 bits, of which Pillow leaves 8."""
    file = getattr(image, "fp", None)
    if file is None or image.mode.startswith("I"):
        return False
    place = file.tell()
    file.seek(0)
    head = file.read(1 << 12)
    file.seek(place)
    at = head.find(b"\xff\x4f\xff\x51")  # its first marker, and that of the sizes
    depth = head[at + 42 : at + 43] if at >= 0 else b""
    return bool(depth) and (depth[0] & 127) + 1 > 8


def _as_decoded(
    image: Image.Image, layout: Layout | None, notes: list[str]
) -> Samples | Image.Image:
    """Give what Pillow decoded: as samples where it is of more than 8 bits."""
    if layout is not None:
        from .tiff import note_bands

        note_bands(layout, notes)
        if image.mode in ("RGBA", "LA") and not layout.alpha:
            image = image.convert(image.mode[:-1])  # it took a band for alpha
    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    array: AnyArray = np.asarray(image)[..., np.newaxis]
    if layout is not None:
        from .tiff import inverted, limits

        low, high = limits(array, layout, notes)
        if layout.photometric == 0:
            array = inverted(array, 1, low, high)
        return Samples(array, low, high, "L")
    if image.mode == "F":
        check_floats(array, 0, 1)
        return Samples(array, 0, 1, "L")
    if array.min() < 0 or array.max() > 65535:  # mode I is 32 bits wide
        raise InvalidValueError(
            f"image of mode I must hold 0..65535, got {array.min()}..{array.max()}"
        )
    opaque = array != image.info.get("transparency")
    array = array.astype(np.uint16, copy=False)  # to this byte order
    if opaque.all():
        return Samples(array, 0, 65535, "L")
    array = np.dstack([array, np.uint16(65535) * opaque])
    return Samples(array, 0, 65535, "LA")


# ---- 8 bits


def as_8_bits(pixels: U8, kind: str) -> Image.Image:
    """Make a Pillow image of bytes."""
    from PIL import Image

    if kind == "CMYK":
        size = pixels.shape[1], pixels.shape[0]
        return Image.frombytes("CMYK", size, np.ascontiguousarray(pixels).tobytes())
    return Image.fromarray(
        np.ascontiguousarray(pixels[..., 0] if kind == "L" else pixels)
    )


def as_samples(image: Image.Image) -> Samples:
    """Give the bytes of an image as samples."""
    array = plain_array(image)
    array = array[..., np.newaxis] if array.ndim == 2 else array
    return Samples(array, 0, 255, ["L", "LA", "RGB", "RGBA"][array.shape[2] - 1])


def plain_array(image: Image.Image) -> U8:
    """Give the bytes of an image of any mode of 8 bits, with alpha if it has it."""
    if image.mode == "La":  # premultiplied; Pillow converts it to nothing else
        image = image.convert("LA")
    if image.has_transparency_data and image.mode not in ("RGBA", "LA"):
        image = image.convert("RGBA")
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        try:
            image = image.convert("L" if image.mode == "1" else "RGB")
        except ValueError:
            raise InvalidValueError(
                f"image has mode {image.mode}, which Pillow cannot convert to RGB"
            ) from None
    return np.asarray(image)
